"""The audit: every way out of a document's hashes is named, and nothing else is."""

from __future__ import annotations

import json

import pytest
from support.plots import plot, script, step, subplot
from support.world import World

from warpforge.model.audit import audit
from warpforge.model.serial import load_document

BAD = {
    "mount:ro:here": "mount",
    "mount:overlay:here": "mount",
    "ingest:git:.:HEAD": "ingest",
    "ingest:dir:src": "ingest",
    "ingest:tar:x.tar": "ingest",
    "ingest:oci:docker.io/library/debian:12": "unpinned",
    "ingest:oci:docker.io/library/debian@sha256:" + "0" * 64: "ingest",
    "candidate:example.org/m:v1:x": "candidate",
}
GOOD = ["ware:tar:abc", "literal:text", "ingest:literal:text", "catalog:example.org/m:v1:x"]


@pytest.mark.parametrize(("basis", "reason"), BAD.items())
def test_each_kind_of_input(basis: str, reason: str) -> None:
    noun = load_document(json.dumps(plot({"s": script("true", inputs={"/x": basis})})).encode(), "p").noun
    found = [*audit(noun)]
    assert [(finding.path, finding.reason) for finding in found] == [
        ("/plot.v1/steps/s/protoformula/inputs/~1x", reason)
    ]
    assert basis in found[0].message


@pytest.mark.parametrize("basis", GOOD)
def test_what_is_known_by_its_hash_is_not_named(basis: str) -> None:
    noun = load_document(json.dumps(plot({"s": script("true", inputs={"/x": basis})})).encode(), "p").noun
    assert [*audit(noun)] == []


def test_secrets_network_subplots_and_plot_inputs() -> None:
    inner = subplot({"rootfs": "pipe::rootfs"}, {"net": script("true", network=True)}, {})
    steps = {
        "in": inner,
        "s": script("true", inputs={"$T": "secret:TOKEN"}),
        "e": step({"exec": {"command": ["x"], "network": True}}, {}, {}),
        "off": script("true", network=False),
    }
    noun = load_document(json.dumps(plot(steps, inputs={"src": "ingest:dir:."})).encode(), "p").noun
    assert [(finding.path.split("/")[-1], finding.reason) for finding in audit(noun)] == [
        ("src", "ingest"),
        ("$T", "secret"),
        ("network", "network"),
        ("network", "network"),
    ]


def test_check_strict_names_all_and_fails(world: World) -> None:
    world.write("bad.wf", plot({"s": script("true", inputs={"/x": "mount:rw:."}, network=True)}))
    world.write("good.wf", plot({"s": script("true", network=False)}))
    world.run("check", "bad.wf", "good.wf")
    world.run("check", "--strict", "good.wf")
    failed = world.fail("check", "--strict", "bad.wf")
    assert (failed.exit, failed.code) == (2, "plot-invalid")
    assert [finding["reason"] for finding in failed.all("finding")] == ["mount", "network"]
    said = world.call("check", "--strict", "bad.wf").err
    assert "mount:rw:." in said and "reaches the network" in said
    formula = {"inputs": {"/": "mount:ro:."}, "action": {"exec": {"command": ["x"]}}, "outputs": {}}
    world.write("f.json", {"formula": {"formula.v1": formula}})
    assert world.fail("check", "--strict", "f.json", "bad.wf").code == "formula-invalid"
