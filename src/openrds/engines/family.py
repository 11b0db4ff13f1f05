"""What the servers of a family, an instance and its read replicas, have in common."""

import hashlib
import hmac


def password_of(secret: str, account: str) -> str:
    """The password of one of the service's accounts, from the family's secret; of one the others cannot be told.

    It has the 32 characters that a follower of MySQL can have for its upstream.
    """
    return hmac.digest(secret.encode(), account.encode(), hashlib.sha256).hex()[:32]
