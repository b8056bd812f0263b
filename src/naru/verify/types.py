"""How a value is brought into a form that is equal only if the value is.

`raw` values and `characters` are hashed as they are, where the hash takes in every bit;
`send` by the type's binary output, which keeps apart what equality or the hash folds (1.0
and 1.00, -0 and 0, 24 hours and a day, 1 and 2^32). Binary
output that carries an OID of one cluster (arrays of enums, composites) or whose
stability nobody vouches for (types of extensions) gives way to `text`, the type's own
output function under pinned settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from psycopg import sql

Form = Literal["raw", "characters", "send", "text"]

_FIRST_USER_OID = 16384

SAMPLES: Mapping[str, str] = {
    "bool": "true", "bytea": "\\x00ff", "char": "x", "name": "naru", "int2": "-7", "int4": "65537",
    "int8": "4294967297", "float4": "-0", "float8": "0.1", "numeric": "1.00",
    "money": "12.34", "bpchar": "a ", "date": "2024-02-29", "time": "24:00:00",
    "timetz": "12:00:00+09", "timestamp": "infinity", "timestamptz": "2024-02-29 12:00:00+09",
    "interval": "24:00:00", "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "json": '{"b": 1,  "b": 1.0}', "jsonb": '{"a": [1.0, null, "x"]}', "xml": "<a/>",
    "bit": "101", "varbit": "1010", "inet": "10.1.3.32/24", "cidr": "10.1.0.0/16",
    "macaddr": "08:00:2b:01:02:03", "macaddr8": "08:00:2b:01:02:03:04:05",
    "point": "(1,-0)", "line": "{1,2,3}", "lseg": "[(0,0),(1,1)]", "box": "(1,1),(0,0)",
    "path": "[(0,0),(1,1)]", "polygon": "((0,0),(1,1))", "circle": "<(0,0),1>",
    "tsvector": "'a':1A 'b':2", "tsquery": "'a' & 'b':*", "jsonpath": "$.a[*]",
    "pg_snapshot": "10:20:10,14", "txid_snapshot": "10:20:10,14",
    "oid": "26", "xid8": "4294967297", "pg_lsn": "16/B374D848", "tid": "(1,2)",
    "int4range": "[1,5)", "int8range": "empty", "numrange": "[1.0,1.00]",
    "tsrange": "(,2024-02-29)", "tstzrange": "[2024-02-29 00:00+09,)",
    "daterange": "[2024-02-01,2024-03-01)", "int4multirange": "{[1,5),[7,9)}",
    "int8multirange": "{}", "nummultirange": "{[1.0,2.00)}", "tsmultirange": "{}",
    "tstzmultirange": "{}", "datemultirange": "{[2024-02-01,2024-03-01)}",
}  # fmt: skip
"""Built-in types whose binary output carries nothing of its cluster, with a value for the
self-test of both servers."""

_CHARACTERS = {"text", "varchar"}
RAW = {"bool", "bytea", "char", "date", "int2", "int4", "uuid"}
INTEGERS = {"int2", "int4", "int8"}


@dataclass(frozen=True)
class TypeFacts:
    """A type as one side's catalog has it. `kind` is typtype; `inner` is a domain's base,
    an array's element or a range's subtype."""

    oid: int
    schema: str
    name: str
    kind: str
    is_array: bool
    output: tuple[str, str]
    send: tuple[str, str] | None
    inner: TypeFacts | None = None

    @property
    def built_in(self) -> bool:
        return self.oid < _FIRST_USER_OID and self.schema == "pg_catalog"

    @property
    def base(self) -> TypeFacts:
        """The type itself, or what a domain stands on."""
        return self.inner.base if self.kind == "d" and self.inner else self

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be the same on both sides for binary forms to be compared."""
        inner = self.inner.identity if self.inner else None
        return (self.schema, self.name, self.kind, self.is_array, inner)


def form_of(type_: TypeFacts, trusted: frozenset[str]) -> Form:
    """The form for values of `type_`; `trusted` are names that passed the self-test."""
    base = type_.base
    if base.kind == "e":
        return "send"
    if base.is_array and base.inner is not None:
        return "send" if base.built_in and _travels(base.inner, trusted) else "text"
    if base.kind in {"r", "m"} and base.inner is not None:
        return "send" if _travels(base.inner.base, trusted) else "text"
    if not base.built_in or base.kind != "b":
        return "text"
    if base.name in _CHARACTERS:
        return "characters"
    if base.name not in trusted:
        return "text"
    return "raw" if base.name in RAW else "send"


def _travels(inner: TypeFacts, trusted: frozenset[str]) -> bool:
    """True if `inner` within an array or range has the same bytes on both sides."""
    if not inner.built_in:
        return False
    if inner.kind in {"r", "m"} and inner.inner is not None:
        return _travels(inner.inner, trusted)
    return inner.kind == "b" and (inner.name in trusted | _CHARACTERS)


def common_form(source: TypeFacts, target: TypeFacts, trusted: frozenset[str]) -> Form:
    """The form for a column whose type may differ between the sides."""
    if source.identity != target.identity:
        return "text"
    forms = {form_of(source, trusted), form_of(target, trusted)}
    return forms.pop() if len(forms) == 1 else "text"


def as_text(value: sql.Composable, type_: TypeFacts) -> sql.Composed:
    """`value` as its type writes it, whatever casts to text somebody has defined."""
    if type_.base.built_in and type_.base.name == "refcursor":
        # Its output function is that of text, and cannot be called with it.
        return sql.SQL("{}::pg_catalog.text").format(undressed(value, type_))
    output = sql.Identifier(*type_.base.output)
    return sql.SQL("pg_catalog.textin({}({}))").format(output, undressed(value, type_))


def undressed(value: sql.Composable, type_: TypeFacts) -> sql.Composable:
    """A domain's value as one of its base type; functions over enums do not look through."""
    if type_.kind != "d":
        return value
    return sql.SQL("({})::{}").format(value, sql.Identifier(type_.base.schema, type_.base.name))


def canonical(
    value: sql.Composable, type_: TypeFacts, form: Form, *, same_encoding: bool
) -> sql.Composed:
    """An expression over `value` that is equal on both sides only if the values are.

    With different server encodings characters travel as UTF-8, the clients' encoding.
    """
    if form == "raw":
        return sql.Composed([undressed(value, type_)])
    if form == "send":
        send = sql.Identifier(*cast("tuple[str, str]", type_.base.send))
        return sql.SQL("{}({})").format(send, undressed(value, type_))
    text = undressed(value, type_) if form == "characters" else as_text(value, type_)
    if same_encoding:
        return sql.SQL('{}::pg_catalog.text COLLATE "C"').format(text)
    return sql.SQL("pg_catalog.textsend({}::pg_catalog.text)").format(text)
