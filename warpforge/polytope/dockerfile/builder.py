"""Builds an image: stage by stage, instruction by instruction; what was done before is not done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from warpforge.errors import Unable
from warpforge.model.atoms import WareId
from warpforge.polytope.dockerfile.adding import NO_PINS, Adder, Pins, is_address, is_git
from warpforge.polytope.dockerfile.context import Files, Node, read_files
from warpforge.polytope.dockerfile.copy import Changes, Copying, add_parents, list_copied, resolve_goal
from warpforge.polytope.dockerfile.ignoring import Ignoring
from warpforge.polytope.dockerfile.layering import Base
from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.owners import find_owner, read_modes
from warpforge.polytope.dockerfile.parse import (
    SCRATCH,
    Dockerfile,
    Instruction,
    read_paths,
    read_trigger,
    unknown_flag,
)
from warpforge.polytope.dockerfile.running import Circumstances, Commands
from warpforge.polytope.dockerfile.state import State, declare
from warpforge.polytope.dockerfile.trees import Trees
from warpforge.polytope.dockerfile.variables import fill

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine

_COPY_FLAGS = ("from", "chmod", "chown", "link", "exclude", "parents")
_ADD_FLAGS = ("checksum", "chmod", "chown", "link", "exclude", "unpack", "keep-git-dir")


class Building(NamedTuple):
    """``find_image``: what an image's name means. ``log``: hears of instructions. ``network``: whether RUN has it.
    ``secrets``: for those who mount them, by their ids. ``pins``: of what ADD brings from elsewhere."""

    context: Files
    build_args: Mapping[str, str]
    find_image: Callable[[str], WareId]
    log: Callable[[str], None]
    network: bool = True
    secrets: Mapping[str, str] = {}
    pins: Pins = NO_PINS


class Builder:
    """One build of one Dockerfile. The caller uses the store of the engine."""

    def __init__(self, engine: Engine, file: Dockerfile, building: Building) -> None:
        self._engine = engine
        self._file = file
        self._building = building
        self._trees = Trees(engine)
        self._adder = Adder(engine, self._trees, building.pins)
        self._done: dict[int, State] = {}

    def build(self, target: str = "", labels: Mapping[str, str] = {}) -> WareId:
        """The ``oci`` ware of a stage's image.

        Errors: ``serialization``, ``missing``, ``invalid``; ``formula-execution-failed`` for a RUN that fails; and
        those of the engine.
        """
        stages = self._file.needed(target)
        for at in stages:
            self._state_of(at)
        state = self._done[stages[-1]]
        if labels:
            state = state.say(Labels={**(state.config.get("Labels") or {}), **labels})
        return self._trees.image(state)

    def _state_of(self, at: int) -> State:
        """What a stage comes to; what a trigger of an image names is seen only now."""
        if at not in self._done:
            self._done[at] = self._stage(at)
        return self._done[at]

    def _stage(self, at: int) -> State:
        stage = self._file.stages[at]
        self._building.log(f"FROM {stage.base}" + (f" AS {stage.name}" if stage.name else ""))
        state = self._begin(stage.base, stage.platform, at)
        triggers = state.config.get("OnBuild") or ()
        state = state.say(OnBuild=None)
        for one in (*(read_trigger(text, self._file.name, stage.line) for text in triggers), *stage.instructions):
            self._building.log(str(one))
            state = self._instruct(state, one, at)
        return state

    def _begin(self, base: str, platform: str, at: int) -> State:
        earlier = self._file.earlier(base, at)
        if earlier is not None:
            return msgspec.structs.replace(self._state_of(earlier), has_cmd=False)
        if base == SCRATCH:
            return State(None)
        ware = self._find(base, platform)
        return State(ware, self._said(ware), base=Base(base, ware))

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
            about = Circumstances(
                self._file.name,
                self._building.build_args,
                self._building.secrets,
                lambda origin: self._files(origin, at),
                self._building.network,
            )
            return msgspec.structs.replace(state, ware=Commands(self._engine, self._trees, about).run(state, one))
        if one.word == "WORKDIR":
            return self._work_in(state, one)
        return self._copy(state, one, at)

    # COPY, ADD and WORKDIR

    def _copy(self, state: State, one: Instruction, at: int) -> State:
        name = self._file.name
        if odd := unknown_flag(one, _COPY_FLAGS if one.word == "COPY" else _ADD_FLAGS, name):
            raise odd
        if one.says("keep-git-dir"):
            raise refuse(name, one.line, "ADD --keep-git-dir: what git keeps beside a tree is never the same twice")
        sources, goal = read_paths(fill(one.rest, state.variables(), name, one.line), name, one.line)
        origin = one.flag("from")
        files = self._files(None if origin is None else self._filled(origin, state, one), at)
        if one.documents:
            inline = {
                each.name: (each.text if each.is_verbatim else self._filled(each.text, state, one)).encode()
                for each in one.documents
            }
            files = _beside(read_files(inline, "the here-documents"), files)
            sources = [source.lstrip("<-").strip("\"'") if source.startswith("<<") else source for source in sources]
        base = self._trees.tree(state.ware)
        copying = Copying(
            sources,
            state.path(goal),
            self._changes(state, one, base),
            Ignoring("\n".join(one.all_of("exclude"))),
            one.says("parents"),
        )
        if one.word == "COPY":
            return self._lay(state, list_copied(files, base, copying))
        return self._lay(state, self._add(files, base, copying, state, one))

    def _add(self, files: Files, base: Files, copying: Copying, state: State, one: Instruction) -> dict[str, Node]:
        checksum = self._filled(one.flag("checksum") or "", state, one)
        if checksum and not (len(copying.sources) == 1 and any(is_git(s) or is_address(s) for s in copying.sources)):
            raise refuse(self._file.name, one.line, "ADD --checksum goes with one address")
        unpack = None if one.flag("unpack") is None else one.says("unpack")
        return self._adder.list_added(files, base, copying, checksum=checksum, unpack=unpack)

    def _changes(self, state: State, one: Instruction, base: Files) -> Changes:
        owner, modes = (self._filled(one.flag(flag) or "", state, one) for flag in ("chown", "chmod"))
        try:
            found = find_owner(base, owner) if owner else None
            return Changes(read_modes(modes) if modes else None, found)
        except ValueError as error:
            raise refuse(self._file.name, one.line, f"{one.word}: {error}") from error

    def _filled(self, text: str, state: State, one: Instruction) -> str:
        return fill(text, state.variables(), self._file.name, one.line)

    def _files(self, origin: str | None, at: int) -> Files:
        """What an instruction of a stage may copy: of the context, of an earlier stage, or of an image."""
        if origin is None:
            return self._building.context
        earlier = self._file.earlier(origin, at)
        ware = self._state_of(earlier).ware if earlier is not None else self._building.find_image(origin)
        return self._trees.tree(ware, origin)

    def _lay(self, state: State, added: dict[str, Node]) -> State:
        return msgspec.structs.replace(state, ware=self._trees.lay(state.ware, added))

    def _work_in(self, state: State, one: Instruction) -> State:
        path = state.path(self._filled(one.rest, state, one).strip()).rstrip("/") or "/"
        base = self._trees.tree(state.ware)
        inside = resolve_goal(base, path)
        made = state.say(WorkingDir=path)
        if inside in base.nodes or not inside:
            return made
        added = {inside: Node("d", 0o755)}
        add_parents(added, base, inside)
        return self._lay(made, added)


def _beside(inline: Files, files: Files) -> Files:
    """Here-documents, which may be copied together with other files."""
    return Files({**files.nodes, **inline.nodes}, files.name)
