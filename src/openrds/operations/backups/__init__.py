"""Backups are made and removed, and all that is restored from them."""
