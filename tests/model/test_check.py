"""What can be known from a document alone: ports and what they take, pipes and what they name; and the warnings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from warpforge.model import serial
from warpforge.model.check import check_plot
from warpforge.model.findings import InvalidDocument
from warpforge.model.plot import unreplayable

HASH = "4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9"
WARE = f"ware:tar:{HASH}"
NOOP: dict[str, Any] = {"noop": {}}
SCRIPT: dict[str, Any] = {"script": {"interpreter": "/bin/sh", "contents": ["set -e", "true"]}}


def body(**members: Any) -> dict[str, Any]:
    return {"inputs": {"/": WARE}, "action": NOOP, "outputs": {"out": {"from": "/"}}, **members}


def load_formula(**members: Any) -> Any:
    return serial.load_formula(json.dumps({"formula": {"formula.v1": body(**members)}}).encode(), "f")


def load_plot(**members: Any) -> Any:
    document = {"inputs": {}, "steps": {}, "outputs": {}, **members}
    return serial.load_plot(json.dumps({"plot.v1": document}).encode(), "p")


def findings(load: Any, **members: Any) -> list[str]:
    """Pointers of the findings, below the capsule."""
    try:
        load(**members)
    except InvalidDocument as error:
        assert error.code in ("warpforge-error-formula-invalid", "warpforge-error-plot-invalid")
        return [finding.path.removeprefix("/formula/formula.v1").removeprefix("/plot.v1") for finding in error.findings]
    return []


@pytest.mark.parametrize("basis", [WARE, "mount:ro:."])
def test_a_variable_takes_only_text(basis: str) -> None:
    assert findings(load_formula, inputs={"$A": basis}) == ["/inputs/$A"]
    steps = {"a": {"protoformula": body(inputs={"$A": basis})}}
    assert findings(load_plot, steps=steps) == ["/steps/a/protoformula/inputs/$A"]


def test_a_variable_takes_literals_and_in_plots_secrets() -> None:
    assert findings(load_formula, inputs={"$A": "literal:", "$LD_PRELOAD": "literal:x"}) == []
    assert findings(load_formula, inputs={"$A": "secret:TOKEN"}) == ["/inputs/$A"]
    assert findings(load_plot, steps={"a": {"protoformula": body(inputs={"$A": "secret:TOKEN"})}}) == []


def test_no_nul_reaches_the_environment_or_the_command() -> None:
    assert findings(load_formula, inputs={"$A": "literal:a\0b"}) == ["/inputs/$A"]
    assert findings(load_formula, action={"exec": {"command": ["a", "b\0"]}}) == ["/action/exec/command/1"]
    script = {"script": {"interpreter": "/bin/sh\0", "contents": []}}
    assert findings(load_formula, action=script) == ["/action/script/interpreter"]
    assert findings(load_formula, inputs={"/file": "literal:a\0b"}) == []


def test_a_file_is_no_root() -> None:
    assert findings(load_formula, inputs={"/": "literal:x"}) == ["/inputs/~1"]
    assert findings(load_formula, inputs={"/a": "literal:x"}) == []


def test_the_value_of_a_variable_is_gathered_after_scripts_only() -> None:
    outputs: dict[str, Any] = {"v": {"from": "$A"}}
    assert findings(load_formula, action=SCRIPT, outputs=outputs) == []
    assert findings(load_formula, action={"exec": {"command": ["x"]}}, outputs=outputs) == ["/outputs/v/from"]
    assert findings(load_formula, outputs=outputs) == ["/outputs/v/from"]


def test_the_value_of_a_variable_is_not_packed() -> None:
    outputs: dict[str, Any] = {"v": {"from": "$A", "packtype": "tar", "filters": {}}}
    assert findings(load_formula, action=SCRIPT, outputs=outputs) == ["/outputs/v/packtype", "/outputs/v/filters"]


@pytest.mark.parametrize("name", ["A-B", "A B", "x;rm", "1", "é", "A.B"])
def test_a_gathered_variable_is_one_that_a_shell_has(name: str) -> None:
    assert findings(load_formula, action=SCRIPT, outputs={"v": {"from": f"${name}"}}) == ["/outputs/v/from"]


STEP = {"protoformula": body()}


def test_pipes_name_what_is_there() -> None:
    steps = {
        "a": STEP,
        "b": {"protoformula": body(inputs={"/": "pipe:a:out", "/x": "pipe:a:nope", "/y": "pipe:no:out"})},
        "c": {"protoformula": body(inputs={"/": "pipe::in", "/x": "pipe::none"})},
    }
    outputs = {"ok": "pipe:a:out", "a": "pipe:a:nope", "b": "pipe:no:out", "c": {"basis": "pipe::in", "filters": {}}}
    assert findings(load_plot, inputs={"in": WARE}, steps=steps, outputs=outputs) == [
        "/steps/b/protoformula/inputs/~1x",
        "/steps/b/protoformula/inputs/~1y",
        "/steps/c/protoformula/inputs/~1x",
        "/outputs/a",
        "/outputs/b",
        "/outputs/c",
    ]


def test_the_message_names_what_there_is() -> None:
    with pytest.raises(InvalidDocument) as caught:
        load_plot(steps={"build": STEP}, outputs={"o": "pipe:biuld:out"})
    assert "the plot has no step 'biuld'; it has build" in caught.value.message
    assert caught.value.reason == "missing"


def test_an_input_of_the_outermost_plot_is_no_pipe() -> None:
    assert findings(load_plot, inputs={"a": "pipe::b", "b": WARE}) == ["/inputs/a"]
    assert findings(load_plot, inputs={"a": {"basis": "pipe:s:out"}}, steps={"s": STEP}) == ["/inputs/a"]


@pytest.mark.parametrize("key, inputs", [("plot", "inputs"), ("subplot", "input")])
def test_pipes_of_a_subplots_inputs_lead_into_the_plot_around(key: str, inputs: str) -> None:
    inner = {
        inputs: {"x": "pipe::in", "y": "pipe:a:out", "bad": "pipe::x", "worse": "pipe:s:o"},
        "steps": {"s": {"protoformula": body(inputs={"/": "pipe::x", "/y": "pipe::in"})}},
        "outputs": {"o": "pipe:s:out"},
    }
    steps = {"a": STEP, "sub": {key: inner}}
    found = findings(load_plot, inputs={"in": WARE}, steps=steps, outputs={"r": "pipe:sub:o", "q": "pipe:sub:x"})
    assert sorted(found) == [
        "/outputs/q",
        f"/steps/sub/{key}/{inputs}/bad",
        f"/steps/sub/{key}/{inputs}/worse",
        f"/steps/sub/{key}/steps/s/protoformula/inputs/~1y",
    ]


def test_a_ware_piped_into_a_variable_is_refused_and_a_text_is_not() -> None:
    texts = {"protoformula": body(action=SCRIPT, outputs={"v": {"from": "$V"}, "out": {"from": "/"}})}
    inputs = {"$A": "pipe:t:v", "$B": "pipe:t:out", "$C": "pipe::text", "$D": "pipe::ware"}
    steps = {"t": texts, "b": {"protoformula": body(inputs=inputs)}}
    at = "/steps/b/protoformula/inputs"
    assert findings(load_plot, inputs={"text": "literal:x", "ware": WARE}, steps=steps) == [f"{at}/$B", f"{at}/$D"]


def test_a_long_chain_is_checked_in_one_pass() -> None:
    steps = {"s0": STEP}
    for number in range(1, 10_000):
        steps[f"s{number}"] = {"protoformula": body(inputs={"/": f"pipe:s{number - 1}:out"})}
    loaded = load_plot(steps=steps, outputs={"o": "pipe:s9999:out"})
    assert check_plot(loaded.noun) == []
    assert loaded.warnings == []


def test_cycles_are_not_this_floors_to_find() -> None:
    assert findings(load_plot, steps={"a": {"protoformula": body(inputs={"/": "pipe:a:out"})}}) == []


def warnings(load: Any, **members: Any) -> list[tuple[str, str]]:
    prefixes = ("/formula/formula.v1", "/plot.v1")
    found = [(finding.path, finding.reason) for finding in load(**members).warnings]
    return [(path.removeprefix(prefixes[0]).removeprefix(prefixes[1]), reason) for path, reason in found]


@pytest.mark.parametrize(
    "ware, reason",
    [
        (f"tar:{HASH}", None),
        ("tar:abc", "wareid"),
        ("tar:-", "wareid"),
        ("tar:" + HASH.replace("4", "0"), "wareid"),
        ("ztar:" + HASH[:43], None),
        (f"ztar:{HASH}", "wareid"),
        ("git:" + "0123456789abcdef" * 2 + "01234567", None),
        ("git:HEAD", "wareid"),
        ("oci:" + "0123456789abcdef" * 4, None),
        ("rpm:x", "packtype"),
    ],
)
def test_hashes_of_unusual_shape_are_told(ware: str, reason: str | None) -> None:
    wanted = [("/inputs/~1", reason)] if reason else []
    assert warnings(load_formula, inputs={"/": f"ware:{ware}"}) == wanted
    assert warnings(load_plot, inputs={"a": f"ware:{ware}"}) == ([("/inputs/a", reason)] if reason else [])


def test_filters_that_do_nothing_or_are_unknown_are_told() -> None:
    complex_input = {"basis": WARE, "filters": {"uid": "0", "colour": "red"}}
    assert warnings(load_formula, inputs={"/": complex_input}) == [("/inputs/~1/filters/colour", "filters")]
    assert warnings(load_plot, inputs={"a": complex_input}) == [
        ("/inputs/a/filters/colour", "filters"),
        ("/inputs/a/filters", "filters"),
    ]
    assert warnings(load_plot, inputs={"a": {"basis": WARE, "filters": {}}}) == []
    literal = {"basis": "literal:x", "filters": {"uid": "0"}}
    assert warnings(load_formula, inputs={"/a": literal}) == [("/inputs/~1a/filters", "filters")]


@pytest.mark.parametrize(
    "entries, is_told",
    [
        (["make"], False),
        (["cd /x", "make"], True),
        (["set -e", "make"], False),
        (["set -eux", "make"], False),
        (["set -o errexit; cd x", "make"], False),
        (["set -x", "make"], True),
    ],
)
def test_scripts_that_go_on_after_a_failure_are_told(entries: list[str], is_told: bool) -> None:
    action = {"script": {"interpreter": "/bin/sh", "contents": entries}}
    wanted = [("/action/script/contents", "errexit")] if is_told else []
    assert warnings(load_formula, action=action) == wanted


def test_the_network_and_an_empty_command_are_told() -> None:
    action = {"exec": {"command": [], "network": True}}
    assert warnings(load_formula, action=action) == [
        ("/action/exec/network", "network"),
        ("/action/exec/command", "command"),
    ]


def test_what_makes_a_plot_unreplayable_is_listed_in_order() -> None:
    sub = {
        "inputs": {"m": "mount:ro:."},
        "steps": {"s": {"protoformula": body(inputs={"$T": "secret:T", "/i": "ingest:dir:x"})}},
        "outputs": {},
    }
    steps = {"a": {"protoformula": body(inputs={"/": "ingest:git:.:HEAD"})}, "sub": {"plot": sub}, "z": STEP}
    noun = load_plot(inputs={"c": "candidate:example.org:next:x", "w": WARE}, steps=steps).noun
    assert unreplayable(noun) == [
        ("/inputs/c", "candidate:example.org:next:x"),
        ("/steps/a/protoformula/inputs/~1", "ingest:git:.:HEAD"),
        ("/steps/sub/plot/inputs/m", "mount:ro:."),
        ("/steps/sub/plot/steps/s/protoformula/inputs/$T", "secret:T"),
        ("/steps/sub/plot/steps/s/protoformula/inputs/~1i", "ingest:dir:x"),
    ]


def test_replays_that_the_original_read_otherwise_are_told() -> None:
    outputs = {"a": {"from": "/", "packtype": "tar"}, "b": {"from": "/", "packtype": "ztar"}, "c": {"from": "/"}}
    plot = {"inputs": {"m": "mount:ro:."}, "steps": {"s": {"protoformula": body(outputs=outputs)}}, "outputs": {}}
    data = json.dumps({"plot.v1": plot}).encode()
    assert [finding.path for finding in serial.load_replay(data, "r").warnings] == [
        "/plot.v1/inputs/m",
        "/plot.v1/steps/s/protoformula/outputs/b",
    ]
    assert serial.load_plot(data, "p").warnings == []
