"""Files of every dialect and form say the same, and what is wrong with one is said with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpforge.errors import Invalid
from warpforge.polytope.files.read import load_file
from warpforge.polytope.nouns import After, Include, On, PolytopeFile, Step
from warpforge.polytope.text.document import DEPTH_LIMIT, PART_LIMIT, load_document

FIXTURES = Path(__file__).parents[2] / "fixtures" / "polytope"


def load(path: Path) -> tuple[PolytopeFile, list[str]]:
    file, issues = load_file(path.read_bytes(), str(path))
    return file, [f"{issue.place.line}:{issue.place.column} {issue.level} {issue.message}" for issue in issues]


def told(file: PolytopeFile) -> Any:
    """What a file says, without where."""
    return (
        [(m.id, m.module, m.args, m.code, [(p.id, p.type) for p in m.params]) for m in file.modules],
        [(t.id, [(s.id, s.call or s.template or s.code, s.args, s.after) for s in t.run]) for t in file.templates],
    )


@pytest.mark.parametrize("name", ["lists.yml", "lists.json", "lists.edn", "beginners.yaml"])
def test_every_form_says_the_same(name: str) -> None:
    file, issues = load(FIXTURES / "forms" / name)
    assert issues == []
    assert told(file) == told(load(FIXTURES / "forms" / "lists.yml")[0])
    assert [module.id for module in file.modules] == ["base", "api"]


def test_the_older_edn_form() -> None:
    file, issues = load(FIXTURES / "forms" / "older.edn")
    assert issues == []
    proxy, web = file.modules
    assert web.args == {"id": "web", "restart": {"policy": "always"}, "services": [{"id": "web", "port": 80}]}
    assert proxy.args["cmd"] == '#pt-clj (str "proxy " (:port params))'
    assert [(step.id, step.call, step.after) for step in file.templates[0].run] == [
        ("proxy", "proxy", ()),
        ("web", "web", (After("proxy"),)),
    ]


def test_the_newer_form() -> None:
    file, issues = load(FIXTURES / "forms" / "tools.yml")
    assert issues == []
    default, tool = file.templates
    assert [(step.id, step.call, step.code, step.after) for step in default.run] == [
        ("api", "api", "", ()),
        ("check", "", "pt.js\n1 + 1", (After("api"), After("db", "always"))),
        ("db", "db", "", ()),
    ]
    assert default.waits_for == ("check",)
    assert [(param.id, param.type, param.info) for param in tool.params] == [
        ("port", ["default", "int", 80], "Where it listens."),
        ("name", "any", ""),
    ]
    assert file.include == tuple(
        Include(path=path, repo=repo, place=include.place)
        for (path, repo), include in zip(
            [("services", ""), ("x/polytope.yml", ""), ("", "gh:owner/name"), ("sub", "owner/other")],
            file.include,
            strict=True,
        )
    )
    assert (file.instructions, file.tools_only) == ("Be kind.\n", ("api",))


def test_triggers() -> None:
    file, issues = load_file(
        b"triggers:\n- id: nightly\n  on: [{schedule: '15 3 * * *'}, {events: [git-tag-added], when: pt.js true}]\n"
        b"  template: {run: [a]}\n- {id: b, on: {schedule: '* * * * *'}, template: stack}\n", "/t.yml")  # fmt: skip
    assert issues == ()
    nightly, other = file.triggers
    assert nightly.on == (On("15 3 * * *"), On("", ("git-tag-added",), "pt.js true"))
    assert [step.call for step in getattr(nightly.template, "run", ())] == ["a"]
    assert other.template == "stack"


@pytest.mark.parametrize("path", sorted((FIXTURES / "faults").iterdir()), ids=lambda path: path.name)
def test_a_fault_is_said_with_its_place(path: Path) -> None:
    """The first comment of the file is what is to be said: LINE:COLUMN and words of the message."""
    first = path.read_text().splitlines()[0]
    place, _, words = first.lstrip("#; ").partition(" ")
    try:
        _, said = load(path)
    except Invalid as error:
        findings = getattr(error, "findings", ())
        said = [f"{issue.place.line}:{issue.place.column} {issue.level} {issue.message}" for issue in findings]
    assert any(line.startswith(f"{place} ") and words in line for line in said), said


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"a: off\nb: on\nc: yes\nd: 012\ne: 0o17\nf: 1e3\ng: ~\nh: '1'\ni: 0x1f\n",
         {"a": "off", "b": "on", "c": "yes", "d": 12, "e": 15, "f": 1000.0, "g": None, "h": "1", "i": 31}),
        (b"a: &x {b: 1}\nc: {<<: *x, d: 2}\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        (b"a: {b?: 1, default?: true}\n", {"a": {"b?": 1, "default?": True}}),
        (b"a: |-\n  #pt-js\n  1\n", {"a": "#pt-js\n1"}),
        (b"\xef\xbb\xbfa: \xc3\xa9\n", {"a": "é"}),
        (b"", None),
        (b"1: a\nnull: b\n", {"1": "a", "null": "b"}),
        (b"a: !!str 1\n", {"a": "1"}),
    ],
)  # fmt: skip
def test_yaml_is_yaml_1_2(text: bytes, value: Any) -> None:
    assert load_document(text, "a.yml").value == value


LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("j"))
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (LAUGHS, "a.yml"),
        (b"[" * (DEPTH_LIMIT + 5) + b"]" * (DEPTH_LIMIT + 5), "a.yml"),
        (b"[" * (DEPTH_LIMIT + 5), "a.json"),
        (b"[" * (DEPTH_LIMIT + 5), "a.edn"),
        (b"#" * ((4 << 20) + 1), "a.yml"),
        (b"[" + b"1," * PART_LIMIT + b"1]", "a.json"),
    ],
    ids=["laughs", "yaml", "json", "edn", "large", "many"],
)
def test_what_grows_without_end_is_refused(text: bytes, name: str) -> None:
    with pytest.raises(Invalid, match=re.compile("deep|more than|larger")) as refused:
        load_document(text, name)
    assert refused.value.code == "warpforge-error-serialization"


@given(st.text(alphabet="abc:-[]{}#&*!|>'\"%@`?, \n\t0.~<", max_size=40), st.sampled_from([".yml", ".json", ".edn"]))
def test_any_text_is_read_or_refused_with_its_place(text: str, end: str) -> None:
    try:
        load_file(text.encode(), f"/x/polytope{end}")
    except Invalid as error:
        assert int(error.details["line"]) >= 1


@pytest.mark.parametrize(
    ("text", "name"),
    [(b'{"a": "\\ud800"}', "a.json"), (b'a: "\\ud800"', "a.yml"), (b'{:a "\\ud800"}', "a.edn")],
)
def test_half_a_character_is_refused(text: bytes, name: str) -> None:
    with pytest.raises(Invalid, match="half a character"):
        load_document(text, name)
    whole = text.replace(b"ud800", b"ud83d\\ude00")
    if not name.endswith(".yml"):
        assert load_document(whole, name).value == {"a": "\U0001f600"}


def test_a_step_is_what_it_calls() -> None:
    file, _ = load_file(
        b"templates: [{id: t, run: [a, 'polytope/x!y', polytope/redis, a, {module: o/p@1:z/w}]}]", "/t.yml"
    )
    assert [step.id for step in file.templates[0].run] == ["a", "y", "redis", "a-2", "p"]
    assert all(isinstance(step, Step) and step.place.line == 1 for step in file.templates[0].run)
