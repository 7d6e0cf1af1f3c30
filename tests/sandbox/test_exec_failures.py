"""A command that cannot be executed is told apart from one that failed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard
from support.probes import compile_probe

from warpforge.errors import WarpforgeError
from warpforge.sandbox.protocol import Cancel
from warpforge.sandbox.spec import make_mount

pytestmark = in_both


@pytest.fixture(scope="session")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that wants a loader."""
    return compile_probe("attacks.c", tmp_path_factory.mktemp("dynamic") / "dynamic")


@pytest.fixture
def stocked(yard: Yard, dynamic: Path) -> Yard:
    """A yard whose root has commands that cannot be executed, each for its own reason."""
    yard.own_root()
    foreign = bytearray((yard.root / "bin" / "busybox").read_bytes()[:4096])
    foreign[18:20] = struct.pack("<H", 243)
    files = {
        "nothing": b"",
        "text": b"echo hello\n",
        "noloader": dynamic.read_bytes(),
        "foreign": bytes(foreign),
        "lost": b"#!/no/such/interpreter -x\n",
        "closed": b"#!/bin/sh\n",
        "loop": b"#!/loop\n",
        "odd": b"#!/etc\n",
    }
    for name, content in files.items():
        (yard.root / name).write_bytes(content)
        (yard.root / name).chmod(0o644 if name == "closed" else 0o755)
    (yard.root / "dangling").symlink_to("/nowhere")
    yard.shelve(yard.root)
    return yard


@pytest.mark.parametrize(
    ("command", "reason", "code", "named"),
    [
        ("nonesuch", "missing", 127, "nonesuch"),
        ("/no/such", "missing", 127, "/no/such"),
        ("/dangling", "missing", 127, "/dangling"),
        ("/lost", "missing", 127, "/no/such/interpreter"),
        ("/noloader", "missing", 127, "ld-"),
        ("/closed", "denied", 126, "/closed"),
        ("/etc", "denied", 126, "/etc"),
        ("/loop", "denied", 126, "/loop"),
        ("/odd", "denied", 126, "/etc"),
        ("/nothing", "format", 126, "/nothing"),
        ("/text", "format", 126, "/text"),
        ("/foreign", "format", 126, "/foreign"),
        ("/proc/nonesuch", "missing", 127, ""),
    ],
)
def test_why_it_was_not_executed(stocked: Yard, command: str, reason: str, code: int, named: str) -> None:
    outcome = stocked.run([command, "x"], make_mount("/", "overlay", stocked.root)).outcome
    assert (outcome.exec_error, outcome.exit_code, outcome.signal) == (reason, code, 0)
    assert named in outcome.text


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 255])
def test_the_actions_own_exit_codes_are_its_own(yard: Yard, code: int) -> None:
    outcome = yard.sh(f"exit {code}").outcome
    assert (outcome.exit_code, outcome.exec_error, outcome.stopped) == (code, "", "")


def test_an_environment_too_large(yard: Yard) -> None:
    variables = {"BIG": "x" * (3 << 20)}
    outcome = yard.run(["/bin/true"], make_mount("/", "overlay", yard.root), variables=variables).outcome
    assert (outcome.exec_error, outcome.exit_code) == ("too-long", 126)


def test_output_beyond_the_limit_ends_the_run(yard: Yard) -> None:
    result = yard.sh("yes | head -c 3000000; echo end >&2", output_limit=10_000)
    assert (result.outcome.stopped, result.outcome.exit_code, result.outcome.exec_error) == ("output", 137, "")
    assert len(result.out) + len(result.err) == 10_000
    assert result.outcome.truncated


def test_a_run_cancelled_before_it_began(yard: Yard) -> None:
    if yard.person.is_caller:
        from warpforge.sandbox.bwrap import Bwrap
        from warpforge.sandbox.spec import make_spec

        cancel = Cancel()
        cancel.cancel()
        spec = make_spec(mounts=[make_mount("/", "overlay", yard.root)], argv=["sleep", "100"])
        assert Bwrap().run(spec, yard.tmp, cancel=cancel).stopped == "cancelled"
        cancel.close()


def test_no_bwrap(yard: Yard) -> None:
    from warpforge.sandbox.bwrap import Bwrap
    from warpforge.sandbox.spec import make_spec

    with pytest.raises(WarpforgeError) as caught:
        Bwrap(search="/nowhere").run(make_spec(argv=["true"]), yard.tmp)
    assert caught.value.code == "warpforge-error-sandbox-unavailable"
    assert "install" in caught.value.message
    assert not Bwrap(search="/nowhere").probe().ok
