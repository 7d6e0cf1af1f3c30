"""What a job tells, as JSON lines, as plain lines, or above a picture that is drawn again and again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Common, printable, to_json
from warpforge.cli.plain import plain
from warpforge.polytope.events import (
    INTERRUPTED,
    ContainerChanged,
    ContainerSaid,
    ContainerSpawned,
    Event,
    JobChanged,
    ServiceChanged,
    StepChanged,
    StepSaid,
)
from warpforge.polytope.jobs.summary import JobSummary

if TYPE_CHECKING:
    from warpforge.cli.picture import Picture
    from warpforge.cli.pt_board import JobBoard

COLORS: Final = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan", "bright_magenta")


class JsonTeller:
    """One object a line, on stdout."""

    def __init__(self, common: Common) -> None:
        self._quiet = common.quiet
        self._lock = threading.Lock()

    def hear(self, event: Event) -> None:
        if self._quiet and not isinstance(event, JobChanged):
            return
        with self._lock:
            sys.stdout.write(to_json(to_line(event)) + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Nothing more will come."""


def to_line(event: Event) -> dict[str, object]:
    """An event as a line of its kind."""
    match event:
        case JobChanged():
            return {"job": {"job": event.job, "state": event.state, "why": event.why}}
        case StepChanged():
            return {"step": {"step": event.step, "state": event.state, "parent": event.parent, "why": event.why}}
        case StepSaid():
            return {"jobline": {"step": event.step, "level": event.level, "text": event.line}}
        case ContainerSaid():
            return {"jobline": {"container": event.container, "text": event.line}}
        case ContainerSpawned():
            return {"spawned": {"container": event.container, "step": event.step, "image": event.image}}
        case ContainerChanged():
            return {
                "container": {
                    "container": event.container,
                    "state": event.state,
                    "exit": event.exit,
                    "restarts": event.restarts,
                    "image": event.image,
                    "why": event.why,
                    "boxes": event.boxes,
                    "up": event.up,
                }
            }
        case ServiceChanged():
            ports = [
                {"port": port.port, "protocol": port.protocol, "hostPort": port.host_port, "label": port.label}
                for port in event.ports
            ]
            return {
                "service": {
                    "service": event.service,
                    "container": event.container,
                    "state": event.state,
                    "ports": ports,
                }
            }


class LineTeller:
    """For people, one line after the other: who said it, and what. What was said goes to stdout, the rest to stderr."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._lock = threading.Lock()
        self._colors: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._failures: dict[str, str] = {}  # whose, and why
        self._held: list[str] | None = None  # what happened while the terminal is somebody else's

    def hear(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, StepSaid | ContainerSaid):
                if self._held is not None:
                    return  # it is in the log
                id = event.step if isinstance(event, StepSaid) else event.container
                level = event.level if isinstance(event, StepSaid) and event.level in ("warn", "error") else ""
                self.said(id, level, plain(event.line))
            elif not self._common.quiet and (words := self._words(event)):
                self.line(words) if self._held is None else self._held.append(words)

    def said(self, id: str, level: str, text: str) -> None:
        """A line of a step or a container."""
        color = self._colors.setdefault(id, COLORS[len(self._colors) % len(COLORS)])
        mark = f"{level}: " if level else ""
        click.echo(f"{click.style(printable(id), fg=color)} | {mark}{text}")

    def line(self, text: str) -> None:
        """What happened."""
        click.echo(printable(text), err=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Something else is written to the terminal."""
        yield

    @contextmanager
    def away(self) -> Iterator[None]:
        """The terminal is somebody else's: what happens is told afterwards, what is said is in the logs alone."""
        with self.paused():
            sys.stdout.flush()
            with self._lock:
                self._held = []
            try:
                yield
            finally:
                with self._lock:
                    held, self._held = self._held or [], None
                    for words in held:
                        self.line(words)

    def close(self) -> None:
        """Nothing more will come."""

    def _words(self, event: Event) -> str:
        match event:
            case StepChanged(state="success"):
                return f"ok    {event.step}"
            case StepChanged(state="failed"):
                return self._failed(event.step, event.why)
            case StepChanged(state="canceled"):
                return f"skip  {event.step}  {event.why}"
            case StepChanged(state="stopped"):
                return f"stop  {event.step}"
            case ServiceChanged(state="running"):
                from warpforge.cli.pt_board import address

                known, self._states[event.service] = self._states.get(event.service), "running"
                return "" if known else f"open  {event.service}  {'  '.join(map(address, event.ports))}"
            case ContainerChanged(state="restarting"):
                exit = "" if event.exit is None else f"  exit {event.exit}"
                return f"again {event.container}{exit}"
            case ContainerChanged(state="pulling", why=why) if why:
                return f"note  {why}"
            case ContainerChanged(state="failed"):
                return self._failed(event.container, event.why)
            case JobChanged(state="stopping"):
                more = "once more Ctrl-C to stop" if event.why == INTERRUPTED else f"{event.why}; Ctrl-C stops"
                return f"stopping: {more} at once"
        return ""

    def _failed(self, id: str, why: str) -> str:
        """What a step and its container of the same name both say is said once, whoever says it first."""
        before, self._failures[id] = self._failures.get(id), why
        return "" if before == why else f"FAIL  {id}" + (f"  {why}" if why else "")


class LiveTeller(LineTeller):
    """For a terminal: the lines scroll, the board stays below them."""

    def __init__(self, common: Common, job: JobSummary) -> None:
        super().__init__(common)
        from warpforge.cli.picture import Picture
        from warpforge.cli.pt_board import JobBoard

        self._board: JobBoard = JobBoard(JobSummary(id=job.id, uid=job.uid, created=job.created))
        self._picture: Picture | None = Picture(self._board.picture)

    def hear(self, event: Event) -> None:
        self._board.hear(event)
        super().hear(event)

    def show(self, job: JobSummary) -> None:
        """What it is now, told by somebody who knows all of it."""
        self._board.show(job)

    def said(self, id: str, level: str, text: str) -> None:
        if self._picture is None:
            super().said(id, level, text)
            return
        color = self._colors.setdefault(id, COLORS[len(self._colors) % len(COLORS)])
        self._picture.line(f"{level}: {text}" if level else text, (f"{printable(id)} | ", color))

    def line(self, text: str) -> None:
        if self._picture is None:
            super().line(text)
        else:
            self._picture.line(text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        from warpforge.cli.picture import Picture

        was_there = self._picture is not None
        self.close()
        try:
            yield
        finally:
            with self._lock:
                if was_there:
                    self._picture = Picture(self._board.picture)

    def close(self) -> None:
        with self._lock:
            picture, self._picture = self._picture, None
        if picture is not None:
            picture.close()


Teller = JsonTeller | LineTeller


def make_teller(common: Common, job: JobSummary, *, live: bool) -> Teller:
    """The one that fits the flags and the terminal."""
    if common.json:
        return JsonTeller(common)
    if live and sys.stderr.isatty() and sys.stdout.isatty() and not common.quiet and not common.settings.dumb:
        return LiveTeller(common, job)
    return LineTeller(common)
