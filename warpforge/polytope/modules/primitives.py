"""The modules that no other describes: what a job does for each of them, in terms of the runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from warpforge.errors import Invalid
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec

CONTAINER: Final = "container"
Args = dict[str, Value]
Primitive = Callable[[Runner, Args, Facts], Value]


def run_primitive(name: str, runner: Runner, args: Args, facts: Facts) -> Value:
    """Carry out a primitive, called ``container`` or ``container!exec``; its output. ``args`` are values only.

    Errors: ``invalid-argument``, and what the runner raises.
    """
    if name not in PRIMITIVES:
        raise Invalid("invalid-argument", f"polytope/{name} is no primitive", module=f"polytope/{name}")
    return PRIMITIVES[name](runner, args, facts)


def run_container(runner: Runner, spec: ContainerSpec) -> Value:
    """Run a container until its end: started, its services opened in order, its datasets kept once it ended well.

    Its output: its id, its exit status, the version of each dataset.
    """
    container = runner.spawn(spec)
    runner.await_started(container)
    for service in spec.services:
        runner.open_service(container, service)
    if not spec.is_awaited:
        return {"id": container}
    status = runner.await_exited(container)
    if status:
        runner.fail("The container exited with a nonzero exit code.", {"exit-code": status})
    kept: dict[str, Value] = {
        sink.dataset: runner.store_dataset(container, sink.path, sink.dataset) for sink in spec.datasets
    }
    return {"id": container, "exit-code": status, "datasets": kept}


def _container(runner: Runner, args: Args, facts: Facts) -> Value:
    return run_container(runner, make_container(args, facts))


def _exec(runner: Runner, args: Args, facts: Facts) -> Value:
    taking = Taking()
    container = taking.text(args.get("container"), "container")
    words = taking.words(args.get("cmd"), "cmd")
    env = take_variables(taking, args.get("env"))
    if not container or not words:
        taking.fault("cmd" if container else "container", "it says nothing")
    taking.finish("container!exec")
    status = runner.exec(container, words or (), env)
    if status:
        message = f"The command in the container {container} exited with a nonzero exit code."
        runner.fail(message, {"exit-code": status, "container": container})
    return status


def take_variables(taking: Taking, value: Value) -> Mapping[str, str]:
    """A list of {name, value}, as a map of texts."""
    found: dict[str, str] = {}
    for item, path in taking.items(value, "env"):
        said = taking.mapping(item, path)
        found[taking.text(said.get("name"), f"{path}.name")] = taking.text(said.get("value"), f"{path}.value")
    return found


def _scaffold(runner: Runner, args: Args, facts: Facts) -> Value:
    from warpforge.polytope.modules.scaffold import run_scaffold

    return run_scaffold(runner, args, facts)


def _create_project(runner: Runner, args: Args, facts: Facts) -> Value:
    from warpforge.polytope.modules.project import create_project

    return create_project(runner, args, facts)


def _assistant(runner: Runner, args: Args, facts: Facts) -> Value:
    from warpforge.polytope.modules.assistant import run_assistant

    return run_assistant(runner, args)


PRIMITIVES: Final[Mapping[str, Primitive]] = {
    CONTAINER: _container,
    "container!exec": _exec,
    "scaffold": _scaffold,
    "create-project": _create_project,
    "assistant": _assistant,
}
