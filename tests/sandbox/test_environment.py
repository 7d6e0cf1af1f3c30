"""What an action sees: the environment that old replays were made in."""

from __future__ import annotations

from support.both import in_both
from support.boxes import Yard

from warpforge.sandbox.spec import SCRIPT_DIR, make_mount

pytestmark = in_both

ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "xterm",
    "HOME": "/",
}
OWN = {"bwrap": {"PWD": "/"}, "runc": {}}  # the one allowed difference


def read_env(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_environment_is_exact(yard: Yard) -> None:
    result = yard.run(["env"], make_mount("/", "overlay", yard.root))
    assert read_env(result.out) == ENV | OWN[yard.backend]


def test_variables_override(yard: Yard) -> None:
    variables = {"TERM": "dumb", "HOME": "/h", "A": "b=c\nd"}
    result = yard.run(["sh", "-c", 'echo "$TERM $HOME $A"'], make_mount("/", "overlay", yard.root), variables=variables)
    assert result.out == "dumb /h b=c\nd\n"


def test_home_is_that_of_uid_0_in_the_roots_own_passwd(yard: Yard) -> None:
    yard.own_root()
    (yard.root / "etc" / "passwd").unlink()
    (yard.root / "etc" / "passwd").symlink_to("/data/users")
    (yard.root / "data").mkdir()
    (yard.root / "data" / "users").write_text("a:x:1:1::/no:/bin/sh\nroot:x:0:0:root:/home/super:/bin/sh\n")
    yard.shelve(yard.root)
    assert yard.sh("echo $HOME").out == "/home/super\n"
    (yard.root / "etc" / "passwd").unlink()
    (yard.root / "etc" / "passwd").symlink_to("/../../../../etc/passwd")  # the host's has uid 0 at /root
    assert yard.sh("echo $HOME").out == "/\n"


def test_identity_and_limits(yard: Yard) -> None:
    result = yard.sh(
        "id -u; id -g; umask; hostname; pwd; ulimit -n; ulimit -Hn; ulimit -c; grep NoNewPrivs /proc/self/status"
    )
    assert result.out.split() == ["0", "0", "0022", "runc", "/", "1024", "4096", "0", "NoNewPrivs:", "1"]
    assert result.outcome.exit_code == 0


def test_root_directory_holds_no_more_than_the_ware_and_the_engines_points(yard: Yard) -> None:
    script = make_mount(SCRIPT_DIR + "/run", "bytes", b"x")
    assert set(yard.sh("ls -a /").out.split()) == {".", "..", "bin", "etc", "proc", "dev", "sys"}
    assert ".warpforge.container" in yard.sh("ls -a /", script).out.split()


def test_devices(yard: Yard) -> None:
    result = yard.sh("ls /dev; ls -A /sys; ls -ld /sys; touch /sys/x; echo > /dev/null; head -c 4 /dev/zero | wc -c")
    named = set(result.out.split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue"} <= named
    assert not named & {"console", "kmsg", "sda", "vda", "mem", "kvm", "fuse"}
    assert "Read-only" in result.err


def test_no_tmp_unless_a_ware_has_one(yard: Yard) -> None:
    assert yard.sh("ls -d /tmp").outcome.exit_code != 0


def test_stdin_is_empty_and_only_three_descriptors_are_open(yard: Yard) -> None:
    result = yard.sh("cat | wc -c; for n in $(seq 0 99); do [ -e /proc/$$/fd/$n ] && echo $n; done")
    assert result.out.split() == ["0", "0", "1", "2"]


def test_standard_streams_can_be_opened_by_name(yard: Yard) -> None:
    result = yard.sh("echo one >/dev/stdout; echo two >/dev/stderr; echo three >/proc/self/fd/1")
    assert (result.out, result.err) == ("one\nthree\n", "two\n")


def test_signals_are_at_their_defaults(yard: Yard) -> None:
    command = ["grep", "SigIgn", "/proc/self/status"]
    ignored = yard.run(command, make_mount("/", "overlay", yard.root)).out.split()[1]
    assert int(ignored, 16) == 0


def test_cwd(yard: Yard) -> None:
    assert yard.run(["pwd"], make_mount("/", "overlay", yard.root), cwd="/etc").out == "/etc\n"


def test_only_loopback_without_network(yard: Yard) -> None:
    result = yard.sh("tail -n +3 /proc/net/dev | sed 's/:.*//'; ls /etc/resolv.conf")
    assert result.out.split() == ["lo"]
    assert not result.outcome.facts.network


def test_network_brings_resolver_and_certificates_and_is_marked(yard: Yard) -> None:
    result = yard.sh("ls /etc/resolv.conf; tail -n +3 /proc/net/dev | wc -l", network=True, gathers=["/"])
    with open("/proc/net/dev") as file:
        interfaces = len(file.readlines()) - 2
    assert result.out.split() == ["/etc/resolv.conf", str(interfaces)]
    assert result.outcome.facts.network
    assert "etc/resolv.conf" not in result.names(0)


def test_an_empty_root_is_writable(yard: Yard) -> None:
    tools = make_mount("/tools", "overlay", yard.root)
    command = ["/tools/bin/busybox", "sh", "-c", "/tools/bin/mkdir /made; echo x > /made/y; /tools/bin/ls -a /"]
    result = yard.run(command, tools, gathers=["/made", "/"])
    assert result.outcome.exit_code == 0
    assert result.content("y") == b"x\n"
    assert result.names(1) == ["", "made", "made/y"]


def test_the_mount_table_names_no_path_of_the_host(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "b"})
    lone = yard.tree("lone", {"file": "b"}) / "file"
    mounts = [make_mount("/in", "overlay", tree), make_mount("/f", "file", lone), make_mount("/b", "bytes", b"x")]
    result = yard.sh("cat /proc/self/mountinfo /proc/self/mounts", *mounts)
    assert str(yard.path) not in result.out
    assert "run-" not in result.out
