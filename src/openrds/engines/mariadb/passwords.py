"""Passwords as MariaDB stores them."""

import hashlib


def native_hash(password: str) -> str:
    """What the plugin `mysql_native_password` keeps: it proves the password, and does not give it away."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324 - its form
