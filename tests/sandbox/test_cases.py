"""The catalogue of hostile actions, case by case, in both back-ends, as root and as an ordinary user.

What is not here is where its neighbours are:

    S01  inputs are never written        test_attacks: inputs_on_the_shelf, test_host_mounts: read_only
    S05  devices, file handles           test_attacks: nothing_gets_out
    S06  chroot, setns, descriptors      test_attacks: nothing_gets_out, test_environment: only_three_descriptors
    S09  sockets, loopback, vsock        test_attacks: nothing_gets_out, test_environment: only_loopback
    S12  killed, stopped, traced         test_attacks: killing_everything, stops_itself; here
    S15  special files as outputs        test_gather
    S16  S18 S19 S20 S21 S22             test_hogs
    S25  system calls, other ABIs        test_attacks: nothing_gets_out, test_spec: filters
    S26  S27  symlinks in a root ware    test_attacks: mount_point_behind_a_symlink, proc_is_a_symlink; here
    S30  what cannot be executed         test_exec_failures
"""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.both import in_both
from support.boxes import Yard, hold_box
from support.processes import wait_until
from support.rootfs import snapshot

from warpforge.sandbox.spec import make_mount

pytestmark = in_both


def test_s03_every_way_to_a_root_leads_to_its_own(yard: Yard) -> None:
    canary = yard.host_directory("canary", {"a": "b"})
    before = snapshot(canary)
    script = f"""
    for p in /proc/self/root /proc/$$/root /proc/thread-self/root /proc/self/cwd /proc/self/fd/9; do
        echo evil > $p{canary}/a && echo host; ls $p{canary} && echo host
    done 9</
    for n in root cwd map_files mem environ exe; do
        ls /proc/1/$n/ | grep . && echo init-ls-$n; cat /proc/1/$n && echo init-cat-$n
    done
    ls /proc/1/fd/ | grep . && echo init
    for f in /proc/self/map_files/*; do echo evil >> $f && echo mapped; done
    """
    result = yard.sh(script)
    assert not [word for word in result.out.split() if word.startswith(("host", "init"))]
    assert snapshot(canary) == before


