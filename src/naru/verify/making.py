"""Statements that make or drop whole objects, and what a statement calls each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from naru.verify.normal import Doc
from naru.verify.script import literal

_RELATIONS = {
    "table": "TABLE", "partitioned table": "TABLE", "foreign table": "FOREIGN TABLE",
    "view": "VIEW", "materialized view": "MATERIALIZED VIEW",
}  # fmt: skip
_WORDS = {
    "schema": "SCHEMA", "sequence": "SEQUENCE", "collation": "COLLATION",
    "statistics": "STATISTICS", "text search": "TEXT SEARCH CONFIGURATION",
    "text search dictionary": "TEXT SEARCH DICTIONARY", "foreign server": "SERVER",
    "foreign data wrapper": "FOREIGN DATA WRAPPER", "extension": "EXTENSION",
    "event trigger": "EVENT TRIGGER", "language": "LANGUAGE", "conversion": "CONVERSION",
    "access method": "ACCESS METHOD", "publication": "PUBLICATION", "transform": "TRANSFORM",
    "operator": "OPERATOR", "index": "INDEX", "column": "COLUMN",
}  # fmt: skip
_DROPPED = {
    "view", "index", "statistics", "collation", "text search", "text search dictionary",
    "text search parser", "foreign server", "foreign data wrapper", "event trigger", "language",
    "conversion", "access method", "publication", "transform", "operator", "operator class",
    "operator family", "cast",
}  # fmt: skip
_CASTS = {"b": "WITHOUT FUNCTION", "i": "WITH INOUT"}
_CONTEXTS = {"a": " AS ASSIGNMENT", "i": " AS IMPLICIT"}


def called(kind: str, name: str, doc: Doc) -> str | None:
    """How a statement speaks of an object: `TABLE shop.person`; None if it has no such way."""
    if kind in ("table", "view"):
        usual = "TABLE" if kind == "table" else "VIEW"
        return f"{_RELATIONS.get(str(doc.get('kind')), usual)} {name}"
    if kind == "function":
        words = {"p": "PROCEDURE", "a": "AGGREGATE"}
        return f"{words.get(str(doc.get('kind')), 'FUNCTION')} {name}"
    if kind == "type":
        return f"{'DOMAIN' if doc.get('kind') == 'd' else 'TYPE'} {name}"
    if kind in ("operator class", "operator family"):
        own, _, method = name.rpartition(" for ")
        return f"{kind.upper()} {own} USING {method}"
    if kind == "text search parser":
        template = " (template)"
        what = "TEMPLATE" if name.endswith(template) else "PARSER"
        return f"TEXT SEARCH {what} {name.removesuffix(template)}"
    if kind == "cast":
        return f"CAST ({name})"
    return f"{_WORDS[kind]} {name}" if kind in _WORDS else None


def drop(kind: str, name: str, doc: Doc) -> str | None:
    """A statement that takes an object away that holds no rows; None for all others."""
    if kind == "user mapping":
        who, _, server = name.rpartition(" at ")
        return f"DROP USER MAPPING FOR {who} SERVER {server};"
    if kind == "security label":
        return _label(doc, "NULL")
    return f"DROP {called(kind, name, doc)};" if kind in _DROPPED else None


def make(kind: str, name: str, doc: Doc) -> str | None:
    """A statement that makes an object as `doc` has it, but for owner, grants and comment.

    None where it takes more than one statement, or something that may not be shown.
    """
    makers = {
        "language": _language, "access method": _access_method, "conversion": _conversion,
        "transform": _transform, "publication": _publication, "event trigger": _event_trigger,
        "cast": _cast, "collation": _collation, "text search dictionary": _dictionary,
    }  # fmt: skip
    if kind == "extension":
        return f"CREATE EXTENSION {name} SCHEMA {doc['schema']};"
    if kind == "schema":
        return f"CREATE SCHEMA {name};"
    if kind == "security label":
        return _label(doc, _text(doc["label"]))
    return makers[kind](name, doc) if kind in makers else None


def publication_change(name: str, attribute: str, doc: Doc) -> str | None:
    """A statement that gives a publication what `doc` has of one attribute."""
    if attribute in ("tables", "schemas"):
        wanted = _published(doc)
        return f"ALTER PUBLICATION {name} SET {wanted};" if wanted else None
    if attribute in ("operations", "via root", "generated columns"):
        return f"ALTER PUBLICATION {name} SET ({_options(doc)});"
    return None


def _published(doc: Doc) -> str:
    tables, schemas = doc.get("tables") or [], doc.get("schemas") or []
    parts = [f"TABLE {table}" for table in tables]
    return ", ".join([*parts, *(f"TABLES IN SCHEMA {schema}" for schema in schemas)])


def _options(doc: Doc) -> str:
    options = {"publish": _text(", ".join(doc.get("operations") or []))}
    if "via root" in doc:
        options["publish_via_partition_root"] = str(doc["via root"]).lower()
    if doc.get("generated columns"):
        options["publish_generated_columns"] = "stored"
    return ", ".join(f"{key} = {value}" for key, value in options.items())


def _publication(name: str, doc: Doc) -> str:
    what = "ALL TABLES" if doc.get("all tables") else _published(doc)
    return f"CREATE PUBLICATION {name}{f' FOR {what}' if what else ''} WITH ({_options(doc)});"


def _language(name: str, doc: Doc) -> str | None:
    if "handler" not in doc:
        return None
    trusted = "TRUSTED " if doc.get("trusted") else ""
    parts = [f"CREATE {trusted}LANGUAGE {name} HANDLER {doc['handler']}"]
    if "inline handler" in doc:
        parts.append(f"INLINE {doc['inline handler']}")
    if "validator" in doc:
        parts.append(f"VALIDATOR {doc['validator']}")
    return " ".join(parts) + ";"


def _access_method(name: str, doc: Doc) -> str:
    return f"CREATE ACCESS METHOD {name} TYPE {doc['type']} HANDLER {doc['handler']};"


def _conversion(name: str, doc: Doc) -> str:
    default = "DEFAULT " if doc.get("default") else ""
    ends = f"{_text(doc['from'])} TO {_text(doc['to'])}"
    return f"CREATE {default}CONVERSION {name} FOR {ends} FROM {doc['function']};"


def _transform(name: str, doc: Doc) -> str:
    parts = (f"{way} WITH FUNCTION {doc[way]}" for way in ("from SQL", "to SQL") if way in doc)
    return f"CREATE TRANSFORM {name} ({', '.join(parts)});"


def _event_trigger(name: str, doc: Doc) -> str | None:
    if doc.get("enabled") != "O":
        return None
    tags = f" WHEN TAG IN ({_texts(doc['tags'])})" if doc.get("tags") else ""
    what = f"ON {doc['event']}{tags} EXECUTE PROCEDURE {doc['function']}()"
    return f"CREATE EVENT TRIGGER {name} {what};"


def _cast(name: str, doc: Doc) -> str:
    how = _CASTS.get(str(doc.get("method"))) or f"WITH FUNCTION {doc['function']}"
    return f"CREATE CAST ({name}) {how}{_CONTEXTS.get(str(doc.get('context')), '')};"


def _collation(name: str, doc: Doc) -> str | None:
    options = {"provider": {"c": "libc", "i": "icu", "b": "builtin"}.get(str(doc.get("provider")))}
    if options["provider"] is None:
        return None
    for attribute, option in (("collate", "lc_collate"), ("character type", "lc_ctype"),
                              ("locale", "locale"), ("rules", "rules")):  # fmt: skip
        if doc.get(attribute) is not None:
            options[option] = _text(doc[attribute])
    if str(doc.get("deterministic")) == "false":
        options["deterministic"] = "false"
    return f"CREATE COLLATION {name} ({', '.join(f'{k} = {v}' for k, v in options.items())});"


def _dictionary(name: str, doc: Doc) -> str:
    options = f", {doc['options']}" if doc.get("options") else ""
    return f"CREATE TEXT SEARCH DICTIONARY {name} (TEMPLATE = {doc['template']}{options});"


def _label(doc: Doc, label: str) -> str | None:
    if "on" not in doc:
        return None
    return f"SECURITY LABEL FOR {doc['provider']} ON {doc['on']} {doc['name']} IS {label};"


def _text(value: Any) -> str:
    return literal(str(value)).as_string()


def _texts(values: Iterable[Any]) -> str:
    return ", ".join(_text(value) for value in values)
