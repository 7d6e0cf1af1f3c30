"""Tries: a function of their entries alone, found, listed and compared without reading more than is needed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from warpforge.catalog import trie
from warpforge.errors import Invalid

MANY = {f"name-{number}": f"text-{number}" for number in range(5000)}


class Nodes(dict[str, Any]):
    """Nodes by id; ``reads`` counts."""

    reads = 0

    def read(self, id_: str) -> Any:
        self.reads += 1
        return self[id_]


def built(entries: dict[str, str]) -> tuple[trie.Node, Nodes]:
    nodes = Nodes()
    return trie.build(entries, nodes.__setitem__), nodes


def test_the_order_of_entries_does_not_matter() -> None:
    pairs = list(MANY.items())
    random.Random(7).shuffle(pairs)
    one, other = built(MANY), built(dict(pairs))
    assert one == other and trie.node_id(one[0]) == trie.node_id(other[0])


def test_every_entry_is_found_by_few_reads() -> None:
    node, nodes = built(MANY)
    assert dict(trie.every(node, nodes.read)) == MANY
    nodes.reads = 0
    for name in list(MANY)[::50]:
        assert trie.find(node, name, nodes.read) == MANY[name]
    assert nodes.reads <= 3 * 100
    assert trie.find(node, "none", nodes.read) is None
    assert all(len(one.get("entries", ())) <= trie.WIDTH for one in nodes.values())


@pytest.mark.parametrize("seed", range(12))
def test_differences_are_all_found(seed: int) -> None:
    chance = random.Random(seed)
    old, new = ({name: str(chance.randrange(2)) for name in chance.sample([*MANY], 9 * seed)} for _ in range(2))
    (before, nodes), (after, more) = built(old), built(new)
    nodes |= more
    found = {name: (one, other) for name, one, other in trie.changes(before, after, nodes.__getitem__)}
    assert found == {
        name: (old.get(name), new.get(name)) for name in old.keys() | new.keys() if old.get(name) != new.get(name)
    }
    assert (trie.node_id(before) == trie.node_id(after)) == (old == new)


def test_what_both_share_is_not_read() -> None:
    before, nodes = built(MANY)
    after, more = built({**MANY, "name-7": "another"})
    more.update(nodes | more)
    more.reads = 0
    assert list(trie.changes(before, after, more.read)) == [("name-7", "text-7", "another")]
    assert more.reads <= 6


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"entries": {}, "branch": {}},
        {"entries": []},
        {"entries": {"a": 1}},
        {"branch": {"a": 1}},
        {"entries": {str(number): "" for number in range(65)}},
    ],
)
def test_what_is_no_node_is_refused(node: Any) -> None:
    with pytest.raises(Invalid):
        trie.find(node, "a", lambda id_: {"entries": {}})
