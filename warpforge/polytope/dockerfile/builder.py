"""Builds an image: stage by stage, instruction by instruction; what was done before is not done again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from warpforge.errors import Unable
from warpforge.model.atoms import FilterMap, Literal, Pipe, SandboxPort, WareId
from warpforge.model.formula import Exec, GatherDirective
from warpforge.model.plot import Plot, PlotInput, PlotOutput, Protoformula, Step
from warpforge.polytope.dockerfile.context import Files, Node, read_files
from warpforge.polytope.dockerfile.copy import Copying, add_parents, list_copied, resolve_goal
from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.parse import (
    SCRATCH,
    Dockerfile,
    Instruction,
    fill,
    read_command,
    read_paths,
    unknown_flag,
)
from warpforge.polytope.dockerfile.state import State, declare
from warpforge.polytope.dockerfile.trees import Trees
from warpforge.polytope.hermetic.people import make_userinfo

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine

_ROOT: Final = "root"
# As other builders say who they are. A RUN's box pretends that owners and users change: so its formula is no other's.
MARK: Final = {"container": "warpforge"}


class Building(NamedTuple):
    """``find_image``: what an image's name means. ``log``: hears of instructions. ``network``: whether RUN has it."""

    context: Files
    build_args: Mapping[str, str]
    find_image: Callable[[str], WareId]
    log: Callable[[str], None]
    network: bool = True


