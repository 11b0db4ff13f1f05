"""The service as a whole: its settings, its processes, its private store."""
