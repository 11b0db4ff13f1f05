"""What one host does by itself: it looks after its servers, volumes, routes, followers and backups."""
