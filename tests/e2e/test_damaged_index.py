"""C08, C09: every kind of damage to the index, met by every command: nobody is told, and nothing but time is lost.

WARPFORGE_TEST_EVERY=1 tries each command on each damage, otherwise each command on some.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.damage import INDEX, damage_index
from support.plots import plot, script
from support.world import World

from warpforge.fsx.remove import remove_tree

EVERY = 1 if os.environ.get("WARPFORGE_TEST_EVERY") == "1" else 8
REF = "example.org/thing:v1:data"
COMMANDS = (
    "run plot.wf",
    "ware pack tree",
    "ware unpack --path out WARE",
    "ware ls WARE",
    "ware pin WARE mine",
    "ware fetch WARE",
    "ware push WARE far",
    "store verify --deep",
    "store repair",
    "store gc --keep-for 0",
    "store gc --explain WARE",
    "store stats",
    "store reindex",
    "mirror pull WARE",
    "mirror ls",
    "catalog add tar -t ztar --force example.org/thing:v2:data packed",
    "log",
    "status",
)


@pytest.fixture(scope="module")
def template(busybox: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, str]:
    """A workspace with a catalog, a memo, a pinned ware and many notes in its index; and that ware."""
    world = World(tmp_path_factory.mktemp("damaged"))
    world.adopt(busybox.template)  # type: ignore[attr-defined]
    for number in range(40):
        world.write(f"tree/f{number}", f"content {number}" * 50)
    ware = world.run("ware", "pack", "--to", f"file://{world.path('packed')}", "tree").out.strip()
    world.run("ware", "pin", ware, "kept")
    world.run("catalog", "--name", "test", "add", "tar", "-t", "ztar", REF, "packed")
    step = script("ls /in > /o", inputs={"/in": f"catalog:{REF}"}, outputs={"o": "/o"})
    sources = {f"/d{number}": f"ingest:dir:tree{number}" for number in range(4)}
    for number in range(4):
        world.write(f"tree{number}/x", str(number))
        os.utime(world.path(f"tree{number}/x"), (1, 1))
    step["protoformula"]["inputs"] |= sources
    world.write("plot.wf", plot({"one": step}, {"x": "pipe:one:o"}))
    world.run("run", "plot.wf")
    remove_tree(-100, os.fsencode(world.path(".warpforge/cache")))  # a copied tree is never used
    return world, ware


@pytest.mark.parametrize("how", INDEX)
def test_every_command_on_a_damaged_index(template: tuple[World, str], tmp_path: Path, how: str) -> None:
    made, ware = template
    first = list(INDEX).index(how)
    for number in range(first % EVERY, len(COMMANDS), EVERY):
        world = World(tmp_path / str(number))
        world.adopt(made.root)
        damage_index(world.path(".warpforge"), how)
        words = [word.replace("WARE", ware) for word in COMMANDS[number].split()]
        done = world.run("--json", *words)
        assert "index" not in done.err, str(done)
        assert "the index" not in done.out, str(done)
        if words[0] == "run":
            assert done.one("plotresults"), str(done)
        world.write("tree1/new", "new")
        world.run("ware", "pack", "tree1")  # something is noted, so it is there again, with what the files tell
        stats = world.run("--json", "store", "stats").one("stats")
        assert stats["index"]["count"] >= 3, (how, words, stats)
        assert world.run("--json", "store", "verify", "--deep").one("verified")["findings"] == 0
        shutil.rmtree(world.root)