def test_s07_the_callers_terminal_is_out_of_reach(yard: Yard, tmp_path: Path) -> None:
    """An engine on a terminal: its action cannot write there past the engine, nor put words into its mouth."""
    if not yard.person.is_caller:
        pytest.skip("the terminal is the caller's")
    ours, theirs = pty.openpty()
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from support.boxes import Yard, BACKENDS\n"
        "from warpforge.sandbox.spec import make_mount, make_spec\n"
        "name, tmp, root = sys.argv[1].split(',')\n"
        "argv = ['/bin/sh', '-c', 'echo EVIL > /dev/tty; echo EVIL > /dev/console; exec 3<>/dev/tty && echo open']\n"
        "said = []\n"
        "spec = make_spec(mounts=[make_mount('/', 'overlay', root)], argv=argv)\n"
        "BACKENDS[name]().run(spec, tmp, on_output=lambda _, data: said.append(data))\n"
        "print('open' if b'open' in b''.join(said) else 'closed')\n"
    )
    what = f"{yard.backend},{yard.tmp},{yard.root}"
    engine = subprocess.Popen(
        [sys.executable, "-c", code, what, *filter(None, sys.path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: _control(theirs),
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:
        pass  # all have hung up
    engine.wait()
    os.close(ours)
    assert said.split() == [b"closed"], said


def _control(fd: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def test_s12_init_cannot_be_killed_stopped_or_traced_and_the_action_can(yard: Yard) -> None:
    result = yard.sh("kill -9 1; kill -STOP 1; kill -9 -1; ls /proc | grep -c '^[0-9]'; echo alive")
    assert result.out.split()[-1] == "alive"
    for number in (9, 6, 11, 15):
        outcome = yard.sh(f"kill -{number} $$; echo no").outcome
        assert (outcome.signal, outcome.exit_code) == (number, 128 + number)
        outcome = yard.sh(f"exit {128 + number}").outcome
        assert (outcome.signal, outcome.exit_code) == (0, 128 + number), "an exit code is no signal"


def test_s12_what_is_left_behind_is_reaped(yard: Yard) -> None:
    orphans = "for i in 1 2 3 4 5; do (sh -c 'sleep 0.05 &'); done; sleep 0.5"
    result = yard.sh(f"{orphans}; cat /proc/[0-9]*/status | grep -c '^State:.Z'; ls -d /proc/[0-9]* | wc -l")
    zombies, processes = result.out.split()
    assert zombies == "0" and int(processes) <= 4


def test_s13_bits_and_flags_of_a_file_that_is_kept(yard: Yard) -> None:
    script = """
    mkdir /o; cp /bin/busybox /o/x; chmod 4755 /o/x || echo refused; chmod g+s /o || echo refused
    chmod +t /o; chattr +i /o/x 2>/dev/null && echo immutable; echo fine
    """
    result = yard.sh(script, gathers=["/o"])
    assert result.out.split() == ["refused", "refused", "fine"]
    assert {node.path: oct(node.mode & 0o6000) for node in result.trees[0]} == {"": "0o0", "x": "0o0"}


def test_s17_an_output_cannot_be_an_input_by_another_name(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "one"})
    lone = yard.tree("lone", {"file": "two"}) / "file"
    before = snapshot(tree), snapshot(lone.parent)
    script = (
        "mkdir /o; ln /in/a /o/a; ln /file /o/file; ln /bin/busybox /o/sh; cp /in/a /o/copy; echo x >> /o/sh; ls /o"
    )
    mounts = [make_mount("/in", "overlay", tree), make_mount("/file", "file", lone)]
    result = yard.sh(script, *mounts, gathers=["/o"])
    assert result.out.split() == ["copy", "sh"], "other names of another mount are refused"
    assert result.content("copy") == b"one"
    assert (snapshot(tree), snapshot(lone.parent)) == before


def test_s23_keys_of_the_host_are_not_there(yard: Yard) -> None:
    result = yard.sh("cat /proc/keys /proc/key-users | wc -c; cat /proc/sys/kernel/keys/maxkeys > /dev/null; echo done")
    assert result.out.split() == ["0", "done"]


def test_s24_what_could_tell_of_the_machine(yard: Yard) -> None:
    names = "cmdline partitions diskstats modules keys timer_list"
    script = f"""
    cat /proc/sys/kernel/random/boot_id; hostname; cat /proc/sys/kernel/hostname
    for n in {names}; do cat /proc/$n; done 2>/dev/null | wc -c
    cat /etc/machine-id /var/lib/dbus/machine-id /etc/hostname 2>/dev/null | wc -c
    ls -d /home /root /mnt /tmp /var 2>/dev/null | wc -l
    ls -A /sys | wc -l; ls /proc/acpi /proc/scsi 2>/dev/null | grep -v : | wc -w
    cut -d: -f3 /proc/self/cgroup | sort -u; tr '\\0' ' ' < /proc/1/cmdline
    """
    result = yard.sh(script)
    assert result.out.split() == [
        *("00000000-0000-4000-8000-000000000000", "runc", "runc"),
        *("0", "0", "0", "0", "0", "/", "init"),
    ], "what can be hidden is; memory, processors and the kernel's version are seen"
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() not in result.out


def test_s24_covers_cannot_be_taken_away(yard: Yard) -> None:
    script = """
    for p in /proc/cmdline /proc/sys /proc/sys/kernel/random/boot_id /proc; do umount $p || umount -l $p; done
    echo x > /proc/sys/kernel/random/boot_id; echo x > /proc/cmdline; cat /proc/cmdline | wc -c; ls /proc/sys | wc -l
    """
    result = yard.sh(script)
    size, entries = result.out.split()
    assert size == "0" and int(entries) > 2


@pytest.mark.parametrize("name", ["in", "opt", "out"])
def test_s26_links_of_a_root_ware_where_inputs_and_outputs_go(yard: Yard, name: str) -> None:
    canary = yard.host_directory("canary", {"a": "b"})
    before = snapshot(canary)
    (yard.own_root() / name).symlink_to(canary)
    yard.shelve(yard.root)
    tree = yard.tree("input", {"x": "y"})
    script = "echo evil > /opt/a; echo evil > /out/a; cat /in/x"
    result = yard.sh(script, make_mount("/in", "overlay", tree), gathers=["/out/a", "/bin"])
    assert result.out == "y"
    assert [found.status for found in result.outcome.gathered] == ["missing", "ok"]
    assert snapshot(canary) == before


def test_s27_stubs_are_taken_away_where_they_were_made(yard: Yard) -> None:
    """The action moves a stub's parents and puts links in their places: nothing else is deleted."""
    canary = yard.host_directory("canary", {"b/keep": "x"})
    (canary / "b" / "file").write_text("")  # looks like a stub
    os.chown(canary / "b" / "file", yard.person.uid, yard.person.uid)
    before = snapshot(canary)
    shared = yard.host_directory("shared", {"mine": "x"})
    mounts = [make_mount("/host", "host-rw", shared), make_mount("/host/a/b/file", "bytes", b"in")]
    result = yard.sh(f"mv /host/a /host/z && ln -s {canary} /host/a; cat /host/z/b/file", *mounts, gathers=["/"])
    assert result.outcome.exit_code == 0, result.err
    assert result.out == "in"
    assert snapshot(canary) == before
    assert (shared / "mine").read_text() == "x"
    assert (shared / "a").is_symlink()
    assert not (shared / "z" / "b" / "file").exists()


def test_s28_the_work_of_a_run_is_closed_to_others(yard: Yard) -> None:
    process = yard.person.popen(hold_box, str(yard.tmp), str(yard.root), "echo started; sleep 100", yard.backend)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        [work] = yard.tmp.iterdir()
        status = work.stat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid == yard.box_uid
        assert len(work.name.rpartition("-")[2]) == 12, "nobody guesses its name"
        if os.geteuid() == 0:
            look = ["setpriv", "--reuid", "58124", "--regid", "58124", "--clear-groups", "ls", str(work)]
            assert subprocess.run(look, capture_output=True).returncode != 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    assert wait_until(lambda: not any(any(run.iterdir()) for run in yard.tmp.iterdir()))
    for run in yard.tmp.iterdir():
        run.rmdir()
