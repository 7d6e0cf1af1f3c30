"""YAML with something put in: a text is cut at one place, nothing else of it changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from warpforge.errors import Invalid

Way = Sequence[str | int]
_PLAIN: Final = re.compile(r"(?:[A-Za-z_]|[.\d][\w.-]*/)(?:[\w./:@+-]*[\w/])?")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Text:
    """A document that is a map, or nothing yet. ``value``: what it says. Errors: ``serialization``."""

    def __init__(self, text: str, path: str) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        self.text: Final = text
        self._path = path
        try:
            self._root: Any = YAML(typ="safe", pure=True).compose(text)
            self.value: Final[dict[Any, Any]] = YAML(typ="safe", pure=True).load(text) or {}
        except YAMLError as error:
            raise Invalid("serialization", f"{path} cannot be amended: {error}", cause=error, path=path) from error
        if not isinstance(self.value, dict):
            raise self._odd("it is no map")

    def items(self, way: Way) -> list[Any]:
        """Those of the list at ``way``, which need not be there. Errors: ``serialization``: it is something else."""
        found: Any = self.value
        for number, key in enumerate(way):
            if found is None:
                return []
            if isinstance(key, str) and not isinstance(found, dict):
                raise self._odd(f"{'.'.join(map(str, way[:number]))} is no map")
            found = found.get(key) if isinstance(key, str) else found[key]
        if found is None:
            return []
        if not isinstance(found, list):
            raise self._odd(f"{'.'.join(map(str, way))} is no list")
        return found

    def append(self, way: Way, item: str | dict[str, str]) -> Text:
        """With one item more in the list at ``way``, which is made if need be. Errors: as ``items``."""
        wanted = [*self.items(way), item]
        node, key_end, rest = self._descend(way)
        made: Any = [item] if rest or _is_null(node) else item
        for key in reversed(rest):
            made = {key: made}
        amended = Text(self._put(node, key_end, made), self._path)
        if amended.items(way) != wanted:
            raise self._odd("it is written in a way that only you can add to")
        return amended

    def _descend(self, way: Way) -> tuple[Any, int, list[str | int]]:
        """The deepest node that is there, where the key ends that it is the value of, and what of the way is not."""
        node, key_end = self._root, 0
        for number, key in enumerate(way):
            if node is None or _is_null(node):
                return node, key_end, [*way[number:]]
            if isinstance(key, int):
                node = node.value[key]
                continue
            found = next((pair for pair in node.value if pair[0].value == key), None)
            if found is None:
                return node, key_end, [*way[number:]]
            key_end, node = found[0].end_mark.index, found[1]
        return node, key_end, []

    def _put(self, node: Any, key_end: int, made: Any) -> str:
        """The text with ``made`` in a node: an item of a list, a member of a map, or instead of nothing."""
        text = self.text
        if node is None:
            line = _line_end(text)
            return text + ("" if not text or text.endswith("\n") else line) + line.join(_block(made)) + line
        if _is_null(node):
            start, end = node.start_mark.index, node.end_mark.index
            if start == end:  # a comment may stand before its place
                start = end = text.index(":", key_end) + 1
            return text[:start] + ("" if text[:start].endswith(" ") else " ") + _flow(made) + text[end:]
        return self._put_flow(node, made) if node.flow_style else self._put_block(node, made)

    def _put_flow(self, node: Any, made: Any) -> str:
        is_list = node.id == "sequence"
        said = _flow(made) if is_list else _flow(made)[1:-1]
        if not node.value:
            at = node.start_mark.index + 1
            return self.text[:at] + said + self.text[at:]
        at = (node.value[-1] if is_list else node.value[-1][1]).end_mark.index
        return f"{self.text[:at]}, {said}{self.text[at:]}"

    def _put_block(self, node: Any, made: Any) -> str:
        text = self.text
        lines = _block([made] if node.id == "sequence" else made)
        start = _line_end(text) + " " * node.start_mark.column
        at = text.find("\n", _leaf_end(node, text))
        at = len(text) if at < 0 else at - (text[at - 1] == "\r")
        return text[:at] + "".join(f"{start}{one}" for one in lines) + text[at:]

    def _odd(self, why: str) -> Invalid:
        return Invalid("serialization", f"{self._path} cannot be amended: {why}", path=self._path)


def _is_null(node: Any) -> bool:
    return bool(node.id == "scalar" and node.style is None and node.value in ("", "~", "null"))


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _leaf_end(node: Any, text: str) -> int:
    """Where the last thing in a node ends; that of a block is told with the blanks and comments behind it."""
    key_end = 0
    while node.id != "scalar" and not node.flow_style and node.value:
        if node.id == "mapping":
            key_end, node = node.value[-1][0].end_mark.index, node.value[-1][1]
        else:
            node = node.value[-1]
    end = int(node.end_mark.index)
    if node.start_mark.index == end:
        return key_end or end  # nothing is told to be behind the comments that follow
    return len(text[:end].rstrip()) if node.id == "scalar" and node.style in ("|", ">") else end


def _block(made: Any) -> list[str]:
    """Lines, without the indent of the first."""
    if isinstance(made, dict):
        lines = []
        for key, value in made.items():
            if isinstance(value, str):
                lines.append(f"{_scalar(key)}: {_scalar(value)}")
            else:
                lines += [f"{_scalar(key)}:", *(f"  {one}" for one in _block(value))]
        return lines
    if isinstance(made, list):
        return [f"{'  ' if number else '- '}{one}" for item in made for number, one in enumerate(_block(item))]
    return [_scalar(made)]


def _flow(made: Any) -> str:
    if isinstance(made, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(value)}" for key, value in made.items()) + "}"
    if isinstance(made, list):
        return "[" + ", ".join(map(_flow, made)) + "]"
    return _scalar(made)


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)
