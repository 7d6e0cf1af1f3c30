"""Pulls that broke off go on in the next process, from what had come, if it is still the same version."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import hostile_http as hostile
from support.aftermath import check_sound
from support.hostile_http import Call, Hostile
from support.processes import wait_until
from support.world import WARPFORGE, World

from warpforge.errors import Unable
from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId
from warpforge.store import partials
from warpforge.store.store import Store

SIZE = 3 << 20
TAG = 'ETag: "v1"'
WARE = WareId("ztar", "C4A4jNUSRSbpYSRZrMDDt5vTsdDf2p2pZUZ68K7SL9Ko")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """A ware that does not compress, and its packed bytes."""
    maker = World(tmp_path_factory.mktemp("maker"))
    maker.root_workspace()
    maker.write("tree/noise", random.Random(3).randbytes(SIZE))
    ware = maker.run("ware", "pack", "tree").out.strip()
    return ware, maker.path(f".warpforge/warehouse/{ca_path(WareId.parse(ware))}").read_bytes()


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


@pytest.fixture(autouse=True)
def root(world: World) -> None:
    world.root_workspace()


def left(world: World) -> list[str]:
    """What is kept of downloads; what is just being written has another name."""
    directory = world.path(".warpforge/partial")
    return sorted(name for name in os.listdir(directory) if name[0] != ".") if directory.exists() else []


def part(world: World) -> Path:
    """The bytes of the only one."""
    (name, _) = left(world)
    return world.path(f".warpforge/partial/{name}")


def pull_and_kill(world: World, server: Hostile, ware: str, how: signal.Signals, at: int) -> None:
    """A pull, ended once so many bytes had come."""
    argv = [str(WARPFORGE), "mirror", "pull", "--from", f"ca+{server.url}", ware]
    pulling = subprocess.Popen(
        argv, cwd=world.root, env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert wait_until(lambda: len(left(world)) == 2 and part(world).stat().st_size >= at)
    pulling.send_signal(how)
    pulling.communicate()
    assert pulling.returncode == (-9 if how == signal.SIGKILL else 130)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_pull_goes_on_in_the_next_process(
    world: World, server: Hostile, packed: tuple[str, bytes], how: signal.Signals
) -> None:
    ware, data = packed
    half = len(data) // 2
    path = "/" + ca_path(WareId.parse(ware))
    server.on(path, hostile.in_turn(hostile.stalling(data[:half], len(data), TAG), from_range(data, '"v1"')))
    pull_and_kill(world, server, ware, how, half)
    assert (
        world.run("--json", "mirror", "pull", "--from", f"ca+{server.url}", ware).one("moved")["outcome"] == "fetched"
    )
    assert server.calls[1].headers["range"] == f"bytes={half}-"
    assert server.calls[1].headers["if-range"] == '"v1"'
    assert left(world) == []
    world.run("ware", "unpack", "--path", "out", ware)
    assert world.path("out/noise").stat().st_size == SIZE
    check_sound(world, wares=1)


def test_one_that_was_there_whole_is_not_fetched_again(
    world: World, server: Hostile, packed: tuple[str, bytes]
) -> None:
    ware, data = packed
    path = "/" + ca_path(WareId.parse(ware))
    server.on(path, hostile.in_turn(hostile.stalling(data, len(data) + 1, TAG), from_range(data, '"v1"')))
    pull_and_kill(world, server, ware, signal.SIGKILL, len(data))
    tag = part(world).with_name(part(world).name + ".tag")
    tag.write_text(f'{len(data)} "v1"\n')  # killed after the last byte, before it was verified
    world.run("mirror", "pull", "--from", f"ca+{server.url}", ware)
    assert server.calls[1].headers["range"] == f"bytes={len(data) - 1}-"


def test_another_version_is_fetched_from_its_start(world: World, server: Hostile, packed: tuple[str, bytes]) -> None:
    ware, data = packed
    path = "/" + ca_path(WareId.parse(ware))
    stale = hostile.stalling(bytes(2 << 20), len(data), TAG)
    server.on(path, hostile.in_turn(stale, from_range(data, '"v2"')))
    pull_and_kill(world, server, ware, signal.SIGKILL, 2 << 20)
    world.run("mirror", "pull", "--from", f"ca+{server.url}", ware)
    assert len(server.calls) == 2
    assert left(world) == []


def test_what_was_damaged_meanwhile_is_fetched_again(world: World, server: Hostile, packed: tuple[str, bytes]) -> None:
    """A power cut may leave zeros: the hash tells, and the same mirror is asked once more, from the start."""
    ware, data = packed
    path = "/" + ca_path(WareId.parse(ware))
    server.on(path, hostile.in_turn(hostile.stalling(data[: 2 << 20], len(data), TAG), from_range(data, '"v1"')))
    pull_and_kill(world, server, ware, signal.SIGKILL, 2 << 20)
    part(world).write_bytes(bytes(2 << 20))
    done = world.run("mirror", "pull", "--from", f"ca+{server.url}", ware)
    assert "from its start" in done.err
    assert ["range" in call.headers for call in server.calls] == [False, True, False]
    assert left(world) == []


@pytest.mark.parametrize(
    "tag", [None, "", "garbage", '3000000 W/"weak"', 'x "v1"', "9 v1", '0 "v1"', '9 "\x1b"', "\xff"]
)
def test_a_tag_that_is_none_is_not_believed(tmp_path: Path, tag: str | None) -> None:
    with Store(tmp_path) as store:
        made = store.partials.begin(WARE, "origin", '"v1"', 3 << 20)
        assert made is not None
        with pytest.raises(KeyboardInterrupt), made:
            made.file.write(bytes(2 << 20))
            assert store.partials.find(WARE, "origin") is None, "held by somebody"
            raise KeyboardInterrupt
        found = store.partials.find(WARE, "origin")
        assert found is not None and found.mark == (2 << 20, '"v1"', 3 << 20)
        found.file.close()
        path = Path(found.path + ".tag")
        path.unlink() if tag is None else path.write_bytes(tag.encode("latin-1"))
        assert store.partials.find(WARE, "origin") is None
        assert store.partials.find(WARE, "another") is None
        assert os.listdir(store.layout.partial) == []


def test_a_full_disk_keeps_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        made = store.partials.begin(WARE, "origin", '"v1"', 3 << 20)
        assert made is not None
        with pytest.raises(Unable), made:
            made.file.write(bytes(2 << 20))
            raise Unable("store", "the disk is full", reason="full")
        assert os.listdir(store.layout.partial) == []


def test_nothing_is_kept_of_what_is_wrong_or_cannot_go_on(
    world: World, server: Hostile, packed: tuple[str, bytes]
) -> None:
    ware, data = packed
    path = "/" + ca_path(WareId.parse(ware))
    wrong = data[:-100] + bytes(100)
    for behaviour in (
        hostile.body(wrong, TAG),
        hostile.body(b"<html>log in</html>" * 200_000, TAG),
        hostile.until_close(data[: 2 << 20], TAG),
        hostile.body(data[: 2 << 20], 'ETag: W/"weak"'),
    ):
        server.on(path, behaviour)
        world.fail("mirror", "pull", "--from", f"ca+{server.url}", ware)
        assert left(world) == []


def test_collecting_garbage_takes_them_and_stats_counts_them(
    world: World, server: Hostile, packed: tuple[str, bytes]
) -> None:
    ware, data = packed
    server.on("/" + ca_path(WareId.parse(ware)), hostile.stalling(data[: 2 << 20], len(data), TAG))
    pull_and_kill(world, server, ware, signal.SIGKILL, 2 << 20)
    size = part(world).stat().st_size
    assert world.run("--json", "store", "stats").one("stats")["partial"] == {"count": 1, "bytes": size}
    world.run("store", "gc", "--keep-for", "1d")
    assert len(left(world)) == 2
    assert world.run("--json", "store", "gc", "--dry-run").one("gc")["freed"] == size
    assert len(left(world)) == 2
    world.run("store", "gc")
    assert left(world) == []


def test_only_so_many_are_kept(world: World, server: Hostile, packed: tuple[str, bytes]) -> None:
    """The oldest go when a new one begins, and whatever is older than a week."""
    ware, data = packed
    directory = world.path(".warpforge/partial")
    directory.mkdir()
    for number in range(partials.MANY + 3):
        file = directory / f"ztar-{number}-x"
        file.write_bytes(b"x")
        file.with_name(file.name + ".tag").write_text('9 "x"\n')
        os.utime(file, (time.time() - number * 60,) * 2)
    os.utime(directory / "ztar-0-x", (time.time() - 8 * 86400,) * 2)
    server.on("/" + ca_path(WareId.parse(ware)), hostile.body(data, TAG))
    world.run("mirror", "pull", "--from", f"ca+{server.url}", ware)
    assert sorted(left(world)) == sorted(
        name for number in range(1, partials.MANY) for name in (f"ztar-{number}-x", f"ztar-{number}-x.tag")
    )


def from_range(data: bytes, tag: str) -> hostile.Behaviour:
    """An honest server that has one version."""

    def behaviour(call: Call) -> None:
        begin = 0
        if call.headers.get("if-range") == tag:
            begin = int(call.headers["range"].removeprefix("bytes=").rstrip("-"))
        span = f"Content-Range: bytes {begin}-{len(data) - 1}/{len(data)}"
        call.head("206 Partial" if begin else "200 OK", f"Content-Length: {len(data) - begin}", span, f"ETag: {tag}")
        call.send(data[begin:])

    return behaviour
