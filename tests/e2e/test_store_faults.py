"""What may be wrong around a store, met through the command line: C05 C12 C13 C14 C15 C16 C17 of the fault cases.

C05  2 MB of disk: fetching, packing, unpacking, the index, the run log     C12  a store that may only be read
C13  a store behind a symlink, moved, with its tmp on another file system   C14  a store of another version
C15  clocks that jump     C16  file systems: in memory, an overlay, a network's     C17  signals, twice
(C03 C04: tests/torture/. C06 C08: tests/store/test_index.py. C09 C10 C11: test_repair.py, test_damaged_index.py.)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.aftermath import Canary, check_sound
from support.plots import plot, script
from support.preload import make_shim
from support.world import WARPFORGE, World

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
YEARS = 365 * 86400


@pytest.fixture
def home(world: World) -> Iterator[World]:
    """A root workspace with a canary beside it, which must be as it was in the end."""
    world.root_workspace()
    canary = Canary(world.root.parent / "canary")
    world.write("small/x", "small")
    world.write("big/noise", os.urandom(5 << 20))
    yield world
    canary.check()


def alone(world: World, shell: str) -> str:
    """Run a shell script in a mount namespace of its own; $W is the command line; gives what it said."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'W="{WARPFORGE} --json"\n{shell}'],
        cwd=world.root,
        env=world.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in done.stderr:
        pytest.skip(f"mounting is not allowed here: {done.stderr}")
    assert "Traceback" not in done.stderr, done
    return done.stdout + done.stderr


# C05


@ROOT_ONLY
@pytest.mark.parametrize(
    "what", ["pack big", "fetch WARE far", "unpack --path small-disk/out WARE", "push WARE small-disk/m"]
)
def test_c05_two_megabytes_are_not_enough(home: World, what: str) -> None:
    elsewhere = World(home.root.parent / "elsewhere")
    elsewhere.root_workspace()
    ware = elsewhere.run("ware", "pack", "--to", home.path("far"), home.path("big")).out.strip()
    if "fetch" not in what and "pack big" not in what:
        home.run("ware", "fetch", ware, home.path("far"))
        mount = "mkdir small-disk && mount -t tmpfs -o size=2m none small-disk"
    else:
        mount = "mount -t tmpfs -o size=2m none .warpforge && touch .warpforge/root"
    words = what.replace("WARE", ware).replace("far", str(home.path("far")))
    said = alone(
        home,
        f"{mount} && $W ware {words}; echo status $?; $W ware pack small; $W store gc; $W store verify --deep; "
        "echo left $(find .warpforge/tmp small-disk -mindepth 1 -name '*ware*' -o -name '.warpforge-*' | wc -l)",
    )
    assert "status 4" in said and '"reason":"full"' in said, said
    assert said.count('{"code"') == 1, said
    assert "ztar:" in said and '"findings":0' in said and "left 0" in said, said
    home.run("ware", "fetch", ware, home.path("far"))  # P6
    check_sound(home)


@ROOT_ONLY
def test_c05_a_disk_that_is_full_to_the_last_byte(box_world: World) -> None:
    """Nothing can be noted, neither in the index nor in the run log; what was there is still of use."""
    box_world.write("plot.wf", plot({"s": script("echo hello; echo x > /o", outputs={"o": "/o"})}))
    said = alone(
        box_world,
        "cp -a .warpforge kept && mount -t tmpfs -o size=4m none .warpforge && cp -a kept/. .warpforge/\n"
        "cat /dev/zero > .warpforge/fill 2>/dev/null; "
        "$W run plot.wf; echo full $?; $W store stats; echo stats $?; $W store gc --keep-for 1d; echo gc $?; "
        "$W log; echo log $?; rm .warpforge/fill; $W run plot.wf; echo room $?; $W store verify --deep; echo sound $?",
    )
    for word in ("full 4", "stats 0", "gc 0", "log 0", "room 0", "sound 0"):
        assert word in said, said
    errors = [line for line in said.splitlines() if line.startswith('{"code"')]
    assert len(errors) == 1 and '"reason":"full"' in errors[0], said


# C12, C13, C14


