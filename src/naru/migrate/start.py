"""Start: from nothing to a target that follows the source, in steps that survive a crash."""

from __future__ import annotations

from naru.errors import NaruError
from naru.journal import Step, perform
from naru.migrate import channel as channels
from naru.migrate import identity
from naru.migrate.batch import RowCopy
from naru.migrate.building import Bounds, Builder
from naru.migrate.database import is_absent, is_missing
from naru.migrate.durable import make_durable, note_timeline
from naru.migrate.follow import catch_up
from naru.migrate.globals import transfer_globals
from naru.migrate.largeobjects import Notes, synchronise
from naru.migrate.record import MADE, Record
from naru.migrate.sequences import read_sequences, set_sequences
from naru.migrate.sides import explained
from naru.migrate.statements import Phase
from naru.system import SILENT, Observer


class Start:
    """The steps of one start; run again after a crash they go on where it was."""

    def __init__(self, record: Record, bounds: Bounds, observer: Observer = SILENT) -> None:
        self._record = record
        self._run = record.run
        self._bounds = bounds
        self._observer = observer
        self._builder = Builder(record, bounds, observer)

    def perform(self) -> None:
        """Do what is not done yet; returns when the target has caught up."""
        build = self._builder.build
        steps = [
            Step("roles", "roles and database", self._globals),
            Step("identity", "replica identities", self._identity),
            Step("copy", "schema and rows", self._copy),
            Step("indexes", "keys and indexes", lambda: build(Phase.KEYS_AND_INDEXES)),
            Step("constraints", "constraints", lambda: build(Phase.CONSTRAINTS)),
            Step("rest", "triggers, views, rules", lambda: build(Phase.REST)),
            Step("analyze", "statistics", lambda: build(Phase.ANALYZE)),
            Step("large objects", "large objects", self._large_objects),
            Step("sequences", "sequences", self._sequences),
            Step("subscribe", "subscription", self._subscribe),
            Step("follow", "catching up", self._follow),
            Step("durable", "safe from a failover", self._durable),
        ]
        perform(self._run, steps, tell=lambda step, state: self._observer.step(step.title, state))

    def _globals(self) -> None:
        record = self._record
        if not self._run.recall(MADE) and is_missing(record.target.dsn):
            # Noted before it is made: what fails or dies in between has made it, too.
            self._run.remember(MADE, True)
        made = bool(self._run.recall(MADE))
        try:
            report = transfer_globals(record.source.dsn, record.target.dsn, made=made)
        except NaruError:
            if made and is_absent(record.target.dsn):
                self._run.forget(MADE)
            raise
        for line in report.notices:
            self._observer.note(line)

    def _identity(self) -> None:
        with self._record.source.connect("replica identity") as source:
            with explained(self._record.source, "setting replica identities"):
                identity.give(source, self._run)

    def _copy(self) -> None:
        copied = RowCopy(self._record, self._builder, self._bounds, self._observer).perform()
        self._run.figure("copy.tables", copied.tables)
        self._run.figure("copy.rows", copied.rows, "rows")
        self._run.figure("copy.bytes", copied.bytes, "bytes")

    def _large_objects(self) -> None:
        record = self._record
        with record.source.connect("large objects") as source:
            with record.target.connect("large objects") as target:
                with explained(record.target, "copying large objects"):
                    notes = Notes(target, "source")
                    done = synchronise(source, target, notes, self._observer)
        self._run.figure("copy.large_objects", done.copied)

    def _sequences(self) -> None:
        record = self._record
        with record.source.connect("sequences") as source:
            with record.target.connect("sequences") as target:
                with explained(record.target, "setting sequences"):
                    set_sequences(target, read_sequences(source))

    def _subscribe(self) -> None:
        record = self._record
        with record.source.connect("subscribe") as source:
            with record.target.connect("subscribe") as target:
                if record.run.recall("timeline") is None:
                    note_timeline(record, target)
                for one in record.channels:
                    with explained(record.target, f"subscribing to {one.name}"):
                        channels.subscribe(one, source, target)
                        channels.enable(one, target)

    def _follow(self) -> None:
        catch_up(self._record, self._observer)

    def _durable(self) -> None:
        with explained(self._record.target, "making what is applied durable"):
            make_durable(self._record, self._observer)
