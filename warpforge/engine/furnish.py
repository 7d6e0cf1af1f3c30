"""Furnish: from a formula and the trees of its inputs to the value that says how its box is made. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from posixpath import normpath
from typing import Final

from msgspec import UNSET

from warpforge.errors import Invalid
from warpforge.model.atoms import Literal, Mount, SandboxPort, Secret, WareId
from warpforge.model.formula import Action, Exec, Formula, Script
from warpforge.sandbox.spec import ENGINE_DIR, SCRIPT_DIR, BoxSpec, make_mount, make_spec
from warpforge.sandbox.spec import Kind as MountKind
from warpforge.sandbox.spec import Mount as BoxMount

VARIABLES: Final = f"{ENGINE_DIR}/variables"
# a variable's value is written behind this mark, so that an empty value and no value are two things
SET: Final = b"="
# what the kernel takes as one argument or variable, and (a quarter of the usual stack) all together
LONGEST_STRING: Final = 131_071
LONGEST_STRINGS: Final = 2 << 20
HIGHEST_ID: Final = 2**32 - 2  # the kernel's own "no id" is one more

_HOST_KINDS: Final[dict[str, MountKind]] = {"ro": "host-ro", "rw": "host-rw", "overlay": "host-overlay"}


def furnish(
    formula: Formula, trees: Mapping[SandboxPort, Path], base: Path, secrets: Mapping[str, bytes] | None = None
) -> BoxSpec:
    """The box of a formula. ``trees``: where the ware of each port is unpacked; host mounts are relative to ``base``;
    ``secrets``: values by name.

    Errors: ``formula-invalid``.
    """
    variables: dict[str, str] = {}
    mounts = []
    for port, entry in formula.inputs.items():
        basis = entry.basis
        if isinstance(basis, Secret):
            value = (secrets or {}).get(basis.name)
            if value is None:
                raise _invalid(f"{basis} at {port} is to be had in a run alone")
            if port.is_variable:
                variables[port.variable] = _secret_text(basis, value)
            else:
                mounts.append(make_mount(port.path, "bytes", value, 0o400))
        elif port.is_variable:
            if not isinstance(basis, Literal):
                raise _invalid(f"{port} takes a text, and it is given {entry.text}")
            variables[port.variable] = basis.text
        elif isinstance(basis, Literal):
            mounts.append(make_mount(port.path, "bytes", _bytes(basis.text)))
        elif isinstance(basis, Mount):
            mounts.append(make_mount(port.path, _HOST_KINDS[basis.mode], os.path.abspath(base / basis.path)))
        else:
            mounts.append(_tree_mount(port, basis, trees[port]))
    action = formula.action
    argv, files = _command(action, formula)
    mounts += [make_mount(path, "bytes", content) for path, content in files.items()]
    _check_size([*argv, *(_bytes(f"{name}={value}") for name, value in variables.items())])
    return make_spec(
        mounts=mounts,
        argv=argv,
        variables=variables,
        cwd=_cwd(action),
        **_person(action),
        network=isinstance(action, Exec | Script) and action.network is True,
        gathers=[gather_path(gather.source) for gather in formula.outputs.values()],
    )


def _secret_text(secret: Secret, value: bytes) -> str:
    """As a variable holds it: without the line end that a file has."""
    if b"\0" in value:
        raise _invalid(f"{secret} holds a NUL byte: no variable can, give it as a file")
    return os.fsdecode(value.rstrip(b"\n"))


def gather_path(source: SandboxPort) -> str:
    """Where in the box an output is found: a variable's value is written to a file of ours."""
    return f"{VARIABLES}/{source.variable}" if source.is_variable else source.path


def _tree_mount(port: SandboxPort, ware: WareId, tree: Path) -> BoxMount:
    if tree.is_dir():
        return make_mount(port.path, "overlay", tree)
    if port.path == "/":
        raise _invalid(f"the root is a directory, and {ware} is a single file")
    return make_mount(port.path, "file", tree)


def _command(action: Action, formula: Formula) -> tuple[list[bytes], dict[str, bytes]]:
    """What is executed, and the files that it needs in the box."""
    if isinstance(action, Exec):
        if not action.command:
            raise _invalid("the command is empty: it cannot run")
        return [_bytes(argument) for argument in action.command], {}
    if not isinstance(action, Script):
        return [], {}
    if not action.interpreter:
        raise _invalid("the interpreter is empty: it cannot run")
    files = {f"{SCRIPT_DIR}/entry-{n}": _bytes(entry) for n, entry in enumerate(action.contents)}
    lines = [f". {path}" for path in files]
    variables = [gather.source.variable for gather in formula.outputs.values() if gather.source.is_variable]
    if variables:
        lines.append("_warpforge_status=$?")
        for name in variables:
            files[f"{VARIABLES}/{name}"] = b""
            lines.append(f'[ -z "${{{name}+x}}" ] || printf \'{SET.decode()}%s\' "${{{name}}}" > {VARIABLES}/{name}')
        lines.append("exit $_warpforge_status")
    files[f"{SCRIPT_DIR}/run"] = "".join(f"{line}\n" for line in lines).encode()
    return [_bytes(action.interpreter), f"{SCRIPT_DIR}/run".encode()], files


def _cwd(action: Action) -> str:
    """Made in the box where it is missing, with ``..`` taken by the letter, as the original's tool does both."""
    if not isinstance(action, Exec | Script) or action.cwd is UNSET:
        return "/"
    return normpath("/" + action.cwd.lstrip("/"))


def _person(action: Action) -> dict[str, object]:
    """Who the action is, as fields of BoxSpec. What the document leaves out, the box's /etc/passwd decides."""
    if not isinstance(action, Exec | Script) or action.userinfo is UNSET:
        return {}
    who = action.userinfo
    if max(n for n in (who.uid, who.gid, 0) if n is not UNSET) > HIGHEST_ID:
        raise _invalid("userinfo: 4294967295 is nobody's id")
    home = "" if who.homedir is UNSET else who.homedir
    if home and not home.startswith("/"):
        raise _invalid(f"userinfo: the home directory {home!r} is no absolute path")
    name = "" if who.username is UNSET else who.username
    if any(c in name for c in ":\0\n"):
        raise _invalid(f"userinfo: no user can be called {name!r}")
    return {
        "uid": -1 if who.uid is UNSET else who.uid,
        "gid": -1 if who.gid is UNSET else who.gid,
        "username": _bytes(name),
        "home": _bytes(home),
    }


def _check_size(strings: list[bytes]) -> None:
    sizes = [0, *map(len, strings)]
    if max(sizes) > LONGEST_STRING or sum(sizes) > LONGEST_STRINGS:
        raise _invalid(f"arguments and variables are too long: at most {LONGEST_STRING} bytes each, 2 MiB in all")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _invalid(message: str) -> Invalid:
    return Invalid("formula-invalid", message, reason="run")