@ROOT_ONLY
def test_c12_a_read_only_mount_answers_and_takes_nothing(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"x": "pipe:s:o"}))
    box_world.write("small/x", "small")
    box_world.run("run", "plot.wf")
    ware = box_world.run("ware", "pack", "small").out.strip()
    box_world.write("new/x", "new")
    before = sorted((p, p.lstat().st_mtime_ns) for p in box_world.path(".warpforge").rglob("*"))
    said = alone(
        box_world,
        "mount --bind .warpforge .warpforge && mount -o remount,bind,ro .warpforge\n"
        f"$W run plot.wf; echo memo $?; $W ware cat {ware} x; echo cat $?; $W store verify --deep; echo verify $?; "
        f"$W log; echo log $?; $W store stats; echo stats $?; $W ware unpack --path out {ware}; echo unpack $?; "
        "$W ware pack new; echo pack $?; $W ware pin " + ware + "; echo pin $?; $W store gc; echo gc $?",
    )
    for word in ("memo 0", "cat 0", "verify 0", "log 0", "stats 0", "unpack 0", "pack 4", "pin 4", "gc 4"):
        assert word in said, said
    assert said.count('"reason":"readonly"') == 3, said
    assert sorted((p, p.lstat().st_mtime_ns) for p in box_world.path(".warpforge").rglob("*")) == before


def test_c13_a_store_that_moves(home: World) -> None:
    ware = home.run("ware", "pack", "small").out.strip()
    os.rename(home.path(".warpforge"), home.path("elsewhere"))
    home.path(".warpforge").symlink_to("elsewhere")
    assert home.run("ware", "pack", "small").out.strip() == ware
    home.run("ware", "unpack", "--path", "out", ware)
    check_sound(home)


