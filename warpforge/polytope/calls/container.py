"""The arguments of ``polytope/container``, evaluated -> a ContainerSpec. Pure."""

from __future__ import annotations

import re
from typing import Final

from warpforge.polytope.calls.mounts import CREATES, Facts, take_absolute, take_mounts
from warpforge.polytope.calls.serving import take_services
from warpforge.polytope.calls.taking import Taking, show
from warpforge.polytope.marks import SecretText
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import ContainerSpec, EnvVar, Policy, Resources, Restart, Scaling, Sink
from warpforge.polytope.types.basic import Wrong, parse_size

POLICIES: Final[tuple[Policy, ...]] = ("never", "always", "on-failure")
HOST_USER: Final = "#pt-host"
_ID: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_VARIABLE: Final = re.compile(r"[^=\0]+")
_MILLI: Final = re.compile(r"(\d+)m")


def make_container(args: dict[str, Value], facts: Facts) -> ContainerSpec:
    """What the arguments describe; those that are not known are left alone.

    Errors: ``invalid-argument`` (reason argument), with the path of each fault.
    """
    taking = Taking()
    name = _take_id(taking, args, facts)
    cmd = taking.words(args.get("cmd"), "cmd")
    spec = ContainerSpec(
        id=name,
        image=_take_image(taking, args.get("image")),
        cmd=cmd or None,
        entrypoint=taking.words(args.get("entrypoint"), "entrypoint"),
        env=_take_env(taking, args.get("env"), facts),
        mounts=take_mounts(taking, args.get("mounts"), facts),
        workdir="" if args.get("workdir") in (None, "") else take_absolute(taking, args["workdir"], "workdir"),
        user=_take_user(taking, args.get("user")),
        has_stdin=not taking.truth(args.get("no-stdin"), "no-stdin"),
        tty=taking.truth(args.get("tty"), "tty", default=True),
        services=take_services(taking, args.get("services")),
        datasets=_take_datasets(taking, args.get("datasets")),
        restart=_take_restart(taking, args.get("restart")),
        scaling=_take_scaling(taking, args.get("scaling")),
        resources=_take_resources(taking, args.get("resources")),
        update_image=taking.truth(args.get("update-image"), "update-image"),
        create=taking.choice(args.get("create"), "create", CREATES, "always"),
        is_awaited=taking.truth(args.get("await"), "await", default=True),
        is_unconfined=taking.truth(args.get("unconfined"), "unconfined"),
        is_pure=None if args.get("hermetic") is None else taking.truth(args["hermetic"], "hermetic"),
        base=facts.base,
        tags={
            key: taking.text(value, f"tags.{key}") for key, value in taking.mapping(args.get("tags"), "tags").items()
        },
    )
    taking.finish(f"the container {name}" if name else "a container")
    return spec


def _take_id(taking: Taking, args: dict[str, Value], facts: Facts) -> str:
    text = taking.text(args.get("id"), "id") or facts.step
    if not text:
        image = taking.text(args.get("image"), "image")
        text = re.sub(r"[^a-z0-9_-]", "-", image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower())
    if not _ID.fullmatch(text):
        taking.fault("id", f"{show(text)} is no id: letters, digits, - and _")
        return ""
    return text


def _take_image(taking: Taking, value: Value) -> str:
    text = taking.text(value, "image").strip()
    if not text:
        taking.fault("image", "which image?")
    return text


def _take_env(taking: Taking, value: Value, facts: Facts) -> tuple[EnvVar, ...]:
    """The last one counts, when a name is there twice."""
    found: dict[str, EnvVar] = {}
    for item, path in taking.items(value, "env"):
        said = taking.mapping(item, path)
        name = taking.text(said.get("name"), f"{path}.name")
        if not _VARIABLE.fullmatch(name):
            taking.fault(f"{path}.name", f"{show(said.get('name'))} is no name of a variable")
            continue
        text = taking.text(said.get("value"), f"{path}.value")
        if "\0" in text:
            taking.fault(f"{path}.value", "the value of a variable has no zero byte")
            continue
        is_secret = isinstance(said.get("value"), SecretText) or any(one and one in text for one in facts.secrets)
        found.pop(name, None)
        found[name] = EnvVar(name, text, is_secret)
    return tuple(found.values())


