"""Standbys and read replicas: they are made and brought back, and change roles."""
