"""Rebuilders: how many of them made a release just so, whom they are told from, and what the pages say of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.attested import read_spdx, read_statement
from support.signed import ALICE, ONE, TWO, Site, X
from support.world import World

from warpforge.catalog.envelope import Envelope, dump_envelope
from warpforge.catalog.keys import PrivateKey
from warpforge.catalog.verdicts import PAYLOAD, keep_signed, keep_verdicts
from warpforge.model.ident import release_id
from warpforge.model.serial import dump
from warpforge.model.verdict import DIFFERS, SAME, ItemVerdict, ReleaseVerdicts

CAROL, DAVE, DAVE2, EVE = (PrivateKey.generate() for _ in range(4))


@pytest.fixture
def site(world: World) -> Site:
    """A signed catalog whose release has the words of its publisher and of four others, one of them of two keys."""
    site = Site.make(world.root)
    for key in (ALICE, CAROL, DAVE, DAVE2, EVE):
        say(site.catalog.path, SAME, key)
    return site


def say(top: Path, verdict: str, key: PrivateKey | None = None) -> Path:
    """What came of building X again, as somebody says who has a key, or whoever can write."""
    release = Site(top.parents[2]).catalog.release(X.module, "v1")
    assert release is not None and release.replay is not None
    made = ONE if verdict == SAME else TWO
    item = ItemVerdict(verdict, ONE, int(time.time()) + (verdict != SAME), "warpforge", made)
    said = ReleaseVerdicts(X.module, "v1", release_id(release), release.replay, {X.item: item})
    if key is None:
        return keep_verdicts(top, said)
    return keep_signed(top, said, Envelope(PAYLOAD, dump(said)).signed(key))


def test_rebuilders_are_counted_by_name_and_not_with_the_publisher(world: World, site: Site) -> None:
    say(site.catalog.path, SAME)
    heard = world.run("--json", "replay", "--verify", X.module).one("rebuilt")
    assert heard == {"ref": str(X), "published": str(ONE), "same": [], "publisher": SAME}
    trust = ("catalog", "trust", "-n", "test")
    for who, keys in (("carol", (CAROL,)), ("dave", (DAVE, DAVE2)), ("alice", (ALICE,))):
        world.run(*trust, "add", "--rebuilder", who, *(str(key.public) for key in keys))
    assert "two rebuilders" in world.fail(*trust, "add", "--rebuilder", "other", str(DAVE.public)).error["message"]
    assert len(world.run("--json", *trust, "list").all("rebuilder")) == 3
    heard = world.run("--json", "replay", "--verify", str(X), "--threshold", "2").one("rebuilt")
    assert heard["same"] == ["carol", "dave"] and heard["publisher"] == SAME
    assert world.fail("replay", "--verify", str(X), "--threshold", "3").error["details"]["reason"] == "rebuilders"
    heard = world.run("--json", "replay", "--verify", str(X), "--key", str(EVE.public)).one("rebuilt")
    assert {*heard["same"]} == {"carol", "dave", EVE.public.id[:16]}
    file = site.catalog.path / X.module / "_verdicts" / "v1" / f"{DAVE2.public.id}.dsse"
    assert "(dave)" in world.run("replay", "--verify", file, "--trusted", "test").err
    eves = file.with_name(f"{EVE.public.id}.dsse")
    assert world.fail("replay", "--verify", eves, "--trusted", "test").code == "signature-invalid"
    pages = world.path("html")
    world.run("catalog", "generate-html", "-n", "test", "-o", pages)
    assert "2 rebuilders" in (pages / X.module / "_releases" / "v1.html").read_text()
    told = world.run("--json", "explain", str(X)).all("provenance")[0]["replays"][0]
    assert (told["same"], "other" in told) == (["carol", "dave"], False)
    say(site.catalog.path, DIFFERS, CAROL)
    assert "  1 rebuilder made the same: dave\n" in (told := world.run("explain", str(X)).out) and "carol says" in told
    statement = json.loads(world.run("attest", str(X)).out)
    read_statement(statement)
    said = [one["annotations"] for one in statement["predicate"]["runDetails"]["byproducts"]]
    assert [(one["rebuilder"], one["verdict"]) for one in said] == [("carol", DIFFERS), ("dave", SAME)]
    assert said[0]["signedBy"] == [CAROL.public.id]
    bill = json.loads(world.run("attest", "--as", "spdx", str(X)).out)
    read_spdx(bill)
    annotators = [one["annotator"] for one in bill["packages"][0]["annotations"]]
    assert annotators == ["Organization: carol", "Organization: dave"]
    failed = world.fail("replay", "--verify", str(X))
    assert failed.one("rebuilt")["other"] == {"carol": DIFFERS} and failed.exit == 1
    world.run("catalog", "generate-html", "-n", "test", "-o", pages)
    assert "1 of 2 rebuilders" in (pages / X.module / "_releases" / "v1.html").read_text()
    world.run(*trust, "remove", "--rebuilder", "carol")
    world.run("replay", "--verify", str(X))


def test_a_word_of_another_form_or_with_a_forged_signature_does_not_count(world: World, site: Site) -> None:
    world.run("catalog", "trust", "-n", "test", "add", "--rebuilder", "carol", str(CAROL.public))
    path = site.catalog.path / X.module / "_verdicts" / "v1" / f"{CAROL.public.id}.dsse"
    good = path.read_bytes()
    said = Envelope(PAYLOAD, b"{}")
    for data in (dump_envelope(said.signed(CAROL)), good.replace(b'"sig": "', b'"sig": "AAAA'), b"\0"):
        path.write_bytes(data)
        assert world.run("--json", "replay", "--verify", X.module).one("rebuilt")["same"] == []
    path.write_bytes(good)
    assert world.run("--json", "replay", "--verify", X.module).one("rebuilt")["same"] == ["carol"]
