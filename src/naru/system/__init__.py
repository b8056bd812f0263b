"""This machine: one way to run a process, to wait, to write a file, to choose an account.

Nothing here knows of PostgreSQL.
"""

from __future__ import annotations

from naru.system.account import Account, operator, server_account
from naru.system.companion import Companion
from naru.system.files import discard, give_to, private_folder, write_atomically
from naru.system.locks import is_locked, locked
from naru.system.observer import SILENT, Observer, WorkloadObserver, step
from naru.system.processes import Completed, arguments_of, is_alive, run, spawn
from naru.system.programs import find_faketime, find_program, need_program
from naru.system.waiting import Deadline, wait_until

__all__ = [
    "SILENT",
    "Account",
    "Companion",
    "Completed",
    "Deadline",
    "Observer",
    "WorkloadObserver",
    "arguments_of",
    "discard",
    "find_faketime",
    "find_program",
    "give_to",
    "is_alive",
    "is_locked",
    "locked",
    "need_program",
    "operator",
    "private_folder",
    "run",
    "server_account",
    "spawn",
    "step",
    "wait_until",
    "write_atomically",
]
