"""The project's file, amended: new tools included and called, every other byte of it left as it was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from warpforge.errors import Invalid, Unable
from warpforge.fsx.atomic import write_atomic
from warpforge.polytope.text.inserting import Text

NAMES: Final = ("polytope.yml", "polytope.yaml")
Step = str | dict[str, str]


def add_calls(project: str, directory: str, calls: Sequence[tuple[str, str]]) -> list[str]:
    """Include ``directory`` ("": nothing), and let each tool call what is named with it; the files that were written.

    A template of that name is called so, too. A tool that is not there is made, and so is the file.
    Errors: ``serialization``, ``io``.
    """
    name = next((name for name in NAMES if os.path.lexists(os.path.join(project, name))), NAMES[0])
    path = os.path.join(project, name)
    before = _read(path)
    text = Text(before, path)
    if directory and directory != ".":
        text = _append(text, ("include",), directory, lambda item: _means(item, directory))
    for tool, call in calls:
        text = _add_call(text, tool, call)
    if text.text == before:
        return []
    try:
        write_atomic(path, text.text.encode())
    except OSError as error:
        raise Unable("io", f"{path} cannot be written: {error.strerror}", cause=error, path=path) from error
    return [name]


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise Invalid("serialization", f"{path} cannot be amended: {error}", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error


def _add_call(text: Text, tool: str, call: str) -> Text:
    def is_there(step: Any) -> bool:
        return bool(step == call or (isinstance(step, dict) and call in (step.get("tool"), step.get("module"))))

    templates = text.value.get("templates")
    for number, template in enumerate(templates if isinstance(templates, list) else ()):
        if isinstance(template, dict) and template.get("id") == tool:
            return _append(text, ("templates", number, "run"), call, is_there)
    return _append(text, ("tools", tool, "run"), {"tool": call}, is_there)


def _append(text: Text, way: Sequence[str | int], item: Step, is_there: Callable[[Any], bool]) -> Text:
    """An item more in the list at ``way``, unless it is there."""
    if any(map(is_there, text.items(way))):
        return text
    return text.append(way, item)


def _means(item: Any, directory: str) -> bool:
    said = item.get("path") if isinstance(item, dict) else item
    if not isinstance(said, str):
        return False
    inside = os.path.normpath(said)
    return directory in (inside, os.path.dirname(inside) if os.path.basename(inside) in NAMES else inside)
