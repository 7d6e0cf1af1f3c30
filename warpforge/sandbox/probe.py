"""Whether boxes work on this machine: a real one is made, once for each process and back-end."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from warpforge.errors import WarpforgeError
from warpforge.sandbox.protocol import Finding, Probe
from warpforge.sandbox.spec import Mount, Outcome, make_mount, make_spec

if TYPE_CHECKING:
    from warpforge.sandbox.backend import Backend

# enough of the host for one of its programs to start
HOST_DIRECTORIES = ("/usr", "/bin", "/lib", "/lib64", "/nix")
_cache: dict[tuple[str, str | None], Probe] = {}


def probe(sandbox: Backend) -> Probe:
    """Look for the program, then have it say its version inside a box of its own making."""
    key = sandbox.name, sandbox.find_program()
    if key not in _cache:
        _cache[key] = _look(sandbox, key[1])
    return _cache[key]


def _look(sandbox: Backend, program: str | None) -> Probe:
    if program is None:
        advice = f"apt-get install {sandbox.package}"
        missing = Finding(sandbox.name, ok=False, text="not found", advice=advice)
        return Probe(sandbox.name, (missing,))
    findings = [Finding(sandbox.name, ok=True, text=program)]
    try:
        outcome, said = _try_box(sandbox, program)
    except WarpforgeError as error:
        findings.append(Finding("box", ok=False, text=error.message, advice=error.reason))
        return Probe(sandbox.name, tuple(findings))
    worked = outcome.exit_code == 0
    findings.append(Finding("box", ok=worked, text=said.partition("\n")[0] or f"exit code {outcome.exit_code}"))
    overlay = "overlays work" if outcome.facts.overlay else "overlays do not work here: trees are copied for each run"
    findings.append(Finding("overlay", ok=True, text=overlay))
    return Probe(sandbox.name, tuple(findings))


def _try_box(sandbox: Backend, program: str) -> tuple[Outcome, str]:
    mounts: list[Mount] = [make_mount(d, "host-ro", d) for d in HOST_DIRECTORIES if os.path.isdir(d)]
    said: list[bytes] = []
    spec = make_spec(mounts=mounts, argv=[program, "--version"], deadline=20.0)
    with tempfile.TemporaryDirectory(prefix="warpforge-probe-") as tmp:
        outcome = sandbox.run(spec, tmp, on_output=lambda _, data: said.append(data))
    return outcome, b"".join(said).decode(errors="replace").strip()
