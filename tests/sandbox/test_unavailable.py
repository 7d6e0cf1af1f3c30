"""R07: machines on which no box can be made: one error, what is missing, what to do; nothing left, nothing weaker."""

from __future__ import annotations

import os

import pytest
from support.both import in_both
from support.boxes import Yard, hold_box

from warpforge.sandbox.identity import write_file
from warpforge.sandbox.kernel import CLONE_NEWNS, CLONE_NEWUSER, mount, unshare

pytestmark = in_both


def run_without(what: str, tmp: str, root: str, backend: str) -> None:
    """Take something away from this process for good, then try a box and print how it went."""
    uid, gid = os.geteuid(), os.getegid()
    if what == "descriptors":
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    elif what == "stdio":
        os.close(0)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 2)
    else:
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        write_file("/proc/self/setgroups", b"deny")
        write_file("/proc/self/uid_map", b"0 %d 1" % uid)
        write_file("/proc/self/gid_map", b"0 %d 1" % gid)
    if what == "user namespaces":
        write_file("/proc/sys/user/max_user_namespaces", b"0")
    elif what == "an open /proc":
        mount(b"none", b"/proc/sys", b"tmpfs", 0)
    hold_box(tmp, root, "mkdir /out; echo ran", backend)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("user namespaces", "error warpforge-error-sandbox-unavailable user-namespaces\n"),
        ("an open /proc", "error warpforge-error-sandbox-unavailable proc\n"),
        ("stdio", "ran\noutcome 0 \n"),
        ("descriptors", "ran\noutcome 0 \n"),
    ],
)
def test_without(yard: Yard, what: str, said: str) -> None:
    process = yard.person.popen(run_without, what, str(yard.tmp), str(yard.root), yard.backend)
    out, _ = process.communicate()
    assert out.decode() == said
    assert not yard.leftovers()
