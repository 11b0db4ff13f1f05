"""The way from a socket to the application and back: connections, their bounds and deadlines, HTTP/1.1."""
