"""The command line: parse, call one function of the core, print. Thin."""

from __future__ import annotations

from naru.cli.main import main

__all__ = ["main"]
