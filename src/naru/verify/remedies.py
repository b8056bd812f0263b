"""The statement that mends a difference of the schema, where one plain statement does."""

from __future__ import annotations

from typing import Any

from naru.postgres import setting_values
from naru.verify.making import called, drop, make, publication_change
from naru.verify.normal import Doc
from naru.verify.script import literal

_TABLE_STATES = {
    ("row security", "True"): "ENABLE ROW LEVEL SECURITY",
    ("row security", "False"): "DISABLE ROW LEVEL SECURITY",
    ("row security forced", "True"): "FORCE ROW LEVEL SECURITY",
    ("row security forced", "False"): "NO FORCE ROW LEVEL SECURITY",
    ("replica identity", "d"): "REPLICA IDENTITY DEFAULT",
    ("replica identity", "f"): "REPLICA IDENTITY FULL",
    ("replica identity", "n"): "REPLICA IDENTITY NOTHING",
    ("persistence", "p"): "SET LOGGED",
    ("persistence", "u"): "SET UNLOGGED",
}
_ENABLED = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def remedy(
    kind: str, name: str, relation: str | None, attribute: str, source: Doc | None,
    target: Doc | None, database: str,
) -> str | None:  # fmt: skip
    """A statement for the target, or None where it takes more than one, or judgement.

    `name` and `relation` are written as the server quotes them. Nothing that would drop rows
    is ever proposed. `database` is the target's own name.
    """
    if kind == "setting":
        return _setting(name, source, database)
    part = name[len(relation) + 1 :] if relation and relation != name else ""
    if target is None:
        return _make(kind, name, relation, part, source or {})
    if source is None:
        return _drop(kind, name, relation, part, target)
    return _change(kind, name, relation, part, attribute, source)


def _make(kind: str, name: str, relation: str | None, part: str, doc: Doc) -> str | None:
    definition = doc.get("definition")
    if kind == "constraint" and definition:
        return f"ALTER TABLE {relation} ADD CONSTRAINT {part} {definition};"
    if kind in ("index", "trigger", "statistics", "rule") and definition:
        return str(definition).rstrip(";") + ";"
    return make(kind, name, doc)


def _drop(kind: str, name: str, relation: str | None, part: str, doc: Doc) -> str | None:
    if kind == "constraint":
        return f"ALTER TABLE {relation} DROP CONSTRAINT {part};"
    if kind in ("trigger", "rule", "policy"):
        return f"DROP {kind.upper()} {part} ON {relation};"
    return drop(kind, name, doc)


def _change(
    kind: str, name: str, relation: str | None, part: str, attribute: str, source: Doc
) -> str | None:
    value = source.get(attribute)
    if attribute == "comment":
        return _comment(kind, name, relation, part, source)
    if attribute == "owner":
        what = called(kind, name, source)
        return f"ALTER {what} OWNER TO {_quoted(value)};" if what else None
    if attribute == "tablespace" and kind in ("table", "view", "index"):
        wanted = "pg_default" if value is None else _quoted(value)
        return f"ALTER {called(kind, name, source)} SET TABLESPACE {wanted};"
    if kind == "publication":
        return publication_change(name, attribute, source)
    if kind == "security label":
        return make(kind, name, source)
    if kind == "event trigger" and attribute == "enabled":
        return f"ALTER EVENT TRIGGER {name} {_ENABLED[str(value)]};"
    if kind == "column":
        return _column(relation, part, attribute, source)
    if kind == "table" and (attribute, str(value)) in _TABLE_STATES:
        return f"ALTER TABLE {name} {_TABLE_STATES[attribute, str(value)]};"
    if kind in ("trigger", "rule") and attribute == "enabled":
        return f"ALTER TABLE {relation} {_ENABLED[str(value)]} {kind.upper()} {part};"
    if kind == "constraint" and attribute == "validated" and value:
        return f"ALTER TABLE {relation} VALIDATE CONSTRAINT {part};"
    if kind == "sequence":
        return _sequence(name, attribute, value)
    return None


def _column(relation: str | None, part: str, attribute: str, source: Doc) -> str | None:
    value = source.get(attribute)
    change = f"ALTER TABLE {relation} ALTER COLUMN {part}"
    if attribute == "not null":
        return f"{change} {'SET' if value else 'DROP'} NOT NULL;"
    if attribute == "default" and not source.get("generated"):
        return f"{change} DROP DEFAULT;" if value is None else f"{change} SET DEFAULT {value};"
    if attribute == "statistics target":
        return f"{change} SET STATISTICS {-1 if value is None else value};"
    return None


def _sequence(name: str, attribute: str, value: Any) -> str | None:
    words = {
        "increment": f"INCREMENT {value}", "minimum": f"MINVALUE {value}",
        "maximum": f"MAXVALUE {value}", "start": f"START {value}", "cache": f"CACHE {value}",
        "cycle": "CYCLE" if value else "NO CYCLE",
    }  # fmt: skip
    return f"ALTER SEQUENCE {name} {words[attribute]};" if attribute in words else None


def _comment(kind: str, name: str, relation: str | None, part: str, source: Doc) -> str | None:
    value = source.get("comment")
    said = literal(value).as_string()
    if kind in ("constraint", "trigger", "rule", "policy"):
        return f"COMMENT ON {kind.upper()} {part} ON {relation} IS {said};"
    what = called(kind, name, source)
    return f"COMMENT ON {what} IS {said};" if what else None


def _setting(name: str, source: Doc | None, database: str) -> str | None:
    """Of the database itself; what applications define is hidden, and so cannot be set."""
    if " for " in name or "." in name:
        return None
    change = f"ALTER DATABASE {_quoted(database)}"
    if source is None:
        return f"{change} RESET {name};"
    listed = ", ".join(
        literal(value).as_string() for value in setting_values(name, str(source["value"]))
    )
    return f"{change} SET {name} = {listed};"


def _quoted(name: Any) -> str:
    return '"' + str(name).replace('"', '""') + '"'
