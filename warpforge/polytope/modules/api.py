"""What code calls, bound to the runner: ``pt/NAME`` in Clojure, ``pt.name`` in JavaScript, one table for both.

Older and newer names of one call stand for the same. Each answers with a plain value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final

from warpforge.errors import Invalid, Missing
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.serving import take_services
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.modules.arguments import (
    Args,
    dataset_of,
    find_name,
    id_at,
    map_at,
    odd,
    text_at,
    value_at,
    whole_at,
)
from warpforge.polytope.modules.primitives import take_variables
from warpforge.polytope.modules.writing import FORMATS, read_text, write_text
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.types.durations import read_duration

LEVELS: Final = ("debug", "info", "warn", "error")
_SERVICE_WAIT: Final = 300.0


class Api:
    """The calls of one piece of code. ``evaluate``: runs code that the code itself has (text with its prefix).

    What the code starts and awaits later (an image's build, another process in a container) runs in threads; each
    ``call`` itself comes from the thread of the step.
    """

    def __init__(
        self,
        runner: Runner,
        facts: Facts,
        params: dict[str, Value] | None = None,
        evaluate: Callable[[str], Value] | None = None,
    ) -> None:
        self._runner = runner
        self._facts = facts
        self._params = params or {}
        self._evaluate = evaluate
        self._numbers = itertools.count(1)
        self._begun: dict[str, Future[Value]] = {}
        self._asked: dict[str, str] = {}
        self._last = ""  # the container that was spawned last

    def call(self, name: str, args: Args) -> Value:
        """One call, by its name in kebab-case. Errors: ``missing`` for no such name; what the runner raises."""
        found = _CALLS.get(name)
        if found is None:
            raise Missing("missing", f"there is no pt/{name}", name=name)
        return found(self, args)

    # containers

    def _spawn(self, args: Args) -> Value:
        self._last = self._runner.spawn(make_container(map_at(args, 0), self._facts))
        return self._last

    def _await_started(self, args: Args) -> Value:
        self._runner.await_started(id_at(args, 0))
        return True

    def _await_exited(self, args: Args) -> Value:
        return self._runner.await_exited(id_at(args, 0))

    def _open_service(self, args: Args) -> Value:
        """(container, service), or a service that names its container, or that of the last one spawned."""
        said = value_at(args, 1) if len(args) > 1 else value_at(args, 0)
        container = id_at(args, 0) if len(args) > 1 else self._last
        if isinstance(said, dict) and len(args) == 1:
            inner = said.get("service")
            container = find_name(said.get("container", said.get("container-id", said.get("ref")))) or container
            said = inner if isinstance(inner, dict) else said
        taking = Taking()
        services = take_services(taking, [said])
        taking.finish("open-service")
        for service in services:
            self._runner.open_service(container, service)
        return [service.id for service in services]

    def _stop_service(self, args: Args) -> Value:
        self._runner.close_service(id_at(args, 0))
        return None

    def _await_service(self, args: Args) -> Value:
        name, port, wait = id_at(args, 0), whole_at(args, 1), value_at(args, 2)
        seconds = _SERVICE_WAIT if wait is None else read_duration(wait)
        return self._runner.await_service(name, port, seconds)

    def _service_address(self, args: Args) -> Value:
        host, port = self._runner.service_address(id_at(args, 0), whole_at(args, 1))
        scheme = "https" if port == 443 else "http"
        return {"domain": host, "port": port, "base-url": f"{scheme}://{host}:{port}"}

    def _container_exec(self, args: Args) -> Value:
        """(container, cmd), or a map with both and ``env``; an id to await."""
        said = value_at(args, 0)
        taking = Taking()
        if isinstance(said, dict) and len(args) == 1:
            container = find_name(said.get("container", said.get("ref")))
            words, env = taking.words(said.get("cmd"), "cmd"), take_variables(taking, said.get("env"))
        else:
            container, words, env = id_at(args, 0), taking.words(value_at(args, 1), "cmd"), {}
        if not words:
            taking.fault("cmd", "which command?")
        taking.finish("container-exec")
        return self._begin("exec", lambda: self._runner.exec(container, words or (), env))

    def _stop(self, args: Args) -> Value:
        self._runner.stop(id_at(args, 0))
        return None

    def _container_ls(self, args: Args) -> Value:
        return list(self._runner.list_files(id_at(args, 0), text_at(args, 1, "/")))

    def _read_container_file(self, args: Args) -> Value:
        return self._runner.read_file(id_at(args, 0), text_at(args, 1)).decode("utf-8", "replace")

    def _write_container_file(self, args: Args) -> Value:
        self._runner.write_file(id_at(args, 0), text_at(args, 1), text_at(args, 2).encode())
        return None

    def _store_dataset(self, args: Args) -> Value:
        """({type: container-path, container-id, path}, sink); the version."""
        source = map_at(args, 0)
        container = find_name(source.get("container-id", source.get("container"))) or self._last
        path = source.get("path")
        if not isinstance(path, str):
            raise odd("store-dataset", "which path of the container?")
        return self._runner.store_dataset(container, path, dataset_of(value_at(args, 1)))

    # images

    def _spawn_image_build(self, args: Args) -> Value:
        said = map_at(args, 0)
        return self._begin("build", lambda: self._runner.build_image(said))

    # modules and steps

    def _call_module(self, args: Args) -> Value:
        return self._runner.call_module(text_at(args, 0), map_at(args, 1))

    def _spawn_step(self, args: Args) -> Value:
        said = value_at(args, 0)
        if isinstance(said, dict):
            inner = said.get("args")
            reference = find_name(said.get("module", said.get("tool")))
            return self._runner.spawn_step(reference, inner if isinstance(inner, dict) else {})
        return self._runner.spawn_step(text_at(args, 0), map_at(args, 1))

    def _output(self, args: Args) -> Value:
        value = self._runner.output(id_at(args, 0))
        if len(args) > 1:
            return value.get(text_at(args, 1)) if isinstance(value, dict) else None
        return value

    def _fail(self, args: Args) -> Value:
        self._runner.fail(text_at(args, 0, "The step failed."), value_at(args, 1))
        return None

    def _param(self, args: Args) -> Value:
        return self._params.get(text_at(args, 0)) if args else self._params

    def _all_params(self, args: Args) -> Value:
        return self._params

    # people

    def _log(self, args: Args) -> Value:
        """(message), or (level, message)."""
        level, rest = "info", args
        if len(args) > 1 and args[0] in LEVELS:
            level, rest = str(args[0]), args[1:]
        self._runner.log(level, " ".join(part if isinstance(part, str) else write_text("edn", part) for part in rest))
        return None

    def _log_chunk(self, args: Args) -> Value:
        self._runner.say(text_at(args, 0))
        return None

    def _request_input(self, args: Args) -> Value:
        number = f"input-{next(self._numbers)}"
        self._asked[number] = "code" if text_at(args, 0, "text") == "code" else "text"
        return number

    def _await_input(self, args: Args) -> Value:
        """InputRequestResult, or null when nobody answers any more."""
        number = id_at(args, 0)
        if number not in self._asked:
            raise Missing("missing", f"nothing was asked under {number!r}", name=number)
        kind = self._asked.pop(number)
        said = self._runner.ask(kind, "code> " if kind == "code" else "> ")
        return None if said is None else {"data": said, "by-user": {"id": "local", "uid": "0" * 16}}

    def _eval(self, args: Args) -> Value:
        if self._evaluate is None:
            raise Invalid("invalid-argument", "pt/eval is not to be had here")
        return self._evaluate(text_at(args, 0))

    def _sleep(self, args: Args) -> Value:
        self._runner.sleep(read_duration(value_at(args, 0)))
        return None

    # the world

    def _http_request(self, args: Args) -> Value:
        return self._runner.http_request(map_at(args, 0))

    def _read_repo_file(self, args: Args) -> Value:
        """(path), or (path, {repo})."""
        options, path = map_at(args, 1), text_at(args, 0).lstrip("/")
        if not path or "\0" in path:
            raise odd("read-repo-file", "which file?")
        return self._runner.read_repo_file(find_name(options.get("repo")), path)

    def _secret(self, args: Args) -> Value:
        return self._runner.get_secret(text_at(args, 0))

    def _set_secret(self, args: Args) -> Value:
        self._runner.set_secret(text_at(args, 0), text_at(args, 1))
        return None

    # what is begun and awaited

    def _begin(self, kind: str, work: Callable[[], Value]) -> str:
        number = f"{kind}-{next(self._numbers)}"
        future: Future[Value] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._begun[number] = future
        Thread(target=run, name=number, daemon=True).start()
        return number

    def _await_begun(self, args: Args) -> Value:
        number = id_at(args, 0)
        if number not in self._begun:
            raise Missing("missing", f"nothing was begun under {number!r}", name=number)
        return self._begun[number].result()


def _getter(scope: str) -> Callable[[Api, Args], Value]:
    return lambda api, args: api._runner.get_value(scope, text_at(args, 0))


def _setter(scope: str) -> Callable[[Api, Args], Value]:
    return lambda api, args: api._runner.set_value(scope, text_at(args, 0), value_at(args, 1))


def _reader(form: str) -> Callable[[Api, Args], Value]:
    return lambda api, args: read_text(form, text_at(args, 0))


def _writer(form: str) -> Callable[[Api, Args], Value]:
    return lambda api, args: write_text(form, value_at(args, 0))


_Call = Callable[[Any, Args], Value]

_CALLS: Final[dict[str, _Call]] = {
    "spawn": Api._spawn,
    "spawn-container": Api._spawn,
    "await-started": Api._await_started,
    "await-container-started": Api._await_started,
    "await-done": Api._await_exited,
    "await-container-exited": Api._await_exited,
    "open-service": Api._open_service,
    "stop-service": Api._stop_service,
    "close-service": Api._stop_service,
    "await-service": Api._await_service,
    "service-address": Api._service_address,
    "container-exec": Api._container_exec,
    "await-exec-exit": Api._await_begun,
    "container-ls": Api._container_ls,
    "read-container-file": Api._read_container_file,
    "write-container-file": Api._write_container_file,
    "stop": Api._stop,
    "store-dataset": Api._store_dataset,
    "spawn-image-build": Api._spawn_image_build,
    "await-image-build": Api._await_begun,
    "call-module": Api._call_module,
    "call-tool": Api._call_module,
    "spawn-step": Api._spawn_step,
    "output": Api._output,
    "fail": Api._fail,
    "param": Api._param,
    "input": Api._param,
    "params": Api._all_params,
    "inputs": Api._all_params,
    "log": Api._log,
    "log-chunk": Api._log_chunk,
    "request-user-input": Api._request_input,
    "await-user-input": Api._await_input,
    "eval": Api._eval,
    "sleep": Api._sleep,
    "http-request": Api._http_request,
    "read-repo-file": Api._read_repo_file,
    "secret": Api._secret,
    "get-secret": Api._secret,
    "set-secret": Api._set_secret,
    "value": _getter("project"),
    "values": _getter("project"),
    "get-value": _getter("project"),
    "set-value": _setter("project"),
    **{f"get-{scope}-value": _getter(scope) for scope in ("step", "job", "project")},
    **{f"set-{scope}-value": _setter(scope) for scope in ("step", "job", "project")},
    **{f"{scope}-value": _getter(scope) for scope in ("step", "job", "project")},
    **{f"read-{form}": _reader(form) for form in FORMATS},
    **{f"write-{form}": _writer(form) for form in FORMATS},
}
NAMES: Final = frozenset(_CALLS)
