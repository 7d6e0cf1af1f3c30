"""What differs between two formulas, told down to the line."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import formulas

from warpforge.plan.why import Change, Reason, compare

BASE: dict[str, Any] = {
    "inputs": {"/": "ware:tar:aaa", "$X": "literal:one", "/c": {"basis": "ware:tar:ccc", "filters": {"uid": "1"}}},
    "action": {"script": {"interpreter": "/bin/sh", "contents": ["set -e", "one\ntwo\nthree", "end"]}},
    "outputs": {"out": {"from": "/out", "packtype": "ztar"}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(BASE))
    *parents, last = path.split("|")
    at = copy
    for name in parents:
        at = at[name]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return copy


def told(new: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(change.at, change.old, change.new) for change in compare(BASE, new)]


def test_inputs() -> None:
    assert told(changed("inputs|/", "ware:tar:bbb")) == [("input /", "ware:tar:aaa", "ware:tar:bbb")]
    assert told(changed("inputs|/new", "ware:tar:bbb")) == [("input /new", "", "ware:tar:bbb")]
    assert told(changed("inputs|$X", None)) == [("input $X", "literal:one", "")]
    assert told(changed("inputs|/c|filters", {"uid": "2"})) == [("filters of input /c", "uid=1", "uid=2")]


def test_where_an_input_comes_from_is_told_when_that_changed() -> None:
    new = changed("inputs|/", "ware:tar:bbb")
    [change] = compare(BASE, new, {"/": "catalog:x:v1:y"}, {"/": "catalog:x:v2:y"})
    assert (change.origin, change.old_origin) == ("catalog:x:v2:y", "catalog:x:v1:y")
    [change] = compare(BASE, new, {"/": "catalog:x:v1:y"}, {"/": "catalog:x:v1:y"})
    assert (change.origin, change.old_origin) == ("catalog:x:v1:y", "")


def test_a_script_to_the_line() -> None:
    script = "action|script|contents"
    assert told(changed(script, ["set -e", "one\ntwo\nTHREE", "end"])) == [("script entry 2 line 3", "three", "THREE")]
    assert told(changed(script, ["set -e", "one\ntwo\nthree", "END"])) == [("script entry 3", "end", "END")]
    assert told(changed(script, ["set -e", "one\ntwo\nthree", "more", "end"])) == [("script entry 3", "", "more")]
    assert told(changed(script, ["one\ntwo\nthree", "end"])) == [("script entry 1", "set -e", "")]
    assert told(changed(script, ["set -e", "zero\none\ntwo\nthree", "end"])) == [("script entry 2 line 1", "", "zero")]


def test_the_rest_of_the_action() -> None:
    assert told(changed("action|script|network", True)) == [("network", "", "true")]
    assert told(changed("action|script|interpreter", "/bin/bash")) == [("interpreter", "/bin/sh", "/bin/bash")]
    assert told(changed("action", {"exec": {"command": ["a"]}})) == [("action", "script", "exec")]
    one, other = ({"action": {"exec": {"command": ["cc", flag]}}} for flag in ("-O1", "-O2"))
    [change] = compare(one, other)
    assert (change.at, change.old, change.new) == ("command word 2", "-O1", "-O2")


def test_outputs() -> None:
    assert told(changed("outputs|out|packtype", "tar")) == [("output out", "/out, packtype ztar", "/out, packtype tar")]
    assert told(changed("outputs|log", {"from": "/log"})) == [("output log", "", "/log")]


def test_what_is_at_the_bottom() -> None:
    leaf = Reason("a", "changed", [Change("script entry 1", "x", "y")])
    middle = Reason("b", "changed", [Change("input /in", "1", "2", cause=leaf)])
    inputs = [Change("input /in", "3", "4", cause=middle), Change("input /also", "5", "6", cause=leaf)]
    top = Reason("c", "changed", inputs)
    assert top.is_consequence
    assert not leaf.is_consequence
    assert [(step, change.at) for step, change in top.roots()] == [("a", "script entry 1")]


@settings(max_examples=40)
@given(formulas(), formulas())
def test_something_differs_exactly_when_they_are_not_the_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert compare(first, first) == []
    assert bool(compare(first, second)) == (first != second)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_scripts_that_differ_in_anything_are_told(one: list[str], other: list[str]) -> None:
    old, new = ({"action": {"script": {"interpreter": "/bin/sh", "contents": text}}} for text in (one, other))
    assert bool(compare(old, new)) == (one != other)
