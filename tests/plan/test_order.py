"""The order of steps: topological, the same everywhere, and cycles named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpforge.errors import Invalid
from warpforge.plan.order import order


def test_needs_come_first_then_names() -> None:
    assert order({"c": ["z"], "a": [], "z": ["m"], "m": []}) == ["a", "m", "z", "c"]


@pytest.mark.parametrize(
    ("needs", "ring"),
    [
        ({"a": ["a"]}, "a -> a"),
        ({"a": ["b"], "b": ["a"]}, "a -> b -> a"),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, "a -> b -> c -> a"),
    ],
)
def test_a_cycle_is_named(needs: dict[str, list[str]], ring: str) -> None:
    with pytest.raises(Invalid) as caught:
        order(needs)
    assert caught.value.code == "warpforge-error-plot-invalid"
    assert caught.value.details["cycle"] == ring


def test_a_long_chain_needs_no_recursion() -> None:
    chain = order({f"{n:05}": [f"{n + 1:05}"] for n in range(10_000)})
    assert chain[0] == "09999"
    assert chain[-1] == "00000"


def test_a_deep_diamond_is_linear() -> None:
    needs = {f"{level}{side}": [f"{level + 1}a", f"{level + 1}b"] for level in range(30) for side in "ab"}
    assert len(order(needs)) == 60


@given(st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4), max_size=25))
def test_every_step_stands_behind_its_needs(edges: dict[int, list[int]]) -> None:
    needs = {str(n): [str(m) for m in others if m < n] for n, others in edges.items()}
    found = order(needs)
    assert sorted(found) == sorted(needs)
    for name, others in needs.items():
        for other in others:
            assert other not in needs or found.index(other) < found.index(name)
    assert order(dict(reversed(needs.items()))) == found
