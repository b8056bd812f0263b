"""The restore_command: gives recovery a WAL segment from wherever it lies on the backup host."""

from __future__ import annotations

import shlex

from naru.backup.store import Store

_SCRIPT = """#!/bin/sh
# Run by PostgreSQL as: name destination. Copies a WAL segment or a timeline's history from the
# archive, from where WAL arrives (also the segment being written), or from what timelines that
# were left have in their last segment, which Barman archives unfinished. Twice, since it may just
# be moved into the archive.
case $1 in
    *.history) folder=. ;;
    *) folder=$(printf %.16s "$1") ;;
esac
for attempt in 1 2; do
    for path in {wals}/"$folder"/"$1" {streaming}/"$1" {ended}/"$1" \\
        {streaming}/"$1".partial {ended}/"$1".partial {wals}/"$folder"/"$1".partial
    do
        [ -f "$path" ] && cp "$path" "$2" && exit 0
    done
done
exit 1
"""


def render_fetch(store: Store) -> str:
    """The script, for this store."""
    return _SCRIPT.format(
        wals=shlex.quote(str(store.wals)),
        streaming=shlex.quote(str(store.streaming)),
        ended=shlex.quote(str(store.ended)),
    )