def _take_user(taking: Taking, value: Value) -> str:
    if isinstance(value, bool):
        taking.fault("user", f"a user's name or number was expected, not {show(value)}")
    text = taking.text(value, "user")
    if text.startswith("#") and text != HOST_USER:
        taking.fault("user", f"{show(text)}: the only user of that kind is {HOST_USER}")
    return text


def _take_datasets(taking: Taking, value: Value) -> tuple[Sink, ...]:
    found: list[Sink] = []
    for item, path in taking.items(value, "datasets"):
        said = taking.mapping(item, path)
        sink = said.get("sink")
        if isinstance(sink, dict):
            sink = sink.get("dataset", sink.get("id"))
        name = taking.text(sink, f"{path}.sink")
        if not name:
            taking.fault(f"{path}.sink", "which dataset is it kept as?")
        found.append(Sink(take_absolute(taking, said.get("path"), f"{path}.path"), name))
    return tuple(found)


def _take_restart(taking: Taking, value: Value) -> Restart:
    said = taking.mapping(value, "restart")
    most = taking.whole(said.get("max-restarts"), "restart.max-restarts", -1)
    if most < 0 and said.get("max-restarts") is not None:
        taking.fault("restart.max-restarts", f"{most}: how often can it start again?")
    return Restart(taking.choice(said.get("policy"), "restart.policy", POLICIES, "never"), most)


def _take_scaling(taking: Taking, value: Value) -> Scaling:
    if isinstance(value, dict):
        if value.get("replicas") is not None:
            return _take_scaling(taking, value["replicas"])
        least = taking.whole(value.get("min"), "scaling.min", 1)
        most = taking.whole(value.get("max"), "scaling.max", least)
    else:
        least = most = taking.whole(value, "scaling", 1)
    if not 1 <= least <= most:
        taking.fault("scaling", f"{least} to {most} replicas: at least one, and no more than the most")
        return Scaling()
    return Scaling(least, most)


def _take_resources(taking: Taking, value: Value) -> Resources:
    said = taking.mapping(value, "resources")
    cpu = taking.mapping(said.get("cpu"), "resources.cpu")
    memory = taking.mapping(said.get("memory"), "resources.memory")
    found = Resources(
        _take_cpus(taking, cpu.get("request"), "resources.cpu.request"),
        _take_cpus(taking, cpu.get("limit"), "resources.cpu.limit"),
        _take_size(taking, memory.get("request"), "resources.memory.request"),
        _take_size(taking, memory.get("limit"), "resources.memory.limit"),
    )
    if found.cpu_limit and found.cpu_request > found.cpu_limit:
        taking.fault("resources.cpu.request", "more than its limit")
    if found.memory_limit and found.memory_request > found.memory_limit:
        taking.fault("resources.memory.request", "more than its limit")
    return found


def _take_cpus(taking: Taking, value: Value, path: str) -> float:
    """CPUs; also ``500m``, thousandths."""
    match = _MILLI.fullmatch(value) if isinstance(value, str) else None
    found = int(match[1]) / 1000 if match else taking.number(value, path)
    if found < 0:
        taking.fault(path, f"{show(value)}: less than nothing")
        return 0.0
    return found


def _take_size(taking: Taking, value: Value, path: str) -> int:
    """Bytes, or ``512M``, ``1.5GiB``, ``64Ki``."""
    if value is None or isinstance(value, int):
        found = taking.whole(value, path)
    else:
        try:
            found = parse_size(taking.text(value, path).replace(" ", ""))
        except Wrong as error:
            taking.fault(path, str(error))
            return 0
    if found < 0:
        taking.fault(path, f"{show(value)}: less than nothing")
        return 0
    return found
