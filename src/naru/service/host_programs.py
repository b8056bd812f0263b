"""What runs on hosts beside the servers, copied to where their account can read it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naru.ground import Ground, Program
from naru.service import onhost
from naru.service.layout import NAMESPACE, Layout
from naru.system import private_folder, write_atomically

GUARDIAN = "guardian"

_ENTRY = """from {package}.{name} import main

if __name__ == "__main__":
    main()
"""


def write_if_new(ground: Ground, path: Path, text: str) -> bool:
    """Write a configuration for the ground's account alone; True if it was another one before."""
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return False
    write_atomically(path, text, mode=0o600, owner=ground.account)
    return True


def member_script(ground: Ground) -> Path:
    """What every member runs."""
    return ground.folder / "conf" / "member.py"


def write_programs(ground: Ground) -> str:
    """Copy what runs beside the servers; gives what tells this version of it from others."""
    source, conf = Path(onhost.__file__).parent, ground.folder / "conf"
    private_folder(conf / source.name, owner=ground.account)
    texts = {conf / source.name / one.name: one.read_text() for one in source.glob("*.py")}
    for name in ("member", "watchdog", GUARDIAN):
        texts[conf / f"{name}.py"] = _ENTRY.format(package=source.name, name=name)
    for path, text in texts.items():
        write_if_new(ground, path, text)
    whole = "".join(texts[path] for path in sorted(texts))
    return hashlib.sha256(whole.encode()).hexdigest()[:10]


def place_guardian(ground: Ground, host: str, layouts: Sequence[Layout]) -> None:
    """Have the guardian watch the members of `layouts`; another version of it is started anew,
    and one that runs reads who they are when that changes."""
    path = ground.folder / "conf" / f"{GUARDIAN}.json"
    write_if_new(ground, path, json.dumps(_settings(ground, layouts), indent=2) + "\n")
    script, version = path.with_suffix(".py"), write_programs(ground)
    argv = (str(ground.python), str(script), str(path), version)
    ground.place(Program(GUARDIAN, host, argv, priority=450))


def _settings(ground: Ground, layouts: Sequence[Layout]) -> dict[str, Any]:
    etcd = layouts[0].etcd
    return {
        "etcd": [[one.address, one.client_port] for one in etcd],
        "tls": {
            "ca": str(layouts[0].authority),
            "certificate": str(etcd[0].client_pair),
            "key": str(etcd[0].client_pair),
        },
        "members": [
            {
                "name": node.name,
                "prefix": f"{NAMESPACE}{layout.cluster}/",
                "data": str(node.data),
                "record": str(ground.record(node.name)),
                "lease": str(node.lease),
            }
            for layout in sorted(layouts, key=lambda one: one.cluster)
            for node in layout.nodes
        ],
    }