def test_c13_moved_while_a_command_runs(home: World) -> None:
    """Whatever was being done fails or is done; nothing is torn, and what was there is where it was moved to."""
    ware = home.run("ware", "pack", "small").out.strip()
    argv = [str(WARPFORGE), "--json", "ware", "pack", "big"]
    with subprocess.Popen(argv, cwd=home.root, env=home.environment(), stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None and not os.listdir(home.path(".warpforge/tmp")):
            time.sleep(0.001)
        os.rename(home.path(".warpforge"), home.path("elsewhere"))
        _, said = running.communicate()
    assert running.returncode in (0, 3, 4) and "Traceback" not in said, said
    shutil.rmtree(home.path(".warpforge"), ignore_errors=True)
    os.rename(home.path("elsewhere"), home.path(".warpforge"))
    home.run("ware", "unpack", "--path", "out", ware)
    home.run("ware", "pack", "big")
    check_sound(home)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no other file system to write to")
def test_c13_tmp_on_another_file_system_is_refused(home: World) -> None:
    ware = home.run("ware", "pack", "small").out.strip()
    other = Path("/dev/shm") / f"warpforge-test-{os.getpid()}"
    other.mkdir()
    try:
        shutil.rmtree(home.path(".warpforge/tmp"))
        home.path(".warpforge/tmp").symlink_to(other)
        failed = home.fail("ware", "pack", "big")
        assert (failed.code, failed.exit) == ("store", 4), str(failed)
        assert os.listdir(other) == []
    finally:
        home.path(".warpforge/tmp").unlink()
        shutil.rmtree(other)
    assert home.run("ware", "cat", ware, "x").out == "small"
    home.run("ware", "pack", "big")
    check_sound(home, wares=2)


@pytest.mark.parametrize("version", ["0", "2"])
def test_c14_a_store_of_another_version_is_left_alone(home: World, version: str) -> None:
    ware = home.run("ware", "pack", "small").out.strip()
    home.write(".warpforge/format", f"{version}\n")
    before = sorted((p, p.lstat().st_mtime_ns) for p in home.path(".warpforge").rglob("*"))
    for words in (["ware", "pack", "big"], ["ware", "cat", ware, "x"], ["store", "gc"], ["store", "repair"], ["log"]):
        failed = home.fail(*words)
        assert (failed.code, failed.causes[-1]["details"]["reason"]) == ("store", "version"), str(failed)
    assert sorted((p, p.lstat().st_mtime_ns) for p in home.path(".warpforge").rglob("*")) == before
    home.write(".warpforge/format", "1\n")
    check_sound(home, wares=1)


# C15, C16


@pytest.mark.parametrize("ahead", [-56 * YEARS, 74 * YEARS], ids=["1970", "2100"])
def test_c15_clocks_that_jump(box_world: World, tmp_path: Path, ahead: int) -> None:
    """Memos, pins, locks and stamps know no time; nothing used at any time is garbage because of it."""
    env = {"LD_PRELOAD": str(make_shim(tmp_path)), "SHIM_TIME": str(ahead)}
    box_world.write("plot.wf", plot({"s": script("echo x > /o", outputs={"o": "/o"})}, {"x": "pipe:s:o"}))
    box_world.write("small/x", "small")
    first = box_world.run("--json", "run", "plot.wf").one("runrecord")
    there = box_world.run("--json", "run", "plot.wf", env=env).one("runrecord")
    assert there["guid"] == first["guid"], "the memo is the same at any time"
    again = box_world.run("--json", "run", "--force", "plot.wf", env=env).one("runrecord")
    assert again["results"] == first["results"] and again["formulaID"] == first["formulaID"]
    assert abs(again["time"] - first["time"] - ahead) < 3600, "the clock did jump"
    ware = box_world.run("ware", "pack", "small", env=env).out.strip()
    box_world.run("ware", "cat", ware, "x")
    gone = box_world.run("--json", "store", "gc", "--keep-for", "1d").all("garbage")
    assert ware not in [line["name"] for line in gone], "used just now"
    box_world.run("store", "gc", "--keep-for", "1d", env=env)
    assert box_world.run("--json", "run", "plot.wf").one("plotresults")
    box_world.run("log", env=env)
    check_sound(box_world)


NETWORKS = {"nfs": "0x6969", "smb2": "0xFE534D42"}


@pytest.mark.parametrize("kind", NETWORKS)
def test_c16_on_a_network_s_file_system_there_is_no_index(home: World, tmp_path: Path, kind: str) -> None:
    env = {"LD_PRELOAD": str(make_shim(tmp_path)), "SHIM_FS": NETWORKS[kind]}
    ware = home.run("ware", "pack", "small", env=env).out.strip()
    assert not home.path(".warpforge/index.lmdb/data.mdb").exists()
    assert home.run("ware", "cat", ware, "x", env=env).out == "small"
    home.run("ware", "unpack", "--path", "out", ware, env=env)
    home.run("store", "gc", "--dry-run", env=env)
    home.run("store", "verify", "--deep", env=env)
    assert home.run("ware", "pack", "small").out.strip() == ware
    home.write("more/x", "more")
    home.run("ware", "pack", "more")
    assert home.path(".warpforge/index.lmdb/data.mdb").exists(), "it does say where it is no network"


@ROOT_ONLY
@pytest.mark.parametrize("kind", ["tmpfs", "overlay", "ext4"])
def test_c16_local_file_systems(box_world: World, kind: str) -> None:
    box_world.write("plot.wf", plot({"s": script("ls /bin > /o", outputs={"o": "/o"})}, {"x": "pipe:s:o"}))
    mount = {
        "tmpfs": "mkdir fs && mount -t tmpfs none fs",
        "overlay": "mkdir lower fs up && mount -t tmpfs none up && mkdir up/u up/w && "
        "mount -t overlay -o lowerdir=lower,upperdir=up/u,workdir=up/w none fs",
        "ext4": "truncate -s 64M image && mkfs.ext4 -q -F image && mkdir fs && mount -o loop image fs",
    }[kind]
    said = alone(
        box_world,
        f"{mount} || exit 9\ncp -a .warpforge plot.wf fs/; cd fs\nfor n in 1 2; do $W run plot.wf; echo run $?; done\n"
        "$W store verify --deep; echo verify $?; $W store gc; echo gc $?; ls .warpforge/index.lmdb",
    )
    assert said.count("run 0") == 2 and "verify 0" in said and "gc 0" in said and "data.mdb" in said, said


# C17


class Stalling(BaseHTTPRequestHandler):
    """Sends a little, then nothing."""

    begun = threading.Event()
    ended = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000000")
        self.end_headers()
        self.wfile.write(b"\x28\xb5\x2f\xfd" * 1000)
        self.begun.set()
        self.ended.wait(60)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("what", "how"),
    [("pack", signal.SIGINT), ("pack", signal.SIGHUP), ("fetch", signal.SIGINT), ("fetch", signal.SIGTERM)],
)
def test_c17_signals_twice(home: World, what: str, how: signal.Signals) -> None:
    """One error, no traceback, nothing left; the same command then succeeds."""
    Stalling.begun.clear()
    Stalling.ended.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        words = ["pack", "endless"]
        if what == "fetch":
            words = ["fetch", "ztar:" + "a" * 44, f"ca+http://127.0.0.1:{server.server_port}"]
        else:
            home.path("endless").mkdir()
            with open(home.path("endless/hole"), "wb") as file:
                file.truncate(1 << 40)
        argv = [str(WARPFORGE), "--json", "ware", *words]
        with subprocess.Popen(
            argv, cwd=home.root, env=home.environment(), stderr=subprocess.PIPE, text=True
        ) as running:
            while not any(home.path(".warpforge").glob("tmp/*/*")):
                assert running.poll() is None
                time.sleep(0.005)
            running.send_signal(how)
            running.send_signal(how)
            _, said = running.communicate(timeout=100)
        Stalling.ended.set()
        server.shutdown()
    assert running.returncode == 130, said
    assert "Traceback" not in said and said.count('{"code"') == 1, said
    home.run("ware", "pack", "small")  # what a second signal left is reclaimed at the next start
    check_sound(home)
