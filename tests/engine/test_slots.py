"""Slots: turns come in order, only after a good end, and not at all once nothing is to begin."""

from __future__ import annotations

from threading import Thread

import pytest

from warpforge.engine.slots import NotBegun, Slots, Turn


def waiting(slots: Slots, name: str, said: list[str]) -> tuple[Turn, Thread]:
    """A thread that waits for its turn, and says how that went."""
    turn = Turn(slots)

    def wait() -> None:
        try:
            turn.wait()
            said.append(name)
        except NotBegun:
            said.append(f"not {name}")

    thread = Thread(target=wait)
    thread.start()
    return turn, thread


def test_a_slot_is_free_again_when_an_action_ended_well() -> None:
    slots, said = Slots(1), list[str]()
    first = Turn(slots)
    first.begun = lambda: said.append("first")
    first.wait()
    second, thread = waiting(slots, "second", said)
    first.over(well=True)
    thread.join()
    assert second.waited > 0
    first.end()  # gives nothing back a second time
    _, third = waiting(slots, "third", said)
    third.join(0.05)
    assert third.is_alive() and said == ["first", "second"]
    slots.close()
    third.join()
    assert said == ["first", "second", "not third"]


def test_who_failed_keeps_it_until_it_is_known_whether_anything_is_to_begin() -> None:
    slots, said = Slots(1), list[str]()
    first = Turn(slots)
    first.wait()
    _, thread = waiting(slots, "second", said)
    first.over(well=False)
    slots.close()
    first.end()
    thread.join()
    assert said == ["not second"]
    with pytest.raises(NotBegun):
        Turn(slots).wait()
