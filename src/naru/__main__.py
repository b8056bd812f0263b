"""`python -m naru`: the same as the command `naru`."""

from __future__ import annotations

from naru.cli import main

if __name__ == "__main__":
    main()
