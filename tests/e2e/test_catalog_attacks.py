"""Attacks on catalogs, through the whole command line: what a person is told, and that the work is not done.

What a client believes of a signed catalog (K01 to K04, K07, K08) is tried case by case in ``catalog/test_trust.py``;
here is what needs other rooms too.

| case | what somebody does | what comes of it |
|---|---|---|
| K01 | adds to, changes, rolls back a signed catalog | ``catalog-invalid``: unsigned, hash, rollback |
| K02 | has a repository take back what was signed, or add what was not | ``catalog update`` changes nothing |
| K05 | has another catalog of the same root say something else | ``catalog-invalid``: conflict; a nearer one shadows |
| K06 | gives a reference of a replay to something else | the replay takes what it was, and tells |
| K09 | names a module as another is called, or nearly so | conflict, or a warning: alike |
| K10 | poisons the list of mirrors | ``fetch``, a line for each mirror; at most 64 are asked |
| K11 | publishes a replay that needs what nobody has, or gives something else | told, with both ids |
| hazard | has a release marked as hazardous used, by name or by way of a replay | refused, all at once |
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from support.plots import plot, script
from support.signed import ALICE, ONE, PLOT, TWO, Site, X, Y
from support.world import World

from warpforge.catalog.edit import add_item, edit, init_catalog
from warpforge.catalog.sign import Terms, sign
from warpforge.catalog.tree import Catalog
from warpforge.errors import Invalid
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import Release
from warpforge.model.serial import load_plot


@pytest.fixture
def site(world: World) -> Site:
    world.root_workspace()
    shutil.rmtree(world.path(".warpforge"))
    return Site.make(world.root)


def takes(*refs: object) -> dict[str, Any]:
    """A plot that only names references."""
    return {
        "plot.v1": {"inputs": {f"i{n}": f"catalog:{ref}" for n, ref in enumerate(refs)}, "steps": {}, "outputs": {}}
    }


def reason(world: World, *argv: str) -> str:
    failed = world.fail(*argv)
    assert failed.code == "catalog-invalid" and failed.exit == 2
    return str(failed.causes[-1]["details"]["reason"])


def test_K01_a_person_signs_and_another_verifies(world: World) -> None:
    """With files of keys, from the first to the last command."""
    world.root_workspace()
    world.write("d/file", "x")
    world.run("catalog", "init", "test")
    world.run("catalog", "-n", "test", "add", "dir", str(X), "d")
    ids = [world.run("--json", "catalog", "key", "new", name).one("key")["id"] for name in ("alice", "bob")]
    first = world.run("--json", "catalog", "-n", "test", "sign", "--key", "alice").one("snapshot")
    assert (first["version"], first["signers"], first["changes"][0]["release"]) == (1, ids[:1], "a.org/x:v1")
    world.run("catalog", "trust", "-n", "test", "add", "alice.pub", "bob.pub", "--threshold", "2")
    world.write("plot.wf", takes(X))
    assert reason(world, "run", "plot.wf") == "signature"
    assert world.run("--json", "catalog", "-n", "test", "sign", "-k", "bob").one("snapshot")["signers"] == ids
    world.run("run", "plot.wf")
    assert world.run("--json", "catalog", "-n", "test", "verify").one("snapshot")["root"] == first["root"]
    trusted = world.run("--json", "catalog", "trust", "list").one("trust")
    assert (trusted["seen"], trusted["threshold"], len(trusted["keys"])) == (1, 2, 2)
    world.run("catalog", "-n", "test", "add", "dir", str(Y), "d")
    world.write("plot.wf", takes(X, Y))
    assert reason(world, "run", "plot.wf") == "unsigned"
    assert reason(world, "catalog", "-n", "test", "verify") == "hash"
    world.run("catalog", "-n", "test", "sign", "-k", "alice", "-k", "bob")
    world.run("run", "plot.wf")
    log = world.run("--json", "catalog", "-n", "test", "log", "--changes").all("snapshot")
    assert [one["changes"][0]["release"] for one in log] == ["a.org/y:v1", "a.org/x:v1"]
    assert log[0]["previous"] == log[1]["id"]
    for argv in (("run", "plot.wf"), ("explain", Y), ("ware", "ls", Y), ("catalog", "show", Y), ("replay", Y.module)):
        assert world.fail(*map(str, argv), "--catalog-at", first["root"]).code == "catalog-missing-entry"
    then = ("--catalog-at", first["root"][:12])
    assert world.run("catalog", "ls", X.module, *then).out == f"{X}\n"
    assert world.run("--json", "catalog", "check", *then).one("catalogcheck")["modules"] == 1
    assert world.run("--json", "catalog", "bump", *then).one("bump")["refs"] == [
        {"ref": str(Y), "ware": "", "places": ["/plot.v1/inputs/i1"]}
    ]
    for argv in (("release", "v1"), ("check", "--rewrite")):
        assert world.fail("catalog", *argv, *then).code == "invalid-argument"
    world.run("catalog", "-n", "test", "trust", "remove", ids[1][:12], "--threshold", "1")
    assert len(world.run("--json", "catalog", "trust", "list").one("trust")["keys"]) == 1
    world.run("catalog", "-n", "test", "trust", "remove", "--all")
    assert world.run("--json", "catalog", "trust", "list").all("trust") == []


def test_K05_equals_that_disagree_are_an_error_and_a_nearer_one_shadows(world: World, site: Site) -> None:
    other = init_catalog(site.internal / "catalogs", "other")
    with edit(other, X.module) as changed:
        changed.put_release(Release("v1", {"item": TWO}, {"replay": changed.put_replay(PLOT)}))
    world.write("plot.wf", takes(X))
    world.write("near/plot.wf", takes(X))
    for argv in (("run", "plot.wf"), ("plan", "plot.wf"), ("replay", X.module), ("catalog", "check", "-n", "test")):
        failed = world.fail(*argv)
        said = failed.all("fault")[0]["reason"] if "check" in argv else failed.causes[-1]["details"]["reason"]
        assert (failed.code, said) == ("catalog-invalid", "conflict"), failed
    rows = world.run("--json", "status").one("status")
    assert [row["says"] for row in rows if row["what"] == "conflict"]
    near = Catalog(world.path("near/.warpforge/catalog"))
    near.path.mkdir(parents=True)
    add_item(near, X, TWO)
    world.run("run", "plot.wf", cwd="near")
    shutil.rmtree(other.path)
    says = {row["what"]: row["says"] for row in world.run("--json", "status", cwd="near").one("status")}
    assert str(TWO) in says["found"] and str(ONE) in says["shadows"]


def test_K09_names_of_others_and_names_that_look_alike(world: World, site: Site) -> None:
    other = init_catalog(site.internal / "catalogs", "other")
    add_item(other, CatalogRef("a.0rg/x", "v1", "item"), ONE)
    add_item(other, X, TWO)
    failed = world.fail("catalog", "check", "-n", "other")
    found = {(fault["level"], fault["reason"], fault["path"]) for fault in failed.all("fault")}
    assert {("error", "conflict", "a.org/x/_releases/v1.json"), ("warning", "alike", "a.0rg/x")} <= found


def test_K02_an_update_that_is_not_believed_changes_nothing(world: World) -> None:
    """By way of git: what is not signed, or older, never takes the place of what is here."""
    there = Site.make(world.path("there"))
    world.root_workspace("here")

    def commit(*argv: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        for line in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"]) if not argv else (argv,):
            subprocess.run(["git", "-C", there.catalog.path, *line], check=True)

    commit()
    ALICE.save(str(world.path("alice")))
    world.run("catalog", "trust", "-n", "test", "add", "../alice.pub", cwd="here")
    world.run("catalog", "init", "--remote", str(there.catalog.path), "test", cwd="here")
    add_item(there.catalog, X._replace(release="v2"), TWO)
    commit()
    here = Catalog(world.path("here/.warpforge/catalogs/test"))
    failed = world.call("--json", "catalog", "update", "test", cwd="here")
    assert failed.causes[-1]["details"]["reason"] == "unsigned" and here.release(X.module, "v2") is None
    there.sign()
    commit()
    world.run("catalog", "update", "test", cwd="here")
    world.run("catalog", "-n", "test", "verify", cwd="here")
    commit("reset", "-q", "--hard", "HEAD~2")
    failed = world.call("--json", "catalog", "update", "test", cwd="here")
    assert failed.causes[-1]["details"]["reason"] == "rollback" and here.release(X.module, "v2") is not None
    forced = world.run("catalog", "update", "-f", "test", cwd="here")
    assert forced.out == "test: updated\n" and "nothing of it is believed" in forced.err


def uses(*refs: object) -> dict[str, Any]:
    """A plot whose only step needs the wares."""
    inputs = {f"/{number}": f"catalog:{ref}" for number, ref in enumerate(refs)}
    step = {"protoformula": {"inputs": inputs, "action": {"exec": {"command": ["/x"]}}, "outputs": {}}}
    return {"plot.v1": {"inputs": {}, "steps": {"a": step}, "outputs": {}}}


POISON = ("file:///etc", "file:///dev/zero", "file:///proc/self/mem", "file://etc", "gopher://h/x", "ssh://-oProxy=x/y")


def test_K10_poisoned_mirrors_are_each_refused(world: World, site: Site) -> None:
    addresses = [*POISON, "http://me:secret@127.0.0.1:1/x", *(f"http://127.0.0.1:1/{n}" for n in range(10_000))]
    world.write(
        f".warpforge/catalogs/test/{X.module}/_mirrors.json",
        {"catalogmirrors.v1": {"byWare": {str(ONE): addresses}}},
    )
    world.write("plot.wf", uses(X))
    assert reason(world, "run", "plot.wf") == "hash"  # whoever may sign the catalog did not sign these
    world.run("catalog", "-n", "test", "trust", "remove", "--all")
    failed = world.fail("run", "plot.wf")
    assert (failed.code, failed.exit) == ("fetch", 4)
    lines = failed.causes[-1]["message"].splitlines()[1:]
    assert len(lines) == 65 and "9942 more were not asked" in lines[-1]
    assert all(address in line for address, line in zip(POISON, lines, strict=False))
    assert "secret" not in failed.out + failed.err


def test_K06_and_K11_replays_of_what_was_repointed_or_is_gone(box_world: World) -> None:
    """A library is given to something else after a program's replay was published; then it is nowhere."""
    catalog = Catalog(box_world.path(".warpforge/catalogs/test"))
    lib, app = CatalogRef("a.org/lib", "v1", "lib"), CatalogRef("a.org/app", "v1", "app")
    step = script("cp /lib/text /", inputs={"/lib": "pipe::lib"}, outputs={"app": "/text"})
    made = {}
    for text in ("one", "two"):
        box_world.write(f"{text}/text", text)
        made[text] = WareId.parse(box_world.run("ware", "pack", f"{text}").out.strip())
    add_item(catalog, lib, made["one"])
    box_world.write("app/module.wf", {"module.v1": {"name": app.module}})
    box_world.write("app/plot.wf", plot({"make": step}, {"app": "pipe:make:app"}, {"lib": f"catalog:{lib}"}))
    box_world.run("catalog", "-n", "test", "release", "v1", "app")
    sign(catalog, [ALICE])
    add_item(catalog, lib, made["two"], force=True)
    with pytest.raises(Invalid, match=r"a\.org/lib:v1 changed"):
        sign(catalog, [ALICE])
    sign(catalog, [ALICE], Terms(force=True))
    done = box_world.run("--json", "replay", str(app))
    assert done.one("verdict")["verdict"] == "same"
    told = [log["Msg"] for log in done.all("log") if "conflict" in log["Msg"]]
    assert len(told) == 1 and str(made["one"]) in told[0] and str(made["two"]) in told[0]

    with edit(catalog, app.module) as changed:  # a replay that gives something else than was published
        release = changed.release("v1")
        assert release is not None
        changed.put_release(Release("v1", {"app": TWO}, release.metadata))
    failed = box_world.fail("replay", str(app))
    verdict = failed.one("verdict")
    assert failed.code == "ware-mismatch" and (verdict["verdict"], verdict["published"]) == ("differs", str(TWO))
    assert verdict["made"] not in ("", str(TWO))

    add_item(catalog, lib, ONE, force=True)  # one that nobody has
    failed = box_world.fail("replay", str(app))
    assert failed.one("verdict")["verdict"] == "failed" and str(ONE) in failed.one("verdict")["why"][0]
    assert failed.one("verdict")["code"] == "warpforge-error-missing"
    with edit(catalog, lib.module) as changed:
        changed.put_release(Release("v1", {"other": ONE}, {}))
    failed = box_world.fail("replay", str(app))
    assert failed.one("verdict")["code"] == "warpforge-error-catalog-missing-entry"


