"""Which containers are pure functions of what they are made of, and the formulas that these are. Pure.

A container becomes a formula only when it is said to be one (``hermetic: true``), or chosen (``choosing``): whoever
does so knows that it needs no network, and that nothing which it writes to its mounts is missed. Nothing else can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import UNSET

from warpforge.errors import Invalid
from warpforge.model.atoms import Literal, Pipe, SandboxPort, WareId
from warpforge.model.formula import Exec, GatherDirective
from warpforge.model.plot import Plot, PlotBasis, PlotInput, PlotOutput, Protoformula, Step
from warpforge.polytope.containers.furnish import HOST_USER, make_command
from warpforge.polytope.containers.image import ImageConfig
from warpforge.polytope.hermetic.people import make_userinfo
from warpforge.polytope.spec import ContainerSpec, RepoSource, VolumeSource

UNSAID: Final = "unsaid"
_PACKTYPE: Final = "ztar"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"\d{1,9}")


class Impurity(NamedTuple):
    """Why a container is no formula: a word for programs, and a text that goes on after "because"."""

    reason: str
    text: str


def list_impurities(spec: ContainerSpec, image: WareId | None) -> tuple[Impurity, ...]:
    """Everything that keeps a container from being a formula. ``image``: what its name is pinned to, if anything."""
    found: list[Impurity] = []
    if spec.is_pure is None:
        found.append(Impurity(UNSAID, "it is not said to be a pure function (hermetic: true)"))
    elif not spec.is_pure:
        found.append(Impurity("denied", "it is said not to be a pure function (hermetic: false)"))
    if image is None:
        found.append(Impurity("image", f"the image {spec.image} is not pinned to a digest (pt lock pins it)"))
    if spec.update_image:
        found.append(Impurity("image", "its image may be another at any time (update-image)"))
    if spec.services:
        names = ", ".join(service.id for service in spec.services)
        found.append(Impurity("service", f"it serves ({names})"))
    found.extend(_of_mounts(spec))
    if secrets := [variable.name for variable in spec.env if variable.is_secret]:
        found.append(Impurity("secret", f"it is given secrets ({', '.join(secrets)})"))
    if spec.user == HOST_USER:
        found.append(Impurity("user", "it runs as whoever runs the job (#pt-host)"))
    elif ":" in spec.user and not _NUMBER.fullmatch(spec.user.partition(":")[2]):
        found.append(Impurity("user", f"a formula cannot name a group ({spec.user})"))
    if spec.restart.policy == "always":
        found.append(Impurity("restart", "it is always started again"))
    if spec.scaling.max > 1:
        found.append(Impurity("scaling", f"it has up to {spec.scaling.max} replicas"))
    if not spec.is_awaited:
        found.append(Impurity("await", "nobody waits for its end"))
    if spec.is_unconfined:
        found.append(Impurity("unconfined", "it may use all system calls"))
    return tuple(found)


def _of_mounts(spec: ContainerSpec) -> list[Impurity]:
    found: list[Impurity] = []
    for mount in spec.mounts:
        source = mount.source
        if isinstance(source, VolumeSource):
            name = f" {source.id}" if source.id else ""
            found.append(Impurity("volume", f"the volume{name} at {mount.path} changes from run to run"))
        elif isinstance(source, RepoSource):
            if source.repo and not source.repo.startswith("/"):
                found.append(Impurity("repo", f"what is at {mount.path} lies in another repository ({source.repo})"))
            elif source.revision and (source.path or not _COMMIT.fullmatch(source.revision)):
                text = f"what is at {mount.path} is named by {source.revision}, which is no commit as a whole"
                found.append(Impurity("repo", text))
    return found


def make_protoformula(
    spec: ContainerSpec, image: WareId, config: ImageConfig, bases: Mapping[str, PlotBasis]
) -> Protoformula:
    """A container as a protoformula. ``bases``: what is at each of its mounts, by path; each dataset is an output.

    Errors: ``invalid`` when there is nothing to run.
    """
    command = make_command(spec, config)
    if not command:
        raise Invalid(
            "invalid", f"container {spec.id}: neither it nor its image {spec.image} says what to run: give cmd"
        )
    inputs = {SandboxPort("/"): PlotInput.of(image)}
    inputs.update((SandboxPort(mount.path), PlotInput.of(bases[mount.path])) for mount in spec.mounts)
    variables = {**config.env, **{variable.name: variable.value for variable in spec.env}}
    inputs.update((SandboxPort(f"${name}"), PlotInput.of(Literal(value))) for name, value in sorted(variables.items()))
    cwd = spec.workdir or config.workdir
    return Protoformula(
        inputs,
        Exec(command, cwd=UNSET if cwd in ("", "/") else cwd, userinfo=make_userinfo(spec.user or config.user)),
        {sink.dataset: GatherDirective(SandboxPort(sink.path), _PACKTYPE) for sink in spec.datasets},
    )


def make_plot(steps: Mapping[str, Protoformula]) -> Plot:
    """Steps as one plot; its outputs are theirs, under ``STEP.DATASET`` where two have the same."""
    labels = [label for body in steps.values() for label in body.outputs]
    outputs = {
        label if labels.count(label) == 1 else f"{name}.{label}": PlotOutput.of(Pipe(name, label))
        for name, body in steps.items()
        for label in body.outputs
    }
    return Plot({}, {name: Step.of(body) for name, body in steps.items()}, outputs)
