"""What every back-end offers: one way to run a box, one way to ask whether it can."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from warpforge.fsx.tree import Entry
from warpforge.sandbox.spec import BoxSpec, Outcome

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content
    from warpforge.sandbox.berth import Berth

Entries = Iterator[tuple[Entry, "Content | None"]]
OnOutput = Callable[[str, bytes], None]  # "out" or "err", what was written
OnGather = Callable[[int, Entries], None]  # index into spec.gathers, the tree; must be used before it returns


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: whether it is in order, and what to do if not."""

    name: str
    ok: bool
    text: str
    advice: str = ""


class Probe(msgspec.Struct, frozen=True):
    """What a real trivial box on this machine showed."""

    sandbox: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether boxes work."""
        return all(finding.ok for finding in self.findings)


class Cancel:
    """Stops runs from another thread; one may serve many runs. Keep it until they have returned."""

    fd = -1

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def cancel(self) -> None:
        """Kill whatever runs with this, and whatever will; nothing when it is closed."""
        if self.fd >= 0:
            os.eventfd_write(self.fd, 1)

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing is to run any more."""
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()


class Turn(Protocol):
    """What a command waits for when all of its box is ready: only so many are to run at once."""

    def wait(self) -> None:
        """Until it may begin. What this raises gives the box up."""

    def over(self, *, well: bool) -> None:
        """The command has ended, ``well`` with 0 and by itself; what it left is still to be gathered."""


class Seat(Protocol):
    """A person at a box: what its command reads from, and perhaps a whole terminal."""

    @property
    def is_terminal(self) -> bool:
        """Whether stdin, stdout and stderr are one terminal, which becomes the command's controlling one."""

    @property
    def box_fd(self) -> int:
        """The box's end: stdin, and for a terminal all three. Copied."""

    @property
    def our_fd(self) -> int:
        """Of a terminal: where its output is read. Copied."""

    def begin(self) -> None:
        """The box has its end: close that, and begin to hand on what the person says."""


class Sandbox(Protocol):
    """A back-end."""

    @property
    def name(self) -> str:
        """``bwrap``, ``runc``, ..."""

    def probe(self) -> Probe:
        """Make a real trivial box, once for each process."""

    def warm(self) -> None:
        """Begin, in the background, what the first run would have to wait for."""

    def run(
        self,
        spec: BoxSpec,
        tmp: str | os.PathLike[str],
        *,
        on_output: OnOutput | None = None,
        on_gather: OnGather | None = None,
        cancel: Cancel | None = None,
        seat: Seat | None = None,
        turn: Turn | None = None,
        berth: Berth | None = None,
    ) -> Outcome:
        """Run one box; its work directory is made below ``tmp`` and gone afterwards. May be called from many threads.

        Raises Unable: sandbox-unavailable (``reason``: what is missing), sandbox-unsafe (a mount that was refused);
        Failed output-invalid (``reason``: type, limit) when a tree turned out bad while it was sent, after
        ``on_gather`` had seen a part of it (which raises then, from inside ``on_gather``'s own iteration).
        """
