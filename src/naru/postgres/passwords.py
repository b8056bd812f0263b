"""Passwords and their SCRAM secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string

_SIGNS = "-_.+=!"
_ITERATIONS = 4096


def generate_password(length: int = 24) -> str:
    """A random password with a letter, a digit and a sign; safe in URIs, ini files and shells."""
    alphabet = string.ascii_letters + string.digits + "-_."
    while True:
        word = "".join(secrets.choice(alphabet) for _ in range(length))
        kinds = (str.isalpha, str.isdigit, _SIGNS.__contains__)
        if word[0].isalpha() and all(any(kind(c) for c in word) for kind in kinds):
            return word


def scram_secret(password: str, salt: bytes | None = None) -> str:
    """The SCRAM-SHA-256 secret that PostgreSQL stores for `password` (RFC 5802, RFC 7677).

    `password` must be ASCII: SASLprep of other characters is left to the server.
    """
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *parts)
