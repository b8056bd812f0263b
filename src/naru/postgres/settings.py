"""What a setting of a database or a role is set to, as the catalogs keep it."""

from __future__ import annotations

# Their values are lists of names, kept as already quoted text.
_LISTS = frozenset(
    {
        "local_preload_libraries", "search_path", "session_preload_libraries",
        "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
    }
)  # fmt: skip


def setting_values(name: str, value: str) -> list[str]:
    """The values that SET takes, one literal each, from what pg_db_role_setting has of a setting.

    Mostly it is one. A list of names such as search_path is several: as a single literal it would
    be one name.
    """
    return (_names(value) or [""]) if name in _LISTS else [value]


def _names(text: str) -> list[str]:
    """The names in a setting such as search_path: `"$user", public` gives `$user`, `public`."""
    names: list[str] = []
    current, quoted, index = "", False, 0
    while index < len(text):
        char = text[index]
        if quoted and char == '"' and text[index + 1 : index + 2] == '"':
            current, index = current + '"', index + 1
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            names.append(current)
            current = ""
        elif quoted or not char.isspace():
            current += char if quoted else char.lower()
        index += 1
    return [*names, current] if text.strip() else []
