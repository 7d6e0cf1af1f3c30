"""The person's terminal at a container of the job: keys go there, and what it writes comes here as it is."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common, refuse_argument
from warpforge.errors import Invalid, Missing

if TYPE_CHECKING:
    from warpforge.cli.pt_lines import LineTeller
    from warpforge.polytope.calls.steps import JobStep
    from warpforge.polytope.containers.seats import Sitter
    from warpforge.polytope.files.library import Library
    from warpforge.polytope.jobs.job import Job
    from warpforge.polytope.spec import ContainerSpec
    from warpforge.sandbox.seat import Terminal

_MODE: Final = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")  # xterm's private modes
_CURSOR: Final = b"25"
# the cursor, other screens, the mouse, pasting in brackets
_MODES: Final = frozenset((_CURSOR, b"47", b"1047", b"1049", b"1000", b"1002", b"1003", b"1006", b"2004"))


class Attachment:
    """Which container it is, and how it is sat at. ``asked``: the step that was named; without one it is the only step
    that is a container, if that one has a terminal and no services."""

    def __init__(self, common: Common, asked: str) -> None:
        self._common = common
        self._asked = asked
        self._step = ""
        self._has_sat = False
        self._seat: Terminal | None = None
        self._modes: set[bytes] = set()  # of the screen, that are not as usual
        self.is_free = threading.Event()  # nobody sits at a container now
        self.is_free.set()

    def choose(self, steps: Sequence[JobStep], library: Library) -> None:
        """Errors: ``missing``, when there is no such step."""
        from warpforge.polytope.calls.steps import steps_of

        if self._asked:
            names = [step.id for step in steps]
            if self._asked not in names:
                raise Missing("missing", f"--attach {self._asked}: the steps are {', '.join(names)}", step=self._asked)
            self._step = self._asked
        else:
            found = steps_of("container", steps, library)
            self._step = found[0] if len(found) == 1 else ""

    def sitter(self, step: str, spec: ContainerSpec, teller: LineTeller) -> Sitter | None:
        """As ``Person.sitter``."""
        if step != self._step or self._has_sat:
            return None
        has_terminal = spec.tty and spec.has_stdin
        if not has_terminal and self._asked:
            what = "has no terminal (tty: false)" if spec.has_stdin else "has no stdin (no-stdin: true)"
            raise Invalid("invalid-argument", f"--attach {step}: container {spec.id} {what}", step=step)
        if not self._asked and (not has_terminal or spec.services or spec.scaling.max > 1):
            return None
        self._has_sat = True
        return _Sitter(self, spec.id, teller)

    @contextmanager
    def minded(self) -> Iterator[None]:
        """The job runs: sizes of the window are passed on, and in the end the terminal is as it was. Main thread."""
        from warpforge.sandbox.seat import following

        before = self._common.give_back

        def give_back() -> None:
            self._give_back()
            before()

        self._common.give_back = give_back
        try:
            with following(self._resize):
                yield
        finally:
            self._give_back()

    def status(self, job: Job) -> int:
        """The exit status of the container, when the job failed for nothing else; else 0."""
        error = job.error()
        if not self._has_sat or error is None or error.details.get("step") != self._step:
            return 0
        return next((one.exit for one in job.summary.containers.values() if one.step == self._step and one.exit), 0)

    def see(self, data: bytes) -> None:
        """As ``Sitter.see``; nothing, once the terminal was given back."""
        if self.is_free.is_set():
            return
        for numbers, end in _MODE.findall(data):
            for number in _MODES & {*numbers.split(b";")}:
                is_usual = (end == b"h") == (number == _CURSOR)
                (self._modes.discard if is_usual else self._modes.add)(number)
        _write(data)

    def _undo(self) -> None:
        """Nobody sits there any more; a program that was killed may have left the screen as only it wants it."""
        self.is_free.set()
        _write(b"".join(b"\x1b[?%s%s" % (number, b"h" if number == _CURSOR else b"l") for number in self._modes))
        self._modes.clear()

    def _give_back(self) -> None:
        if self._seat is not None:
            self._seat.leave()

    def _resize(self) -> None:
        if self._seat is not None:
            self._seat.resize()

    @contextmanager
    def sit(self, container: str, teller: LineTeller) -> Iterator[Terminal]:
        """As ``Sitter.sit``. What is left early is the teller's again, though the container runs on."""
        from warpforge.sandbox.seat import Terminal

        with ExitStack() as stack:
            stack.enter_context(teller.away())
            self.is_free.clear()
            stack.callback(self._undo)
            self._common.note(f"at the terminal of {container}: Ctrl-P Ctrl-Q gives yours back to pt")
            with Terminal(0, 1, stack.close) as seat:
                self._seat = seat
                try:
                    yield seat
                finally:
                    self._seat = None


class _Sitter:
    def __init__(self, attachment: Attachment, container: str, teller: LineTeller) -> None:
        self._attachment = attachment
        self._container = container
        self._teller = teller

    def sit(self) -> AbstractContextManager[Terminal]:
        return self._attachment.sit(self._container, self._teller)

    def see(self, data: bytes) -> None:
        self._attachment.see(data)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def attachment_for(common: Common, asked: str, *, is_plain: bool, may_ask: bool) -> Attachment | None:
    """None where there is no terminal to sit at, or nobody is to. ``is_plain``: without a picture, so only if asked."""
    if may_ask and not common.json and sys.stdin.isatty() and sys.stdout.isatty():
        return Attachment(common, asked) if asked or not is_plain else None
    if asked:
        refuse_argument(f"--attach {asked}: that needs a terminal, and neither --json nor --non-interactive")
    return None
