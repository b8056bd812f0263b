"""Writing a naru.toml: what differs from the defaults, the rest as comments."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from naru.errors import SpecError, UsageError
from naru.spec.check import Fault, allowed, check, field_of
from naru.spec.load import complaint
from naru.spec.model import Spec
from naru.system import write_atomically

Declared = dict[str, dict[str, Any]]

ASKED = (
    "environment.name", "source.database", "source.version", "source.scale",
    "service.cluster_name", "service.server_prefix", "service.version", "service.members",
    "service.database", "service.user", "service.password", "service.port", "traffic.port",
)  # fmt: skip
"""What `naru init` asks for on a terminal; everything else is in the file, as a comment."""

_WIDTH = 96


@dataclass(frozen=True)
class Question:
    """One key for a person to answer: what it means, what it may be, what it is by default."""

    key: str
    meaning: str
    allowed: str
    default: str | None
    secret: bool


def questions() -> Iterator[Question]:
    """What to ask, in order."""
    for key in ASKED:
        field = _field(key)
        default = None if field.default is None else str(field.default)
        yield Question(key, _meaning(field), allowed(field), default, _is_secret(field))


def declare(declared: Declared, key: str, text: str) -> list[Fault]:
    """Set `key` in `declared` to what `text` says, and give the faults of the whole.

    Raises SpecError for a key that does not exist.
    """
    table, _, name = key.partition(".")
    if key.startswith("service.settings."):
        settings = declared.setdefault("service", {}).setdefault("settings", {})
        settings[key.removeprefix("service.settings.")] = text
    elif table == "parameter_group" and "." in name:
        group, _, setting = name.partition(".")
        declared.setdefault(table, {}).setdefault(group, {})[setting] = text
    else:
        declared.setdefault(table, {})[name] = _read(_field(key), text)
    found = check(declared)
    return [] if isinstance(found, Spec) else found


def declare_all(settings: Mapping[str, str]) -> Declared:
    """What `--set key=value …` declares. Raises SpecError with every fault."""
    declared: Declared = {}
    faults: list[Fault] = []
    for key, text in settings.items():
        faults = declare(declared, key, text)
    if faults:
        raise complaint([("", fault) for fault in faults])
    return declared


def render(declared: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a naru.toml that declares `declared`, each key with its meaning."""
    lines = [
        "# What Naru works on. A line that is commented out shows its default;",
        "# an empty file is the reference lab.",
    ]
    for table, field in Spec.model_fields.items():
        model: Any = field.annotation
        if table == "parameter_group":
            lines += ["", *_groups(field, declared.get(table, {}))]
            continue
        lines += ["", *_comment(model.__doc__ or ""), f"[{table}]"]
        for name, key in model.model_fields.items():
            lines += ["", *_comment(f"{_meaning(key)} Allowed: {allowed(key)}.")]
            given = declared.get(table, {})
            if name in given and given[name] != key.default:
                lines.append(f"{name} = {_toml(given[name])}")
            else:
                lines.append(f"# {name} = {_toml(key.default)}")
    return "\n".join(lines) + "\n"


def _groups(field: FieldInfo, declared: Mapping[str, Any]) -> list[str]:
    """The parameter groups, each a table of its own; an example when there is none."""
    lines = _comment(_meaning(field))
    for name, settings in declared.items():
        lines += ["", f"[parameter_group.{_key(name)}]"]
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in settings.items()]
    return lines if declared else [*lines, "# [parameter_group.reports]", "# work_mem = '64MB'"]


def write_spec(path: Path, declared: Declared, *, force: bool = False) -> None:
    """Write `declared` to `path`; readable by its owner alone when it holds a password.

    Raises UsageError when the file exists, unless `force`.
    """
    if path.exists() and not force:
        raise UsageError(f"{path} exists already", remedy="add --force to replace it")
    secret = bool(declared.get("service", {}).get("password"))
    write_atomically(path, render(declared), mode=0o600 if secret else 0o644)


def _field(key: str) -> FieldInfo:
    path = tuple(key.split("."))
    field = field_of(path) if len(path) == 2 else None
    if field is None:
        declared = {path[0]: dict.fromkeys(path[1:2], "")} if len(path) == 2 else {key: ""}
        found = check(declared)
        faults = found if isinstance(found, list) else []
        raise (
            complaint([("", fault) for fault in faults])
            if faults
            else SpecError(
                f"{key}: is not a key", remedy="write table.key, such as service.members"
            )
        )
    return field


def _read(field: FieldInfo, text: str) -> Any:
    """`text` in the type of the field, or as it is when it does not fit: the check then says so."""
    kinds = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    for value in kinds:
        if str(value) == text:
            return value
    if field.annotation is bool and text in _BOOLEANS:
        return _BOOLEANS[text]
    if get_origin(field.annotation) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if field.annotation in (int, float):
        try:
            return field.annotation(text)
        except ValueError:
            return text
    return text


_BOOLEANS = {"true": True, "false": False}


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in get_args(field.annotation)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent="# ", subsequent_indent="# ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _toml(value: Any) -> str:
    if value is None:
        return '"…"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = (f"{_key(name)} = {_toml(item)}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
