"""RUN: a command on the tree of a stage, as a formula of the engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET

from warpforge.errors import Missing
from warpforge.model.atoms import FilterMap, Literal, Pipe, SandboxPort, WareId
from warpforge.model.formula import Exec, GatherDirective
from warpforge.model.plot import Plot, PlotInput, PlotOutput, Protoformula, Step
from warpforge.polytope.containers.image import list_owned
from warpforge.polytope.dockerfile.agent import open_agent
from warpforge.polytope.dockerfile.beside import Beside, open_caches
from warpforge.polytope.dockerfile.context import Files
from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.owners import find_group
from warpforge.polytope.dockerfile.parse import Instruction, read_command, unknown_flag
from warpforge.polytope.dockerfile.run_mounts import RunMount, read_mounts
from warpforge.polytope.dockerfile.state import PREDEFINED, State
from warpforge.polytope.hermetic.people import make_userinfo
from warpforge.sandbox.ids import find_ids
from warpforge.sandbox.spec import Mount

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.guard import Guard
    from warpforge.polytope.dockerfile.trees import Trees
    from warpforge.sandbox.ids import Ids

_ROOT: Final = "root"
_SCRIPT: Final = "/.warpforge.here-document"
# As other builders say who they are. What boxes give that know owners in other ways may differ.
_MARKS: Final = {"bwrap": "warpforge-registrar", "runc": "warpforge-of-one-uid"}
_OF_MANY: Final = "warpforge"


class Circumstances(NamedTuple):
    """``name``: of the Dockerfile. ``arguments``: given to the build. ``secrets``: by their ids. ``files``: what an
    origin means (None: the context)."""

    name: str
    arguments: Mapping[str, str]
    secrets: Mapping[str, str]
    files: Callable[[str | None], Files]
    network: bool


class Commands:
    """Those of one build."""

    def __init__(self, engine: Engine, trees: Trees, about: Circumstances) -> None:
        self._engine = engine
        self._trees = trees
        self._about = about

    def run(self, state: State, one: Instruction) -> WareId:
        """The tree that it leaves. Errors: ``serialization``, ``missing``, and those of the engine."""
        name = self._about.name
        if odd := unknown_flag(one, ("network", "security", "mount"), name):
            raise odd
        mounts = read_mounts(one, state, name)
        ids = find_ids(self._engine.box.owner)
        inputs = {SandboxPort("/"): PlotInput.of(state.ware)} if state.ware else {}
        command = read_command(one.rest, state.shell)
        if one.documents:
            command, script = _read_script(one, state.shell)
            if script is not None:
                inputs[SandboxPort(_SCRIPT)] = PlotInput.of(Literal(script))
        for mount in mounts:
            if mount.kind not in ("secret", "ssh"):
                inputs[SandboxPort(mount.target)] = PlotInput.of(self._mounted(mount, one))
        box = self._engine.box.name
        variables = {**state.arguments, **state.env, "container": _OF_MANY if ids is not None else _MARKS[box]}
        inputs.update(
            (SandboxPort(f"${key}"), PlotInput.of(Literal(value))) for key, value in sorted(variables.items())
        )
        action = Exec(
            command,
            network=True if self._about.network and one.flag("network") != "none" else UNSET,
            cwd=UNSET if state.workdir == "/" else state.workdir,
            userinfo=make_userinfo(self._with_number(state, one)),
        )
        filters = FilterMap.of({"setid": "ignore", "uid": "keep", "gid": "keep"})
        body = Protoformula(inputs, action, {_ROOT: GatherDirective(SandboxPort("/"), "ztar", filters)})
        label = f"line-{one.line}"
        plot = Plot({}, {label: Step.of(body)}, {_ROOT: PlotOutput.of(Pipe(label, _ROOT))})
        return self._result(plot, state, mounts, ids)

    def _mounted(self, mount: RunMount, one: Instruction) -> WareId:
        if mount.kind == "bind" or "from" in mount.said:
            files = self._about.files(mount.said.get("from"))
            found = files.find(mount.said.get("source") or "/")
            if len(found) != 1:
                raise refuse(self._about.name, one.line, "RUN --mount: one source was expected")
            return self._trees.pick(files, found[0])
        return self._trees.lay(None, {})

    def _with_number(self, state: State, one: Instruction) -> str:
        """The user, with a number for a group's name."""
        user, colon, group = state.user.partition(":")
        if not colon or group.isdigit():
            return user if not group else state.user
        try:
            return f"{user}:{find_group(self._trees.tree(state.ware), group)}"
        except ValueError as error:
            raise refuse(self._about.name, one.line, f"USER {state.user}: {error}") from error

    def _result(self, plot: Plot, state: State, mounts: list[RunMount], ids: Ids | None) -> WareId:
        from warpforge.engine.job import Where

        executor = self._engine.executor
        caches = [mount for mount in mounts if mount.kind == "cache"]
        sized = [mount for mount in mounts if mount.kind == "tmpfs" and mount.size]
        rooms = [Mount(os.fsencode(mount.target), "tmpfs", b"%d" % mount.size) for mount in sized]
        files, variables, guard = self._secrets([mount for mount in mounts if mount.kind == "secret"])
        given = {key: value for key, value in self._about.arguments.items() if key in PREDEFINED}
        asked = [mount for mount in mounts if mount.kind == "ssh"]
        with open_caches(self._engine, caches) as places, open_agent(self._engine, asked) as (sockets, named):
            executor.beside = Beside(
                ids,
                state.user,
                list_owned(self._engine, state.ware) if state.ware else (),
                (*places, *rooms, *sockets, *files),
                tuple(_give(mount) for mount in mounts if mount.kind == "secret" and mount.target),
                {**given, **named, **variables},
                guard,
            )
            try:
                where = Where(Path(os.path.abspath(self._about.name)))
                found = self._engine.replay(plot, where, {}).results[_ROOT]
            finally:
                executor.beside = None
        assert isinstance(found, WareId)
        return found

    def _secrets(self, mounts: list[RunMount]) -> tuple[list[Mount], dict[str, str], Guard | None]:
        """As files, as variables, and who keeps both from being told. Errors: ``missing``."""
        files, variables, values = [], {}, {}
        for mount in mounts:
            value = self._about.secrets.get(mount.id)
            if value is None:
                if mount.is_required:
                    raise Missing(
                        "missing",
                        f"{self._about.name}: the build is given no secret {mount.id!r}: name it in `secrets`",
                        reason="secret",
                        secret=mount.id,
                    )
                continue
            data = value.encode("utf-8", "surrogateescape")
            values[mount.id] = data
            if mount.target:
                files.append(Mount(os.fsencode(mount.target), "bytes", data, mount.number("mode", 0o400, 8)))
            if "env" in mount.said:
                variables[mount.said["env"] or mount.id] = value
        if not values:
            return files, variables, None
        from warpforge.engine.guard import Guard

        return files, variables, Guard(values)


def _read_script(one: Instruction, shell: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The command of a RUN with here-documents: one that is all of it goes to the shell, or to the program that its
    first line names, which reads it as a file; of those that a command reads the shell takes care."""
    if one.rest.lstrip().startswith("<<") and len(one.documents) == 1:
        text = one.documents[0].text
        if text.startswith("#!"):
            return (*text[2:].split("\n", 1)[0].split(None, 1), _SCRIPT), text
        return (*shell, text), None
    return (*shell, one.rest + "\n" + "".join(f"{each.text}{each.name}\n" for each in one.documents)), None


def _give(mount: RunMount) -> tuple[bytes, int, int]:
    return os.fsencode(mount.target), mount.number("uid", 0), mount.number("gid", 0)
