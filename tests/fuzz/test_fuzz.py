"""The readers of archives and documents, given anything: a bounded and repeatable part of `make fuzz`.

Every input that ever found something is a file in fixtures/fuzz/ and is read here for ever.
"""

from __future__ import annotations

import random
import resource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import corpus, forge
from support.mutation import mend, mutate
from support.oracles import ORACLES
from support.strategies import formula_files, plots, releases

ROUNDS = {"tar": 1500, "ztar": 1000, "zip": 2000, "zstd": 5000, "document": 3000, "polytope": 400}
MEMORY = 256 << 10  # KiB that hostile input may cost at most


@pytest.mark.parametrize("target", ORACLES)
def test_what_once_was_found(target: str) -> None:
    for name, data in corpus.read(target).items():
        try:
            ORACLES[target](data)
        except AssertionError as error:
            raise AssertionError(f"fixtures/fuzz/{target}/{name}: {error}") from error


def test_the_seeds_are_those_that_are_made() -> None:
    for target, inputs in corpus.seeds().items():
        lying = corpus.read(target)
        for name in inputs:
            assert name in lying, f"{target}/{name}: run `python -m support.corpus` in tests/"


@pytest.mark.parametrize("target", ORACLES)
def test_changed_at_random(target: str) -> None:
    inputs = list(corpus.read(target).values())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen: dict[str, int] = {}
    for number in range(ROUNDS[target]):
        rng = random.Random(number)
        data = mend(mutate(rng.choice(inputs), rng, inputs), rng)
        try:
            found = ORACLES[target](data)
        except Exception as error:
            raise AssertionError(f"number {number}: {error!r}: {data!r}") from error
        seen[found] = seen.get(found, 0) + 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert seen["accepted"] > ROUNDS[target] // 200, f"nothing gets behind the first check: {seen}"
    assert len(seen) > 2, seen


# archives of members that are each sound, but not together

NAMES = st.sampled_from([b".", b"a", b"b", b"a/b", b"a/b/c", b"./a", b"a//b", b"../x", b"/a", b"a/../b", b"", b"d/"])
MEMBERS = st.one_of(
    st.builds(forge.member, NAMES, st.binary(max_size=600), mode=st.integers(0, 0o7777)),
    st.builds(forge.directory, NAMES, mode=st.integers(0, 0o1777), mtime=st.integers(0, 1 << 33)),
    st.builds(forge.symlink, NAMES, NAMES.filter(bool)),
    st.builds(forge.hardlink, NAMES, NAMES),
    st.builds(
        forge.pax, st.dictionaries(st.sampled_from([b"path", b"linkpath", b"size", b"mtime"]), NAMES, max_size=2)
    ),
    st.builds(forge.gnu, st.sampled_from([b"L", b"K"]), NAMES),
    st.builds(
        lambda name, kind: forge.member(name, b"", kind), NAMES, st.sampled_from([b"6", b"3", b"S", b"7", b"\0"])
    ),
)


@settings(max_examples=150, derandomize=True)
@given(st.lists(MEMBERS, max_size=6), st.booleans(), st.sampled_from(["tar", "ztar"]))
def test_any_members_in_any_order(members: list[bytes], rooted: bool, target: str) -> None:
    ORACLES[target](forge.tar(*([forge.ROOT] if rooted else []), *members))


@settings(max_examples=200, derandomize=True)
@given(st.lists(st.binary(max_size=300), max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_any_frames_and_tables(contents: list[bytes], rng: random.Random, whole: bool) -> None:
    made = corpus.framed(*contents)
    assert not contents or ORACLES["zstd"](made) == "accepted"
    ORACLES["zstd"](made if whole else mutate(made, rng))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS: Any = st.one_of(formula_files(), plots().map(lambda body: {"plot.v1": body}), releases)


@settings(max_examples=200, derandomize=True)
@given(DOCUMENTS, VALUES, st.randoms(use_true_random=False))
def test_a_document_with_one_wrong_value(document: Any, value: Any, rng: random.Random) -> None:
    import json

    places = list(_places(document))
    if places:
        container, key = rng.choice(places)
        container[key] = value
    ORACLES["document"](json.dumps(document).encode())


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
