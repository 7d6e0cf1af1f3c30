"""What a client believes of a signed catalog: nothing that was not signed, nothing older, no other past.

| case | what somebody does | what comes of it |
|---|---|---|
| K01 | changes a document at any level: release, module, mirrors, replay, node, snapshot, signature | refused: hash |
| K02 | shows an older snapshot, another of the same version, another past | refused: rollback, conflict, log |
| K03 | shows the same snapshot for ever | warned of, or refused: frozen |
| K04 | mixes documents of different snapshots | refused: hash |
| K07 | signs version 2^63, or the last one that there can be | refused; what was seen stays; keys can be changed |
| K08 | has documents without an end, too large, too deep | refused: limit |
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.actor import ENVIRONMENT
from support.faults import count, inject, needs_strace, points
from support.mutation import mutate
from support.signed import ALICE, BOB, MALLORY, ONE, TWO, Site, X, Y, command

from warpforge.catalog.check import check_module
from warpforge.catalog.edit import add_item, edit
from warpforge.catalog.envelope import Envelope, Signature
from warpforge.catalog.examine import examine
from warpforge.catalog.history import history
from warpforge.catalog.keys import PrivateKey
from warpforge.catalog.sign import check_tree, read_head
from warpforge.catalog.snapshot import PAYLOAD_TYPE, Snapshots
from warpforge.catalog.tree import Catalog
from warpforge.catalog.trust import Trust, load_seen
from warpforge.catalog.view import PastView
from warpforge.engine.catalogs import open_catalog
from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.model.atoms import CatalogRef
from warpforge.model.serial import dump
from warpforge.workspace.find import find_stack

EVERY = int(os.environ.get("WARPFORGE_TEST_EVERY", "4"))  # 1 for every kill point


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Site.make(tmp_path_factory.mktemp("site") / "root").root


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    shutil.copytree(template, tmp_path / "root", symlinks=True)
    return Site(tmp_path / "root")


def refused(site: Site, ref: CatalogRef = X) -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        site.pin(ref)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


def rewrite(pattern: str, old: str, new: str) -> Callable[[Site], None]:
    def deed(site: Site) -> None:
        path = site.file(pattern)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return deed


def node_of(site: Site, words: str) -> Path:
    (found,) = (path for path in site.snapshots.glob("nodes/*/*.json") if words in path.read_text())
    return found


def sign_with(*signatures: Signature) -> Callable[[Site], None]:
    def deed(site: Site) -> None:
        head = read_head(Snapshots(site.catalog.path))[1]
        assert head is not None
        site.put(head._replace(signatures=signatures))

    return deed


def add_unsigned(site: Site) -> None:
    add_item(site.catalog, X._replace(item="more"), TWO)


K01: dict[str, tuple[Callable[[Site], object], str]] = {
    "K01 a release": (rewrite("a.org/x/_releases/v1.json", "Cir", "Cis"), "hash"),
    "K01 a module": (rewrite("a.org/x/_module.json", "zM5K", "zM5L"), "hash"),
    "K01 a release and its module": (add_unsigned, "hash"),
    "K01 a release that is gone": (lambda site: site.file("a.org/x/_releases/v1.json").unlink(), "hash"),
    "K01 a module that is gone": (lambda site: shutil.rmtree(site.catalog.path / "a.org/x"), "hash"),
    "K01 an entry": (lambda site: node_of(site, '"name": "a.org/x"').write_text('{"name": "a.org/x"}'), "hash"),
    "K01 the first node": (lambda site: node_of(site, '"a.org/x": ').write_text('{"entries": {}}'), "hash"),
    "K01 a node that is gone": (lambda site: node_of(site, '"a.org/x": ').unlink(), "hash"),
    "K01 a node that is no JSON": (lambda site: node_of(site, '"a.org/x": ').write_text("{"), "hash"),
    "K01 a snapshot": (lambda site: site.forge(MALLORY), "signature"),
    "K01 no signature": (sign_with(), "signature"),
    "K01 a signature of nobody": (sign_with(Signature(ALICE.public.id, bytes(64))), "signature"),
    "K01 another type of payload": (lambda site: site.put(Envelope("text/plain", b"").signed(ALICE)), "signature"),
    "K01 no snapshot at all": (lambda site: shutil.rmtree(site.snapshots), "unsigned"),
    "K01 of another catalog": (lambda site: (site.pin(), site.forge(catalog="other")), "catalog"),
    "K01 a payload that is none": (lambda site: site.put(Envelope(PAYLOAD_TYPE, b"{}").signed(ALICE)), "form"),
}


@pytest.mark.parametrize("case", K01)
def test_what_was_changed_is_refused(site: Site, case: str) -> None:
    deed, reason = K01[case]
    deed(site)
    assert refused(site) == ("catalog-invalid", reason)


def test_K01_what_was_added_is_refused(site: Site) -> None:
    site.pin()
    add_item(site.catalog, X._replace(release="v2"), TWO)
    assert refused(site, X._replace(release="v2")) == ("catalog-invalid", "unsigned")
    assert site.pin().ware == ONE  # the others are what they were
    add_item(site.catalog, CatalogRef("b.org/z", "v1", "item"), TWO)
    assert refused(site, CatalogRef("b.org/z", "v1", "item")) == ("catalog-invalid", "unsigned")
    site.sign()
    assert site.pin(X._replace(release="v2")).ware == TWO
    with pytest.raises(Missing):
        site.pin(X._replace(release="v3"))


def test_K01_mirrors_and_replays_are_what_was_signed(site: Site) -> None:
    with edit(site.catalog, "a.org/x") as changed:
        changed.mirrors = None
    (site.catalog.path / "a.org/x/_mirrors.json").unlink()
    with pytest.raises(Invalid, match=r"the list of mirrors of a\.org/x is"):
        site.pin().catalog.mirrors("a.org/x")
    replay = site.pin().release.replay
    assert replay is not None
    rewrite("a.org/x/_replays/*.json", '"inputs": {}', '"inputs": {"a": "ware:tar:abc"}')(site)
    with pytest.raises(Invalid) as caught:
        site.pin().catalog.replay("a.org/x", replay)
    assert caught.value.reason == "hash"


def test_K01_a_whole_catalog_is_verified(site: Site) -> None:
    snapshots = Snapshots(site.catalog.path)
    head = read_head(snapshots)[0]
    assert head is not None
    check_tree(site.catalog, head, snapshots)
    add_item(site.catalog, Y._replace(release="v9"), ONE)
    with pytest.raises(Invalid, match=r"a\.org/y:v9 was added"):
        check_tree(site.catalog, head, snapshots)


def keep(site: Site) -> Callable[[], None]:
    """The catalog as it is now, to be brought back."""
    kept = site.root / "kept"
    shutil.copytree(site.catalog.path, kept)

    def back() -> None:
        shutil.rmtree(site.catalog.path)
        kept.rename(site.catalog.path)

    return back


def test_K02_an_older_snapshot_is_refused(site: Site) -> None:
    back = keep(site)
    site.publish("v2")
    assert site.pin(X._replace(release="v2"))
    back()
    assert refused(site) == ("catalog-invalid", "rollback")
    seen = load_seen(site.internal / "seen" / "test.json")
    assert seen is not None and seen.version == 2


def test_K02_another_snapshot_of_the_same_version_is_refused(site: Site) -> None:
    back = keep(site)
    site.publish("v2")
    site.pin()
    back()
    site.publish("v3")
    assert refused(site) == ("catalog-invalid", "conflict")
    site.publish("v4")  # and what goes on from there
    assert refused(site) == ("catalog-invalid", "log")


def test_K02_a_past_that_is_missing_or_rewritten_is_refused(site: Site) -> None:
    site.publish("v2")
    site.publish("v3")
    assert [one.version for one in history(Snapshots(site.catalog.path))] == [3, 2, 1]
    first = site.snapshots / "log" / "1.json"
    data = first.read_bytes()
    first.write_bytes((site.snapshots / "log" / "2.json").read_bytes())
    assert refused(site) == ("catalog-invalid", "log")
    first.unlink()
    assert refused(site) == ("catalog-invalid", "log")
    first.write_bytes(data)
    assert site.pin()
    first.unlink()  # who has seen a later one needs it no more
    site.publish("v4")
    assert site.pin()


def test_K02_what_was_seen_survives_kill_9(site: Site) -> None:
    needs_strace()
    site.pin()
    path = site.internal / "seen" / "test.json"
    kept = path.read_bytes()
    site.publish("v2")
    _, uses = count(command(site), below=site.internal, env=ENVIRONMENT)
    assert load_seen(path).version == 2  # type: ignore[union-attr]
    versions = set()
    for fault in [*points(uses, "signal=KILL")][::EVERY]:
        path.write_bytes(kept)
        inject(command(site), fault, env=ENVIRONMENT)
        seen = load_seen(path)
        assert seen is not None
        versions.add(seen.version)
        assert site.pin(X._replace(release="v2"))
    assert 1 in versions


def test_a_publisher_is_killed_at_every_write(site: Site) -> None:
    needs_strace()
    ALICE.save(str(site.root / "key"))
    site.pin()
    add_item(site.catalog, X._replace(release="v2"), TWO)
    before = site.root / "before"
    shutil.copytree(site.snapshots, before)
    _, uses = count(command(site, site.root / "key"), below=site.snapshots, env=ENVIRONMENT)
    assert sum(map(len, uses.values())) > 20
    for fault in [*points(uses, "signal=KILL")][:: 2 * EVERY]:
        shutil.rmtree(site.snapshots)
        shutil.copytree(before, site.snapshots)
        inject(command(site, site.root / "key"), fault, env=ENVIRONMENT)
        assert site.pin(Y).ware == ONE  # the old snapshot or the new one, never half of one
        assert site.sign().snapshot.version == 2
        assert site.pin(X._replace(release="v2")).ware == TWO
        (site.internal / "seen" / "test.json").unlink()


def test_K03_what_is_never_renewed_is_told_and_refused(site: Site) -> None:
    day = 86_400
    site.publish("v2", now=time.time() - 10 * day, valid=5 * day)
    site.pin()
    assert len(site.said) == 1 and "should have been renewed 5 days ago" in site.said[0]
    site.trust(Trust((str(ALICE.public),), max_age=11 * day))
    assert site.pin()
    site.trust(Trust((str(ALICE.public),), max_age=9 * day))
    assert refused(site) == ("catalog-invalid", "frozen")
    site.sign(renew=True)
    site.pin()
    assert site.said == []
    site.publish("v3", now=time.time() + 10 * day)
    site.pin()
    assert "of the future" in site.said[0]


def test_K04_documents_of_different_snapshots_are_refused(site: Site) -> None:
    back = keep(site)
    site.publish("v1", TWO, force=True)
    assert site.pin().ware == TWO
    new = site.root / "new"
    shutil.copytree(site.snapshots, new)
    back()
    shutil.rmtree(site.snapshots)
    new.rename(site.snapshots)
    assert refused(site) == ("catalog-invalid", "hash")


def test_K07_a_version_beyond_all_is_left_behind(site: Site) -> None:
    site.pin()
    good = site.head.read_bytes()
    for version, said in (
        (2**63, ("catalog-invalid", "form")),
        (2**53, ("catalog-invalid", "form")),
        (2**53 - 1, ("catalog-invalid", "log")),
    ):
        site.forge(version=version)
        assert refused(site) == said
        site.head.write_bytes(good)
        assert site.pin()  # nothing of it was remembered
    # one that has a past, by who stole Alice's key
    site.publish("evil")
    site.pin()
    shutil.rmtree(site.snapshots)
    site.sign(BOB)
    site.trust(Trust((str(ALICE.public), str(BOB.public))))
    assert refused(site) == ("catalog-invalid", "rollback")
    site.trust(Trust((str(BOB.public),)))  # what only she had signed binds no more
    assert site.pin(X._replace(release="evil"))


LIMITS: dict[str, tuple[str, Callable[[Path], object], tuple[str, str]]] = {
    "K08 a release without end": ("a.org/x/_releases/v1.json", lambda path: path.symlink_to("/dev/zero"), ("io", "")),
    "K08 a release that waits": ("a.org/x/_releases/v1.json", os.mkfifo, ("io", "")),
    "K08 a module of 1 M releases": (
        "a.org/x/_module.json",
        lambda path: path.write_text(
            '{"catalogmodule.v1": {"name": "a.org/x", "metadata": {}, "releases": {'
            + f'"r": "z{"M" * 75}",' * 1_000_000
        ),
        ("serialization", "limit"),
    ),
    "K08 depth": ("a.org/x/_module.json", lambda path: path.write_text("[" * 100_000), ("serialization", "limit")),
    "K08 a head without end": ("_snapshots/head.json", lambda path: path.symlink_to("/dev/zero"), ("io", "")),
    "K08 a head that is deep": (
        "_snapshots/head.json",
        lambda path: path.write_text("[" * 100_000),
        ("serialization", "limit"),
    ),
    "K08 a head of 100 MB": (
        "_snapshots/head.json",
        lambda path: path.write_bytes(bytes(100_000_000)),
        ("serialization", "limit"),
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_documents_have_limits(site: Site, case: str) -> None:
    name, deed, said = LIMITS[case]
    (site.catalog.path / name).unlink()
    deed(site.catalog.path / name)
    assert refused(site) == said


def test_several_must_sign(site: Site) -> None:
    site.trust(Trust((str(ALICE.public), str(BOB.public)), 2))
    assert refused(site) == ("catalog-invalid", "signature")
    done = site.sign(BOB)
    assert not done.is_new and done.snapshot.version == 1 and len(done.envelope.signatures) == 2
    assert site.pin().ware == ONE
    assert not site.sign(BOB).is_new and len(site.sign(BOB).envelope.signatures) == 2
    site.publish("v2")
    assert refused(site) == ("catalog-invalid", "signature")


def hand_over(site: Site, *signers: PrivateKey, to: PrivateKey = BOB) -> None:
    site.sign(*signers, after=Trust((str(to.public),)))


def test_keys_hand_over_to_others(site: Site) -> None:
    site.pin()
    hand_over(site, ALICE, BOB)
    site.publish("v2")  # by who may not any more
    assert refused(site) == ("catalog-invalid", "signature")
    site.sign(BOB)
    assert site.pin(X._replace(release="v2"))
    hand_over(site, BOB, MALLORY, to=MALLORY)
    site.sign(MALLORY, renew=True)
    shutil.rmtree(site.internal / "seen")  # somebody who saw none of it, and trusts the first key
    assert site.pin()
    site.sign(MALLORY, renew=True)
    site.trust(Trust((str(BOB.public),)))  # the second one
    assert site.pin()
    site.trust(Trust((str(MALLORY.public),)))
    assert site.pin()


def test_nobody_takes_over_what_was_not_handed_over(site: Site) -> None:
    kept = keep(site)
    hand_over(site, BOB)
    assert refused(site) == ("catalog-invalid", "signature")
    kept()
    kept = keep(site)
    hand_over(site, ALICE)  # the next key does not sign: perhaps nobody has it
    assert site.pin()
    site.sign(BOB, renew=True)
    assert refused(site) == ("catalog-invalid", "signature")
    kept()
    site.trust(Trust((str(BOB.public),)))
    assert refused(site) == ("catalog-invalid", "signature")


def test_more_trust_forgets_nothing(site: Site) -> None:
    site.sign(BOB)
    back = keep(site)
    hand_over(site, ALICE, BOB)
    site.sign(BOB, renew=True)
    site.pin()
    back()
    for keys in ((ALICE, BOB), (ALICE, BOB, MALLORY)):
        site.trust(Trust(tuple(str(key.public) for key in keys), 2))
        assert refused(site)[1] == "rollback"


def test_a_trust_that_nothing_satisfies_is_refused(site: Site) -> None:
    for trust in (Trust((str(ALICE.public),), 2), Trust((str(ALICE.public),), 0), Trust()):
        with pytest.raises(Invalid):
            site.trust(trust)
    path = site.internal / "config" / "trust.json"
    for text, code in (
        ('{"trust.v1": {"test": {"keys": [], "threshold": 1}}}', "catalog-invalid"),
        ("{", "serialization"),
    ):
        path.write_text(text)
        assert refused(site)[0] == code
    path.write_text('{"trust.v2": {}}')
    assert refused(site)[0] == "datatoonew"


def test_what_was_published_is_not_taken_back_by_mistake(site: Site) -> None:
    add_item(site.catalog, X, TWO, force=True)
    with pytest.raises(Invalid, match=r"a\.org/x:v1 changed") as caught:
        site.sign()
    assert caught.value.reason == "conflict"
    assert site.sign(force=True).is_new
    with edit(site.catalog, "a.org/x") as changed:
        release = changed.release("v1")
        assert release is not None
        changed.put_release(type(release)(release.name, release.items, {**release.metadata, "hazard": "CVE-1"}))
    assert site.sign().is_new  # a warning takes nothing back


def test_K01_whatever_bytes_are_changed_nothing_else_is_believed(site: Site) -> None:
    site.publish("v2")
    files = [path for path in sorted(site.catalog.path.rglob("*")) if path.is_file()]
    outcomes = set()
    for number in range(250):
        rng = random.Random(number)
        path = rng.choice(files)
        data = path.read_bytes()
        path.write_bytes(mutate(data, rng, [file.read_bytes() for file in rng.sample(files, 3)]))
        for ref in (X, Y, X._replace(release="v2")):
            try:
                outcomes.add(str(site.pin(ref).ware))
            except WarpforgeError as error:
                outcomes.add(error.code.removeprefix("warpforge-error-"))
        path.write_bytes(data)
    assert str(ONE) in outcomes and "catalog-invalid" in outcomes
    assert outcomes <= {
        str(ONE),
        "catalog-invalid",
        "serialization",
        "signature-invalid",
        "datatoonew",
        "wareid-invalid",
    }


def test_what_is_not_sound_is_not_signed(site: Site) -> None:
    add_item(site.catalog, X._replace(release="v2"), TWO)
    rewrite("a.org/x/_releases/v2.json", "4a1", "4a2")(site)
    with pytest.raises(Invalid) as caught:
        site.sign()
    assert caught.value.reason == "check"


def test_the_root_is_a_function_of_what_the_catalog_says(site: Site) -> None:
    root = site.sign(renew=True).snapshot.root
    module = site.catalog.module("a.org/x")
    assert module is not None
    (site.catalog.path / "a.org/x/_module.json").write_bytes(b"\n\n" + dump(module).replace(b"\t", b"  "))
    done = site.sign(renew=True)
    assert done.snapshot.root == root and done.changes == [] and done.snapshot.version == 3


def test_a_wide_catalog_is_looked_up_by_few_nodes(site: Site) -> None:
    ids = site.catalog.module("a.org/y")
    assert ids is not None
    for number in range(80):
        directory = site.catalog.path / f"m{number}.org"
        shutil.copytree(site.catalog.path / "a.org/y", directory)
        text = (directory / "_module.json").read_text()
        (directory / "_module.json").write_text(text.replace("a.org/y", f"m{number}.org"))
    wide = site.sign().snapshot.root
    assert site.pin(CatalogRef("m77.org", "v1", "item")).ware == ONE
    for path in site.snapshots.glob("nodes/*/*.json"):
        if "m77.org" not in path.read_text() and "branch" not in path.read_text():
            path.unlink()  # whoever asks for one module reads nothing of the others
    assert site.pin(CatalogRef("m77.org", "v1", "item")).ware == ONE
    with pytest.raises(Invalid):
        site.pin(CatalogRef("m78.org", "v1", "item"))
    assert Snapshots(site.catalog.path).node(wide).keys() == {"branch"}


def test_a_catalog_is_read_as_it_was(site: Site) -> None:
    old = Snapshots(site.catalog.path).logged(1).root
    site.publish("v1", TWO, force=True)
    site.publish("v2", TWO)
    assert site.pin().ware == TWO
    assert site.pin(at=[old]).ware == ONE
    assert site.pin(at=[old[:20]]).ware == ONE
    with pytest.raises(Missing):
        site.pin(X._replace(release="v2"), at=[old])
    with pytest.raises(Missing) as caught:
        site.pin(at=["zM5K3nothing"])
    assert caught.value.reason == "root"
    shutil.rmtree(site.snapshots / "kept")
    with pytest.raises(Missing, match="not kept") as caught:
        site.pin(at=[old])
    assert caught.value.reason == "kept"
    assert site.pin(Y, at=[old]).ware == ONE


def test_an_update_between_two_looks_is_no_fault(site: Site) -> None:
    from warpforge.engine.catalogs import open_catalog

    catalog = open_catalog(find_stack(site.root, None), site.catalog.path)
    assert catalog.release("a.org/x", "v1")
    site.publish("v2")
    assert catalog.release("a.org/x", "v2") is not None
    assert Catalog(site.catalog.path).release("a.org/x", "v2") == catalog.release("a.org/x", "v2")


def test_without_keys_nothing_is_asked(site: Site) -> None:
    (site.internal / "config" / "trust.json").unlink()
    site.forge(MALLORY)
    add_item(site.catalog, X, TWO, force=True)
    assert site.pin().ware == TWO
    assert not (site.internal / "seen").exists()


def test_the_form_of_what_is_remembered(site: Site) -> None:
    site.pin()
    seen = json.loads((site.internal / "seen" / "test.json").read_bytes())["seen.v1"]
    assert seen["version"] == 1 and seen["signers"] == [str(ALICE.public)]
    (site.internal / "seen" / "test.json").write_text("torn")
    assert refused(site) == ("catalog-invalid", "form")


def test_the_past_is_checked_and_keeps_its_order(site: Site) -> None:
    site.publish("v0.5", TWO)
    at = Snapshots(site.catalog.path).logged(2).root
    site.publish("v1", TWO, force=True)
    site.publish("v3", TWO)

    def then() -> Catalog:
        return open_catalog(find_stack(site.root, None), site.catalog.path, at=[at])

    def faults() -> list[tuple[str, str]]:
        view = then().view
        assert isinstance(view, PastView)
        found = examine(then(), [*view.modules()], 1)
        return [(fault.path, fault.reason) for one in found for fault in one.faults]

    now = check_module(site.catalog.path, X.module)
    assert now.faults == []  # the replay of the release that was replaced is one that the past needs
    past = then().module(X.module)
    assert past is not None and [*past.releases] == ["v1", "v0.5"] and faults() == []
    (replay,) = (site.catalog.path / "a.org/x/_replays").iterdir()
    replay.unlink()
    assert faults() == [(f"a.org/x/_replays/{replay.name}", "missing")]
    shutil.rmtree(site.catalog.path / "a.org/y")
    assert ("a.org/y/_releases/v1.json", "kept") in faults()
