"""``warpforge attest`` and signed verdicts: what others read, what verifies, and each way in which it must not."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.attested import open_envelope, read_spdx, read_statement
from support.plots import plot, script
from support.world import World

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WareId

if TYPE_CHECKING:
    from conftest import Busybox  # there is more than one of this name

LIB, APP = "a.org/lib", "a.org/app"
NOBODY = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")


@pytest.fixture(scope="module")
def released(busybox: Busybox, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A library and a program that takes it, both released, and two keys."""
    world = World(tmp_path_factory.mktemp("attest"))
    world.adopt(busybox.template)
    make = script("mkdir /out", "echo one > /out/lib", outputs={"o": "/out"})
    world.write("lib/module.wf", {"module.v1": {"name": LIB}})
    world.write("lib/plot.wf", plot({"make": make}, {"lib": "pipe:make:o"}))
    world.run("catalog", "-n", "test", "release", "-m", "license=MIT", "v1", "lib")
    use = script("cp /lib/lib /app", inputs={"/lib": f"catalog:{LIB}:v1:lib"}, outputs={"o": "/app"})
    world.write("app/module.wf", {"module.v1": {"name": APP}})
    world.write("app/plot.wf", plot({"use": use}, {"app": "pipe:use:o"}))
    world.run("catalog", "-n", "test", "release", "v1", "app")
    for name in ("key", "other"):
        world.run("catalog", "key", "new", name)
    world.run("attest", f"{APP}:v1", "--sha256", "--sign", "key", "-o", "app.dsse")
    return world


def make(world: World, form: str) -> tuple[bytes, Any]:
    text = world.run("attest", "--as", form, f"{APP}:v1").out
    return text.encode(), json.loads(text)


@pytest.mark.parametrize("form", ["slsa", "spdx"])
def test_others_can_read_it_and_it_is_always_the_same(released: World, form: str) -> None:
    text, value = make(released, form)
    (read_statement if form == "slsa" else read_spdx)(value)
    released.run("attest", "--as", form, "-o", "again", f"{APP}:v1")
    assert released.path("again").read_bytes() == text


def test_every_input_is_told_by_way_of_every_release(released: World) -> None:
    _, value = make(released, "slsa")
    predicate = value["predicate"]
    own = predicate["buildDefinition"]["internalParameters"]["builds"]
    assert [build["release"] for build in own] == [f"{APP}:v1", f"{LIB}:v1"]
    names = [one["name"] for one in predicate["buildDefinition"]["resolvedDependencies"]]
    library, rootfs = f"catalog:{LIB}:v1:lib", "catalog:warpsys.org/busybox:v1.35.0:amd64-static"
    assert {library, rootfs, f"release {LIB}:v1", f"replay of {LIB}:v1"} <= {*names}
    formulas = [step["formulaId"] for build in own for step in build["steps"]]
    records = [json.loads(base64.b64decode(one["content"])) for one in predicate["runDetails"]["byproducts"]]
    assert [record["formulaID"] for record in records] == formulas and all(formulas)
    assert records[0]["guid"] == predicate["runDetails"]["metadata"]["invocationId"]
    bill = make(released, "spdx")[1]
    assert {one["name"]: one["licenseDeclared"] for one in bill["packages"]}[f"{LIB}:v1:lib"] == "MIT"
    assert sum(one["relationshipType"] == "BUILD_DEPENDENCY_OF" for one in bill["relationships"]) == 3


def test_a_signature_that_any_tool_verifies(released: World) -> None:
    kind, value = open_envelope(released.path("app.dsse"), released.path("key.pub"))
    assert kind == "application/vnd.in-toto+json"
    read_statement(value)
    (subject,) = value["subject"]
    ware = subject["uri"].removeprefix("ware:")
    tar = released.path("app.tar")
    released.run("ware", "export", "--as", "tar", ware, tar)
    assert hashlib.sha256(tar.read_bytes()).hexdigest() == subject["digest"]["sha256"]
    plain = subprocess.run(["zstd", "-dc", packed(released, ware)], capture_output=True, check=True).stdout
    assert plain == tar.read_bytes()  # so the file of any mirror can be held against it, with no tool of ours
    released.run("attest", "--as", "spdx", "--sign", "key", "-o", "bill.dsse", f"{APP}:v1")
    read_statement(open_envelope(released.path("bill.dsse"), released.path("key.pub"))[1])
    for name in ("app.dsse", "bill.dsse"):
        said = released.run("--json", "attest", "--verify", name, "--key", "key.pub").one("attested")
        assert (said["ref"], said["ware"], said["inCatalog"], said["here"]) == (f"{APP}:v1:app", ware, True, True)


