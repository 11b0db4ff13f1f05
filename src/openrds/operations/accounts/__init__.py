"""Databases, accounts and privileges in the servers of instances."""
