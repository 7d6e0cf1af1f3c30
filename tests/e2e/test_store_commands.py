"""The commands that look after the store, and those that look into wares, as a person uses them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.faults import Fault, inject, needs_strace
from support.plots import plot, script
from support.trees import open_dir
from support.world import WARPFORGE, World

from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.keep import keep_tree
from warpforge.fsx.tree import walk
from warpforge.model.atoms import WareId
from warpforge.pack.filters import OUTPUT
from warpforge.store.store import Store
from warpforge.workspace.find import find_stack

REF = "example.org/thing:v1:data"


@pytest.fixture
def home(world: World) -> World:
    """A root workspace with three directories to pack."""
    world.root_workspace()
    world.write("a/text", "one\ntwo\nthree\n")
    world.write("a/sub/deep/file", "x")
    world.write("a/data", bytes(range(256)) * 20)
    os.symlink("text", world.path("a/link"))
    world.write("b/text", "one\nTWO\nthree\n")
    world.write("b/new", "new")
    world.write("c/only", "only")
    return world


def pack(world: World, path: str, packtype: str = "ztar") -> str:
    """As ``ware pack``, without a process."""
    fd = open_dir(world.root)
    try:
        with Store(world.path(".warpforge")) as store:
            return str(keep_tree(store, walk(fd, os.fsencode(path)), packtype, OUTPUT))
    finally:
        os.close(fd)


def packed(world: World, ware: str) -> Path:
    with Store(world.path(".warpforge")) as store:
        found = store.warehouse.find(WareId.parse(ware))
    assert found is not None, ware
    return found


def is_here(world: World, ware: str) -> bool:
    with Store(world.path(".warpforge")) as store:
        return store.warehouse.has(WareId.parse(ware))


def flip(path: Path, at: int = -60) -> None:
    """One bit, with the same length and times."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def mirror(world: World, *wares: str) -> Path:
    """A directory with these wares, named in the workspace as a mirror of all."""
    path = world.path("mirror")
    path.mkdir(exist_ok=True)
    for ware in wares:
        world.run("ware", "push", ware, path)
    world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{path}"]})
    return path


def findings(world: World, *flags: str) -> list[tuple[str, str]]:
    result = world.call("--json", "store", "verify", *flags)
    found = [(line["kind"], line["code"]) for line in result.all("finding")]
    assert result.exit == (1 if found else 0), str(result)
    assert result.one("verified")["findings"] == len(found)
    if found:
        assert (result.code, result.error["details"]["reason"]) == ("ware-mismatch", "verify")
    return found


# verify and repair


def test_a_sound_store(home: World) -> None:
    for packtype in ("ztar", "tar"):
        pack(home, "a", packtype)
    assert findings(home) == findings(home, "--deep") == []
    assert "nothing is wrong" in home.run("store", "verify", "--deep").err
    assert home.run("store", "repair").out == ""


