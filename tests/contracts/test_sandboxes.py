"""What every sandbox promises, whatever makes its boxes. A new one is one line in SANDBOXES."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.rootfs import give_tree, make_rootfs

from warpforge.errors import Failed, Unable
from warpforge.fsx.remove import remove_tree
from warpforge.sandbox.bwrap import Bwrap
from warpforge.sandbox.owner import BUILD_UID
from warpforge.sandbox.protocol import Cancel, Entries, Sandbox
from warpforge.sandbox.runc import Runc
from warpforge.sandbox.seat import Stdin
from warpforge.sandbox.spec import SCRIPT_DIR, make_mount, make_spec

SANDBOXES: dict[str, Callable[[], Sandbox]] = {
    "bwrap": Bwrap,
    "bwrap, with copies": lambda: Bwrap(overlay=False),
    "runc": Runc,
    "runc, with copies": lambda: Runc(overlay=False),
}
pytestmark = pytest.mark.both


@pytest.fixture(params=SANDBOXES)
def sandbox(request: pytest.FixtureRequest, needs_box: None) -> Sandbox:
    return SANDBOXES[request.param]()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = make_rootfs(tmp_path / "root")
    if os.geteuid() == 0:
        give_tree(made, BUILD_UID, BUILD_UID)
    return made


@pytest.fixture
def tmp(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "tmp"
    path.mkdir()
    yield path
    assert not list(path.iterdir())


def test_its_probe_is_a_real_box(sandbox: Sandbox) -> None:
    probe = sandbox.probe()
    assert probe.sandbox == sandbox.name
    assert probe.ok, probe.findings


def test_it_runs_and_says_how_it_ended(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    said: list[tuple[str, bytes]] = []
    command = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=command)
    outcome = sandbox.run(spec, tmp, on_output=lambda name, data: said.append((name, data)))
    assert sorted(said) == [("err", b"err\n"), ("out", b"out\n")]
    assert (outcome.exit_code, outcome.signal, outcome.stopped, outcome.exec_error) == (7, 0, "", "")
    assert outcome.gathered == ()
    assert outcome.facts.sandbox == sandbox.name
    assert outcome.facts.seccomp


class Late:
    """A turn that comes when it has looked at what the command did until then."""

    def __init__(self, look: Callable[[], object], *, never: bool = False) -> None:
        self._look = look
        self._never = never
        self.seen: object = None
        self.ended: list[bool] = []

    def wait(self) -> None:
        select.select([], [], [], 0.2)  # long enough for a command that does not wait to be caught at it
        self.seen = self._look()
        if self._never:
            raise KeyError("never")

    def over(self, *, well: bool) -> None:
        self.ended.append(well)


@pytest.mark.parametrize("code", [0, 3])
def test_its_command_waits_for_its_turn(sandbox: Sandbox, root: Path, tmp: Path, tmp_path: Path, code: int) -> None:
    host = tmp_path / "host"
    host.mkdir(mode=0o777)
    mounts = [make_mount("/", "overlay", root), make_mount("/host", "host-rw", host)]
    spec = make_spec(mounts=mounts, argv=["sh", "-c", f"echo x > /host/begun; exit {code}"], deadline=60)
    turn = Late(lambda: [*host.iterdir()])
    outcome = sandbox.run(spec, tmp, turn=turn)
    assert (turn.seen, outcome.exit_code, turn.ended) == ([], code, [code == 0])
    assert [path.name for path in host.iterdir()] == ["begun"]
    (host / "begun").unlink()
    with pytest.raises(KeyError, match="never"):
        sandbox.run(spec, tmp, turn=Late(lambda: None, never=True))
    assert not [*host.iterdir()]


def test_it_hands_on_trees_in_order(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    seen: dict[int, list[tuple[bytes, str, int]]] = {}

    def gather(index: int, entries: Entries) -> None:
        seen[index] = [(entry.path, entry.kind, entry.mode) for entry, _ in entries]

    command = ["sh", "-c", "mkdir -p /o/a-b /o/a; echo > /o/a/x; echo > /o/a.b"]
    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=command, gathers=["/o", "/none"])
    outcome = sandbox.run(spec, tmp, on_gather=gather)
    assert [(g.path, g.status) for g in outcome.gathered] == [(b"/o", "ok"), (b"/none", "missing")]
    assert seen[0] == [
        (b"", "d", 0o755),
        (b"a-b", "d", 0o755),
        (b"a.b", "f", 0o644),
        (b"a", "d", 0o755),
        (b"a/x", "f", 0o644),
    ]


def test_an_error_of_the_caller_ends_the_box(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    def gather(index: int, entries: Entries) -> None:
        next(entries)
        raise RuntimeError("the store is full")

    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=["true"], gathers=["/"])
    with pytest.raises(RuntimeError, match="full"):
        sandbox.run(spec, tmp, on_gather=gather)


def test_an_output_with_a_special_file_is_invalid(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    command = ["sh", "-c", "mkdir /o; mkfifo /o/p"]
    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=command, gathers=["/o"])

    def gather(index: int, entries: Entries) -> None:
        list(entries)

    with pytest.raises(Failed) as caught:
        sandbox.run(spec, tmp, on_gather=gather)
    assert (caught.value.reason, caught.value.details["entry"]) == ("type", "p")


def test_deadline_and_cancel(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    late = make_spec(mounts=[make_mount("/", "overlay", root)], argv=["sleep", "100"], deadline=0.2)
    assert sandbox.run(late, tmp).stopped == "time"
    cancel = Cancel()
    waiting = make_spec(mounts=[make_mount("/", "overlay", root)], argv=["sh", "-c", "echo x; sleep 100"])
    outcome = sandbox.run(waiting, tmp, cancel=cancel, on_output=lambda *_: cancel.cancel())
    assert (outcome.stopped, outcome.signal) == ("cancelled", 9)
    cancel.close()


def test_a_mount_that_leads_nowhere_is_refused(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    spec = make_spec(mounts=[make_mount("/", "overlay", root), make_mount("/etc/hello/x", "bytes", b"")], argv=["true"])
    with pytest.raises(Unable) as caught:
        sandbox.run(spec, tmp)
    assert caught.value.code == "warpforge-error-sandbox-unsafe"


def test_many_at_once(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run(number: int) -> tuple[int, bytes]:
        said: list[bytes] = []
        command = ["sh", "-c", f"echo {number} >> /etc/hello; cat /etc/hello"]
        spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=command)
        outcome = sandbox.run(spec, tmp, on_output=lambda _, data: said.append(data))
        return outcome.exit_code, b"".join(said)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(12)))
    assert results == [(0, b"hello\n%d\n" % number) for number in range(12)]


def test_what_a_process_begins_with_can_be_chosen(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    said: list[bytes] = []
    mounts = [make_mount("/", "overlay", root)]
    script = "umask; hostname; nproc; grep stack /proc/self/maps"
    cpus = (min(os.sched_getaffinity(0)),)
    spec = make_spec(mounts=mounts, argv=["sh", "-c", script], hostname=b"other", umask=0o077, cpus=cpus, aslr=False)
    for _ in range(3):
        sandbox.run(spec, tmp, on_output=lambda _, data: said.append(data))
    words = b"".join(said).split()
    assert words[:3] == [b"0077", b"other", b"1"]
    assert len({word for word in words if b"-" in word and b"p" not in word}) == 1, words


def test_the_layers_of_a_failed_run_are_kept_and_can_be_gone_on_with(
    sandbox: Sandbox, root: Path, tmp: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    said: list[bytes] = []
    sources = b"".join(b". %s/entry-%d\n" % (SCRIPT_DIR.encode(), number) for number in range(3))
    mounts = [
        make_mount("/", "overlay", root),
        make_mount("/text", "bytes", b"one\n"),
        make_mount(f"{SCRIPT_DIR}/entry-0", "bytes", b"echo new > /etc/new\n"),
        make_mount(f"{SCRIPT_DIR}/entry-1", "bytes", b"rm /etc/hello; echo two >> /text; exit 7\n"),
        make_mount(f"{SCRIPT_DIR}/entry-2", "bytes", b"true\n"),
        make_mount(f"{SCRIPT_DIR}/run", "bytes", sources),
    ]
    run = ["/bin/sh", f"{SCRIPT_DIR}/run"]
    outcome = sandbox.run(make_spec(mounts=mounts, argv=run, keep_failed=os.fsencode(kept)), tmp)
    assert (outcome.exit_code, outcome.entry) == (7, 1)
    look = make_spec(mounts=mounts, argv=["/bin/sh", "-c", "ls /etc; cat /text; touch /seen"], layers=os.fsencode(kept))
    for _ in range(2):
        sandbox.run(look, tmp, on_output=lambda _, data: said.append(data))
    assert b"".join(said).split() == [b"new", b"passwd", b"one", b"two"] * 2
    remove_tree(-100, os.fsencode(kept))


def test_a_run_that_succeeds_or_is_cancelled_keeps_nothing(
    sandbox: Sandbox, root: Path, tmp: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    mounts = [make_mount("/", "overlay", root)]
    good = make_spec(mounts=mounts, argv=["true"], keep_failed=os.fsencode(kept))
    assert sandbox.run(good, tmp).exit_code == 0
    cancel = Cancel()
    waiting = make_spec(mounts=mounts, argv=["sh", "-c", "echo x; sleep 100"], keep_failed=os.fsencode(kept))
    assert sandbox.run(waiting, tmp, cancel=cancel, on_output=lambda *_: cancel.cancel()).stopped == "cancelled"
    assert not kept.exists()


def test_standard_input_can_be_handed_on(sandbox: Sandbox, root: Path, tmp: Path) -> None:
    said: list[bytes] = []
    read, write = os.pipe()
    os.write(write, b"hello\nthere\n")
    os.close(write)
    spec = make_spec(mounts=[make_mount("/", "overlay", root)], argv=["sh", "-c", "wc -l; readlink /proc/self/fd/0"])
    sandbox.run(spec, tmp, on_output=lambda _, data: said.append(data), seat=Stdin(read))
    assert b"".join(said).split()[0] == b"2"
    os.close(read)