def test_hazards_are_refused_until_they_are_allowed(world: World, site: Site) -> None:
    for ref, text in ((X, "it eats\ndisks"), (Y, "CVE-2026-1")):
        world.run("catalog", "-n", "test", "hazard", f"{ref.module}:{ref.release}", text)
    site.sign()
    world.write("plot.wf", takes(X, Y))
    failed = world.fail("run")
    details = failed.causes[-1]["details"]
    assert (failed.code, failed.exit, details["reason"]) == ("catalog-invalid", 2, "hazard")
    assert details["hazard"] == "a.org/x:v1: it eats disks\na.org/y:v1: CVE-2026-1"
    one = ["--allow-hazard", "a.org/x:v1"]
    assert world.fail("run", *one).causes[-1]["details"]["catalogRef"] == "a.org/y:v1"
    world.run("run", *one, "--allow-hazard", "a.org/y:v1")
    world.write(".warpforge/config/hazards.json", {"hazards.v1": ["a.org/y:v1"]})
    world.run("run", *one)
    assert world.run("--json", "plan").one("plan")["hazards"][0] == "a.org/x:v1: it eats disks"
    assert [row["says"] for row in world.run("--json", "status").one("status") if row["what"] == "HAZARD"]
    assert "HAZARD: it eats disks" in world.run("catalog", "show", X.module).out
    assert "hazard" in {fault["reason"] for fault in world.run("--json", "catalog", "check").all("fault")}
    world.run("catalog", "-n", "test", "hazard", "a.org/x:v1", "--clear")
    site.sign()
    world.run("run")
    # by way of a replay
    with edit(site.catalog, "b.org/z") as changed:
        document = json.dumps(takes(Y._replace(item="item"))).encode()
        changed.put_release(Release("v1", {"item": ONE}, {"replay": changed.put_replay(load_plot(document, "p").noun)}))
    site.sign()
    world.path(".warpforge/config/hazards.json").unlink()
    verdict = world.fail("replay", "b.org/z").one("verdict")
    assert (verdict["verdict"], verdict["code"]) == ("failed", "warpforge-error-catalog-invalid")
    assert "CVE-2026-1" in verdict["why"][0]
