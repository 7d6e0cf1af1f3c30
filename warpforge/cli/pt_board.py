"""A job on the screen: its services with their addresses and its steps, as plain values in so many columns and rows.

It hears events and never asks; ``picture`` is pure, so that it can be looked at without a terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import time
from typing import Final

from warpforge.cli.board import clock
from warpforge.cli.picture import Row
from warpforge.model.units import counted
from warpforge.polytope.events import Event, Exposed
from warpforge.polytope.jobs.summary import ContainerSummary, JobSummary, ServiceSummary, StepSummary

MARKS: Final = {
    "queued": ("·", "dim"),
    "starting": ("▹", "cyan"),
    "running": ("▸", "blue"),
    "stopping": ("◂", "yellow"),
    "stopped": ("■", "yellow"),
    "success": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "canceled": ("–", "dim"),
}
SERVICE_MARKS: Final = {
    "pending": ("○", "cyan"),
    "running": ("●", "green"),
    "stopping": ("◐", "yellow"),
    "stopped": ("○", "dim"),
}
WIDE: Final = 60  # columns from which on there is room for a line of its own a service


class JobBoard:
    """What the job is, as far as events told."""

    def __init__(self, job: JobSummary, now: Callable[[], float] = time) -> None:
        self._lock = threading.Lock()
        self._now = now
        self.job = job

    def hear(self, event: Event) -> None:
        """Take what happened."""
        with self._lock:
            self.job.hear(event, self._now())

    def show(self, job: JobSummary) -> None:
        """The job is this now."""
        with self._lock:
            self.job = job

    def picture(self, width: int, height: int) -> list[Row]:
        """At most ``height`` rows, the most important ones first."""
        with self._lock:
            rows = [self._head(width)]
            services = [self._service(service, width) for service in self.job.services.values()]
            steps = [self._step(step, width) for step in self._shown()]
        room = height - len(rows)
        kept = _fit(services, max(1, room // 2) if len(services) + len(steps) > room else len(services), "services")
        return (rows + kept + _fit(steps, room - len(kept), "steps"))[:height]

    def _head(self, width: int) -> Row:
        job = self.job
        row: Row = [
            (job.id, "bold"),
            (f"  {job.state}", MARKS[job.state][1]),
            (f"  {clock(self._now() - job.created)}", ""),
        ]
        work = [step for step in job.steps.values() if not step.is_template]
        for state in ("running", "starting", "queued", "success", "failed", "canceled"):
            number = sum(step.state == state for step in work)
            if number:
                mark, style = MARKS[state]
                row.append((f"  {number} {state}" if width >= WIDE else f" {mark}{number}", style))
        return row

    def _service(self, service: ServiceSummary, width: int) -> Row:
        mark, style = SERVICE_MARKS[service.state]
        row: Row = [(f"{mark} ", style), (service.id, "bold")]
        for port in service.ports:
            row.append((f"  {address(port)}", "cyan" if service.state == "running" else "dim"))
            if port.label and width >= WIDE:
                row.append((f" {port.label}", "dim"))
        return row

    def _shown(self) -> list[StepSummary]:
        """Those with work of their own: what runs, what failed, what waits, what is over."""
        order = ["failed", "running", "starting", "stopping", "queued", "stopped", "success", "canceled"]
        work = [step for step in self.job.steps.values() if not step.is_template]
        return sorted(work, key=lambda step: order.index(step.state))

    def _step(self, step: StepSummary, width: int) -> Row:
        mark, style = MARKS[step.state]
        row: Row = [(f"{mark} ", style), (step.id, "bold" if step.state in ("running", "failed") else "")]
        if step.started:
            row.append((f"  {clock((step.finished or self._now()) - step.started)}", "dim"))
        if step.why:
            row.append((f"  {step.why}", "red" if step.state == "failed" else "dim"))
        for id in step.containers:
            container = self.job.containers.get(id)
            if container is not None and not step.has_ended and container.state != "running":
                row.append((f"  {said(container)}", "cyan"))
            elif container is not None and container.restarts and width >= WIDE:
                row.append((f"  restarted {counted(container.restarts, 'time')}", "yellow"))
        return row


def said(container: ContainerSummary) -> str:
    """What a container does, in a few words."""
    if container.state == "pulling":
        return f"pulling {container.image}"
    if container.exit is not None:
        return f"{container.state}, exit {container.exit}"
    if container.boxes > 1:
        return f"{container.state}, {container.up} of {container.boxes}"
    return container.state


def address(port: Exposed) -> str:
    """Where the host reaches a port, as a person would type it."""
    if not port.host_port:
        return f":{port.port}"
    where = f"localhost:{port.host_port}"
    if port.protocol in ("http", "https") and not port.is_internal:
        return f"{port.protocol}://{where}"
    return f"{where}/udp" if port.protocol == "udp" else where


def _fit(rows: list[Row], room: int, what: str) -> list[Row]:
    if len(rows) <= room:
        return rows
    if room < 1:
        return []
    return [*rows[: room - 1], [(f"  and {len(rows) - room + 1} more {what}", "dim")]]
