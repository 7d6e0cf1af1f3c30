"""Health: whether builds can run on this machine as this user, tried for real, and what is missing if not.

For each back-end one formula is run whose result is known beforehand: the WareId tells that the box, the action in it,
gathering, packing and hashing all did what they should. The rest is looked at, and said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.options import Acting, Options
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.sandbox.cgroup import COUNTERS, find_places
from warpforge.sandbox.choose import NAMES, make_backend
from warpforge.sandbox.probe import HOST_DIRECTORIES
from warpforge.workspace.find import Stack, find_stack
from warpforge.workspace.targets import Target

if TYPE_CHECKING:
    from warpforge.model.atoms import WarehouseAddr

OK: Final = "ok"
WARN: Final = "warn"  # builds can run, but something is less than it could be
BAD: Final = "bad"  # builds cannot run by this

TEXT: Final = "hashes go in, hashes come out"
KNOWN: Final = WareId("ztar", "58JX8cmD8K7Xo4NpZjVvN8KyKnXcDDnv4TZW8oa5UY3v")  # /out, and TEXT in /out/said
_PATIENCE: Final = 3.0  # seconds that a host of a mirror may take to answer
_LITTLE: Final = 2 << 30  # bytes of disk with which few builds get far
_BORN: Final = 1_767_225_600  # 2026-01-01: a clock that shows less was never set


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: ``state`` is ok, warn or bad; ``advice`` says what to do."""

    name: str
    state: str
    text: str
    advice: str = ""


def examine(stack: Stack, options: Options, *, offline: bool) -> Iterator[Check]:
    """Everything, one after the other."""
    machine = f"Linux {os.uname().release}, {os.uname().machine}, Python {sys.version.split()[0]}, {_who()}"
    yield Check("system", OK, machine)
    boxes = [_look_at(name, stack) for name in NAMES]
    yield from boxes
    if all(check.state != OK for check in boxes):
        if any(make_backend(name).find_program() for name in NAMES):
            yield _namespaces()
    else:
        yield _overlays(next(check.name for check in boxes if check.state == OK))
        from warpforge.engine.health_of_jobs import examine_jobs

        yield from examine_jobs()
    yield from _limits()
    yield from _store(stack)
    yield _git()
    yield _clock()
    yield from _mirrors(stack, options, offline=offline)


def can_build(checks: list[Check]) -> bool:
    """Whether a build can run: some back-end works, and nothing that all need is amiss."""
    boxes = [check for check in checks if check.name in NAMES]
    others = [check for check in checks if check.name not in NAMES]
    return any(check.state == OK for check in boxes) and all(check.state != BAD for check in others)


def _who() -> str:
    return "as root" if os.geteuid() == 0 else f"as an ordinary user ({os.geteuid()})"


def _look_at(name: str, stack: Stack) -> Check:
    """Run the known formula in one back-end's box."""
    backend = make_backend(name)
    program = backend.find_program()
    if program is None:
        return Check(name, BAD, "is not installed", f"apt-get install {backend.package}")
    began = time.monotonic()
    try:
        found = _run_known(name, stack)
    except WarpforgeError as error:
        cause = error.chain()[-1]
        return Check(name, BAD, cause.message, cause.reason and f"({cause.reason})")
    if found != KNOWN:
        return Check(name, BAD, f"the test formula gave {found} and not {KNOWN}", "please report this")
    return Check(name, OK, f"{program}: the test formula gave what it should, in {time.monotonic() - began:.2f} s")


def _run_known(name: str, stack: Stack) -> object:
    """The result of the test formula, in a workspace of its own on the store's own disk."""
    with tempfile.TemporaryDirectory(prefix="warpforge-health-", dir=_scratch(stack)) as directory:
        base = Path(directory)
        (base / ".warpforge").mkdir()
        (base / ".warpforge" / "root").touch()
        formula = base / "formula.wf"
        formula.write_bytes(msgspec.json.encode(_formula()))
        with Engine(find_stack(base, None), Reporter(), Options(acting=Acting(sandbox=name))) as engine:
            return engine.run(Target("formula", formula)).results["out"]


def _formula() -> object:
    """The machine's own shell, read-only, writes one file."""
    mounts = {d: f"mount:ro:{d}" for d in HOST_DIRECTORIES if os.path.isdir(d)}
    command = ["/bin/sh", "-c", f"umask 022; mkdir /out && echo {TEXT} > /out/said"]
    outputs = {"out": {"from": "/out", "packtype": "ztar"}}
    return {"formula": {"formula.v1": {"inputs": mounts, "action": {"exec": {"command": command}}, "outputs": outputs}}}


