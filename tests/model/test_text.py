"""The text of documents: what the door refuses, where it says the fault is, and which commas it forgives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import texts

from warpforge.errors import Invalid
from warpforge.model import serial
from warpforge.model.jsontext import read_careful
from warpforge.model.plaintext import DEPTH_LIMIT, MEMBER_LIMIT, SIZE_LIMIT, read_plain

MODULE = b'{"module.v1": {"name": "example.org"}}'


def refused(data: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        serial.load_document(data, "x.wf")
    assert caught.value.code == "warpforge-error-serialization"
    assert caught.value.details["document"] == "x.wf"
    assert int(caught.value.details["line"]) > 0
    assert int(caught.value.details["column"]) > 0
    assert caught.value.exit_status() == 2
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        b'{"module.v1": {"name": "a.b",\n "name": "a.c"}}',
        b'{"module.v1": {"name": "a.b",\n "n\\u0061me": "a.b"}}',
        b'{"module.v1": {"name": "a:b",\n "name": "a\\u003ab"}}',
        b'{"module.v1": {"name": {"x": 1},\n "name": "a.b"}}',
    ],
)
def test_d01_a_key_given_twice_is_refused_with_its_place(data: bytes) -> None:
    error = refused(data)
    assert error.reason == "parse"
    assert (error.details["line"], error.details["column"]) == ("2", "2")
    assert "'name'" in error.message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E400", "-1e999", "01", "1.", ".5", "+1", "0x1"])
def test_d02_what_is_no_number_is_refused(number: str) -> None:
    assert refused(f'{{"module.v1": {{"name": {number}}}}}'.encode()).reason == "parse"


@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 1_000, 100_000])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("is_closed", [True, False])
def test_d03_depth_is_limited_without_recursion(depth: int, opening: str, closing: str, is_closed: bool) -> None:
    data = opening * depth + ("0" + closing * depth if is_closed else "")
    assert refused(data.encode()).reason == "limit"
    assert refused(b'{"module.v1": ' + data.encode() + b"}").reason == "limit"


def test_d03_deep_subplots_are_limited_too() -> None:
    plot: dict[str, Any] = {"inputs": {}, "steps": {}, "outputs": {}}
    for _ in range(101):
        plot = {"inputs": {}, "steps": {"a": {"plot": plot}}, "outputs": {}}
    with pytest.raises(Invalid) as caught:
        serial.load_plot(json.dumps({"plot.v1": plot}).encode(), "p")
    assert caught.value.reason == "limit"


@pytest.mark.parametrize("number", ["1" * 4301, "-" + "9" * 5000, str(2**53 + 1), str(-(2**53) - 1), str(2**63)])
def test_d04_long_integers_are_refused(number: str) -> None:
    assert refused(f'{{"module.v1": {{"name": {number}}}}}'.encode()).reason == "limit"


@pytest.mark.parametrize(
    "data",
    [
        b'{"module.v1": {"name": "\\ud800"}}',
        b'{"module.v1": {"name": "\\udc00\\ud800"}}',
        b'{"module.v1": {"name": "\\ud800x"}}',
        b'{"module.v1": {"name": "\xed\xa0\x80"}}',
        b'{"module.v1": {"name": "\xff"}}',
        b'{"module.v1": {"name": "\xc0\x80"}}',
        b"\xef\xbb\xbf" + MODULE,
        MODULE.decode().encode("utf-16"),
        MODULE.decode().encode("utf-16-le"),
        MODULE.decode().encode("utf-32"),
        b'{"module.v1": {"name": "a\nb"}}',
        b'{"module.v1": {"name": "a\x00b"}}',
    ],
)
def test_d05_text_that_is_no_text_is_refused(data: bytes) -> None:
    assert refused(data).reason == "parse"


def test_d05_the_place_of_a_wrong_byte_is_told() -> None:
    error = refused(b'{\n\t"module.v1": {"name": "\xc3\xa9\xff"}}')
    assert (error.details["line"], error.details["column"]) == ("2", "26")


def test_d06_size_is_limited() -> None:
    assert refused(b'{"module.v1": {"name": "' + b"a" * 100_000_000 + b'"}}').reason == "limit"
    assert refused(b" " * (SIZE_LIMIT + 1)).reason == "limit"


def test_d06_a_million_keys_are_refused() -> None:
    members = ",".join([f'"{number}":0' for number in range(1_000_000)])
    assert len(members) < SIZE_LIMIT
    assert refused(b'{"module.v1": {' + members.encode() + b"}}").reason == "limit"


def test_many_colons_in_strings_are_no_members() -> None:
    text = ":" * (MEMBER_LIMIT + 1)
    body = {"inputs": {"/a": "literal:" + text}, "action": {"noop": {}}, "outputs": {}}
    noun = serial.load_formula(json.dumps({"formula": {"formula.v1": body}}).encode(), "f").noun
    assert noun.formula.to_serial() == body


@pytest.mark.parametrize(
    "data, line, column, word",
    [
        (b"", 1, 1, "too early"),
        (b"\n\n  ", 3, 3, "too early"),
        (b"{", 1, 2, "key"),
        (b'{"a"', 1, 5, "colon"),
        (b'{"a": 1', 1, 8, "key"),
        (b'{"a": 1}\n x', 2, 2, "follow"),
        (b'{"a": 1}\n{}', 2, 1, "follow"),
        (b'{"a" 1}', 1, 6, "colon"),
        (b"{a: 1}", 1, 2, "key"),
        (b"{'a': 1}", 1, 2, "key"),
        (b'{,"a": 1}', 1, 2, "key"),
        (b'{"a": 1,, "b": 2}', 1, 9, "key"),
        (b"[1,,2]", 1, 4, "value"),
        (b"[,]", 1, 2, "value"),
        (b"[1,2", 1, 5, "too early"),
        (b"[1}", 1, 3, "value"),
        (b'{"a": 1]', 1, 8, "key"),
        (b'{"a": tru}', 1, 7, "value"),
        (b'{"a": trueish}', 1, 7, "value"),
        (b'{"a": "\\x"}', 1, 8, "escape"),
        (b'{"a": "b}', 1, 7, "string"),
        (b'{"a": /* x */ 1}', 1, 7, "value"),
        (b"[1-2]", 1, 2, "value"),
    ],
)
def test_faults_are_told_with_line_and_column(data: bytes, line: int, column: int, word: str) -> None:
    error = refused(data)
    assert (error.details["line"], error.details["column"]) == (str(line), str(column)), error.message
    assert word in error.message


def test_commas_are_optional_and_each_slip_is_told() -> None:
    text = b'{\n\t"module.v1": {\n\t\t"name": "example.org",\n\t},\n}'
    loaded = serial.load_module(text, "module.wf")
    assert loaded.noun.name == "example.org"
    assert [finding.reason for finding in loaded.warnings] == ["comma", "comma"]
    assert "line 3, column 24: a comma too many" in loaded.warnings[0].message
    assert serial.fmt(text) == b'{\n\t"module.v1": {\n\t\t"name": "example.org"\n\t}\n}\n'


def test_missing_commas_change_no_id() -> None:
    strict = b'{"plot.v1": {"inputs": {"a": "ware:tar:x", "b": "ware:tar:y"}, "steps": {}, "outputs": {}}}'
    loose = strict.replace(b",", b"\n")
    noun = serial.load_plot(strict, "p")
    other = serial.load_plot(loose, "p")
    assert noun.noun == other.noun
    assert [finding.reason for finding in other.warnings if finding.reason == "comma"] == ["comma"] * 3
    assert not [finding for finding in noun.warnings if finding.reason == "comma"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, "\t", 1]))
def test_both_readers_read_the_same(value: Any, is_ascii: bool, indent: Any) -> None:
    data = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
    assert read_careful(data, "x") == (value, [])
    assert value is None or read_plain(data) in (value, None)


@given(values, st.data())
def test_what_one_reader_refuses_is_not_vouched_for_by_the_other(value: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(SCRAPS))
    plain = read_plain(bytes(text))
    if plain is None:
        return
    careful, slips = read_careful(bytes(text), "x")
    assert (careful, slips) == (plain, [])


SCRAPS = [
    *[bytes([letter]) for letter in b'{}[],:"\\0-. \n/\x00\x7f\xff'],
    *[b"", b"e9", b"null", b'"a":', b'"a":0,', b"\\ud800", b"\\u003a", b"1E400", b"NaN"],
    *[b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xa8"],
]


@given(values)
def test_commas_left_out_lose_nothing(value: Any) -> None:
    if not isinstance(value, dict | list):
        return
    text = json.dumps(value, indent=1, separators=("\n", ":"))
    assert read_careful(text.encode(), "x")[0] == value