def test_what_was_verified_needs_no_catalog_and_no_ware(released: World, world: World) -> None:
    world.root_workspace()
    key = released.run("catalog", "key", "show", "key.pub").out.splitlines()[0]
    said = world.run("--json", "attest", "--verify", str(released.path("app.dsse")), "--key", key).one("attested")
    assert not said["inCatalog"] and not said["here"]
    world.run("catalog", "trust", "add", "-n", "theirs", key)
    world.run("attest", "--verify", str(released.path("app.dsse")), "--trusted", "theirs")


def make_once(world: World) -> tuple[bytes, Any]:
    """The signed one's payload: made once for all tests."""
    payload = base64.b64decode(json.loads(world.path("app.dsse").read_bytes())["payload"])
    return payload, json.loads(payload)


def test_who_did_not_sign_is_not_believed(released: World) -> None:
    envelope = json.loads(released.path("app.dsse").read_bytes())
    assert released.fail("attest", "--verify", "app.dsse", "--key", "other.pub").code == "signature-invalid"
    two = ("--key", "key.pub", "--key", "other.pub", "--threshold", "2")
    assert released.fail("attest", "--verify", "app.dsse", *two).code == "signature-invalid"
    payload = base64.b64decode(envelope["payload"]).replace(b"a.org/app:v1:app", b"a.org/app:v1:apq")
    forged = {**envelope, "payload": base64.b64encode(payload).decode()}
    released.write("forged.dsse", forged)
    assert released.fail("attest", "--verify", "forged.dsse", "--key", "key.pub").code == "signature-invalid"
    assert released.fail("attest", "--verify", "app.dsse").code == "invalid-argument"
    assert released.fail("attest", "--verify", "app.dsse", "--trusted", "test").code == "missing"
    released.run("attest", "-o", "bare.json", f"{APP}:v1")
    assert released.fail("attest", "--verify", "bare.json", "--key", "key.pub").code == "signature-invalid"
    released.run("attest", "--verify", "bare.json", "--unsigned")
    assert released.fail("attest", "a.org/nothing:v1").code == "catalog-missing-entry"
    assert released.fail("attest", "a.org/app").code == "invalid-argument"


def packed(world: World, uri: str) -> Path:
    (found,) = world.path(".warpforge/warehouse/ztar").rglob(uri.rpartition(":")[2])
    return found


def test_what_is_here_and_is_not_that_is_found(released: World, world: World) -> None:
    """A ware that is another one, and a catalog that says otherwise."""
    world.adopt(released.root)
    value = make_once(released)[1]
    library = next(one for one in value["predicate"]["buildDefinition"]["resolvedDependencies"] if LIB in one["name"])
    packed(world, library["uri"]).replace(packed(world, value["subject"][0]["uri"]))
    failed = world.fail("attest", "--verify", "app.dsse", "--key", "key.pub")
    assert failed.code == "ware-mismatch" and failed.exit == 1
    add_item(Catalog(world.path(".warpforge/catalogs/test")), CatalogRef.parse(f"{APP}:v1:more"), NOBODY)
    failed = world.fail("attest", "--verify", "app.dsse", "--key", "key.pub")
    assert failed.code == "attestation-invalid" and failed.error["details"]["reason"] == "release"


def test_signed_verdicts(released: World) -> None:
    said = released.run("--json", "replay", APP, "--sign", "key", "--publish")
    line = said.one("signedverdicts")
    kind, value = open_envelope(Path(line["file"]), released.path("key.pub"))
    assert kind == "application/vnd.warpforge.verdicts+json"
    told = value["verdicts.v1"]
    assert (told["module"], told["release"]) == (APP, "v1")
    (item,) = told["items"].values()
    assert item["verdict"] == "same" and item["made"] == item["published"] and item["machine"] and item["engine"]
    (here,) = released.path(f".warpforge/verdicts/{APP}/_verdicts/v1").glob("*.dsse")
    assert here.read_bytes() == Path(line["file"]).read_bytes() != b""
    found = released.run("--json", "replay", "--verify", here, "--key", "key.pub").one("verdict")
    assert found["signedBy"] == line["signedBy"] and found["verdict"] == "same" and found["inCatalog"]
    assert released.fail("replay", "--verify", here, "--key", "other.pub").code == "signature-invalid"
    assert released.fail("replay", "--verify", "app.dsse", "--key", "key.pub").code == "signature-invalid"
    assert released.fail("replay", APP, "--memo", "--sign", "key").code == "invalid-argument"
    assert released.fail("replay", APP, "--sign", "key.pub").code == "key-invalid"
