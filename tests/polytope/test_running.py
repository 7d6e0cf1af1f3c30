"""A container's end as others see it, without boxes."""

from __future__ import annotations

import threading
from typing import Any

from warpforge.polytope.containers.running import Running
from warpforge.polytope.events import ContainerChanged, Event
from warpforge.polytope.spec import ContainerSpec


class Place:
    """A box that has only an address."""

    address = "10.0.0.1"
    resident = None

    def begin(self) -> None:
        pass


def test_one_that_is_stopped_while_it_ends_is_over_when_all_that_follows_has_happened() -> None:
    told: list[tuple[str, bool]] = []
    has_followed = False
    asked = threading.Event()

    def hear(event: Event) -> None:
        if isinstance(event, ContainerChanged):
            told.append((event.state, has_followed))
            if event.state == "stopping":
                asked.set()

    box: Any = Place()
    running = Running(ContainerSpec(id="c", image="i"), hear)
    running.begin(lambda *_: box)
    assert running.lost(box, 3, None)
    stopper = threading.Thread(target=running.stop)
    stopper.start()
    asked.wait(60)
    stopper.join(0.05)  # it has nothing to stop, and waits
    has_followed = True
    running.end()
    stopper.join()
    assert told[-2:] == [("stopping", False), ("exited", True)] and running.await_exited() == 3
