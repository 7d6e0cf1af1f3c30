"""The Model Context Protocol, as far as a server of tools needs it: JSON-RPC messages in, answers out. No I/O.

Revision 2025-06-18 and the two before it: initialize, ping, tools/list, tools/call, and notifications, which get no
answer. Written here: the library that is kept for it brings a web framework, a validator and an HTTP client of its
own, fifteen packages and a third of a second, for four methods.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from warpforge import __version__
from warpforge.errors import WarpforgeError

REVISIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")  # newest first
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


class Tool(NamedTuple):
    """``schema``: the JSON Schema of its arguments. ``call`` gives a JSON value; WarpforgeError is a tool's failure,
    and so is a value of which ``has_failed`` is true."""

    name: str
    description: str
    schema: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Any]
    has_failed: Callable[[Any], bool] = lambda value: False


class Server:
    """Answers one client's messages, or many clients': nothing is remembered between them."""

    def __init__(self, name: str, instructions: str, tools: Callable[[], Sequence[Tool]]) -> None:
        """``tools`` is asked each time: what there is may change."""
        self._name = name
        self._instructions = instructions
        self._tools = tools

    def answer(self, data: bytes) -> Any:
        """What to answer to a message, or to a batch of them; None for nothing."""
        try:
            message = json.loads(data)
        except ValueError:
            return _error(None, PARSE_ERROR, "this is not JSON")
        if isinstance(message, list):
            answers = [answer for one in message if (answer := self._one(one)) is not None]
            return answers or None
        return self._one(message)

    def _one(self, message: Any) -> Any:
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return _error(None, INVALID_REQUEST, "a message is a JSON-RPC 2.0 object")
        if "method" not in message:
            return None  # an answer to a question that we never asked
        id, params = message.get("id"), message.get("params") or {}
        if id is None:
            return None
        if not isinstance(params, dict):
            return _error(id, INVALID_PARAMS, "params is an object")
        match message["method"]:
            case "initialize":
                return _result(id, self._initialize(params))
            case "ping":
                return _result(id, {})
            case "tools/list":
                return _result(id, {"tools": [_describe(tool) for tool in self._tools()]})
            case "tools/call":
                return self._call(id, params)
        return _error(id, METHOD_NOT_FOUND, f"there is no method {message['method']}")

    def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = params.get("protocolVersion")
        found: dict[str, Any] = {
            "protocolVersion": asked if asked in REVISIONS else REVISIONS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": self._name, "version": __version__},
        }
        return {**found, "instructions": self._instructions} if self._instructions else found

    def _call(self, id: Any, params: Mapping[str, Any]) -> Any:
        tool = next((tool for tool in self._tools() if tool.name == params.get("name")), None)
        if tool is None:
            return _error(id, INVALID_PARAMS, f"there is no tool {params.get('name')!r}: tools/list names them")
        arguments = params.get("arguments") or {}
        if not isinstance(arguments, dict):
            return _error(id, INVALID_PARAMS, f"{tool.name}: arguments is an object")
        missing = [name for name in tool.schema.get("required", ()) if name not in arguments]
        if missing:
            return _error(id, INVALID_PARAMS, f"{tool.name} needs {', '.join(missing)}")
        try:
            value = tool.call(arguments)
        except WarpforgeError as error:
            return _result(id, {"content": [_text(error.to_serial())], "isError": True})
        except Exception as error:
            return _error(id, INTERNAL_ERROR, f"our bug, please report it: {type(error).__name__}: {error}")
        found = {"content": [_text(value)], "isError": tool.has_failed(value)}
        return _result(id, {**found, "structuredContent": value} if isinstance(value, dict) else found)


def _describe(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.schema}


def _text(value: Any) -> dict[str, str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    return {"type": "text", "text": text}


def _result(id: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


def _error(id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}
