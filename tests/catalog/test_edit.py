"""Writing catalogs: as the original writes them, all at once, by one at a time."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.conformance import load, needs_conformance
from support.faults import WRITES, Fault, count, inject, needs_strace, points
from support.publisher import ENVIRONMENT, command

from warpforge.catalog.edit import add_item, edit, init_catalog
from warpforge.catalog.lookup import Lookup
from warpforge.catalog.tree import Catalog
from warpforge.errors import Failed, Invalid
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.plot import Plot
from warpforge.model.serial import load_plot

REF = CatalogRef.parse("a.org/x:v1:item")
ONE, TWO = WareId.parse("tar:one"), WareId.parse("tar:two")
EVERY = int(os.environ.get("WARPFORGE_TEST_EVERY", "4"))  # 1 for every kill point


def release(catalog: Catalog, text: str = "v1") -> dict[str, WareId]:
    found = catalog.release("a.org/x", text)
    return {} if found is None else found.items


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return init_catalog(tmp_path / "catalogs", "test")


@needs_conformance
@pytest.mark.parametrize("scenario", ["catalog/then-add-tar/then-check", "catalog-git/then-check"])
def test_the_files_are_the_originals_byte_for_byte(tmp_path: Path, scenario: str) -> None:
    wanted = load("cli-scenarios.json")[scenario]
    *_, ref_text, address, revision = (*wanted["before"][-1].split(), "")[-4:]
    if "add git" in wanted["before"][-1]:
        ref_text, address, revision = wanted["before"][-1].split()[-3:]
    else:
        ref_text, address = wanted["before"][-1].split()[-2:]
        revision = ""
    name = "default" if revision else "my-catalog"
    catalog = init_catalog(tmp_path / ".warpforge" / "catalogs", name)
    ref = CatalogRef.parse(ref_text)
    if revision:
        ware = WareId("git", "d5af19cebecb2a162bffcf1994cb87f8c9041ae1")
        add_item(catalog, ref, ware, module_address=WarehouseAddr.parse(address))
    else:
        add_item(catalog, ref, WareId("tar", address.rpartition("/")[2]), address=WarehouseAddr.parse(address))
    files = [tmp_path / line.split()[1] for line in wanted["script"].splitlines()]
    assert "".join(path.read_text() for path in files).strip() == wanted["output"].strip()


def test_init_refuses_what_exists_and_odd_names(tmp_path: Path) -> None:
    init_catalog(tmp_path, "good-1.0")
    with pytest.raises(Failed) as caught:
        init_catalog(tmp_path, "good-1.0")
    assert caught.value.code == "warpforge-error-already-exists"
    assert init_catalog(tmp_path, "good-1.0", shared=True).path == tmp_path / "good-1.0"
    for name in ("", ".", "..", "a/b", ".hidden", "-x", "a b", "x" * 128):
        with pytest.raises(Invalid) as refused:
            init_catalog(tmp_path, name)
        assert refused.value.code == "warpforge-error-catalog-name"
    assert os.listdir(tmp_path) == ["good-1.0"]


def test_items_and_releases_add_up(catalog: Catalog) -> None:
    add_item(catalog, REF, ONE)
    add_item(catalog, REF._replace(item="more"), TWO)
    add_item(catalog, REF._replace(release="v2"), TWO)
    assert release(catalog) == {"item": ONE, "more": TWO}
    assert release(catalog, "v2") == {"item": TWO}
    assert list(catalog.modules()) == ["a.org/x"]
    assert not (catalog.path / "a.org/x/_mirrors.json").exists()
    assert os.listdir(catalog.path) == ["a.org"]


def test_a_name_is_replaced_only_by_force(catalog: Catalog) -> None:
    add_item(catalog, REF, ONE, address=WarehouseAddr("https://one"))
    with pytest.raises(Failed) as caught:
        add_item(catalog, REF, TWO, address=WarehouseAddr("https://two"))
    assert caught.value.code == "warpforge-error-already-exists"
    assert Lookup([[catalog.path]]).mirrors(TWO, ["a.org/x"]) == []
    add_item(catalog, REF, TWO, force=True)
    assert release(catalog) == {"item": TWO}


def test_modules_below_are_carried_along(catalog: Catalog) -> None:
    below = CatalogRef.parse("a.org/x/below/deeper:v1:item")
    add_item(catalog, REF, ONE)
    add_item(catalog, below, TWO)
    (catalog.path / "a.org/x/README").write_text("kept")
    (catalog.path / "a.org/x/link").symlink_to("README")
    inode = (catalog.path / "a.org/x/below/deeper/_module.json").stat().st_ino
    add_item(catalog, REF._replace(item="more"), TWO)
    assert list(catalog.modules()) == ["a.org/x", "a.org/x/below/deeper"]
    assert Lookup([[catalog.path]]).pin([below])[below].ware == TWO
    assert (catalog.path / "a.org/x/below/deeper/_module.json").stat().st_ino == inode
    assert (catalog.path / "a.org/x/link").read_text() == "kept"
    names = catalog.modules()
    assert next(names) == "a.org/x"
    (catalog.path / "a.org/x/below").rename(catalog.path.parent / "gone")  # as an update may take back what was there
    assert list(names) == []


def test_a_body_that_raises_changes_nothing(catalog: Catalog) -> None:
    add_item(catalog, REF, ONE)
    with pytest.raises(ZeroDivisionError), edit(catalog, "a.org/x") as module:
        module.add_mirror(WarehouseAddr("https://one"), ware=ONE)
        raise ZeroDivisionError
    assert catalog.mirrors("a.org/x") is None


def test_a_replay_is_kept_under_its_id(catalog: Catalog) -> None:
    plot: Plot = load_plot(b'{"plot.v1": {"inputs": {}, "steps": {}, "outputs": {}}}', "plot").noun
    with edit(catalog, "a.org/x") as module:
        name = module.put_replay(plot)
    assert catalog.replay("a.org/x", name) == plot
    path = catalog.path / f"a.org/x/_replays/{name}.json"
    path.rename(path.with_name("zM5K3other.json"))
    with pytest.raises(Invalid) as caught:
        catalog.replay("a.org/x", "zM5K3other")
    assert caught.value.reason == "hash"


def test_killed_at_any_write_the_catalog_is_of_before_or_after(tmp_path: Path) -> None:
    needs_strace()

    def prepare(name: str) -> Catalog:
        made = init_catalog(tmp_path / name / "catalogs", "test")
        add_item(made, REF, ONE, address=WarehouseAddr("https://one"))
        return made

    calls = tuple(call for call in WRITES if call not in ("openat", "ftruncate"))
    arguments = (str(REF), str(TWO), "https://two")
    ended, used = count(
        command(prepare("counted").path, *arguments), calls, below=tmp_path / "counted", env=ENVIRONMENT
    )
    assert ended.status == 0, ended.stderr
    killed = 0
    for number, fault in enumerate(points(used, "signal=KILL")):
        if number % EVERY:
            continue
        catalog = prepare(f"killed-{number}")
        ended = inject(command(catalog.path, *arguments), fault, env=ENVIRONMENT)
        killed += ended.status in (-signal.SIGKILL, 128 + signal.SIGKILL)
        addresses = Lookup([[catalog.path]]).mirrors(TWO, ["a.org/x"])
        assert (release(catalog), addresses) in (({"item": ONE}, []), ({"item": TWO}, ["https://two"])), fault
        assert list(catalog.modules()) == ["a.org/x"]
        add_item(catalog, REF, TWO, force=True)
        assert release(catalog) == {"item": TWO}
        assert os.listdir(catalog.path) == ["a.org"], "what the killed one left is gone"
    assert killed > 12 // EVERY


def test_a_failing_write_is_one_error_and_changes_nothing(catalog: Catalog) -> None:
    needs_strace()
    add_item(catalog, REF, ONE)
    for call in ("fsync", "renameat2"):
        fault = Fault(call, "error=ENOSPC", "1+")
        ended = inject(command(catalog.path, str(REF), str(TWO)), fault, env=ENVIRONMENT)
        assert (ended.status, ended.stderr.split()[:2]) == (4, ["warpforge-error-store", "full"]), ended.stderr
        assert release(catalog) == {"item": ONE}


def test_many_publishers_lose_nothing_and_readers_see_no_tear(catalog: Catalog) -> None:
    add_item(catalog, REF, ONE)
    publishers = [
        subprocess.Popen(
            command(catalog.path, f"a.org/x:v1:item-{number}", str(TWO)),
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    reads = 0
    while any(publisher.poll() is None for publisher in publishers):
        assert release(catalog)["item"] == ONE
        reads += 1
    for publisher in publishers:
        _, err = publisher.communicate()
        assert publisher.returncode == 0, err
    assert reads
    assert len(release(catalog)) == 9
