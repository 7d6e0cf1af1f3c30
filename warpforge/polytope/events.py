"""What happens in a job, as it is told to whoever listens: frozen values.

The containers tell of themselves through the ``Hear`` that they are made with; the job masks secrets in what is said,
writes the logs and passes the event on. Threads tell as they go: whoever listens locks for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

StepState = Literal["queued", "starting", "running", "stopping", "stopped", "success", "failed", "canceled"]
ContainerState = Literal[
    "pulling", "spawning", "running", "restart-requested", "restarting", "stopping", "exited", "failed"
]
ServiceState = Literal["pending", "running", "stopping", "stopped"]

ENDED: Final = frozenset({"stopped", "success", "failed", "canceled"})


INTERRUPTED: Final = "interrupted"  # why a job stops: somebody pressed Ctrl-C where it runs


class StepChanged(msgspec.Struct, frozen=True, tag="step"):
    """``parent``: the step whose template this one is written in, "" at the top; ``why``: of a failure, or of a step
    that will not be run."""

    step: str
    state: StepState
    parent: str = ""
    why: str = ""


class StepSaid(msgspec.Struct, frozen=True, tag="said"):
    """A line of a step's own log."""

    step: str
    level: str
    line: str


class ContainerSpawned(msgspec.Struct, frozen=True, tag="spawned"):
    """A step has begun to start a container; ``image`` as written. The job tells it, the containers need not."""

    container: str
    step: str
    image: str


class ContainerChanged(msgspec.Struct, frozen=True, tag="container"):
    """``exit``: of the process that ended, None while there is none; ``restarts``: how often it was begun again;
    ``image``: its digest, once that is known; ``boxes``: how many it has, ``up``: those of them that run."""

    container: str
    state: ContainerState
    exit: int | None = None
    restarts: int = 0
    image: str = ""
    why: str = ""
    boxes: int = 0
    up: int = 0


class ContainerSaid(msgspec.Struct, frozen=True, tag="output"):
    """A line that a container wrote, without its end."""

    container: str
    line: str


class Exposed(msgspec.Struct, frozen=True):
    """One port of a service: ``host_port`` on the host's loopback, 0 when it is not to be reached from there."""

    port: int
    protocol: str = "tcp"
    host_port: int = 0
    label: str = ""
    is_internal: bool = False


class ServiceChanged(msgspec.Struct, frozen=True, tag="service"):
    """A service was opened, answers, or has gone."""

    service: str
    container: str
    state: ServiceState
    ports: tuple[Exposed, ...] = ()


class JobChanged(msgspec.Struct, frozen=True, tag="job"):
    """The whole job."""

    job: str
    state: StepState
    why: str = ""


Event = JobChanged | StepChanged | StepSaid | ContainerSpawned | ContainerChanged | ContainerSaid | ServiceChanged
Hear = Callable[[Event], None]
