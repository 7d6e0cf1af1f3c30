"""Values held against types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value
from warpforge.polytope.text.document import load_document
from warpforge.polytope.types.check import Check
from warpforge.polytope.types.language import default_of, is_required, parse_type, spell_type
from warpforge.polytope.types.schema import describe_type

RESTART: Value = ["maybe", {"policy": ["enum", "always", "on-failure"], "max-restarts": ["maybe", "int"]}]
MOUNTS: Value = ["maybe", [["maybe", {"source": "mount-source", "path": "absolute-path"}]]]


def held(value: Value, kind: Value) -> tuple[Value, list[str]]:
    check = Check()
    made = check.value(value, parse_type(kind))
    return made, [f"{finding.level} {finding.spell('x')}" for finding in check.findings]


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("str", "a", "a"),
        ("str", 4000, "4000"),
        ("str", True, "true"),
        ("int", "5432", 5432),
        ("int", " -1 ", -1),
        ("int", 3.0, 3),
        ("num", "1.5", 1.5),
        ("bool", "false", False),
        ("any", None, None),
        (["maybe", "str"], None, None),
        (["default", "int", 5], None, 5),
        (["default", "int", 5], "6", 6),
        (["default", ["maybe", "int"], None], None, None),
        (["str"], ["a", 1, None], ["a", "1"]),
        ([["maybe", "str"]], ["a", None], ["a", None]),
        (["either", "str", ["str"]], ["a"], ["a"]),
        (["either", "int", "str"], "0", "0"),
        (["either", "int", "bool"], "0", 0),
        (["enum", "a", 1, True], 1, 1),
        (["enum", 1, 2], "2", 2),
        (["enum", "off", "on"], "off", "off"),
        (["regex", "[A-Z]+\\z"], "ABC", "ABC"),
        (["map", "str", "int"], {"a": "1"}, {"a": 1}),
        ({"str": "str"}, {"a": "1", "b": "2"}, {"a": "1", "b": "2"}),
        ({"a": ["default", "int", 1], "b": ["maybe", "str"]}, {}, {"a": 1}),
        ({"max-restarts": "int"}, {"maxRestarts": 1}, {"max-restarts": 1}),
        (["either", {"kong": {}}, {"pgweb": {"port": ["default", "str", "x"]}}], {"pgweb": {}}, {"pgweb": {}}),
        (RESTART, {"policy": "always"}, {"policy": "always"}),
        ("env-var", {"name": "A", "value": False}, {"name": "A", "value": False}),
        ("env-var", {"name": "A"}, {"name": "A"}),
        ("mount-source", "src", {"type": "host", "path": "src"}),
        ("mount-source", {"type": "repo"}, {"type": "repo"}),
        ("service-spec", {"id": "a", "port": "80"}, {"id": "a", "ports": [{"port": 80, "protocol": "tcp"}]}),
        ("service-spec", {"id": "a", "ports": [80]}, {"id": "a", "ports": [{"port": 80, "protocol": "tcp"}]}),
        ("duration", "1mo", "1mo"),
        ("data-size", "1.5Gi", "1.5Gi"),
        ("data-size", 1000, 1000),
        ("cron", "0 0,12 */2 jan-mar sun", "0 0,12 */2 jan-mar sun"),
        (":str", "x", "x"),
        ([":default", ":str", "x"], None, "x"),
    ],
    ids=str,
)
def test_what_fits(kind: Value, value: Value, made: Value) -> None:
    found, said = held(value, kind)
    assert (found, said) == (made, [])
    assert type(found) is type(made)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("str", None, "x is required: str"),
        ("str", {}, "x: text was expected, not a map"),
        ("int", "a", "x: a whole number was expected, not 'a'"),
        ("int", True, "x: a whole number was expected, not true"),
        ("int", 1.5, "x: a whole number was expected, not 1.5"),
        ("bool", "yes", "x: true or false was expected, not 'yes'"),
        ("absolute-path", "a/b", "x: 'a/b' is no absolute path"),
        ("duration", "5 minutes", "x: '5 minutes' is no duration: 10ms, 30s, 5m, 2h, 1d, 1w, 1mo, 1y"),
        ("data-size", "lots", "x: 'lots' is no size: 512M, 1.5Gi, 1000"),
        ("cron", "61 * * * *", "x: schedule '61 * * * *': the minute must be from 0 to 59, not '61'"),
        (["enum", "a", "b"], "c", "x: 'c' is none of a, b"),
        (["regex", "a+"], "ab", "x: 'ab' does not match a+"),
        (["int"], 3, "x: a list was expected, not 3"),
        ([{"a": "int"}], [{"a": 1}, {"a": "z"}], "x[1].a: a whole number was expected, not 'z'"),
        ({"a": "int"}, {}, "x.a is missing: int"),
        (["either", "int", ["int"]], "z", "x: a whole number was expected, not 'z'"),
        (["either", "int", "bool"], "z", "x: 'z' is none of int, bool"),
        (
            MOUNTS,
            [{"path": "/a", "source": {"type": "bind"}}],
            "x[0].source.type: 'bind' is none of host, repo, string, volume, dataset",
        ),
        (MOUNTS, [{"path": "a", "source": {"type": "repo"}}], "x[0].path: 'a' is no absolute path"),
        (
            "service-spec",
            {"id": "a", "ports": [{"port": "x", "protocol": "tcp"}]},
            "x.ports[0].port: a whole number was expected, not 'x'",
        ),
        (RESTART, {"policy": "sometimes"}, "x.policy: 'sometimes' is none of always, on-failure"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit(kind: Value, value: Value, said: str) -> None:
    assert held(value, kind)[1] == [f"error {said}"]


def test_all_faults_are_said_at_once_and_what_is_not_known_is_a_warning() -> None:
    kind: Value = {"a": "int", "b": ["str"], "c": ["maybe", "bool"]}
    assert held({"a": "x", "b": "y", "c": 1, "d": 2}, kind)[1] == [
        "error x.a: a whole number was expected, not 'x'",
        "error x.b: a list was expected, not 'y'",
        "error x.c: true or false was expected, not 1",
        "warning x.d is not known here",
    ]


@pytest.mark.parametrize(
    "written",
    ["strange", [], ["maybe"], ["maybe", "str", "str"], ["default", "str"], ["str", "int"], 3, ["enum", ["a"], {}],
     ["regex", 1], {"a": "strange"}, ["maybe", ["maybe", ["either"]]]],
)  # fmt: skip
def test_what_is_no_type(written: Any) -> None:
    with pytest.raises(Invalid) as refused:
        parse_type(written)
    assert refused.value.reason == "type"


def test_a_type_that_never_ends_is_refused() -> None:
    written: Value = "str"
    for _ in range(60):
        written = ["maybe", written]
    with pytest.raises(Invalid, match="deep"):
        parse_type(written)


def test_the_spelling_of_edn_is_the_same() -> None:
    text = b'[:maybe {:policy [:enum "always" "on-failure"] :max-restarts [:maybe :int]}]'
    assert parse_type(load_document(text, "t.edn").value) == parse_type(RESTART)


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        (["maybe", "int"], {"type": "integer"}),
        (["default", ["enum", "a", 1], "a"], {"enum": ["a", 1], "default": "a"}),
        ([["maybe", "str"]], {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}),
        (
            {"a": "bool", "b": ["maybe", "num"]},
            {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "number"}}, "required": ["a"]},
        ),
        (["map", "str", "any"], {"type": "object", "additionalProperties": {}}),
        (["either", "any", ["regex", "a+"]], {"anyOf": [{}, {"type": "string", "pattern": "^(?:a+)$"}]}),
        ("nothing", {}),
    ],
)
def test_a_type_as_a_json_schema(written: Value, schema: dict[str, Any]) -> None:
    assert describe_type(written) == schema


def test_what_must_be_given() -> None:
    written: list[Value] = ["str", ["maybe", "str"], ["default", "str", "x"], "any"]
    kinds = [parse_type(kind) for kind in written]
    assert [is_required(kind) for kind in kinds] == [True, False, False, False]
    assert default_of(kinds[2]) == "x"


BASIC = st.sampled_from(["str", "int", "bool", "num", "any", "id", "absolute-path", "env-var", "service-spec"])
TYPES = st.recursive(
    BASIC | st.just(["enum", "a", 1]),
    lambda inner: st.one_of(
        inner.map(lambda kind: [kind] if not isinstance(kind, str) else ["maybe", kind]),
        inner.map(lambda kind: ["maybe", kind]),
        st.tuples(inner, inner).map(lambda kinds: ["either", *kinds]),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
        inner.map(lambda kind: ["map", "str", kind]),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "1", "/x", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner, max_size=3),
    max_leaves=6,
)


@given(TYPES, VALUES)
def test_a_value_that_fits_fits_again_as_it_was_meant(kind: Any, value: Any) -> None:
    made, said = held(value, kind)
    if not any(line.startswith("error") for line in said):
        again, said_again = held(made, kind)
        assert json.dumps(again) == json.dumps(made)
        assert not any(line.startswith("error") for line in said_again)


@given(TYPES)
def test_a_type_is_spelled_as_it_is_read(kind: Any) -> None:
    spelled = spell_type(parse_type(kind))
    assert parse_type(load_document(spelled.encode(), "t.yml").value) == parse_type(kind)
