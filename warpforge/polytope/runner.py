"""What the code of a module may ask of the job that runs it.

Calls block; each step has a thread of its own. A job that is stopped raises ``Interrupted`` out of every call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from warpforge.errors import Failed
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import ContainerSpec, Service, Source


class Interrupted(Failed):
    """The step, or the whole job, is told to stop."""

    def __init__(self) -> None:
        super().__init__("interrupted", "stopped")


class Containers(Protocol):
    """The containers of one job. Ids are unique within it."""

    def spawn(self, spec: ContainerSpec) -> str:
        """Begin to start a container; its id, with a number appended when the asked one is taken."""

    def await_started(self, container: str) -> None:
        """Until its process runs. Raises Failed when it cannot be started."""

    def open_service(self, container: str, service: Service) -> None:
        """Other boxes, and the host, reach it from now on; returns once its ports answer, or the container ended."""

    def await_exited(self, container: str) -> int:
        """Its exit status, when no restart will follow."""

    def exec(self, container: str, argv: Sequence[str], env: Mapping[str, str]) -> int:
        """Another process in a running container; its exit status."""

    def stop(self, container: str) -> None:
        """SIGTERM, then SIGKILL; returns when it has ended. One that has ended is fine."""

    def close_service(self, service: str) -> None:
        """Nobody reaches it any more. One that is not open is fine."""

    def await_service(self, service: str, port: int, seconds: float) -> bool:
        """Until a service of the job answers (``port`` 0: at all its ports); False when it does not in that time."""

    def service_address(self, service: str, port: int) -> tuple[str, int]:
        """Where the host reaches it (``port`` 0: the first): host and port. Errors: ``missing``."""

    def list_files(self, container: str, path: str) -> list[dict[str, Value]]:
        """FileInfo of each entry of a directory of the container, or of the one file."""

    def read_file(self, container: str, path: str) -> bytes:
        """A file of the container as it is now."""

    def write_file(self, container: str, path: str, data: bytes) -> None:
        """Make or replace a file of the container."""

    def store_dataset(self, container: str, path: str, dataset: str) -> int:
        """Keep a path of an ended container as the next version of a dataset; its number."""


class Runner(Containers, Protocol):
    """A job, as the code of one of its steps sees it."""

    def log(self, level: str, text: str) -> None:
        """A line of the step's log: debug, info, warn or error."""

    def fail(self, message: str, data: Value) -> None:
        """End the step as failed; does not return."""

    def sleep(self, seconds: float) -> None:
        """Wait, unless the job is stopped."""

    def http_request(self, request: Mapping[str, Value]) -> dict[str, Value]:
        """{url, method, headers, body} -> HttpResponse; made from within the job's network."""

    def http_stream(self, request: Mapping[str, Value]) -> Iterator[str]:
        """As ``http_request``, the body line by line as it comes. Errors: ``connection``, for a status from 400 too."""

    def ask(self, kind: str, prompt: str) -> str | None:
        """What whoever runs the job enters: ``text``, or ``code``; None when nobody will answer any more."""

    def say(self, text: str) -> None:
        """Text for whoever runs the job, as it is: a part of a line, perhaps."""

    def read_repo_file(self, repo: str, path: str) -> str:
        """A file of a repository, by its path from the root. ``repo`` "": the project's own. Errors: ``missing``."""

    def source_path(self, source: Source) -> str:
        """Where something that can be mounted is on this host, to be read only. Errors: ``missing``, ``git``."""

    def project_path(self) -> str:
        """The directory of the project on this host: modules that make files make them there."""

    def get_value(self, scope: str, key: str) -> Value:
        """``scope``: step, job or project; None when there is none."""

    def set_value(self, scope: str, key: str, value: Value) -> None:
        """Kept as long as its scope."""

    def get_secret(self, key: str) -> str | None:
        """A stored secret; from now on it is masked in all logs of the job."""

    def set_secret(self, key: str, value: str) -> None:
        """Store a secret for the project."""

    def call_module(self, reference: str, args: Mapping[str, Value]) -> Value:
        """Run a module within this step; its output."""

    def spawn_step(self, reference: str, args: Mapping[str, Value]) -> str:
        """Another step of the job, begun at once; its id."""

    def output(self, step: str) -> Value:
        """What a step that has ended gave."""

    def build_image(self, args: Mapping[str, Value]) -> dict[str, Value]:
        """Build an image as polytope/build-image describes; ImageBuildResult."""
