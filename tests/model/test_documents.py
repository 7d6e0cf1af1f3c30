"""Properties of every document: what is read is what is written, and ids depend on nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.strategies import formula_files, formulas, gathers, plots, releases, run_records

from warpforge.model import ident, serial
from warpforge.model.plot import unreplayable

DOCUMENTS = st.one_of(formula_files(), plots().map(lambda body: {"plot.v1": body}), releases, run_records)  # type: st.SearchStrategy[dict[str, Any]]


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def formula_id(body: Any) -> str:
    return ident.formula_id(serial.load_formula(encode({"formula": {"formula.v1": body}}), "f").noun.formula)


def plot_id(body: Any) -> str:
    return ident.plot_id(serial.load_plot(encode({"plot.v1": body}), "p").noun)


@given(DOCUMENTS)
def test_a_document_is_kept_as_written(document: dict[str, Any]) -> None:
    noun = serial.load_document(encode(document), "d").noun
    text = serial.dump(noun)
    assert json.loads(text) == document
    assert serial.load_document(text, "d").noun == noun
    assert serial.dump(serial.load_document(text, "d").noun) == text


@given(DOCUMENTS)
def test_maps_keep_their_order_and_the_layout_is_canonical(document: dict[str, Any]) -> None:
    text = serial.fmt(encode(document))
    assert text == serial.fmt(text)
    assert text == (json.dumps(json.loads(text), indent="\t", ensure_ascii=False) + "\n").encode()
    for outer in ("inputs", "steps", "items", "results"):
        inner = document.get("plot.v1", document).get(outer, {})
        assert list(json.loads(text).get("plot.v1", json.loads(text)).get(outer, {})) == list(inner)


@settings(max_examples=100)
@given(formulas(), st.randoms())
def test_the_formula_id_is_the_references_and_ignores_key_order(body: dict[str, Any], chance: Any) -> None:
    wanted = reference.document_id(body)
    assert formula_id(body) == wanted
    assert formula_id(shuffled(body, chance)) == wanted


@settings(max_examples=100)
@given(plots(), st.randoms())
def test_the_plot_id_is_the_references_and_ignores_key_order(body: dict[str, Any], chance: Any) -> None:
    wanted = reference.document_id(body)
    assert plot_id(body) == wanted
    assert plot_id(shuffled(body, chance)) == wanted


@given(releases)
def test_the_release_id_is_the_references(body: dict[str, Any]) -> None:
    assert ident.release_id(serial.load_release(encode(body), "r").noun) == reference.document_id(body)


@given(plots(replayable=True))
def test_a_replayable_plot_has_nothing_of_one_machine(body: dict[str, Any]) -> None:
    noun = serial.load_replay(encode({"plot.v1": body}), "p").noun
    assert [text for _, text in unreplayable(noun)] == [text for text in strings(body) if text == "secret:TOKEN"]


@given(st.recursive(st.text() | st.booleans() | st.integers(-(2**53), 2**53), lambda inner: st.lists(inner)))
def test_canonical_cbor_is_the_references(value: Any) -> None:
    try:
        wanted = reference.document_id(value)
    except UnicodeEncodeError:
        return
    assert ident.document_id(value) == wanted


@given(st.binary(max_size=60))
def test_base58_is_the_references(data: bytes) -> None:
    assert ident.base58(data) == reference.base58(data)


EXEC = {"command": ["/bin/true"]}
SCRIPT = {"interpreter": "/bin/sh", "contents": ["true"]}
PRESENCE = [
    ("exec network", EXEC, "exec", "network", False),
    ("exec cwd", EXEC, "exec", "cwd", "/"),
    ("exec userinfo", EXEC, "exec", "userinfo", {}),
    ("script network", SCRIPT, "script", "network", False),
    ("script cwd", SCRIPT, "script", "cwd", "/"),
    ("script userinfo", SCRIPT, "script", "userinfo", {}),
]


@pytest.mark.parametrize("name, body, action, field, empty", PRESENCE, ids=[row[0] for row in PRESENCE])
def test_absent_and_empty_are_two_documents(name: str, body: Any, action: str, field: str, empty: Any) -> None:
    other: Any = {"network": True, "cwd": "/a", "userinfo": {"uid": 0}}[field]
    variants = [body, {**body, field: empty}, {**body, field: other}]
    ids = [formula_id({"inputs": {}, "action": {action: variant}, "outputs": {}}) for variant in variants]
    assert len(set(ids)) == 3
    with pytest.raises(ValueError) as caught:
        formula_id({"inputs": {}, "action": {action: {**body, field: None}}, "outputs": {}})
    assert path_of(caught.value) == f"/formula/formula.v1/action/{action}/{field}"


def test_each_member_of_userinfo_counts() -> None:
    infos: list[Any] = [{}, {"uid": 0}, {"gid": 0}, {"username": ""}, {"homedir": ""}]
    bodies = [{"inputs": {}, "action": {"exec": {**EXEC, "userinfo": info}}, "outputs": {}} for info in infos]
    assert len(set(map(formula_id, bodies))) == len(infos)


def test_absent_and_empty_gather_fields_are_two_documents() -> None:
    variants: list[Any] = [{}, {"packtype": "tar"}, {"filters": {}}, {"filters": {"uid": "0"}}]
    bodies = [
        {"inputs": {}, "action": {"noop": {}}, "outputs": {"out": {"from": "/out", **variant}}} for variant in variants
    ]
    assert len(set(map(formula_id, bodies))) == len(variants)


@pytest.mark.parametrize("where", ["formula", "plot", "plot output"])
def test_simple_complex_and_filtered_inputs_are_documents_of_their_own(where: str) -> None:
    def put(item: Any) -> str:
        if where == "formula":
            return formula_id({"inputs": {"/": item}, "action": {"noop": {}}, "outputs": {}})
        body = {"inputs": {}, "action": {"noop": {}}, "outputs": {"out": {"from": "/"}}}
        plot: dict[str, Any] = {"inputs": {}, "steps": {"a": {"protoformula": body}}, "outputs": {}}
        plot["inputs" if where == "plot" else "outputs"] = {"x": item}
        return plot_id(plot)

    text = "pipe:a:out" if where == "plot output" else "ware:tar:abc"
    variants = [text, {"basis": text}, {"basis": text, "filters": {}}, {"basis": text, "filters": {"uid": "1"}}]
    assert len(set(map(put, variants))) == 4


def test_both_spellings_are_read_and_each_is_hashed_as_written() -> None:
    body = {"inputs": {}, "action": {"noop": {}}, "outputs": {"out": {"from": "/"}}}
    ids = set()
    for inputs in ("inputs", "input"):
        for step in ("protoformula", "formula"):
            for sub in ("plot", "subplot"):
                inner: dict[str, Any] = {inputs: {}, "steps": {}, "outputs": {}}
                plot = {
                    inputs: {"x": "ware:tar:abc"},
                    "steps": {"a": {step: body}, "b": {sub: inner}},
                    "outputs": {},
                }
                noun = serial.load_plot(encode({"plot.v1": plot}), "p").noun
                assert noun.to_serial() == plot
                assert noun.spelling == inputs
                assert noun.steps["a"].spelling == step
                assert ident.plot_id(noun) == reference.document_id(plot)
                ids.add(ident.plot_id(noun))
    assert len(ids) == 8


@pytest.mark.parametrize(
    "plot, path",
    [
        ({"inputs": {}, "input": {}, "steps": {}, "outputs": {}}, "/plot.v1/input"),
        ({"inputs": {}, "steps": {"a": {"protoformula": {}, "formula": {}}}, "outputs": {}}, "/plot.v1/steps/a"),
        ({"inputs": {}, "steps": {"a": {"plot": {}, "formula": {}}}, "outputs": {}}, "/plot.v1/steps/a"),
    ],
)
def test_spellings_are_never_mixed_in_one_object(plot: Any, path: str) -> None:
    with pytest.raises(ValueError) as caught:
        serial.load_plot(encode({"plot.v1": plot}), "p")
    assert path_of(caught.value) == path
    assert getattr(caught.value, "code", "") == "warpforge-error-plot-invalid"


@given(gathers)
def test_strings_are_kept_verbatim(gather: dict[str, Any]) -> None:
    body = {"inputs": {"//a/./b/": "literal: x "}, "action": {"noop": {}}, "outputs": {"o": gather}}
    noun = serial.load_formula(encode({"formula": {"formula.v1": body}}), "f").noun
    assert noun.formula.to_serial() == body
    [port] = noun.formula.inputs
    assert port.path == "/a/b"


def path_of(error: BaseException) -> str:
    return str(getattr(error, "details", {}).get("path"))


def shuffled(value: Any, chance: Any) -> Any:
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: shuffled(value[key], chance) for key in keys}


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in strings(item)]
