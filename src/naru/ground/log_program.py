"""Keeps the logs of an environment from growing without bound: `logs.py FOLDER`.

This file is copied into the environment and run from there, beside `keep.py`.
"""

from __future__ import annotations

import glob
import importlib
import sys
import time

EVERY_SECONDS = 30.0


def main() -> None:
    """Look at every log of the folder, now and then, until it is stopped."""
    rotate = importlib.import_module("keep").rotate
    while True:
        for log in glob.glob(f"{sys.argv[1]}/*.log"):
            # supervisor takes care of its own.
            if not log.endswith("/supervisord.log"):
                rotate(log)
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