def _scratch(stack: Stack) -> str | None:
    """The store's staging directory, if we may use it: where boxes keep their layers."""
    place = stack.root.internal / "tmp"
    return str(place) if os.access(place, os.W_OK | os.X_OK) else None


def _namespaces() -> Check:
    """Why no box could be made, as far as the kernel's settings tell."""
    said = []
    for name in (
        "user/max_user_namespaces",
        "kernel/unprivileged_userns_clone",
        "kernel/apparmor_restrict_unprivileged_userns",
    ):
        try:
            said.append(f"{name.replace('/', '.')}={Path('/proc/sys', name).read_text().strip()}")
        except OSError:
            continue
    advice = "sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1"
    return Check("namespaces", WARN, ", ".join(said) or "user namespaces are not in this kernel", advice)


def _overlays(name: str) -> Check:
    backend = make_backend(name)
    finding = next((f for f in backend.probe().findings if f.name == "overlay"), None)
    if finding is None or "do not" in finding.text:
        text = "do not work here: trees are copied for each run, which is slower"
        return Check("overlays", WARN, text, "keep the workspace on ext4, xfs, btrfs or tmpfs")
    return Check("overlays", OK, "work")


def _limits() -> Iterator[Check]:
    places = find_places()
    for counter in COUNTERS:
        place = places.get(counter)
        if place is not None:
            yield Check(f"{counter} limit", OK, f"kept by {place.name}, below {place.directory}")
        else:
            advice = "run it below a delegated group: systemd-run --user --scope -p Delegate=yes warpforge ..."
            yield Check(f"{counter} limit", WARN, "kept by looking at processes: no cgroup can be made here", advice)


def _store(stack: Stack) -> Iterator[Check]:
    place = stack.root.internal
    while not place.exists():
        place = place.parent
    kind = _file_system(str(place))
    if kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs")):
        yield Check("store", WARN, f"{place} lies on {kind}: use it from one machine at a time", "use a local disk")
    elif not os.access(place, os.W_OK):
        text = f"{place} ({kind}) cannot be written: only what is memoised can be had"
        yield Check("store", WARN, text, "see its owner")
    else:
        yield Check("store", OK, f"{place} ({kind})")
    usage = shutil.disk_usage(place)
    text = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB free"
    yield Check("disk", OK, text) if usage.free > _LITTLE else Check("disk", WARN, text, "warpforge store gc")


def _file_system(path: str) -> str:
    """The type of the file system at a path, as /proc/self/mountinfo names it."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    kind = "an unknown file system"
    with open("/proc/self/mountinfo") as file:
        for line in file:
            if line.split()[2] == wanted:
                kind = line.partition(" - ")[2].split()[0]
    return kind


def _git() -> Check:
    program = shutil.which("git", path="/usr/local/bin:/usr/bin:/bin")
    if program is None:
        return Check("git", WARN, "is not installed: no git ingests and no git wares", "apt-get install git")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return Check("git", OK, done.stdout.strip().removeprefix("git version "))


def _clock() -> Check:
    now = time.time()
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()
        behind = os.fstat(file.fileno()).st_mtime - now
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _BORN:
        return Check("clock", WARN, f"shows {text}: certificates will be refused", "set the clock")
    if abs(behind) > 2:
        return Check("clock", WARN, f"the file system's clock is {behind:+.0f} s off", "set the clocks")
    return Check("clock", OK, text)


def _mirrors(stack: Stack, options: Options, *, offline: bool) -> Iterator[Check]:
    with Engine(stack, Reporter(), options) as engine:
        try:
            addresses = engine.reach.addresses
        except WarpforgeError as error:
            yield Check("mirrors", WARN, error.message, "mend the settings")
            return
    if not addresses:
        yield Check("mirrors", OK, "none are configured: wares come from catalogs' mirrors")
    for address in addresses:
        yield _mirror(address, offline=offline)


def _mirror(address: WarehouseAddr, *, offline: bool) -> Check:
    """Whether somebody answers there; nothing is asked for."""
    from urllib.parse import urlsplit

    parts = urlsplit(address.url)
    if parts.scheme == "file":
        there = os.path.exists(parts.path)
        return Check("mirror", OK if there else WARN, f"{address}{'' if there else ': there is nothing'}")
    if offline or parts.scheme not in ("http", "https") or not parts.hostname:
        return Check("mirror", OK, f"{address}: not asked")
    import socket

    try:
        socket.create_connection((parts.hostname, parts.port or {"http": 80}.get(parts.scheme, 443)), _PATIENCE).close()
    except OSError as error:
        return Check("mirror", WARN, f"{address}: {error.strerror or error}", "see the network, or the address")
    return Check("mirror", OK, f"{address}: answers")
