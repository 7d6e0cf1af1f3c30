"""A chat with any endpoint that speaks as OpenAI's does (``POST .../chat/completions``), streamed to the terminal.

Source of the format: the published API reference of chat completions; events come as ``data: {json}`` lines and end
with ``data: [DONE]``. An endpoint that cannot stream answers with one JSON document, which is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from warpforge.errors import Unable
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner

PROMPT: Final = "> "
RESET: Final = "/reset"
SYSTEM: Final = (
    "You help to write and to run software. Answer briefly; show code and commands that can be used as they are."
)
_FILE_LIMIT: Final = 100_000


def run_assistant(runner: Runner, args: dict[str, Value]) -> Value:
    """Answer ``message``, or whatever is asked until the input ends; the last answer.

    Errors: ``invalid-argument``; ``connection`` when there is one message only (in a talk it is said, and the talk goes
    on).
    """
    taking = Taking()
    talk = Talk(runner, taking, args)
    message = taking.text(args.get("message"), "message")
    taking.finish("the assistant")
    if message:
        return talk.answer(message)
    last = ""
    while (asked := runner.ask("text", PROMPT)) is not None:
        if asked.strip() == RESET:
            talk.reset()
        elif asked.strip():
            try:
                last = talk.answer(asked)
            except Unable as error:
                runner.log("error", error.message)
    return last


class Talk:
    """What was said so far."""

    def __init__(self, runner: Runner, taking: Taking, args: dict[str, Value]) -> None:
        self._runner = runner
        self._url = taking.text(args.get("endpoint"), "endpoint").rstrip("/") + "/chat/completions"
        key = taking.text(args.get("api-key"), "api-key")
        self._headers: dict[str, Value] = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = taking.number(args.get("timeout"), "timeout", 300.0)
        self._settings: dict[str, Value] = {"model": taking.text(args.get("model"), "model"), "stream": True}
        for name, spelled in (("temperature", "temperature"), ("max-tokens", "max_tokens")):
            if args.get(name) is not None:
                number = taking.number(args[name], name)
                self._settings[spelled] = int(number) if number == int(number) else number
        self._system = taking.text(args.get("instructions"), "instructions", SYSTEM)
        self._files = [(taking.text(item, path), path) for item, path in taking.items(args.get("files"), "files")]
        self._messages: list[Value] = []
        self.reset()

    def reset(self) -> None:
        """Forget what was said; the files are read again."""
        known = [
            f"The file {name}:\n\n{self._runner.read_repo_file('', name)[:_FILE_LIMIT]}" for name, _ in self._files
        ]
        self._messages = [{"role": "system", "content": "\n\n".join([self._system, *known])}]

    def answer(self, message: str) -> str:
        """What the endpoint says to this; it is shown as it comes. Errors: ``connection``."""
        self._messages.append({"role": "user", "content": message})
        parts: list[str] = []
        try:
            for part in read_answer(self._runner.http_stream(self._request())):
                parts.append(part)
                self._runner.say(part)
        except BaseException:
            self._messages.pop()
            raise
        self._runner.say("\n")
        text = "".join(parts)
        self._messages.append({"role": "assistant", "content": text})
        return text

    def _request(self) -> dict[str, Value]:
        return {
            "url": self._url,
            "method": "post",
            "headers": {"Accept": "text/event-stream", **self._headers},
            "body": {**self._settings, "messages": list(self._messages)},
            "timeout": self._timeout,
        }


def read_answer(lines: Iterable[str]) -> Iterator[str]:
    """The parts of an answer, streamed or whole. Errors: ``connection``."""
    whole: list[str] = []
    is_stream = False
    for line in lines:
        if not line.startswith("data:"):
            if not is_stream:
                whole.append(line)
            continue
        is_stream = True
        data = line[5:].strip()
        if data == "[DONE]":
            return
        yield from _texts(data, "delta")
    if not is_stream:
        yield from _texts("\n".join(whole), "message")


def _texts(data: str, key: str) -> Iterator[str]:
    try:
        said = json.loads(data)
        refusal = said.get("error")
        choices = said.get("choices") or []
        texts = [choice[key].get("content") for choice in choices if isinstance(choice.get(key), dict)]
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        message = f"the endpoint answers what is no chat completion: {data[:200]!r}"
        raise Unable("connection", message, cause=error) from error
    if refusal:
        text = refusal.get("message") if isinstance(refusal, dict) else refusal
        raise Unable("connection", f"the endpoint refuses: {text}")
    yield from (text for text in texts if isinstance(text, str) and text)