class Builder:
    """One build of one Dockerfile. The caller uses the store of the engine."""

    def __init__(self, engine: Engine, file: Dockerfile, building: Building) -> None:
        self._engine = engine
        self._file = file
        self._building = building
        self._trees = Trees(engine)
        self._done: dict[int, State] = {}

    def build(self, target: str = "", labels: Mapping[str, str] = {}) -> WareId:
        """The ``oci`` ware of a stage's image, which has one layer.

        Errors: ``serialization``, ``missing``, ``invalid``; ``formula-execution-failed`` for a RUN that fails; and
        those of the engine.
        """
        stages = self._file.needed(target)
        for at in stages:
            self._done[at] = self._stage(at)
        state = self._done[stages[-1]]
        if labels:
            state = state.say(Labels={**(state.config.get("Labels") or {}), **labels})
        return self._trees.image(state)

    def _stage(self, at: int) -> State:
        stage = self._file.stages[at]
        self._building.log(f"FROM {stage.base}" + (f" AS {stage.name}" if stage.name else ""))
        state = self._begin(stage.base, stage.platform, at)
        for one in stage.instructions:
            self._building.log(str(one))
            state = self._instruct(state, one, at)
        return state

    def _begin(self, base: str, platform: str, at: int) -> State:
        earlier = self._file.earlier(base, at)
        if earlier is not None:
            return msgspec.structs.replace(self._done[earlier], arguments={})
        if base == SCRATCH:
            return State(None)
        ware = self._find(base, platform)
        return State(ware, self._said(ware))

    def _find(self, base: str, platform: str) -> WareId:
        from warpforge.pack.image import Platform

        here = str(Platform.here())
        if platform not in ("", here):
            raise Unable("sandbox-unavailable", f"FROM {base}: stages run on this machine, {here}, not {platform}")
        return self._building.find_image(base)

    def _said(self, ware: WareId) -> dict[str, Any]:
        from warpforge.pack.image import read_start

        kept = self._engine.store.images.find(ware)
        return {key: value for key, value in read_start(kept.config).items() if value} if kept else {}

    def _instruct(self, state: State, one: Instruction, at: int) -> State:
        declared = declare(state, one, self._file, self._building.build_args)
        if declared is not None:
            return declared
        if one.word == "RUN":
            return self._run(state, one)
        if one.word == "WORKDIR":
            return self._work_in(state, one)
        return self._copy(state, one, at)

    # RUN

    def _run(self, state: State, one: Instruction) -> State:
        if odd := unknown_flag(one, ("network", "security", "mount"), self._file.name):
            raise odd
        if one.flags.get("mount", "type=cache").partition(",")[0] not in ("type=cache", "type=tmpfs"):
            raise refuse(self._file.name, one.line, "RUN --mount: only caches, which are empty here")
        command = read_command(one.rest, state.shell)
        if one.documents:
            command = (*state.shell, _script(one))
        inputs = {SandboxPort("/"): PlotInput.of(state.ware)} if state.ware else {}
        variables = {**state.arguments, **state.env, **MARK}
        inputs.update(
            (SandboxPort(f"${key}"), PlotInput.of(Literal(value))) for key, value in sorted(variables.items())
        )
        action = Exec(
            command,
            network=True if self._building.network and one.flags.get("network") != "none" else UNSET,
            cwd=UNSET if state.workdir == "/" else state.workdir,
            userinfo=make_userinfo(state.user),
        )
        gathered = GatherDirective(SandboxPort("/"), "ztar", FilterMap.of({"setid": "ignore"}))
        body = Protoformula(inputs, action, {_ROOT: gathered})
        name = f"line-{one.line}"
        plot = Plot({}, {name: Step.of(body)}, {_ROOT: PlotOutput.of(Pipe(name, _ROOT))})
        return msgspec.structs.replace(state, ware=self._result(plot))

    def _result(self, plot: Plot) -> WareId:
        from warpforge.engine.job import Where

        executor = self._engine.executor
        executor.pretending = True
        try:
            found = self._engine.replay(plot, Where(Path(os.path.abspath(self._file.name))), {}).results[_ROOT]
        finally:
            executor.pretending = False
        assert isinstance(found, WareId)
        return found

    # COPY and WORKDIR

    def _copy(self, state: State, one: Instruction, at: int) -> State:
        name = self._file.name
        if odd := unknown_flag(one, ("from", "chmod", "chown", "link"), name):
            raise odd
        if one.flags.get("chown"):
            self._building.log("  --chown has no effect: everything that is built belongs to root")
        sources, goal = read_paths(fill(one.rest, state.variables(), name, one.line), name, one.line)
        files = self._files(state, one, sources, at)
        if one.documents:
            inline = {
                each.name: (
                    each.text if each.is_verbatim else fill(each.text, state.variables(), name, one.line)
                ).encode()
                for each in one.documents
            }
            files = read_files(inline, "the here-documents")
            sources = [*inline]
        if one.word == "ADD":
            self._refuse_unpacking(sources, one)
        base = self._trees.tree(state.ware)
        copying = Copying(sources, state.path(goal), _read_mode(one, name))
        return self._lay(state, list_copied(files, base, copying))

    def _files(self, state: State, one: Instruction, sources: list[str], at: int) -> Files:
        origin = one.flags.get("from")
        if origin is None:
            return self._building.context
        origin = fill(origin, state.variables(), self._file.name, one.line)
        earlier = self._file.earlier(origin, at)
        ware = self._done[earlier].ware if earlier is not None else self._building.find_image(origin)
        return self._trees.tree(ware, origin)

    def _refuse_unpacking(self, sources: list[str], one: Instruction) -> None:
        for source in sources:
            if "://" in source or source.startswith("git@"):
                raise refuse(self._file.name, one.line, "ADD of an address is not carried out here: RUN can fetch it")
            if source.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")):
                raise refuse(self._file.name, one.line, "ADD unpacks nothing here: COPY the archive, and RUN tar")

    def _lay(self, state: State, added: dict[str, Node]) -> State:
        return msgspec.structs.replace(state, ware=self._trees.lay(state.ware, added))

    def _work_in(self, state: State, one: Instruction) -> State:
        path = state.path(fill(one.rest, state.variables(), self._file.name, one.line).strip()).rstrip("/") or "/"
        base = self._trees.tree(state.ware)
        inside = resolve_goal(base, path)
        made = state.say(WorkingDir=path)
        if inside in base.nodes or not inside:
            return made
        added = {inside: Node("d", 0o755)}
        add_parents(added, base, inside)
        return self._lay(made, added)


def _script(one: Instruction) -> str:
    """The shell's text of a RUN with here-documents: one that is all of it, or one that a command reads."""
    if one.rest.lstrip().startswith("<<") and len(one.documents) == 1:
        return one.documents[0].text
    return one.rest + "\n" + "".join(f"{each.text}{each.name}\n" for each in one.documents)


def _read_mode(one: Instruction, name: str) -> int | None:
    text = one.flags.get("chmod")
    if text is None:
        return None
    try:
        return int(text, 8) & 0o777
    except ValueError as error:
        raise refuse(name, one.line, f"--chmod={text}: octal digits were expected, as in 755") from error
