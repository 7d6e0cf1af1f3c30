"""A container that runs: its boxes, one or several, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from warpforge.errors import Failed, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.polytope.containers.box import Box
from warpforge.polytope.containers.seats import Sitter
from warpforge.polytope.events import ContainerChanged, ContainerState, Hear
from warpforge.polytope.spec import ContainerSpec

_LAST: Final = ("stopping", "exited", "failed")  # nothing else is told once it is to stop
MakeBox = Callable[["Running", int], Box]


class Running:
    """One container of a job; perhaps a person sits at it. May be used from many threads.

    What becomes of it is told in order, and told before whoever waits for it goes on.
    """

    def __init__(self, spec: ContainerSpec, hear: Hear, sitter: Sitter | None = None) -> None:
        self.spec: Final = spec
        self.sitter: Final = sitter
        self.id: Final = spec.id
        self.ware: WareId | None = None
        self.kept: Final[dict[str, WareId]] = {}  # datasets that were gathered, by path
        self._hear = hear
        self._changed = threading.Condition()
        self._telling = threading.RLock()  # taken before ``_changed``, never within it
        self._boxes: list[Box] = []
        self._make_box: MakeBox | None = None
        self._number = 0  # of the next box
        self._state: ContainerState = "pulling"
        self._status = 0
        self._trouble: WarpforgeError | None = None
        self._has_started = False
        self._restarts = 0
        self._stopping = False

    @property
    def boxes(self) -> list[Box]:
        """Those that have not ended."""
        with self._changed:
            return [*self._boxes]

    @property
    def addresses(self) -> list[str]:
        """Of its boxes."""
        return [box.address for box in self.boxes]

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self._state in ("exited", "failed")

    def pulling(self, why: str) -> None:
        """Its image is looked for; ``why`` it will be less than it could be."""
        self._tell("pulling", why=why)

    def begin(self, make_box: MakeBox) -> None:
        """Start its boxes. Errors: ``sandbox-unavailable``."""
        self._make_box = make_box
        self._tell("spawning")
        with self._changed:  # nobody sees that the first has ended before the last has begun
            for _ in range(max(1, self.spec.scaling.min)):
                self.grow()

    def grow(self) -> None:
        """One box more."""
        assert self._make_box is not None
        with self._changed:
            if self._stopping:
                return
            number, self._number = self._number, self._number + 1
            box = self._make_box(self, number)
            box.begin()
            self._boxes.append(box)

    def shrink(self) -> None:
        """The youngest box less."""
        with self._changed:
            box = self._boxes.pop() if len(self._boxes) > 1 else None
        if box is not None:
            self._recount()
            box.stop()

    def fail(self, error: WarpforgeError) -> None:
        """It could not even begin; boxes that did are stopped."""
        with self._changed:
            self._trouble = self._trouble or error
        self._tell("failed", why=error.message)
        self.stop()

    def started(self) -> None:
        """A box runs its command."""
        with self._changed:
            self._has_started = True
        self._tell("running")

    def restarting(self, status: int, restarts: int, pause: float) -> None:
        """A box has ended, and starts again after a pause."""
        self._restarts = max(self._restarts, restarts)
        self._tell("restarting", exit=status, why=f"it ended with status {status}; it starts again in {pause:g} s")

    def lost(self, box: Box, status: int, trouble: WarpforgeError | None) -> bool:
        """A box has ended for good; whether that was the last: then ``end`` follows."""
        with self._changed:
            if box not in self._boxes:
                return False  # there were too many
            self._boxes.remove(box)
            self._status = self._status or status
            self._trouble = self._trouble or trouble
            left = bool(self._boxes)
        if left:
            self._recount()
        return not left

    def end(self) -> None:
        """All that follows from its end has happened, so whoever waits for it may go on."""
        if self._trouble is not None:
            self._tell("failed", why=self._trouble.message)
        else:
            self._tell("exited", exit=self._status)

    def stop(self) -> None:
        """As ``Containers.stop``."""
        with self._changed:
            self._stopping = True
            boxes, has_begun = [*self._boxes], self._number > 0
        self._tell("stopping")
        if not has_begun:
            self.end()
        elif not boxes:  # it has just ended, and what follows from that is under way
            with self._changed:
                self._changed.wait_for(lambda: self.is_over)
        threads = [threading.Thread(target=box.stop) for box in boxes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def await_started(self) -> None:
        """Until it runs. Raises what kept it from running."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_started or self.is_over)
            if self._trouble is not None and not self._has_started:
                raise self._trouble

    def await_exited(self) -> int:
        """Its status. Raises what ended it when that was not its command."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_over)
            if self._trouble is not None:
                raise self._trouble
            return self._status

    def resident_box(self) -> Box:
        """A box whose command runs now. Errors: ``missing``."""
        for box in self.boxes:
            if box.resident is not None:
                return box
        raise Failed("missing", f"container {self.id} does not run", container=self.id)

    def _recount(self) -> None:
        """Tell that it has another number of boxes."""
        with self._telling:
            if self._state == "running":
                self._tell("running")

    def _tell(self, state: ContainerState, *, exit: int | None = None, why: str = "") -> None:
        with self._telling:
            with self._changed:
                if self._stopping and state not in _LAST:
                    self._changed.notify_all()
                    return
                if self.is_over:
                    return
                up = sum(box.resident is not None for box in self._boxes)
                ware = str(self.ware or "")
                event = ContainerChanged(self.id, state, exit, self._restarts, ware, why, len(self._boxes), up)
            self._hear(event)
            with self._changed:
                self._state = state
                self._changed.notify_all()
