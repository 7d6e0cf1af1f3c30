"""The project's file, amended: new tools included and called, everything else of it left as it was written."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from typing import Any, Final

from warpforge.errors import Invalid, Unable
from warpforge.fsx.atomic import write_atomic

NAMES: Final = ("polytope.yml", "polytope.yaml")
_LIST: Final = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*\n( *)- ", re.MULTILINE)


def add_calls(project: str, directory: str, calls: Sequence[tuple[str, str]]) -> list[str]:
    """Include ``directory`` ("": nothing), and let each tool call what is named with it; the files that were written.

    A template of that name is called so, too. A tool that is not there is made, and so is the file.
    Errors: ``serialization``, ``io``.
    """
    name = next((name for name in NAMES if os.path.lexists(os.path.join(project, name))), NAMES[0])
    path = os.path.join(project, name)
    yaml, document = _load(path)
    if directory and directory != ".":
        included = _list(document, "include", path)
        if not any(_means(item, directory) for item in included):
            included.append(directory)
    for tool, call in calls:
        _add_call(document, tool, call, path)
    out = io.StringIO()
    yaml.dump(document, out)
    text = out.getvalue().encode()
    try:
        with open(path, "rb") as file:
            before = file.read()
    except FileNotFoundError:
        before = b""
    if text == before:
        return []
    try:
        write_atomic(path, text)
    except OSError as error:
        raise Unable("io", f"{path} cannot be written: {error.strerror}", cause=error, path=path) from error
    return [name]


def _load(path: str) -> tuple[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    try:
        with open(path, "rb") as file:
            text = file.read()
        offset = _dashes(text.decode("utf-8", "replace"))
        yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
        document = yaml.load(text)
    except FileNotFoundError:
        document = None
    except YAMLError as error:
        raise Invalid("serialization", f"{path} cannot be amended: {error}", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
    document = CommentedMap() if document is None else document
    if not isinstance(document, dict):
        raise _odd(path, "it is no map")
    return yaml, document


def _dashes(text: str) -> int:
    """How far the dashes of lists stand behind the keys that they belong to."""
    found = _LIST.search(text)
    return len(found[2]) - len(found[1]) if found and len(found[2]) >= len(found[1]) else 2


def _add_call(document: Any, tool: str, call: str, path: str) -> None:
    for template in _list(document, "templates", path) if document.get("templates") else ():
        if isinstance(template, dict) and template.get("id") == tool:
            _add_step(_list(template, "run", path), call, call)
            return
    tools = document.setdefault("tools", {})
    if not isinstance(tools, dict):
        raise _odd(path, "tools is no map")
    found = tools.setdefault(tool, {})
    if found is None:
        found = tools[tool] = {}
    if not isinstance(found, dict):
        raise _odd(path, f"tools.{tool} is no map")
    _add_step(_list(found, "run", path), call, {"tool": call})


def _add_step(steps: list[Any], call: str, step: Any) -> None:
    for there in steps:
        if there == call or (isinstance(there, dict) and call in (there.get("tool"), there.get("module"))):
            return
    steps.append(step)


def _list(holder: Any, key: str, path: str) -> list[Any]:
    if holder.get(key) is None:
        holder[key] = []
    found = holder[key]
    if not isinstance(found, list):
        raise _odd(path, f"{key} is no list")
    return found


def _means(item: Any, directory: str) -> bool:
    said = item.get("path") if isinstance(item, dict) else item
    if not isinstance(said, str):
        return False
    inside = os.path.normpath(said)
    return directory in (inside, os.path.dirname(inside) if os.path.basename(inside) in NAMES else inside)


def _odd(path: str, why: str) -> Invalid:
    return Invalid("serialization", f"{path} cannot be amended: {why}", path=path)
