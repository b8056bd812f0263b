"""Small HTTPS calls to the service's own parts; no proxies, and always a deadline."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naru.errors import ServerError, UnreachableError


@dataclass(frozen=True)
class Door:
    """Where a part answers, by what its certificate is checked, and what is shown to it.

    `pair` is a file with our own key and certificate, for parts that let in only who has one.
    """

    host: str
    port: int
    authority: Path
    pair: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """A status code and the JSON that came with it (None if it was none)."""

    status: int
    document: Any


def get(door: Door, path: str, seconds: float) -> Answer | None:
    """Ask; None when nobody answers in time, or somebody else than who should be there."""
    try:
        return _call("GET", door, path, seconds)
    except (OSError, http.client.HTTPException):
        return None


def post(door: Door, path: str, document: Any, *, seconds: float) -> Answer:
    """Post `document` without a password. Raises UnreachableError."""
    try:
        return _call("POST", door, path, seconds, document)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{door} does not answer {path}: {error}") from error


def send(
    method: str,
    door: Door,
    path: str,
    document: Any,
    *,
    user: str,
    password: str,
    seconds: float,
) -> Answer:
    """Send `document` with basic authentication. Raises UnreachableError or ServerError."""
    word = base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        answer = _call(method, door, path, seconds, document, {"Authorization": f"Basic {word}"})
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{door} does not answer {method} {path}: {error}") from error
    if answer.status >= 400:
        raise ServerError(
            f"{door} refused {method} {path}: {answer.status} {answer.document or ''}"
        )
    return answer


def _call(
    method: str,
    door: Door,
    path: str,
    seconds: float,
    document: Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection = http.client.HTTPSConnection(
        door.host, door.port, timeout=seconds, context=_context_of(door)
    )
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    try:
        return Answer(response.status, json.loads(text))
    except ValueError:
        return Answer(response.status, text or None)


def _context_of(door: Door) -> ssl.SSLContext:
    files = (door.authority, door.pair)
    return _context(*((file, file.stat().st_mtime_ns) if file else None for file in files))


@functools.lru_cache(maxsize=8)
def _context(authority: tuple[Path, int] | None, pair: tuple[Path, int] | None) -> ssl.SSLContext:
    """Kept while the files stay as they are: making one takes longer than the call itself."""
    assert authority is not None
    context = ssl.create_default_context(cafile=str(authority[0]))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pair is not None:
        context.load_cert_chain(str(pair[0]))
    return context
