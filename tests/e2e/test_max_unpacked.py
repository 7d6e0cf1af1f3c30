"""T25: how much an archive may unpack to before its id is verified, wherever a person meets one."""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from pathlib import Path

import pytest
from support import forge
from support.plots import plot, script
from support.trees import open_dir
from support.world import Result, World

from warpforge.fsx.tree import walk
from warpforge.pack.filters import OUTPUT
from warpforge.pack.packer import pack

MIB = 1 << 20
TORTURE = os.environ.get("WARPFORGE_TEST_EVERY") == "1"
REF = "example.org/big:v1:data"
LIMITS = ".warpforge/config/unpacking.json"


@pytest.fixture
def home(world: World) -> World:
    """A root workspace whose archives may unpack to 1 MiB, and an archive of 3 MiB."""
    world.root_workspace()
    bound(world, MIB)
    with tarfile.open(world.path("big.tar.gz"), "w:gz") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 3 * MIB
        archive.addfile(member, io.BytesIO(bytes(3 * MIB)))
    return world


def bound(world: World, size: int) -> Path:
    return world.write(LIMITS, {"unpacking.v1": {"maxUnpacked": size}})


def refused(result: Result, reason: str = "bytes") -> None:
    assert (result.code, result.causes[-1]["details"]["reason"], result.exit) == ("ware-limit", reason, 2), result
    assert "--max-unpacked" in result.causes[-1]["message"]


def test_a_bomb_is_refused_and_may_be_allowed(world: World) -> None:
    world.write("bomb.tar.zst", forge.bomb((1 << 30) + (64 << 20)))
    refused(world.fail("ware", "scan", "bomb.tar.zst"), "ratio")
    assert world.run("ware", "scan", "--max-unpacked", "2GiB", "bomb.tar.zst").out.startswith("tar:")


def test_every_reader_of_a_named_archive(home: World) -> None:
    for words in (
        ["ware", "scan", "big.tar.gz"],
        ["ware", "show", "big.tar.gz"],
        ["ware", "cat", "big.tar.gz", "zeros"],
        ["ware", "ls", "big.tar.gz"],
        ["ware", "diff", "big.tar.gz", "big.tar.gz"],
        ["catalog", "add", "tar", REF, "big.tar.gz"],
    ):
        refused(home.fail(*words))
        home.run(*words, "--max-unpacked", "4MiB")
    assert home.fail("ware", "scan", "--max-unpacked", "much", "big.tar.gz").code == "invalid-argument"
    home.path(LIMITS).unlink()
    home.run("ware", "scan", "big.tar.gz")
    home.write(LIMITS, {"unpacking.v1": {"maxUnpacked": -1}})
    wrong = home.fail("ware", "scan", "big.tar.gz")
    assert (wrong.code, wrong.exit) == ("catalog-invalid", 2)


def packed_at_a_mirror(world: World) -> str:
    """A ware of 3 MiB that is only at a mirror."""
    world.write("tree/zeros", bytes(3 * MIB))
    fd = open_dir(world.root)
    sink = io.BytesIO()
    ware = pack(walk(fd, b"tree"), "ztar", OUTPUT, sink).ware
    world.write(f"mirror/ztar/{ware.hash[:3]}/{ware.hash[3:6]}/{ware.hash}", sink.getvalue())
    world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{world.path('mirror')}"]})
    return str(ware)


@pytest.mark.parametrize(
    "words", [["ware", "fetch"], ["ware", "unpack", "--path", "out"], ["mirror", "pull"], ["ware", "ls"]], ids=" ".join
)
def test_what_comes_from_a_mirror(home: World, words: list[str]) -> None:
    ware = packed_at_a_mirror(home)
    failed = home.fail(*words, ware)
    assert failed.code in ("fetch", "ware-limit") and "--max-unpacked" in failed.error["message"], failed
    assert not home.path("out").exists()
    home.run(*words, ware, "--max-unpacked", "10M")
    home.run("ware", "unpack", "--path", "again", ware)
    assert home.path("again/zeros").stat().st_size == 3 * MIB, "what is verified has no limit"
    home.run("ware", "ls", ware)
    home.run("store", "verify", "--deep")


def test_repair_fetches_a_large_one_when_told(home: World) -> None:
    ware = packed_at_a_mirror(home)
    home.run("ware", "fetch", ware, "--max-unpacked", "10M")
    (lying,) = (p for p in home.path(".warpforge/warehouse").rglob("*") if p.is_file())
    lying.chmod(0o644)
    lying.write_bytes(b"no ware")
    home.run("store", "repair", "--max-unpacked", "10M")
    home.run("store", "verify", "--deep")


def test_what_we_packed_ourselves_has_no_limit(home: World) -> None:
    home.write("tree/zeros", bytes(3 * MIB))
    ware = home.run("ware", "pack", "tree").out.strip()
    home.run("ware", "unpack", "--path", "out", ware)
    home.run("ware", "show", ware)
    stand_in = home.path("elsewhere")
    stand_in.mkdir()
    env = {"WARPFORGE_WAREHOUSE": str(stand_in)}
    home.write("tree/more", "more")
    there = home.run("ware", "pack", "tree", env=env).out.strip()
    assert any(stand_in.rglob(there[5:]))
    home.run("ware", "unpack", "--path", "two", there, env=env)


def test_runs(box_world: World) -> None:
    box_world.write("small/x", "x")
    ware = packed_at_a_mirror(box_world)
    with tarfile.open(box_world.path("big.tar"), "w") as archive:
        archive.add(box_world.path("tree"), ".")
    bound(box_world, MIB)
    for source in (f"ware:{ware}", "ingest:tar:big.tar"):
        step = script("wc -c < /in/zeros", inputs={"/in": "pipe::in"})
        box_world.write("plot.wf", plot({"s": step}, inputs={"in": source}))
        failed = box_world.fail("run", "plot.wf")
        assert "--max-unpacked" in failed.causes[-1]["message"], failed
        assert f"s | {3 * MIB}\n" in box_world.run("run", "plot.wf", "--max-unpacked", "10M").err


@pytest.mark.skipif(not TORTURE, reason="ten seconds for a million entries: `make torture`")
def test_t31_too_many_entries(world: World) -> None:
    """Refused, unless so many bytes are allowed as they take."""
    deflater = zlib.compressobj(9, wbits=31)
    parts = [deflater.compress(forge.ROOT)]
    parts += [deflater.compress(forge.directory(b"d/") * 4096) for _ in range(1_000_001 // 4096 + 1)]
    world.write("many.tar.gz", b"".join([*parts, deflater.compress(bytes(1024)), deflater.flush()]))
    refused(world.fail("ware", "scan", "many.tar.gz"), "entries")
    world.run("ware", "scan", "many.tar.gz", "--max-unpacked", "2GiB")
