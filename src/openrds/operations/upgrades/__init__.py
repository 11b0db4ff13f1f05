"""Newer versions of an instance's servers: minor ones, major ones, and what hinders these."""
