"""What Ctrl-C and a request to end become."""

from __future__ import annotations


class Interrupted(BaseException):
    """The user, or the machine, wants us to end: SIGINT or SIGTERM.

    No KeyboardInterrupt, which the parser would turn into an exit code of its own; and no
    NaruError, which waits may pass over.
    """
