"""What a machine does: processes, addresses, volumes and the user that servers run as."""
