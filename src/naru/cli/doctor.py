"""`naru doctor`: what is installed, what is missing, how to get it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of

if TYPE_CHECKING:
    from naru.ground.doctor import Diagnosis

_SIGNS = {
    "ok": "ok",
    "missing": "MISSING",
    "warning": "warning",
    "expired": "EXPIRED",
    "optional": "optional",
}


def doctor(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Say what is installed, what is missing, and how to get it.

    Exit code 1 when something is missing that Naru needs, or a certificate has expired.
    """
    from naru.ground import open_ground, state_folder
    from naru.ground.doctor import certificate_finding, diagnose, observe
    from naru.migrate import proven_moves

    declared, file = spec_of(spec)
    ground = declared.ground
    diagnosis = diagnose(observe(ground.account, state_folder(file), ground.postgres))
    if (state_folder(file) / "secrets" / "tls").exists():
        kept = open_ground(declared, state_folder(file)).certificates.list()
        findings = (*diagnosis.findings, *([certificate_finding(kept)] if kept else []))
        diagnosis = replace(diagnosis, findings=findings)
    if json:
        talk.put_json({**diagnosis.to_json(), "proven_moves": proven_moves()})
    else:
        _print(diagnosis)
        talk.put(f"{'ok':9} {'versions':14} moves are tested {proven_moves()}")
    raise typer.Exit(0 if diagnosis.well else 1)


def _print(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        talk.put(f"{_SIGNS[finding.state]:9} {finding.name:14} {finding.found}")
        if finding.remedy:
            talk.put(f"{'':9} {'':14} → {finding.remedy}")
    if diagnosis.command:
        talk.say(f"as root: apt-get update && {diagnosis.command}")
