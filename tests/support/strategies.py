"""Hypothesis strategies for documents, as plain JSON values that are valid: load them to have nouns."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Documents = st.SearchStrategy[dict[str, Any]]

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# text of every kind that JSON can hold: lone surrogates are no characters
texts = st.text(st.characters(codec="utf-8"), max_size=30)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

labels = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True),
    st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zs", "Zl", "Zp"), exclude_characters=":"),
        min_size=1,
        max_size=8,
    ).filter(str.isprintable),
    st.sampled_from(["-rf", "$(x)", "%2e", "..", "a/b"]),
)
release_names = st.from_regex(r"[A-Za-z0-9][-A-Za-z0-9_.+~]{0,20}", fullmatch=True)
module_names = st.from_regex(r"[a-z]{1,8}(-[a-z0-9]{1,4})?\.[a-z]{2,3}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)
packtypes = st.sampled_from(["tar", "ztar"])

_hashes = st.text(ALPHABET, min_size=43, max_size=66)
wareids = st.builds("{}:{}".format, st.sampled_from(["tar", "ztar", "git", "oci", "zip", "x+y.z-1"]), _hashes)
filter_maps = st.dictionaries(st.sampled_from(["uid", "gid", "mtime", "mode", "sticky", "demo"]), texts, max_size=3)

_paths = st.lists(st.from_regex(r"[a-z0-9._-]{1,6}", fullmatch=True).filter(lambda part: part.strip(".")), max_size=3)
paths = _paths.map(lambda parts: "/" + "/".join(parts))
variables = st.from_regex(r"\$[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
literals = words.map("literal:{}".format)
mounts = st.builds("mount:{}:{}".format, st.sampled_from(["ro", "rw", "overlay"]), words.filter(bool))


def _members(required: dict[str, Any], optional: dict[str, Any]) -> Documents:
    return st.fixed_dictionaries(required, optional=optional)


_userinfos = _members(
    {}, {"uid": st.integers(0, 2**32 - 1), "gid": st.integers(0, 70000), "username": words, "homedir": words}
)
_surroundings = {"network": st.booleans(), "cwd": paths, "userinfo": _userinfos}

actions: Documents = st.one_of(
    st.builds(lambda: {"echo": {}}),  # a new one each time: whoever draws it may change it
    st.builds(lambda: {"noop": {}}),
    _members({"command": st.lists(words, max_size=4)}, _surroundings).map(lambda body: {"exec": body}),
    _members({"interpreter": words, "contents": st.lists(texts, max_size=4)}, _surroundings).map(
        lambda body: {"script": body}
    ),
)
gathers: Documents = _members({"from": paths}, {"packtype": packtypes, "filters": filter_maps})
outputs: Documents = st.dictionaries(labels, gathers, max_size=3)


def inputs_of(simple: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Simple and complex inputs on a basis."""
    return st.one_of(simple, _members({"basis": simple}, {"filters": filter_maps}))


def _not_at_root(inputs: dict[str, Any]) -> bool:
    return "literal:" not in str(inputs.get("/", ""))


@st.composite
def formulas(draw: st.DrawFn) -> dict[str, Any]:
    """The object under ``formula.v1``."""
    basis = st.one_of(wareids.map("ware:{}".format), mounts, literals)
    inputs = draw(st.dictionaries(paths, inputs_of(basis), max_size=4).filter(_not_at_root))
    inputs |= draw(st.dictionaries(variables, literals, max_size=2))
    return {"inputs": inputs, "action": draw(actions), "outputs": draw(outputs)}


def formula_files() -> Documents:
    """A formula's file, with a context or without."""
    addresses = st.sampled_from(["https://example.org/x", "ca+https://example.org/", "ca+file:///srv/wares"])
    contexts = _members({"warehouses": st.dictionaries(wareids, addresses, max_size=2)}, {})
    return _members(
        {"formula": formulas().map(lambda body: {"formula.v1": body})},
        {"context": contexts.map(lambda body: {"context.v1": body})},
    )


@st.composite
def plots(draw: st.DrawFn, depth: int = 1, scope: tuple[str, ...] = (), *, replayable: bool = False) -> dict[str, Any]:
    """The object under ``plot.v1``: steps in order of need, subplots ``depth`` deep, either spelling.

    ``scope`` holds the pipes of the plot around, which a subplot's inputs may name.
    """
    given = [wareids.map("ware:{}".format), literals]
    given.append(st.builds("catalog:{}:{}:{}".format, module_names, release_names, release_names))
    if not replayable:
        given += [mounts, words.filter(bool).map("ingest:dir:{}".format), st.just("ingest:git:.:HEAD")]
    outer = [*given, st.sampled_from(scope)] if scope else given
    inputs = draw(st.dictionaries(labels, inputs_of(st.one_of(outer)), max_size=3))
    wares = {label for label, item in inputs.items() if "literal:" not in str(item)}
    pipes = [f"pipe::{label}" for label in inputs if label in wares]
    steps: dict[str, Any] = {}
    results: list[str] = []
    for name in draw(st.lists(labels, max_size=3, unique=True)):
        known = (*pipes, *results)
        if depth and draw(st.booleans()):
            body = draw(plots(depth - 1, known, replayable=replayable))
            steps[name] = {draw(st.sampled_from(["plot", "subplot"])): body}
        else:
            body = draw(_protoformulas(given, known))
            steps[name] = {draw(st.sampled_from(["protoformula", "formula"])): body}
        results += [f"pipe:{name}:{label}" for label in body["outputs"]]
    named = st.dictionaries(labels, inputs_of(st.sampled_from(results)), max_size=2) if results else st.builds(dict)
    spelling = draw(st.sampled_from(["inputs", "input"]))
    return {spelling: inputs, "steps": steps, "outputs": draw(named)}


@st.composite
def _protoformulas(draw: st.DrawFn, given: list[Any], pipes: tuple[str, ...]) -> dict[str, Any]:
    basis = st.one_of([*given, st.sampled_from(pipes)]) if pipes else st.one_of(given)
    inputs = draw(st.dictionaries(paths, inputs_of(basis), max_size=3).filter(_not_at_root))
    inputs |= draw(st.dictionaries(variables, st.one_of(literals, st.just("secret:TOKEN")), max_size=1))
    return {"inputs": inputs, "action": draw(actions), "outputs": draw(outputs)}


releases: Documents = _members(
    {
        "releaseName": release_names,
        "items": st.dictionaries(release_names, wareids, max_size=3),
        "metadata": st.dictionaries(words, texts, max_size=2),
    },
    {},
)
run_records: Documents = _members(
    {
        "guid": st.uuids().map(str),
        "time": st.integers(0, 2**40),
        "formulaID": st.text(ALPHABET, min_size=70, max_size=71).map(lambda text: "z" + text),
        "exitcode": st.integers(-64, 255),
        "results": st.dictionaries(labels, st.one_of(wareids.map("ware:{}".format), literals), max_size=3),
    },
    {},
)
