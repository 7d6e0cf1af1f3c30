"""A job in memory: it does what a runner promises, without boxes, and remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from warpforge.errors import Failed, Missing
from warpforge.polytope.files.read_steps import default_id
from warpforge.polytope.modules.web import Web
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec, HostSource, RepoSource, Service, Source


class StepFailed(Failed):
    """The step said that it failed."""

    def __init__(self, message: str, data: Value) -> None:
        super().__init__("plot-step-failed", message)
        self.data = data


class Recording(Runner):
    """``exits``: exit statuses by container id (0 when there is none); ``answers``: what people enter."""

    def __init__(
        self,
        project: Path = Path("/"),
        *,
        exits: Mapping[str, int] | None = None,
        answers: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        self.done: list[tuple[str, ...]] = []
        self.specs: dict[str, ContainerSpec] = {}
        self.logs: list[tuple[str, str]] = []
        self.said = ""
        self.values: dict[tuple[str, str], Value] = {}
        self.outputs: dict[str, Value] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.secrets = dict(secrets or {})
        self.slept = 0.0
        self._project = project
        self._exits = exits or {}
        self._answers = list(answers)
        self._versions: dict[str, int] = {}
        self._web = Web(routes)

    def spawn(self, spec: ContainerSpec) -> str:
        name, number = spec.id, 1
        while name in self.specs:
            number += 1
            name = f"{spec.id}-{number}"
        self.specs[name] = spec
        self.done.append(("spawn", name))
        return name

    def _known(self, container: str) -> None:
        if container not in self.specs:
            raise Missing("missing", f"there is no container {container}", container=container)

    def await_started(self, container: str) -> None:
        self._known(container)
        self.done.append(("started", container))

    def open_service(self, container: str, service: Service) -> None:
        self._known(container)
        self.done.append(("open", container, service.id))

    def close_service(self, service: str) -> None:
        self.done.append(("close", service))

    def await_service(self, service: str, port: int, seconds: float) -> bool:
        return any(entry[0] == "open" and entry[2] == service for entry in self.done)

    def service_address(self, service: str, port: int) -> tuple[str, int]:
        for spec in self.specs.values():
            for known in spec.services:
                if known.id == service:
                    return "127.0.0.1", port or known.ports[0].port
        raise Missing("missing", f"there is no service {service}", service=service)

    def await_exited(self, container: str) -> int:
        self._known(container)
        self.done.append(("exited", container))
        return self._exits.get(container, 0)

    def exec(self, container: str, argv: Sequence[str], env: Mapping[str, str]) -> int:
        self._known(container)
        self.done.append(("exec", container, *argv))
        return self._exits.get(argv[0], 0)

    def stop(self, container: str) -> None:
        self._known(container)
        self.done.append(("stop", container))

    def list_files(self, container: str, path: str) -> list[dict[str, Value]]:
        prefix = path.rstrip("/") + "/"
        found = sorted(name for box, name in self.files if box == container and name.startswith(prefix))
        return [{"name": name.removeprefix(prefix), "type": "file"} for name in found]

    def read_file(self, container: str, path: str) -> bytes:
        try:
            return self.files[container, path]
        except KeyError:
            raise Missing("missing", f"{container} has no {path}", path=path) from None

    def write_file(self, container: str, path: str, data: bytes) -> None:
        self.files[container, path] = data

    def store_dataset(self, container: str, path: str, dataset: str) -> int:
        self._known(container)
        self.done.append(("store", container, path, dataset))
        self._versions[dataset] = self._versions.get(dataset, 0) + 1
        return self._versions[dataset]

    def log(self, level: str, text: str) -> None:
        self.logs.append((level, text))

    def fail(self, message: str, data: Value) -> NoReturn:
        raise StepFailed(message, data)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def http_request(self, request: Mapping[str, Value]) -> dict[str, Value]:
        return self._web.request(request)

    def http_stream(self, request: Mapping[str, Value]) -> Iterator[str]:
        return self._web.stream(request)

    def ask(self, kind: str, prompt: str) -> str | None:
        return self._answers.pop(0) if self._answers else None

    def say(self, text: str) -> None:
        self.said += text

    def read_repo_file(self, repo: str, path: str) -> str:
        try:
            return (self._project / path).read_text()
        except FileNotFoundError:
            raise Missing("missing", f"there is no {path}", path=path) from None

    def source_path(self, source: Source) -> str:
        if isinstance(source, HostSource):
            return source.path
        assert isinstance(source, RepoSource)
        return str(Path(source.repo) / source.path if source.repo else self._project / source.path)

    def project_path(self) -> str:
        return str(self._project)

    def get_value(self, scope: str, key: str) -> Value:
        return self.values.get((scope, key))

    def set_value(self, scope: str, key: str, value: Value) -> None:
        self.values[scope, key] = value

    def get_secret(self, key: str) -> str | None:
        return self.secrets.get(key)

    def set_secret(self, key: str, value: str) -> None:
        self.secrets[key] = value

    def call_module(self, reference: str, args: Mapping[str, Value]) -> Value:
        self.done.append(("call", reference))
        return dict(args)

    def spawn_step(self, reference: str, args: Mapping[str, Value]) -> str:
        self.done.append(("step", reference))
        return default_id(reference)

    def output(self, step: str) -> Value:
        return self.outputs.get(step)

    def build_image(self, args: Mapping[str, Value]) -> dict[str, Value]:
        self.done.append(("build", *map(str, args)))
        return {"digest": "sha256:" + "0" * 64, "metadata": {}}
