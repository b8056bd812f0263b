"""Small HTTP calls to the service's own parts; no proxies, and always a deadline."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any

from naru.errors import ServerError, UnreachableError


@dataclass(frozen=True)
class Answer:
    """A status code and the JSON that came with it (None if it was none)."""

    status: int
    document: Any


def get(host: str, port: int, path: str, seconds: float) -> Answer | None:
    """Ask; None when nobody answers in time."""
    try:
        return _call("GET", host, port, path, seconds)
    except (OSError, http.client.HTTPException):
        return None


def post(host: str, port: int, path: str, document: Any, *, seconds: float) -> Answer:
    """Post `document` without a password. Raises UnreachableError."""
    try:
        return _call("POST", host, port, path, seconds, document)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{host}:{port} does not answer {path}: {error}") from error


def send(
    method: str,
    host: str,
    port: int,
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
        answer = _call(
            method, host, port, path, seconds, document, {"Authorization": f"Basic {word}"}
        )
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{host}:{port} does not answer {method} {path}: {error}") from error
    if answer.status >= 400:
        raise ServerError(
            f"{host}:{port} refused {method} {path}: {answer.status} {answer.document or ''}"
        )
    return answer


def _call(
    method: str,
    host: str,
    port: int,
    path: str,
    seconds: float,
    document: Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
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
