"""What the schema refuses: everything that is wrong, at once, each with its JSON pointer."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import formula_files, plots, releases, run_records

from warpforge.errors import Invalid
from warpforge.model import serial
from warpforge.model.findings import InvalidDocument

WARE = "ware:tar:4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9"
NOOP: dict[str, Any] = {"noop": {}}
STEP: dict[str, Any] = {"protoformula": {"inputs": {"/": WARE}, "action": NOOP, "outputs": {"out": {"from": "/"}}}}


def formula(**members: Any) -> dict[str, Any]:
    body = {"inputs": {"/": WARE}, "action": NOOP, "outputs": {}, **members}
    return {"formula": {"formula.v1": body}}


def plot(**members: Any) -> dict[str, Any]:
    return {"plot.v1": {"inputs": {}, "steps": {"a": STEP}, "outputs": {}, **members}}


def refused(document: Any, code: str, *paths: str) -> InvalidDocument:
    with pytest.raises(InvalidDocument) as caught:
        serial.load_document(json.dumps(document).encode(), "x.wf")
    error = caught.value
    assert error.code == f"warpforge-error-{code}", error.message
    assert [finding.path for finding in error.findings] == list(paths), error.message
    assert error.details["path"] == paths[0]
    assert error.details["document"] == "x.wf"
    assert error.details["findings"] == str(len(paths))
    assert error.exit_status() == 2
    assert all(path in error.message for path in paths)
    return error


def test_all_findings_are_told_at_once() -> None:
    document = formula(
        inputs={"relative": WARE, "/a": "nonsense", "/b": 5},
        action={"exec": {"command": "ls", "network": "yes"}},
        outputs={"o": {"packtype": "TAR"}},
    )
    at = "/formula/formula.v1"
    error = refused(
        document,
        "formula-invalid",
        f"{at}/inputs/relative",
        f"{at}/inputs/~1a",
        f"{at}/inputs/~1b",
        f"{at}/action/exec/command",
        f"{at}/action/exec/network",
        f"{at}/outputs/o",
        f"{at}/outputs/o/packtype",
    )
    assert error.reason == "schema"
    assert pickle.loads(pickle.dumps(error)).details == error.details


FAULTS: list[tuple[Any, str, str]] = [
    (formula(inputs=None), "formula-invalid", "/inputs"),
    (formula(inputs=[]), "formula-invalid", "/inputs"),
    (formula(inputs={"/": None}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": {"filters": {}}}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": {"basis": WARE, "filters": None}}), "formula-invalid", "/inputs/~1/filters"),
    (formula(inputs={"/": {"basis": WARE, "filters": {"uid": 0}}}), "formula-invalid", "/inputs/~1/filters/uid"),
    (formula(inputs={"/": "pipe::rootfs"}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": "catalog:example.org:v1:x"}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": "mount:exec:/x"}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": "mount:ro:"}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"/": WARE.removeprefix("ware:")}), "formula-invalid", "/inputs/~1"),
    (formula(inputs={"": WARE}), "formula-invalid", "/inputs/"),
    (formula(inputs={"a": WARE}), "formula-invalid", "/inputs/a"),
    (formula(inputs={"/a/../b": WARE}), "formula-invalid", "/inputs/~1a~1..~1b"),
    (formula(inputs={"/..": WARE}), "formula-invalid", "/inputs/~1.."),
    (formula(inputs={"/a\0": WARE}), "formula-invalid", "/inputs/~1a\0"),
    (formula(inputs={"/a": WARE, "/a/": WARE}), "formula-invalid", "/inputs/~1a~1"),
    (formula(inputs={"/a": WARE, "//a/.": WARE}), "formula-invalid", "/inputs/~1~1a~1."),
    (formula(inputs={"/": WARE, "/.": WARE}), "formula-invalid", "/inputs/~1."),
    (formula(inputs={"$": "literal:x"}), "formula-invalid", "/inputs/$"),
    (formula(inputs={"$A=B": "literal:x"}), "formula-invalid", "/inputs/$A=B"),
    (formula(inputs={"$A\0": "literal:x"}), "formula-invalid", "/inputs/$A\0"),
    (formula(action={}), "formula-invalid", "/action"),
    (formula(action={"exec": {"command": []}, "echo": {}}), "formula-invalid", "/action"),
    (formula(action="echo"), "formula-invalid", "/action"),
    (formula(action={"echo": None}), "formula-invalid", "/action/echo"),
    (formula(action={"exec": {}}), "formula-invalid", "/action/exec"),
    (formula(action={"exec": {"command": ["a", 1]}}), "formula-invalid", "/action/exec/command/1"),
    (formula(action={"exec": {"command": [], "network": 1}}), "formula-invalid", "/action/exec/network"),
    (formula(action={"exec": {"command": [], "cwd": "x"}}), "formula-invalid", "/action/exec/cwd"),
    (formula(action={"script": {"interpreter": "/bin/sh"}}), "formula-invalid", "/action/script"),
    (formula(outputs={"o": "/out"}), "formula-invalid", "/outputs/o"),
    (formula(outputs={"a b": {"from": "/"}}), "formula-invalid", "/outputs/a b"),
    (formula(outputs={"o": {"from": "/", "packtype": None}}), "formula-invalid", "/outputs/o/packtype"),
]  # fmt: skip


@pytest.mark.parametrize("document, code, path", FAULTS)
def test_d07_each_fault_has_its_pointer(document: Any, code: str, path: str) -> None:
    refused(document, code, "/formula/formula.v1" + path)


@pytest.mark.parametrize("uid", [-1, 2**32, 1.5, True, None, "0"])
def test_d07_a_user_id_is_a_number_of_the_system(uid: Any) -> None:
    action = {"exec": {"command": [], "userinfo": {"uid": uid}}}
    refused(formula(action=action), "formula-invalid", "/formula/formula.v1/action/exec/userinfo/uid")


@pytest.mark.parametrize("path", ["", "out", "./out", "/out/..", "/../out", "/a/../../b", "/out\0", "..", "~"])
def test_d14_an_output_path_is_absolute_and_stays_inside(path: str) -> None:
    refused(formula(outputs={"o": {"from": path}}), "formula-invalid", "/formula/formula.v1/outputs/o/from")


@pytest.mark.parametrize("path", ["/", "/out", "/out/", "//out", "/...", "/a..b", "/a/./b", "/\u202e\n", "/bin"])
def test_d14_other_absolute_paths_are_legal(path: str) -> None:
    outputs = {"o": {"from": path}, "again": {"from": path}, "inside": {"from": path + "/x"}}
    serial.load_document(json.dumps(formula(inputs={"/": WARE, "/bin": WARE}, outputs=outputs)).encode(), "x")


PLOT_FAULTS: list[tuple[Any, str]] = [
    (plot(steps=[]), "/steps"),
    (plot(steps={"a": {}}), "/steps/a"),
    (plot(steps={"a": {"protoformula": None}}), "/steps/a/protoformula"),
    (plot(steps={"a b": STEP}), "/steps/a b"),
    (plot(steps={"": STEP}), "/steps/"),
    (plot(steps={"a:b": STEP}), "/steps/a:b"),
    (plot(steps={"a\u200bb": STEP}), "/steps/a\u200bb"),
    (plot(steps={"a\x1b[1m": STEP}), "/steps/a\x1b[1m"),
    (plot(steps={"é" * 128: STEP}), "/steps/" + "é" * 128),
    (plot(inputs={"a b": WARE}), "/inputs/a b"),
    (plot(inputs={"a": "catalog:example.org:v1"}), "/inputs/a"),
    (plot(inputs={"a": "catalog:Example.org:v1:x"}), "/inputs/a"),
    (plot(inputs={"a": "catalog:example.org:-v1:x"}), "/inputs/a"),
    (plot(inputs={"a": "ingest:git:."}), "/inputs/a"),
    (plot(inputs={"a": "ingest:git:.:--upload-pack=x"}), "/inputs/a"),
    (plot(inputs={"a": "ingest:svn:."}), "/inputs/a"),
    (plot(inputs={"a": "ingest:dir:"}), "/inputs/a"),
    (plot(inputs={"a": "candidate:example.org:x"}), "/inputs/a"),
    (plot(inputs={"a": "secret:token"}), "/inputs/a"),
    (plot(inputs={"a": "https://example.org/"}), "/inputs/a"),
    (plot(inputs={"a": "pipe"}), "/inputs/a"),
    (plot(inputs={"a": ""}), "/inputs/a"),
    (plot(outputs={"o": "pipe:a"}), "/outputs/o"),
    (plot(outputs={"o": WARE}), "/outputs/o"),
    (plot(outputs={"o": "pipe:a:out:x"}), "/outputs/o"),
    (plot(outputs={"o": {"basis": "pipe:a"}}), "/outputs/o/basis"),
]


@pytest.mark.parametrize("document, path", PLOT_FAULTS)
def test_d07_each_fault_of_a_plot_has_its_pointer(document: Any, path: str) -> None:
    refused(document, "plot-invalid", "/plot.v1" + path)


def test_d07_missing_members_are_told() -> None:
    refused({"plot.v1": {}}, "plot-invalid", "/plot.v1", "/plot.v1", "/plot.v1")
    refused({"plot.v1": None}, "plot-invalid", "/plot.v1")
    refused({"formula": {"formula.v1": {}}}, "formula-invalid", *["/formula/formula.v1"] * 3)
    refused({"formula": {}}, "formula-invalid", "/formula")


@pytest.mark.parametrize("name", ["-rf", "$(x)", "%2e", "..", ".", "a/b", "é", "x" * 255, "'\"", "#+~"])
def test_d11_odd_names_of_steps_and_labels_are_legal(name: str) -> None:
    body = {**STEP["protoformula"], "outputs": {name: {"from": "/"}}}
    document = plot(inputs={name: WARE}, steps={name: {"protoformula": body}}, outputs={name: f"pipe:{name}:{name}"})
    assert serial.load_document(json.dumps(document).encode(), "x").noun.to_serial() == document["plot.v1"]


UNKNOWN: list[tuple[Any, str]] = [
    ({**formula(), "extra": {}}, "/extra"),
    (formula(extra={}), "/formula/formula.v1/extra"),
    (formula(action={"execute": {}}), "/formula/formula.v1/action/execute"),
    (formula(action={"echo": {"x": 1}}), "/formula/formula.v1/action/echo/x"),
    (formula(action={"exec": {"command": [], "env": {}}}), "/formula/formula.v1/action/exec/env"),
    (formula(outputs={"o": {"from": "/", "x": 1}}), "/formula/formula.v1/outputs/o/x"),
    (formula(inputs={"/": {"basis": WARE, "x": 1}}), "/formula/formula.v1/inputs/~1/x"),
    (plot(extra={}), "/plot.v1/extra"),
    ({**plot(), "extra": {}}, "/extra"),
    (plot(steps={"a": {"step": {}}}), "/plot.v1/steps/a/step"),
    ({"module.v1": {"name": "example.org", "plot": {}}}, "/module.v1/plot"),
    ({"releaseName": "v1", "items": {}, "metadata": {}, "x": 1}, "/x"),
    ({"catalogmodule.v1": {"name": "example.org", "releases": {}, "metadata": {}, "x": 1}}, "/catalogmodule.v1/x"),
    ({"catalogmirrors.v1": {"byWare": {}, "x": 1}}, "/catalogmirrors.v1/x"),
]


@pytest.mark.parametrize("document, path", UNKNOWN)
def test_d08_unknown_fields_are_of_a_newer_version(document: Any, path: str) -> None:
    assert refused(document, "datatoonew", path).reason == "unknown-field"


@pytest.mark.parametrize("capsule", ["plot.v2", "module.v99", "catalogmodule.v2", "catalogmirrors.v0", "mirroring.v2"])
def test_d08_unknown_versions_are_refused(capsule: str) -> None:
    with pytest.raises(Invalid) as caught:
        serial.load_document(json.dumps({capsule: {}}).encode(), "x.wf")
    assert caught.value.code == "warpforge-error-datatoonew"
    assert caught.value.reason == "version"
    assert caught.value.details["path"] == "/" + capsule


def test_d08_the_versions_inside_a_formula_file_count() -> None:
    body = formula()["formula"]["formula.v1"]
    for document in (
        {"formula": {"formula.v2": body}},
        {**formula(), "context": {"context.v2": {"warehouses": {}}}},
    ):
        with pytest.raises(Invalid) as caught:
            serial.load_document(json.dumps(document).encode(), "x.wf")
        assert caught.value.code == "warpforge-error-datatoonew"
        assert caught.value.reason == "version"


@pytest.mark.parametrize("document", [{}, [], 5, "plot.v1", None, {"plot": {}}, {"x.v1": {}}, {"plot.vx": {}}])
def test_what_is_no_document_of_ours_is_said_to_be_none(document: Any) -> None:
    with pytest.raises(Invalid) as caught:
        serial.load_document(json.dumps(document).encode(), "x.wf")
    assert caught.value.code == "warpforge-error-serialization"
    assert caught.value.reason == "capsule"


def test_a_document_of_another_kind_is_not_taken() -> None:
    data = json.dumps({"module.v1": {"name": "example.org"}}).encode()
    for load, code in (
        (serial.load_plot, "plot-invalid"),
        (serial.load_formula, "formula-invalid"),
        (serial.load_release, "catalog-invalid"),
        (serial.load_mirrors, "catalog-invalid"),
        (serial.load_replay, "catalog-invalid"),
        (serial.load_catalog_module, "catalog-invalid"),
        (serial.load_mirroring, "catalog-invalid"),
    ):
        with pytest.raises(InvalidDocument) as caught:
            load(data, "x.wf")
        assert caught.value.code == f"warpforge-error-{code}"


WARE_IDS = [
    "tar",
    "tar:",
    ":x",
    "Tar:x",
    "tar:a b",
    "tar:a/b",
    "tar:" + "x" * 129,
    "tar:a:b",
    "tar:é",
    "-tar:x",
    "t/r:x",
]


@pytest.mark.parametrize("text", WARE_IDS)
def test_d15_malformed_wareids_have_their_own_code(text: str) -> None:
    path = "/formula/formula.v1/inputs/~1"
    assert refused(formula(inputs={"/": "ware:" + text}), "wareid-invalid", path).reason == "wareid"
    refused({"releaseName": "v1", "items": {"x": text}, "metadata": {}}, "wareid-invalid", "/items/x")


def test_d15_with_other_faults_the_document_is_what_is_invalid() -> None:
    at = "/formula/formula.v1"
    document = formula(inputs={"/": "ware:tar"}, outputs={"o": {}})
    refused(document, "formula-invalid", f"{at}/inputs/~1", f"{at}/outputs/o")


@pytest.mark.parametrize("text", ["tar:-", "tar:x", "x+y.z-1:A.b_c-9", "tar:" + "x" * 128])
def test_d15_odd_wareids_parse(text: str) -> None:
    document = formula(inputs={"/": "ware:" + text})
    loaded = serial.load_document(json.dumps(document).encode(), "x")
    assert [finding.path for finding in loaded.warnings] == ["/formula/formula.v1/inputs/~1"]


CATALOG_FAULTS: list[tuple[Any, str]] = [
    ({"releaseName": "v 1", "items": {}, "metadata": {}}, "/releaseName"),
    ({"releaseName": "v1", "items": {"a/b": "tar:x"}, "metadata": {}}, "/items/a~1b"),
    ({"releaseName": "v1", "items": {}, "metadata": {"a": 1}}, "/metadata/a"),
    ({"catalogmodule.v1": {"name": "../x", "releases": {}, "metadata": {}}}, "/catalogmodule.v1/name"),
    (
        {"catalogmodule.v1": {"name": "a.b", "releases": {"../x": "zM5K3"}, "metadata": {}}},
        "/catalogmodule.v1/releases/..~1x",
    ),
    (
        {"catalogmodule.v1": {"name": "a.b", "releases": {"v1": "../x"}, "metadata": {}}},
        "/catalogmodule.v1/releases/v1",
    ),
    ({"catalogmirrors.v1": {"byWare": {"tar:x": "https://a"}}}, "/catalogmirrors.v1/byWare/tar:x"),
    ({"catalogmirrors.v1": {"byWare": {"tar:x": [""]}}}, "/catalogmirrors.v1/byWare/tar:x/0"),
    ({"catalogmirrors.v1": {"byModule": {"a.b": {"TAR": []}}}}, "/catalogmirrors.v1/byModule/a.b/TAR"),
    ({"mirroring.v1": {"https://a": {"pushConfig": {}}}}, "/mirroring.v1/https:~1~1a/pushConfig"),
]


@pytest.mark.parametrize("document, path", CATALOG_FAULTS)
def test_d07_each_fault_of_a_catalog_has_its_pointer(document: Any, path: str) -> None:
    refused(document, "catalog-invalid", path)


DOCUMENTS = st.one_of(formula_files(), plots().map(lambda body: {"plot.v1": body}), releases, run_records)
WRONG: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "ware:", [], [None], {}, {"": 0}])


@given(DOCUMENTS, WRONG, st.data())
def test_d07_a_mutated_document_is_valid_or_refused_with_a_pointer(
    document: dict[str, Any], wrong: Any, data: st.DataObject
) -> None:
    document = copy.deepcopy(document)
    parent, key = data.draw(st.sampled_from(list(members(document))))
    parent[key] = wrong
    try:
        noun = serial.load_document(json.dumps(document).encode(), "x").noun
    except InvalidDocument as error:
        assert error.findings
        for finding in error.findings:
            assert resolves(document, finding.path), (finding, document)
    except Invalid as error:
        assert error.code in ("warpforge-error-serialization", "warpforge-error-datatoonew")
    else:
        assert json.loads(serial.dump(noun)) == document


def members(value: Any) -> Any:
    """Every (container, key) of a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield value, key
        yield from members(item)


def resolves(document: Any, path: str) -> bool:
    """Whether the pointer leads to a value, or to a member that is missing from one."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for number, part in enumerate(parts):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            return number >= len(parts) - 1
    return True
