"""Whether boxes work on this machine: a real one is made, once for each process."""

from __future__ import annotations

import os
import tempfile

from warpforge.errors import WarpforgeError
from warpforge.sandbox.bwrap import Bwrap
from warpforge.sandbox.protocol import Finding, Probe
from warpforge.sandbox.spec import Mount, Outcome, make_mount, make_spec

_HOST_DIRECTORIES = ("/usr", "/bin", "/lib", "/lib64", "/nix")  # enough of the host for its own bwrap to start
_cache: dict[str | None, Probe] = {}


def probe(sandbox: Bwrap) -> Probe:
    """Look for the program, then run it inside a box of its own making."""
    program = sandbox.find_program()
    if program not in _cache:
        _cache[program] = _look(sandbox, program)
    return _cache[program]


def _look(sandbox: Bwrap, program: str | None) -> Probe:
    if program is None:
        missing = Finding("bwrap", ok=False, text="not found", advice="apt-get install bubblewrap")
        return Probe(sandbox.name, (missing,))
    findings = [Finding("bwrap", ok=True, text=program)]
    try:
        outcome, said = _try_box(sandbox, program)
    except WarpforgeError as error:
        findings.append(Finding("box", ok=False, text=error.message, advice=error.reason))
        return Probe(sandbox.name, tuple(findings))
    worked = outcome.exit_code == 0
    findings.append(Finding("box", ok=worked, text=said or f"exit code {outcome.exit_code}"))
    overlay = "overlays work" if outcome.facts.overlay else "overlays do not work here: trees are copied for each run"
    findings.append(Finding("overlay", ok=True, text=overlay))
    return Probe(sandbox.name, tuple(findings))


def _try_box(sandbox: Bwrap, program: str) -> tuple[Outcome, str]:
    mounts: list[Mount] = [make_mount(d, "host-ro", d) for d in _HOST_DIRECTORIES if os.path.isdir(d)]
    said: list[bytes] = []
    spec = make_spec(mounts=mounts, argv=[program, "--version"], deadline=20.0)
    with tempfile.TemporaryDirectory(prefix="warpforge-probe-") as tmp:
        outcome = sandbox.run(spec, tmp, on_output=lambda _, data: said.append(data))
    return outcome, b"".join(said).decode(errors="replace").strip()
