"""What runs on hosts beside the servers: a member's Patroni and its watchdog, and the guardian.

This folder is copied into the environment and run from there, by an account that may not be
able to read ours; so it imports nothing but the standard library and itself. Decisions are
pure here too: `judging` for the guardian, `lease.verdict` for the watchdog.
"""

from __future__ import annotations
