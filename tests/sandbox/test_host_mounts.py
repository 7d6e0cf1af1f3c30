"""Directories of the caller's, mounted: what is the caller's outside is uid 0's inside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard

from warpforge.errors import WarpforgeError
from warpforge.sandbox.spec import make_mount

pytestmark = in_both


@pytest.fixture
def shared(yard: Yard) -> Path:
    """A directory with a file and a private file."""
    path = yard.host_directory("shared", {"a": "one\n", "private": "two\n", "d/b": "three\n"})
    (path / "private").chmod(0o600)
    (path / "d").chmod(0o700)
    return path


def owners(path: Path) -> set[int]:
    return {p.stat().st_uid for p in path.rglob("*")}


def test_read_only(yard: Yard, shared: Path) -> None:
    script = """
    cat /m/a /m/private; stat -c %u /m/private
    echo x >> /m/a; echo x > /m/new; rm /m/d/b; chmod 777 /m/a; ls /m/d
    """
    result = yard.sh(script, make_mount("/m", "host-ro", shared))
    assert result.out.split() == ["one", "two", "0", "b"]
    assert result.err.count("Read-only") == 4
    assert sorted(p.name for p in shared.iterdir()) == ["a", "d", "private"]


def test_writes_land_in_the_host_directory_as_the_callers(yard: Yard, shared: Path) -> None:
    script = "echo x >> /m/a; echo new > /m/new; mkdir /m/made; rm /m/d/b; chmod 640 /m/a; stat -c %u /m/new"
    result = yard.sh(script, make_mount("/m", "host-rw", shared), gathers=["/m"])
    assert result.out.split() == ["0"], result.err
    assert (shared / "a").read_text() == "one\nx\n"
    assert (shared / "a").stat().st_mode & 0o777 == 0o640
    assert not (shared / "d" / "b").exists()
    assert owners(shared) == {yard.person.uid}
    assert result.names() == ["", "a", "d", "made", "new", "private"]
    assert {node.uid for node in result.trees[0]} == {0}


def test_an_overlay_is_writable_and_leaves_the_host_alone(yard: Yard, shared: Path) -> None:
    script = "echo x >> /m/a; chmod 755 /m/private; rm -r /m/d; echo y > /m/new; cat /m/a"
    result = yard.sh(script, make_mount("/m", "host-overlay", shared), gathers=["/m"])
    assert result.out.split() == ["one", "x"], result.err
    assert result.outcome.exit_code == 0
    assert result.names() == ["", "a", "new", "private"]
    assert sorted(p.name for p in shared.iterdir()) == ["a", "d", "private"]
    assert (shared / "a").read_text() == "one\n"


def test_no_setuid_bit_comes_out(yard: Yard, shared: Path) -> None:
    script = "cp /bin/busybox /m/evil && chmod 4755 /m/evil; chmod 2777 /m/d; cp -a /bin/busybox /m/e2; chmod u+s /m/e2"
    yard.sh(script, make_mount("/m", "host-rw", shared))
    assert all(not p.stat().st_mode & 0o6000 for p in shared.rglob("*"))


def test_a_single_file_of_the_host(yard: Yard, shared: Path) -> None:
    mounts = [make_mount("/ro", "host-ro", shared / "a"), make_mount("/over/f", "host-overlay", shared / "private")]
    result = yard.sh("cat /ro /over/f; echo x >> /over/f; echo x >> /ro; cat /over/f", *mounts)
    assert result.out.split() == ["one", "two", "two", "x"]
    assert (shared / "private").read_text() == "two\n"


def test_stubs_do_not_stay_in_a_writable_host_directory(yard: Yard, shared: Path) -> None:
    tree = yard.tree("input", {"x": "y"})
    mounts = [make_mount("/m", "host-rw", shared), make_mount("/m/deep/in", "overlay", tree)]
    result = yard.sh("cat /m/deep/in/x; echo z > /m/deep/in/x", *mounts, make_mount("/m/lit", "bytes", b"l"))
    assert result.out == "y"
    assert sorted(p.name for p in shared.iterdir()) == ["a", "d", "private"]


def test_devices_of_a_mount_do_not_work(yard: Yard) -> None:
    result = yard.sh("head -c 1 /d/zero; head -c 1 /d/urandom", make_mount("/d", "host-ro", "/dev"))
    assert result.out == ""


def test_a_missing_source_is_named(yard: Yard) -> None:
    for kind in ("host-ro", "host-overlay", "overlay", "file"):
        with pytest.raises(WarpforgeError) as caught:
            yard.sh("true", make_mount("/m", kind, yard.path / "nowhere"))
        assert caught.value.code == "warpforge-error-missing"
        assert caught.value.details["path"] == str(yard.path / "nowhere"), kind


def test_files_of_others_are_others(yard: Yard) -> None:
    result = yard.sh("stat -c %u /m; cat /m/hostname > /dev/null && echo read", make_mount("/m", "host-ro", "/etc"))
    mine = os.stat("/etc").st_uid == yard.person.uid
    assert result.out.split()[0] == ("0" if mine else "65534")
