"""What is decided of boxes before they are made: how many, on which CPUs, whether again, whose their files are."""

from __future__ import annotations

from warpforge.polytope.containers.box import wants_restart
from warpforge.polytope.containers.furnish import choose_cpus
from warpforge.polytope.containers.image import MOST_COPIED, Owned, choose_owned
from warpforge.polytope.containers.scaling import CALM, decide
from warpforge.polytope.spec import Restart


def test_one_more_at_once_one_less_after_a_while() -> None:
    assert decide(0.9, 3) == (1, 0)
    assert decide(0.5, 3) == (0, 0)
    assert decide(0.1, 0) == (0, 1)
    assert decide(0.1, CALM - 1) == (-1, 0)


def test_a_limit_is_so_many_cpus() -> None:
    there = [0, 1, 4, 5]
    assert choose_cpus(0, "a", there) == choose_cpus(4, "a", there) == choose_cpus(9, "a", there) == ()
    for limit, count in ((0.1, 1), (1, 1), (1.5, 2), (3, 3)):
        for name in "abcdef":
            chosen = choose_cpus(limit, name, there)
            assert len(set(chosen)) == count
            assert set(chosen) <= set(there)
    assert len({choose_cpus(1, name, there) for name in "abcdefgh"}) > 1


def test_much_is_not_copied_only_to_change_its_owner() -> None:
    home, key = Owned(b"home", 5, 6), Owned(b"home/key", 5, 6, size=9)
    little, much = (Owned(b"home/f", 5, 6, size=size, is_open=True) for size in (10, MOST_COPIED))
    assert [one.path for one in choose_owned([home, key, little])] == [b"home", b"home/key", b"home/f"]
    assert [one.path for one in choose_owned([home, key, much])] == [b"home", b"home/key"]


def test_policies() -> None:
    assert not wants_restart(Restart(), 1, 0)
    assert wants_restart(Restart("always"), 0, 1000)
    assert not wants_restart(Restart("on-failure"), 0, 0)
    assert [wants_restart(Restart("on-failure", 2), 1, restarts) for restarts in range(3)] == [True, True, False]