def test_a_flipped_bit_is_found_and_had_anew(home: World) -> None:
    ware = pack(home, "a")
    mirror(home, ware)
    size = packed(home, ware).stat().st_size
    for at in (5, size // 2, size - 2):
        flip(packed(home, ware), at)
        assert [kind for kind, _ in findings(home, "--deep")] == ["ware"], at
        repaired = home.run("--json", "store", "repair").one("mended")
        assert repaired["done"] and "fetched from" in repaired["how"]
        assert findings(home, "--deep") == []
    assert len(os.listdir(home.path(".warpforge/quarantine"))) == 3


def test_a_quick_look_finds_cuts_empties_and_things_in_place_of_wares(home: World) -> None:
    wares = [pack(home, path) for path in ("a", "b", "c")]
    cut, empty, other = (packed(home, ware) for ware in wares)
    cut.chmod(0o644)
    os.truncate(cut, cut.stat().st_size - 1)
    empty.chmod(0o644)
    os.truncate(empty, 0)
    other.unlink()
    other.symlink_to("/etc/passwd")
    kinds = [kind for kind, code in findings(home) if code == "ware-corrupt"]
    assert kinds == ["ware"] * 3
    result = home.call("--json", "store", "repair")
    assert result.exit == 1 and result.code == "ware-mismatch"
    assert not any(line["done"] for line in result.all("mended") if line["kind"] == "ware")
    assert Path("/etc/passwd").exists()
    assert home.call("store", "repair").exit == 0, "a second time there is nothing to do"
    assert findings(home, "--deep") == []
    kept = os.listdir(home.path(".warpforge/quarantine"))
    assert len([name for name in kept if name.startswith("ware-")]) == 3, "what there was is kept"


def test_a_mirror_that_lies_mends_nothing(home: World) -> None:
    ware = pack(home, "a")
    where = mirror(home, ware)
    (lying,) = (path for path in where.rglob("*") if path.is_file())
    flip(lying)
    flip(packed(home, ware))
    result = home.call("--json", "store", "repair")
    assert result.exit == 1 and not result.one("mended")["done"]
    assert not is_here(home, ware)
    flip(lying)  # the same bit again: now it is right
    home.run("ware", "fetch", ware)
    assert findings(home, "--deep") == []


def test_a_repair_killed_midway_is_done_by_the_next(home: World) -> None:
    needs_strace()
    ware = pack(home, "a")
    mirror(home, ware)
    flip(packed(home, ware))
    for fault in (Fault("rename", "signal=KILL", 1), Fault("renameat2", "signal=KILL", 1)):
        ended = inject([WARPFORGE, "store", "repair"], fault, cwd=home.root, env=home.environment())
        assert ended.status != 0, "nothing was killed"
    home.run("store", "repair")
    assert findings(home, "--deep") == [] and is_here(home, ware)
    assert os.listdir(home.path(".warpforge/tmp")) == []


@pytest.mark.both
def test_the_shelf_mends_a_ware(home: World) -> None:
    for packtype in ("ztar", "tar"):
        ware = WareId.parse(pack(home, "a", packtype))
        shelve(home, ware)
        flip(packed(home, str(ware)))
        assert "from the shelf" in home.run("--json", "store", "repair").one("mended")["how"]
        assert is_here(home, str(ware)) and findings(home, "--deep") == []


def shelve(world: World, ware: WareId) -> Path:
    """Unpack a ware to the shelf, as a run does."""
    with Engine(find_stack(world.root, world.home), Reporter()) as engine, engine.store.use():
        return engine.supply.tree(ware)


@pytest.mark.both
def test_a_tree_that_changed_is_found_and_dropped(home: World) -> None:
    ware = WareId.parse(pack(home, "a"))
    tree = shelve(home, ware)
    assert findings(home, "--deep") == []
    text = tree / "text"
    status = text.stat()
    text.chmod(0o644)
    text.write_text("one\ntwo\nTHREE\n")
    os.utime(text, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert findings(home) == [], "below the root of a tree a quick look sees nothing"
    result = home.call("store", "verify", "--deep")
    assert result.exit == 1 and "~ text  content (14 bytes)" in result.out
    assert home.run("--json", "store", "repair").one("mended")["kind"] == "tree"
    assert not tree.exists() and findings(home, "--deep") == []
    assert (shelve(home, ware) / "text").read_text() == "one\ntwo\nthree\n"


def test_a_forged_dual_id_is_found(home: World) -> None:
    """The id of a tar ware does not cover its symlinks: the dual id does."""
    ware = pack(home, "a", "tar")
    os.unlink(home.path("a/link"))
    os.symlink("data", home.path("a/link"))
    forged = World(home.root.parent / "forged")
    forged.root_workspace()
    os.rename(home.path("a"), forged.path("a"))
    assert pack(forged, "a", "tar") == ware
    path = packed(home, ware)
    path.chmod(0o644)
    path.write_bytes(packed(forged, ware).read_bytes())
    assert ("ware", "ware-mismatch") in findings(home, "--deep")


def test_lost_and_damaged_dual_ids_memos_and_pins(home: World) -> None:
    ware = pack(home, "a", "tar")
    home.run("ware", "pin", ware, "mine")
    (dual,) = (path for path in home.path(".warpforge/duals").rglob("*") if path.is_file())
    before = dual.read_text()
    dual.chmod(0o644)
    dual.write_text("nonsense")
    home.write(".warpforge/memos/zFormula.json", "{")
    assert findings(home) == [("dual", "store"), ("memo", "serialization")]
    assert {line["kind"]: line["done"] for line in home.run("--json", "store", "repair").all("mended")} == {
        "dual": True,
        "memo": True,
    }
    assert dual.read_text() == before and findings(home, "--deep") == []
    dual.unlink()
    assert findings(home) == [("dual", "missing")]
    home.run("store", "repair")
    assert dual.read_text() == before
    home.write(".warpforge/pins/mine", "not a ware\n")
    assert findings(home) == [("pin", "store")]
    assert home.fail("store", "gc").code == "store"


def test_a_ware_that_is_gone_is_fetched_again_or_forgotten(home: World) -> None:
    there, nowhere = pack(home, "a"), pack(home, "b")
    mirror(home, there)
    for ware in (there, nowhere):
        packed(home, ware).unlink()
    assert findings(home) == [("index", "missing")] * 2
    result = home.call("--json", "store", "repair")
    assert {line["name"]: line["done"] for line in result.all("mended")} == {there: True, nowhere: False}
    assert result.exit == 1 and is_here(home, there) and findings(home, "--deep") == []


def test_a_lost_index_is_no_finding(home: World) -> None:
    ware = pack(home, "a")
    home.run("store", "reindex")
    assert findings(home, "--deep") == []
    stats = home.run("--json", "store", "stats").one("stats")
    assert stats["wares ztar"] == {"count": 1, "bytes": packed(home, ware).stat().st_size}
    assert "wares ztar" in home.run("store", "stats").out


# gc


def test_what_catalogs_name_stays(home: World) -> None:
    named, garbage = pack(home, "a"), pack(home, "b")
    home.run("catalog", "init", "default")
    home.run("catalog", "add", "tar", "-t", "ztar", REF, packed(home, named))
    assert garbage in home.run("store", "gc", "--dry-run").out
    assert is_here(home, garbage)
    assert REF in home.run("store", "gc", "--explain", named).out
    explained = home.run("--json", "store", "gc", "--explain", garbage).one("explain")
    assert explained == {"ware": garbage, "stays": False, "why": []}
    done = home.run("--json", "store", "gc")
    assert [line["name"] for line in done.all("garbage")] == [garbage]
    assert is_here(home, named) and not is_here(home, garbage)
    assert home.run("--json", "store", "gc").all("garbage") == []
    assert home.fail("store", "gc", "--explain", garbage).code == "missing"
    assert findings(home, "--deep") == []


def test_what_a_workspace_below_names_stays(home: World) -> None:
    ware = pack(home, "a")
    home.run("catalog", "init", "default")
    home.run("catalog", "add", "tar", "-t", "ztar", REF, packed(home, ware))
    home.path("inner/deeper/.warpforge").mkdir(parents=True)
    os.rename(home.path(".warpforge/catalogs/default"), home.path("inner/deeper/.warpforge/catalog"))
    home.run("store", "gc")
    assert is_here(home, ware)
    home.write("inner/deeper/.warpforge/root", "")  # a root of its own has a store of its own
    home.run("store", "gc")
    assert not is_here(home, ware)


@pytest.mark.parametrize("damage", ["module", "release", "unparsable", "memo"])
def test_an_unreadable_root_stops_everything(home: World, damage: str) -> None:
    """X06."""
    named, garbage = pack(home, "a"), pack(home, "b")
    home.run("catalog", "init", "default")
    home.run("catalog", "add", "tar", "-t", "ztar", REF, packed(home, named))
    module = home.path(".warpforge/catalogs/default/example.org/thing")
    match damage:
        case "module":
            (module / "_module.json").write_text("{")
        case "release":
            (module / "_releases/v1.json").unlink()
        case "unparsable":
            text = (module / "_releases/v1.json").read_text()
            (module / "_releases/v1.json").write_text(text.replace(named[-6:], "AAAAAA"))
        case "memo":
            home.write(".warpforge/memos/zF.json", "{}")
    result = home.fail("store", "gc", "--keep-for", "0", "--max-size", "1")
    assert result.error["code"] == "warpforge-error-store"
    assert result.error["details"]["reason"] == "corrupt"
    assert is_here(home, named) and is_here(home, garbage)


def test_pins(home: World) -> None:
    ware, other = pack(home, "a"), pack(home, "b")
    home.run("ware", "pin", ware, "release-1")
    home.run("ware", "pin", other)
    listed = {line["name"]: line["ware"] for line in home.run("--json", "ware", "pin").all("pin")}
    assert listed == {"release-1": ware, f"ztar-{other[5:]}": other}
    home.run("store", "gc")
    assert is_here(home, ware) and is_here(home, other)
    home.run("ware", "unpin", other)
    home.run("ware", "pin", other, "release-1")  # a name that is taken changes its ware
    home.run("store", "gc", "--keep-for", "0")
    assert not is_here(home, ware) and is_here(home, other)
    assert home.fail("ware", "unpin", "nothing").code == "missing"
    assert home.fail("ware", "pin", ware).code == "missing"
    assert home.fail("ware", "pin", other, "../x").code == "invalid-argument"


def test_whoever_uses_the_store_is_waited_for(home: World) -> None:
    pack(home, "a")
    with Store(home.path(".warpforge")) as store, store.use():
        result = home.fail("store", "gc", "--wait", "0")
        assert (result.code, result.error["details"]["reason"]) == ("store", "busy")
        assert str(os.getpid()) in result.error["details"]["pid"]
        home.run("store", "gc", "--dry-run")
    home.run("store", "gc", "--wait", "0")


def test_a_memoised_run_is_still_one_after_a_collection(box_world: World) -> None:
    box_world.write("plot.wf", plot({"one": script("echo hello > /out", outputs={"o": "/out"})}, {"x": "pipe:one:o"}))
    first = box_world.run("--json", "run", "plot.wf").one("runrecord")
    ware = first["results"]["o"].removeprefix("ware:")
    assert box_world.run("ware", "cat", ware).out == "hello\n"
    assert "memoised" in box_world.run("store", "gc", "--explain", ware).out
    box_world.run("store", "gc")
    assert box_world.run("--json", "run", "plot.wf").one("runrecord")["guid"] == first["guid"]
    assert box_world.run("--json", "store", "verify", "--deep").one("verified")["findings"] == 0
    dropped = box_world.run("--json", "store", "gc", "--keep-for", "0").all("garbage")
    assert {line["kind"] for line in dropped} >= {"memo", "ware"}
    again = box_world.run("--json", "run", "plot.wf").one("runrecord")
    assert again["guid"] != first["guid"] and again["results"] == first["results"]


def test_wrong_durations_and_sizes(home: World) -> None:
    for flags in (["--keep-for", "5"], ["--keep-for", "5 weeks"], ["--max-size", "big"], ["--max-size", "-1"]):
        assert home.fail("store", "gc", *flags).code == "invalid-argument"
    home.run("store", "gc", "--keep-for", "1.5h", "--max-size", "10GiB")


# looking into wares


def test_ls_and_cat(home: World) -> None:
    ware = pack(home, "a")
    assert home.run("ware", "ls", ware).out.split() == ["data", "link", "sub/", "text"]
    assert home.run("ware", "ls", ware, "sub").out.split() == ["sub/deep/"]
    assert home.run("ware", "ls", "-R", ware, "/sub/").out.split() == ["sub/deep/", "sub/deep/file"]
    assert home.run("ware", "ls", ware, "text").out == "text\n"
    entries = home.run("--json", "ware", "ls", "-R", ware).all("entry")
    assert [entry["path"] for entry in entries] == ["data", "link", "sub", "sub/deep", "sub/deep/file", "text"]
    assert "L 0777 0:0" in home.run("ware", "ls", "-l", ware).out
    assert home.run("ware", "cat", ware, "link").out == "one\ntwo\nthree\n"
    assert home.run("ware", "cat", packed(home, ware), "sub/deep/file").out == "x"
    assert home.fail("ware", "cat", ware, "nothing").code == "missing"
    assert home.fail("ware", "ls", ware, "nothing").code == "missing"
    assert home.fail("ware", "cat", ware, "sub").code == "invalid-argument"
    assert home.fail("ware", "cat", ware, "../text").code == "invalid-argument"
    assert home.fail("ware", "cat", "ztar:abc", "x").code == "missing"
    assert not home.path(".warpforge/cache").exists(), "nothing was unpacked"


def test_diff(home: World) -> None:
    os.chmod(home.path("b/text"), 0o755)
    one, two = pack(home, "a"), pack(home, "b", "tar")
    result = home.call("ware", "diff", one, two)
    assert result.exit == 1 and not result.err
    assert result.out.splitlines() == [
        "- data",
        "- link",
        "+ new",
        "- sub",
        "- sub/deep",
        "- sub/deep/file",
        "~ text  mode 0644 -> 0755, content (14 bytes)",
        "    @@ -1,3 +1,3 @@",
        "     one",
        "    -two",
        "    +TWO",
        "     three",
    ]
    brief = home.call("ware", "diff", "--brief", one, two)
    assert brief.out.splitlines() == result.out.splitlines()[:7]
    changes = home.call("--json", "ware", "diff", one, two).all("change")
    assert changes[-1]["aspects"] == ["mode", "content"] and "-two" in changes[-1]["diff"]
    for same in (home.path("a"), packed(home, one), one):
        assert home.run("ware", "diff", one, same).out == ""
    raw = home.call("ware", "diff", "--filters", "mtime=keep", one, home.path("a"))
    assert raw.exit == 1 and "~ text  time 1262304000 -> " in raw.out
    home.run("ware", "diff", home.path("c"), home.path("c"))
    assert home.fail("ware", "diff", one, "nowhere").code == "missing"


def test_diff_tells_types_links_and_binary_contents(home: World) -> None:
    for tree in ("x", "y"):
        home.path(tree).mkdir()
    os.symlink("a\x1b[31m", home.path("x/l"))
    os.symlink("b", home.path("y/l"))
    home.write("x/t", "file")
    os.symlink("t", home.path("y/t"))
    home.write("x/bin", b"\0one")
    home.write("y/bin", b"\0other")
    result = home.call("ware", "diff", home.path("x"), home.path("y"))
    assert result.exit == 1
    assert result.out.splitlines() == [
        "~ bin  content (4 -> 6 bytes)",
        "~ l  link a\\x1b[31m -> b",
        "~ t  type f -> L, mode 0644 -> 0777, link - -> t, content (4 -> 0 bytes)",
    ]
    json.loads(home.call("--json", "ware", "diff", home.path("x"), home.path("y")).out.splitlines()[0])
