"""The thought behind a box, without a kernel."""

from __future__ import annotations

import struct

import pytest

from warpforge.errors import Unable
from warpforge.sandbox.arguments import make_bwrap_arguments
from warpforge.sandbox.backend import make_order
from warpforge.sandbox.cgroup import Group
from warpforge.sandbox.failures import find_exec_error, make_failure
from warpforge.sandbox.seccomp import make_filter
from warpforge.sandbox.spec import make_mount, make_path, make_spec
from warpforge.sandbox.wire import Frames, fields, parse_order


def test_mounts_come_parents_first() -> None:
    paths = ["/a/b", "/a-b", "/", "/a", "/a/b/c", "/B"]
    spec = make_spec(mounts=[make_mount(path, "bytes", b"") for path in paths])
    assert [mount.at for mount in spec.mounts] == [b"/", b"/B", b"/a", b"/a/b", b"/a/b/c", b"/a-b"]


@pytest.mark.parametrize(("path", "canonical"), [("/", b"/"), ("//a//./b/", b"/a/b"), (b"/\xff", b"/\xff")])
def test_paths_are_canonical(path: str | bytes, canonical: bytes) -> None:
    assert make_path(path) == canonical


@pytest.mark.parametrize("path", ["", "a", "/a/../b", "/..", "/a\0"])
def test_bad_paths(path: str) -> None:
    with pytest.raises(ValueError):
        make_path(path)


@pytest.mark.parametrize("path", ["/proc", "/dev/x", "/sys/a/b"])
def test_nothing_is_mounted_where_the_engine_mounts(path: str) -> None:
    with pytest.raises(Unable) as caught:
        make_spec(mounts=[make_mount(path, "bytes", b"")])
    assert caught.value.details == {"reason": "mountpoint", "path": path}
    make_spec(mounts=[make_mount("/device", "bytes", b"")])


@pytest.mark.parametrize("variables", [{"": "x"}, {"A=B": "x"}, {"A": "\0"}, {"A\0": ""}])
def test_impossible_variables(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        make_spec(variables=variables)


def test_an_order_survives_the_wire() -> None:
    spec = make_spec(mounts=[make_mount("/a", "file", "/shelf/x")], argv=["a", b"\xff"], variables={"A": "ü"})
    order = make_order(spec, b"/work", (1, 2), "/usr/bin/bwrap", "bwrap", Group())
    back = parse_order(_one_frame(order))
    assert {n: getattr(back, n) for n in back.__slots__} == {n: getattr(order, n) for n in order.__slots__}


def _one_frame(order: object) -> bytes:
    from warpforge.sandbox.wire import Order, pack_order

    assert isinstance(order, Order)
    frames = Frames()
    data = pack_order(order)
    for at in range(0, len(data), 7):
        assert frames.take() is None
        frames.feed(data[at : at + 7])
    found = frames.take()
    assert found is not None and not frames.pending
    return found[1]


def test_fields_cannot_be_split_from_inside() -> None:
    frames = Frames()
    frames.feed(fields(b"G", 1, b"a\0b", "c"))
    assert frames.take() == (b"G", b"1\0a?b\0c")


def test_bwrap_arguments() -> None:
    spec = make_spec(argv=["true"], network=False)
    order = make_order(spec, b"/work", None, "/usr/bin/bwrap", "bwrap", Group())
    arguments = make_bwrap_arguments(order, {b"B": b"2", b"A": b"1"}, b"/root", 7)
    for needed in (
        b"--unshare-user",
        b"--unshare-net",
        b"--disable-userns",
        b"--die-with-parent",
        b"--new-session",
        b"--clearenv",
    ):
        assert needed in arguments
    shared = make_order(make_spec(network=True), b"/work", None, "/usr/bin/bwrap", "bwrap", Group())
    assert b"--unshare-net" not in make_bwrap_arguments(shared, {}, b"/root", 7)
    text = b" ".join(arguments)
    assert b"--cap-drop ALL" in text
    assert text.endswith(b"--setenv A 1 --setenv B 2 --seccomp 7")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filters_are_sound_programs(machine: str) -> None:
    """Every jump lands inside, every way ends in a return."""
    program = list(struct.iter_unpack("<HBBI", make_filter(machine)))
    assert len(program) < 4096
    for at, (code, true, false, _) in enumerate(program):
        if code & 0x07 == 0x05:
            assert at + 1 + max(true, false) < len(program)
    assert program[-1][0] == 0x06


def test_no_filter_for_an_unknown_machine() -> None:
    with pytest.raises(LookupError):
        make_filter("vax")


@pytest.mark.parametrize(
    ("stderr", "found"),
    [
        ("bwrap: execvp /x: No such file or directory\n", ("missing", 127)),
        ("bwrap: execvp /x: Permission denied\n", ("denied", 126)),
        ("bwrap: execvp x: Argument list too long\n", ("too-long", 126)),
        ("bwrap: Creating new namespace failed: Operation not permitted\n", None),
        ("", None),
    ],
)
def test_what_bwrap_says(stderr: str, found: tuple[str, int] | None) -> None:
    assert find_exec_error(stderr) == found


def test_failures_name_what_is_missing_and_what_to_do() -> None:
    off = make_failure("user-namespace", 1, "", "")
    assert (off.code, off.reason) == ("warpforge-error-sandbox-unavailable", "user-namespaces")
    assert "user.max_user_namespaces" in off.message
    assert "/proc" in make_failure("proc", 1, "", "").message
    assert make_failure("mount", 28, "/a", "").reason == "full"
    assert make_failure("refused", 0, "/a", "a file is in the way").code == "warpforge-error-sandbox-unsafe"
    assert make_failure("source", 2, "", "/no").code == "warpforge-error-missing"
