"""A job as one of its steps sees it: what its code and its containers are given as the ``Runner``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from warpforge.errors import Failed, Missing
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import StepSaid
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Interrupted
from warpforge.polytope.spec import ContainerSpec, Service, Source

if TYPE_CHECKING:
    from warpforge.polytope.jobs.job import Job
    from warpforge.polytope.modules.web import Web

TURN: Final = 0.1  # seconds between two looks whether to stop, while sleeping
LONGEST: Final = 4096  # characters of a failure's data that are shown


class StepRunner:
    """The runner of one step; its thread's alone, but for ``interrupt``."""

    def __init__(self, job: Job, id: str, step: JobStep) -> None:
        self.id = id
        self.step = step
        self._job = job
        self._values: dict[str, Value] = {}
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Stop this step at its next call, or when the one under way returns."""
        self._interrupted.set()

    @property
    def is_interrupted(self) -> bool:
        return self._interrupted.is_set()

    def go_on(self) -> None:
        """Errors: Interrupted, when the step or the job is told to stop."""
        if self._interrupted.is_set() or self._job.is_stopping:
            raise Interrupted

    def _go_on_with(self, container: str) -> None:
        """Errors: Interrupted, also when another step has stopped this container."""
        self.go_on()
        if self._job.holdings.is_stopped_for_another(self.id, container):
            raise Interrupted

    # containers

    def spawn(self, spec: ContainerSpec) -> str:
        self.go_on()
        for variable in spec.env:
            if variable.is_secret:
                self._job.mask.add(variable.value)
        return self._job.holdings.spawn(self, spec)

    def await_started(self, container: str) -> None:
        self._job.boxes.await_started(container)
        self._go_on_with(container)
        self._job.running(self.id)

    def open_service(self, container: str, service: Service) -> None:
        self.go_on()
        try:
            self._job.boxes.open_service(container, service)
        finally:
            self._go_on_with(container)

    def await_exited(self, container: str) -> int:
        self._job.serves(self.id, container)
        status = self._job.boxes.await_exited(container)
        self._go_on_with(container)
        return status

    def exec(self, container: str, argv: Sequence[str], env: Mapping[str, str]) -> int:
        self.go_on()
        status = self._job.boxes.exec(container, argv, env)
        self.go_on()
        return status

    def stop(self, container: str) -> None:
        self._job.holdings.stop_for(self.id, container)

    def close_service(self, service: str) -> None:
        self._job.boxes.close_service(service)

    def await_service(self, service: str, port: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:  # in turns, so that a stop is seen
            self.go_on()
            left = deadline - time.monotonic()
            if self._job.boxes.await_service(service, port, max(0.0, min(left, 1.0))):
                return True
            if left <= 0:
                return False

    def service_address(self, service: str, port: int) -> tuple[str, int]:
        return self._job.boxes.service_address(service, port)

    def list_files(self, container: str, path: str) -> list[dict[str, Value]]:
        self.go_on()
        return self._job.boxes.list_files(container, path)

    def read_file(self, container: str, path: str) -> bytes:
        self.go_on()
        return self._job.boxes.read_file(container, path)

    def write_file(self, container: str, path: str, data: bytes) -> None:
        self.go_on()
        self._job.boxes.write_file(container, path, data)

    def store_dataset(self, container: str, path: str, dataset: str) -> int:
        self.go_on()
        return self._job.boxes.store_dataset(container, path, dataset)

    # saying and waiting

    def mask(self, secret: str) -> None:
        """Show this to nobody from now on."""
        self._job.mask.add(secret)

    def log(self, level: str, text: str) -> None:
        self.go_on()
        for line in text.splitlines() or [""]:
            self._job.hear(StepSaid(self.id, level, line))

    def fail(self, message: str, data: Value) -> NoReturn:
        shown = json.dumps(data, ensure_ascii=False)[:LONGEST] if data else None
        self.go_on()
        status = data.get("exit-code") if isinstance(data, dict) else None
        said = message if status is None else f"{message.rstrip('.')} ({status})."
        output = None if status is None else self._job.last_words(self.id)
        raise Failed("job-step-failed", said, step=self.id, data=shown, output=output or None)

    def sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.go_on()
            self._interrupted.wait(min(left, TURN))
        self.go_on()

    def ask(self, kind: str, prompt: str) -> str | None:
        self.go_on()
        person = self._job.parts.person
        return person.ask(self.id, kind, self._job.mask.text(prompt)) if person else None

    def say(self, text: str) -> None:
        self.go_on()
        if self._job.parts.person:
            self._job.parts.person.say(self.id, self._job.mask.text(text))
        else:
            self.log("info", text)

    # the web

    def http_request(self, request: Mapping[str, Value]) -> dict[str, Value]:
        self.go_on()
        return self._web().request(request)

    def http_stream(self, request: Mapping[str, Value]) -> Iterator[str]:
        for line in self._web().stream(request):
            self.go_on()
            yield line

    def _web(self) -> Web:
        from warpforge.polytope.modules.web import Web

        return Web(self._job.parts.routes, self._find)

    def _find(self, host: str, port: int) -> tuple[str, int] | None:
        """Where a service of the job is reached from here."""
        if host not in self._job.summary.services:
            return None
        return self._job.boxes.service_address(host, port)

    # the project

    def read_repo_file(self, repo: str, path: str) -> str:
        self.go_on()
        return self._job.parts.project.read_repo_file(repo, path)

    def source_path(self, source: Source) -> str:
        self.go_on()
        return self._job.parts.project.source_path(source)

    def project_path(self) -> str:
        return self._job.parts.project.path

    def get_value(self, scope: str, key: str) -> Value:
        self.go_on()
        if scope == "project":
            return self._job.parts.project.get_value(key)
        return (self._values if scope == "step" else self._job.values).get(key)

    def set_value(self, scope: str, key: str, value: Value) -> None:
        self.go_on()
        if scope == "project":
            self._job.parts.project.set_value(key, value)
            self._job.hopes.stored()
        else:
            (self._values if scope == "step" else self._job.values)[key] = value

    def get_secret(self, key: str) -> str | None:
        secret = self._job.parts.project.get_secret(key)
        if secret is not None:
            self._job.mask.add(secret)
        return secret

    def set_secret(self, key: str, value: str) -> None:
        self._job.mask.add(value)
        self._job.parts.project.set_secret(key, value)
        self._job.hopes.stored()

    # other modules and steps

    def call_module(self, reference: str, args: Mapping[str, Value]) -> Value:
        self.go_on()
        found = self._job.parts.author.call(reference, args, self.step, self)
        if isinstance(found, list):
            return dict(self._job.run_inside(self, found))
        return found.do(self)

    def spawn_step(self, reference: str, args: Mapping[str, Value]) -> str:
        self.go_on()
        call = Call(reference=reference, args=dict(args), file=self.step.frame.file)
        return self._job.add(self._job.parts.author.plan([[call]], self), self.id)[0]

    def output(self, step: str) -> Value:
        self.go_on()
        names = self.step.names.get(step, (step,))
        try:
            found = {name: self._job.output(name) for name in names}
        except KeyError:
            what = f"step {step} has given nothing yet: a step that speaks of its output runs after it"
            raise Missing("missing", what, step=step) from None
        return found[names[0]] if len(names) == 1 else found

    def build_image(self, args: Mapping[str, Value]) -> dict[str, Value]:
        self.go_on()
        return self._job.parts.project.build_image(args, self)
