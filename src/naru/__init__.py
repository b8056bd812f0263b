"""Naru brings a running PostgreSQL across into a highly available service, and runs it."""

from __future__ import annotations

__version__ = "0.1.0"
