"""What changes the parameters of servers, and groups of them."""
