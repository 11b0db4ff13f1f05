"""Passwords as MySQL stores them for `caching_sha2_password`.

Source: sql/auth/sha2_password.cc of MySQL, which keeps `$A$`, thousands of rounds in three hexadecimal digits, `$`, a
salt of 20 bytes and the digest; and Drepper's "Unix crypt using SHA-256", whose digest that is.
"""

import hashlib
import secrets
import string

_SALT_BYTES = 20
_ROUNDS = 5000
#: The order of crypt's base 64, and the order in which it takes the bytes of a digest.
_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TRIPLES = (
    (0, 10, 20),
    (21, 1, 11),
    (12, 22, 2),
    (3, 13, 23),
    (24, 4, 14),
    (15, 25, 5),
    (6, 16, 26),
    (27, 7, 17),
)
_TRIPLES_END = ((18, 28, 8), (9, 19, 29))
#: Any bytes may be in a salt; with these it can be shown, and written into a statement.
_SALT_LETTERS = string.ascii_letters + string.digits


def sha2_hash(password: str, salt: str = "") -> str:
    """What the plugin keeps: it proves the password, and does not give it away. With a new salt unless one is given."""
    salt = salt or "".join(secrets.choice(_SALT_LETTERS) for _ in range(_SALT_BYTES))
    digest = _crypt(password.encode(), salt.encode())
    return f"$A${_ROUNDS // 1000:03X}${salt}{digest}"


def _crypt(password: bytes, salt: bytes) -> str:
    digest = _first(password, salt)
    p = _stretched(hashlib.sha256(password * len(password)).digest(), len(password))
    s = _stretched(hashlib.sha256(salt * (16 + digest[0])).digest(), len(salt))
    for number in range(_ROUNDS):
        odd = number & 1
        words = (p if odd else digest) + (s if number % 3 else b"") + (p if number % 7 else b"")
        digest = hashlib.sha256(words + (digest if odd else p)).digest()
    return _encoded(digest)


def _first(password: bytes, salt: bytes) -> bytes:
    inner = hashlib.sha256(password + salt + password).digest()
    words = password + salt + _stretched(inner, len(password))
    length = len(password)
    while length:
        words += inner if length & 1 else password
        length >>= 1
    return hashlib.sha256(words).digest()


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _encoded(digest: bytes) -> str:
    triples = (*_TRIPLES, *_TRIPLES_END)
    text = "".join(_letters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in triples)
    return text + _letters(digest[31] << 8 | digest[30], 3)


def _letters(number: int, count: int) -> str:
    return "".join(_DIGITS[number >> 6 * place & 63] for place in range(count))
