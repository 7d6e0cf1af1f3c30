"""Reading catalogs: nothing is believed whose id does not fit; nearer shadows, equals must agree."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.conformance import CONFORMANCE, needs_conformance

from warpforge.catalog.edit import add_item, edit
from warpforge.catalog.lookup import Lookup
from warpforge.catalog.tree import Catalog
from warpforge.errors import Invalid, Missing, Unable, WarpforgeError
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import CatalogModule, Release
from warpforge.model.ident import plot_id, release_id
from warpforge.model.serial import dump

REF = CatalogRef.parse("a.org/x:v1:item")
ONE, TWO = WareId.parse("tar:one"), WareId.parse("tar:two")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return make(tmp_path, "one", ONE)


def make(top: Path, name: str, ware: WareId, ref: CatalogRef = REF) -> Catalog:
    path = top / "catalogs" / name
    path.mkdir(parents=True, exist_ok=True)
    add_item(Catalog(path), ref, ware)
    return Catalog(path)


def test_a_reference_is_pinned_with_where_it_was_read(catalog: Catalog) -> None:
    pin = Lookup([[catalog.path]]).pin([REF])[REF]
    assert (pin.ware, pin.release.name, pin.catalog.name) == (ONE, "v1", "one")
    assert Lookup([]).find(REF) is None


def test_all_that_is_missing_is_told_together(catalog: Catalog) -> None:
    refs = [CatalogRef.parse(text) for text in ("a.org/x:v1:other", "a.org/x:v2:item", "b.org/y:v1:item")]
    with pytest.raises(Missing) as caught:
        Lookup([[catalog.path]]).pin([REF, *refs])
    assert caught.value.code == "warpforge-error-catalog-missing-entry"
    assert caught.value.details["catalogRef"] == " ".join(map(str, refs))
    assert all(str(ref) in caught.value.message for ref in refs)


def test_a_nearer_layer_shadows_and_equals_must_agree(tmp_path: Path) -> None:
    one, same, two = (make(tmp_path, name, ware) for name, ware in (("one", ONE), ("same", ONE), ("two", TWO)))
    near = Lookup([[two.path], [one.path, same.path]])
    assert near.pin([REF])[REF].ware == TWO
    assert [pin.catalog.name for pin in near.shadowed(REF)] == ["one", "same"]
    assert Lookup([[one.path, same.path]]).pin([REF])[REF].catalog.name == "one"
    assert Lookup([[one.path], [same.path]]).shadowed(REF) == []
    with pytest.raises(Invalid) as caught:
        Lookup([[one.path, same.path, two.path]]).find(REF)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-catalog-invalid", "conflict")


def test_a_release_without_the_item_is_passed_over(tmp_path: Path) -> None:
    near = make(tmp_path, "near", TWO, CatalogRef.parse("a.org/x:v1:other"))
    equal = make(tmp_path, "equal", TWO, CatalogRef.parse("a.org/x:v1:another"))
    far = make(tmp_path, "far", ONE)
    assert Lookup([[near.path], [equal.path, far.path]]).pin([REF])[REF].ware == ONE


def test_mirrors_name_the_ware_first_then_its_module(tmp_path: Path) -> None:
    one, two = make(tmp_path, "one", ONE), make(tmp_path, "two", ONE)
    with edit(one, "a.org/x") as module:
        module.add_module_mirror(WarehouseAddr("ca+https://general"), packtype="tar")
        module.add_module_mirror(WarehouseAddr("ca+https://zips"), packtype="zip")
        module.add_mirror(WarehouseAddr("https://exact"), ware=ONE)
        module.add_mirror(WarehouseAddr("https://other"), ware=TWO)
    with edit(two, "a.org/x") as module:
        module.add_mirror(WarehouseAddr("https://second"), ware=ONE)
        module.add_mirror(WarehouseAddr("https://exact"), ware=ONE)
    lookup = Lookup([[one.path], [two.path]])
    assert lookup.mirrors(ONE, ["a.org/x", "b.org/none"]) == [
        "https://exact",
        "https://second",
        "ca+https://general",
    ]
    assert lookup.mirrors(ONE, []) == []


def test_a_changed_release_is_refused(catalog: Catalog) -> None:
    path = catalog.path / "a.org/x/_releases/v1.json"
    path.write_bytes(dump(Release("v1", {"item": TWO}, {})))
    with pytest.raises(Invalid) as caught:
        Lookup([[catalog.path]]).find(REF)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-catalog-invalid", "hash")
    assert caught.value.details["path"] == str(path)
    path.unlink()
    with pytest.raises(Invalid) as caught:
        Lookup([[catalog.path]]).find(REF)
    assert caught.value.reason == "hash"


def test_a_release_or_module_under_another_name_is_refused(catalog: Catalog) -> None:
    release = Release("v2", {"item": TWO}, {})
    top = catalog.path / "a.org/x"
    (top / "_releases/v1.json").write_bytes(dump(release))
    (top / "_module.json").write_bytes(dump(CatalogModule("a.org/x", {"v1": release_id(release)}, {})))
    with pytest.raises(Invalid) as caught:
        Lookup([[catalog.path]]).find(REF)
    assert caught.value.reason == "name"
    (catalog.path / "b.org").mkdir()
    top.rename(catalog.path / "b.org/y")
    with pytest.raises(Invalid) as caught:
        catalog.module("b.org/y")
    assert caught.value.reason == "name"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"catalogmodule.v1": {"name": "a.org/x"}}', '{"plot.v1": {}}'])
def test_a_document_that_is_none_is_refused(catalog: Catalog, text: str) -> None:
    (catalog.path / "a.org/x/_module.json").write_text(text)
    with pytest.raises(Invalid) as caught:
        Lookup([[catalog.path]]).find(REF)
    assert caught.value.exit_status() == 2


def test_what_cannot_be_read_is_said(catalog: Catalog) -> None:
    (catalog.path / "a.org/x/_module.json").unlink()
    (catalog.path / "a.org/x/_module.json").mkdir()
    with pytest.raises(Unable) as caught:
        Lookup([[catalog.path]]).find(REF)
    assert caught.value.code == "warpforge-error-io"


def test_one_reference_reads_only_its_own_files(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(20):
        broken = catalog.path / f"a.org/other-{number}"
        broken.mkdir()
        (broken / "_module.json").write_text("broken")
    (catalog.path / "a.org/x/_mirrors.json").write_text("broken")
    (catalog.path / "a.org/x/_releases/v0.json").write_text("broken")
    opened: list[str] = []
    watching = True

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(audit)
    assert Lookup([[catalog.path]]).find(REF)
    watching = False
    assert opened == ["_module.json", "v1.json"]


def test_one_of_ten_thousand_releases(tmp_path: Path) -> None:
    ids = {f"v{number}": f"zM5K3{number}".replace("0", "o") for number in range(10_000)}
    catalog = make(tmp_path, "one", ONE)
    module = catalog.module("a.org/x")
    assert module is not None
    path = catalog.path / "a.org/x/_module.json"
    path.write_bytes(dump(CatalogModule("a.org/x", {**ids, **module.releases}, {})))
    assert Lookup([[catalog.path]]).pin([REF])[REF].ware == ONE
    assert Lookup([[catalog.path]]).find(CatalogRef("a.org/x", "v10001", "item")) is None
    path.write_bytes(path.read_bytes().replace(b'"a.org/x"', b'"a.org/y"'))
    with pytest.raises(Invalid):
        Lookup([[catalog.path]]).find(REF)


PLENTY = b"".join(b'"n%d": "zM5K3", ' % number for number in range(2500))
META = b'"metadata": {}'


def told(name: bytes = b"a.org/x", releases: bytes = b'"v1": "%b"', more: bytes = META, first: bytes = b"") -> bytes:
    """A large module, in which ``%b`` stands for the id of the release that is there."""
    releases = (first + PLENTY + releases).replace(b"%b", b"@ID@")
    return b'{"catalogmodule.v1": {"name": "%b", "releases": {%b}, %b}}' % (name, releases, more)


# every way in which the text could be taken for what it does not say
TEXTS = {
    "plain": told(),
    "blanks": told(releases=b'"v1" \n\t: \r"%b"'),
    "many blanks": told(releases=b'"v1" ' + b" " * 600 + b': "%b"'),
    "none such": told(releases=b'"v": "%b"'),
    "a longer name": told(releases=b'"xv1": "%b", "v12": "%b"'),
    "twice": told(releases=b'"v1": "zM5K3", "v1": "%b"'),
    "twice, far away": told(first=b'"v1": "%b", '),
    "twice, once with an escape": told(releases=b'"\\u00761": "zM5K3", "v1": "%b"'),
    "with an escape": told(releases=b'"\\u00761": "%b"'),
    "an id with an escape": told(releases=b'"v1": "\\u007aM5K3"'),
    "as an id": told(releases=b'"v0": "v1", "v1": "%b"'),
    "only as an id": told(releases=b'"v0": "v1"'),
    "not an id": told(releases=b'"v1": "no id"'),
    "not a text": told(releases=b'"v1": 5, "v2": "%b"'),
    "an object": told(releases=b'"v0": {"v1": "%b"}'),
    "a list": told(releases=b'"v0": ["v1", "%b"]'),
    "in the metadata": told(releases=b'"v0": "%b"', more=b'"metadata": {"v1": "%b"}'),
    "releases in the metadata": told(releases=b'"v1": "%b"', more=b'"metadata": {"releases": "{}", "v1": "zM5K3"}'),
    "more releases": told(more=META + b', "releases": {"v1": "zM5K3"}'),
    "releases before": told().replace(b'"name"', b'"releases": {"v1": "zM5K3"}, "name"'),
    "metadata before": told(more=b'"x": 1').replace(b'"x": 1', b"").replace(b'"name"', META + b', "name"'),
    "braces in the metadata": told(more=b'"metadata": {"a": "}{[]\\"\\u003a"}'),
    "metadata in another script": told(more='"metadata": {"a": "Ж"}'.encode()),
    "a name in another script": told(releases='"Ж": "zM5K3", "v1": "%b"'.encode()),
    "not UTF-8": told(releases=b'"\xff": "zM5K3", "v1": "%b"'),
    "metadata twice": told(more=META + b', "metadata": {}'),
    "a key twice in the metadata": told(more=b'"metadata": {"a": "1", "a": "2"}'),
    "another module": told(name=b"a.org/y"),
    "another member": told(more=META + b', "x": {}'),
    "a later version": told().replace(b"module.v1", b"module.v2"),
    "cut": told()[:-4],
    "cut within": told()[:-60],
    "more behind it": told() + b"{}",
    "a comma too many": told(releases=b'"v1": "%b",'),
    "a comma too few": told(releases=b'"v1": "%b" "v2": "zM5K3"'),
    "no quotes": told(releases=b'v1: "%b"'),
    "a line in an id": told(releases=b'"v0": "z\n", "v1": "%b"'),
    "no releases": told().replace(b'"releases"', b'"Releases"'),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_release_that_is_looked_for_in_text_is_the_one_that_is_read(tmp_path: Path, text: bytes) -> None:
    catalog = make(tmp_path, "one", ONE)
    found = catalog.module("a.org/x")
    assert found is not None
    path = catalog.path / "a.org/x/_module.json"
    path.write_bytes(text.replace(b"@ID@", found.releases["v1"].encode()))

    def read() -> Release | None:
        module = catalog.module("a.org/x")
        return catalog.release(module, "v1") if module else None

    assert outcome(lambda: catalog.release("a.org/x", "v1")) == outcome(read)


def outcome(read: Callable[[], Release | None]) -> object:
    try:
        return read()
    except WarpforgeError as error:
        return error.code, error.reason, error.message


@needs_conformance
def test_the_originals_catalog_verifies_and_every_release_resolves() -> None:
    catalog = Catalog(CONFORMANCE / "catalog")
    lookup = Lookup([[catalog.path]])
    releases = replays = 0
    modules = list(catalog.modules())
    assert modules == sorted(modules)
    for name in modules:
        module = catalog.module(name)
        assert module is not None and catalog.mirrors(name) is not None
        for label, cid in module.releases.items():
            release = catalog.release(name, label)
            assert release is not None and release_id(release) == cid
            releases += 1
            for item, ware in release.items.items():
                ref = CatalogRef(name, label, item)
                assert lookup.pin([ref])[ref].ware == ware
            if release.replay:
                replay = catalog.replay(name, release.replay)
                assert replay is not None and plot_id(replay) == release.replay
                replays += 1
    assert len(modules) == len(list((CONFORMANCE / "catalog").rglob("_module.json")))
    assert releases == len(list((CONFORMANCE / "catalog").rglob("_releases/*.json")))
    assert replays >= len(list((CONFORMANCE / "catalog").rglob("_replays/*.json")))


def test_one_release_of_a_large_module_is_found_and_what_is_wrong_around_it_seen(catalog: Catalog) -> None:
    """So large that only what is plainly well-formed is looked through: all else is read with care."""
    known = catalog.module(REF.module)
    assert known is not None
    cid = known.releases["v1"]
    many = {**{f"v0.{number}": cid for number in range(700)}, "v1": cid}
    path = catalog.path / REF.module / "_module.json"
    text = dump(CatalogModule(REF.module, many, {"a:b": "c:d"}))
    assert len(text) > 1 << 15
    path.write_bytes(text)
    assert Lookup([[catalog.path]]).pin([REF])[REF].ware == ONE
    assert catalog.release(CatalogModule(REF.module, {"v1": "zStale"}, {}), "v1") is not None  # swapped since
    for wrong in (
        text.replace(b'"v0.7"', b'"v0.\\u0038"'),
        text.replace(b'"metadata": {', b'"metadata": {"a:b": "e",'),
        text.replace(b'"name"', b'"nom"'),
        text[:-9],
    ):
        path.write_bytes(wrong)
        with pytest.raises(Invalid):
            Lookup([[catalog.path]]).find(REF)
    for elsewhere in (b'"v0.8"', b'"v0:7"'):  # of other releases only who reads all of them says what is wrong
        path.write_bytes(text.replace(b'"v0.7"', elsewhere))
        assert Lookup([[catalog.path]]).pin([REF])[REF].ware == ONE
        with pytest.raises(Invalid):
            catalog.module(REF.module)
