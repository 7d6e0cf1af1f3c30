"""What can be asked of a running job, by its socket and by MCP: looking, logs, stopping, and running more.

Values are made for programs: maps of plain values, times as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Thread
from typing import Any, Final

import msgspec

from warpforge.errors import Invalid, Missing
from warpforge.polytope.jobs.control import Asker
from warpforge.polytope.jobs.job import Job
from warpforge.polytope.jobs.journal import log_name, read_log
from warpforge.polytope.jobs.mcp import Tool

Start = Callable[[str, Mapping[str, Any]], tuple[list[str], list[str]]]
LINES: Final = 100  # of a log, when nobody says how many
_KINDS: Final[dict[str, type]] = {"string": str, "integer": int, "boolean": bool, "object": dict}
LOG: Final = 500  # lines of what a tool said, in its answer


class Answers:
    """One job and its surroundings. ``start`` begins a module, template or tool within it; it gives the ids of its
    steps, and of those that whoever calls it waits for. ``list_tools``: the modules and templates that can be run, each
    with its parameters."""

    def __init__(self, job: Job, start: Start, list_tools: Callable[[], list[dict[str, Any]]]) -> None:
        self._job = job
        self._start = start
        self._list_tools = list_tools

    def answer(self, question: Mapping[str, Any], asker: Asker) -> Any:
        """What the socket is asked: ``summary``, ``stop`` (``id`` "": the whole job), ``run``, ``exec``.

        Errors: ``missing``, ``invalid``, and those of the asked.
        """
        match question.get("do"):
            case "summary":
                return msgspec.to_builtins(self._job.summary)
            case "stop":
                if not question.get("id"):
                    self._job.request_stop()
                    return []
                return self._job.stop_one(question["id"])
            case "run":
                return self.run(question["reference"], question.get("args") or {}, wait=bool(question.get("wait")))
            case "exec":
                return self._exec(question, asker)
        raise Invalid("invalid", f"a job cannot be asked to {question.get('do')}")

    def run(self, reference: str, args: Mapping[str, Any], *, wait: bool = False) -> dict[str, Any]:
        """Begin something more; with ``wait``, until it has ended, or serves: its steps, and then its state, why,
        output and the end of its ``log``; ``error``: of the step that failed, as errors are written everywhere."""
        steps, awaited = self._start(reference, args)
        if not wait:
            return {"steps": steps}
        self._job.wait_for(awaited, or_serves=True)
        summaries = [self._job.summary.steps[step] for step in awaited]
        bad = next((one for one in summaries if one.state not in ("success", "running")), None)
        state = "running" if any(one.state == "running" for one in summaries) else "success"
        error = self._job.find_error(bad.id) if bad else None
        log = [line for step in steps for line in self._said(step)]
        outputs = {step: self._job.mask.value(self._job.find_output(step)) for step in awaited}
        return {
            "steps": steps,
            "state": bad.state if bad else state,
            "why": f"step {bad.id}: {bad.why or bad.state}" if bad else "",
            **({"error": error.to_serial()} if error else {}),
            "output": outputs[awaited[0]] if len(awaited) == 1 else outputs,
            "log": log[-LOG:],
        }

    def _said(self, step: str) -> list[str]:
        """What a step, its containers and those that it began have said, each in its order."""
        summary, path = self._job.summary, self._job.parts.journal.path
        containers = [one.id for one in [*summary.containers.values()] if one.step == step]  # others may begin
        logs = [("steps", step), *(("containers", id) for id in containers)]
        lines = [line.text for kind, id in logs for line in read_log(f"{path}/{kind}/{log_name(id)}", id)]
        inner = [line for one in [*summary.steps.values()] if one.parent == step for line in self._said(one.id)]
        return [*lines, *inner]

    def _exec(self, question: Mapping[str, Any], asker: Asker) -> int:
        """A command in a container, at the descriptors of whoever asks, who may say ``{"signal": N}``: its exit status.
        Should they hang up, it is killed."""
        from warpforge.sandbox.visit import Visit

        asked = {key: question[key] for key in ("argv", "env", "workdir", "user")}
        visit = Visit(**asked, stdio=asker.fds, is_terminal=question["terminal"])
        company = self._job.boxes.enter(question["container"], visit)

        def listen() -> None:
            for said in asker.more():
                company.signal(int(said["signal"]))
            company.kill()

        Thread(target=listen, name="exec signals", daemon=True).start()
        return company.wait()

    def every(self, what: str) -> list[dict[str, Any]]:
        """All ``steps``, ``containers`` or ``services``."""
        return [_plain(one) for one in [*getattr(self._job.summary, what).values()]]

    def describe(self, what: str, id: str) -> dict[str, Any]:
        """One of them. Errors: ``missing``, naming those that are there."""
        there = getattr(self._job.summary, what)
        if id not in there:
            named = ", ".join(there) or "none"
            raise Missing("missing", f"there is no {what.removesuffix('s')} {id}: there is {named}", id=id)
        return _plain(there[id])

    def describe_job(self) -> dict[str, Any]:
        """The job without its parts."""
        found = _plain(self._job.summary)
        return {key: len(value) if isinstance(value, dict) else value for key, value in found.items()}

    def logs(self, container: str, limit: int) -> dict[str, Any]:
        """The last lines that a container wrote. Errors: ``missing``."""
        self.describe("containers", container)
        path = f"{self._job.parts.journal.path}/containers/{log_name(container)}"
        lines = [line.text for line in read_log(path, container)]
        return {"container": container, "lines": lines[-limit:] if limit > 0 else []}

    def tools(self, only: Sequence[str] = ()) -> list[Tool]:
        """What MCP offers. ``only``: of the file's own tools just these, else all."""
        own = [_own(tool, self.run) for tool in self._list_tools() if tool.get("is-tool")]
        mine = [tool for tool in own if not only or tool.name in only]
        ours = [tool._replace(call=_typed(tool)) for tool in self._ours()]
        taken = {tool.name for tool in ours}
        return [*ours, *(tool for tool in mine if tool.name not in taken)]

    def _ours(self) -> list[Tool]:
        limit = {"type": "integer", "description": f"how many lines, from the end; {LINES} when it is not said"}
        container = {"type": "string", "description": "the container's id"}
        ref = {"type": "string", "description": "a module, template or tool, as `pt run` takes it"}
        args = {"type": "object", "description": "its arguments"}
        wait = {"type": "boolean", "description": "wait until it has ended"}
        listed = {
            "containers": "The job's containers.",
            "services": "Its services, with their ports on this host.",
            "steps": "Its steps.",
        }
        return [
            *(self._lister(what, text) for what, text in listed.items()),
            Tool("list-tools", "What can be run here.", _schema({}), lambda _: {"tools": self._list_tools()}),
            Tool(
                "get-container-logs",
                "The last lines that a container wrote.",
                _schema({"container": container, "limit": limit}, "container"),
                lambda args: self.logs(args["container"], int(args.get("limit") or LINES)),
            ),
            self._describer("container", "containers", "One container: state, image, exit status."),
            self._describer("service", "services", "One service: state and addresses."),
            self._describer("step", "steps", "One step: state, times, why it failed."),
            Tool(
                "describe-job",
                "The job: state, and how much it has of what.",
                _schema({}),
                lambda _: self.describe_job(),
            ),
            Tool("describe-sandbox", "All of it.", _schema({}), lambda _: _plain(self._job.summary)),
            Tool(
                "run",
                "Run a module, template or tool in this sandbox; gives its step.",
                _schema({"ref": ref, "args": args, "wait": wait}, "ref"),
                lambda args: self.run(args["ref"], args.get("args") or {}, wait=bool(args.get("wait"))),
                _has_failed,
            ),
        ]

    def _describer(self, name: str, what: str, text: str) -> Tool:
        id = {"type": "string", "description": f"the {name}'s id"}
        return Tool(f"describe-{name}", text, _schema({"id": id}), lambda args: self.describe(what, args["id"]))

    def _lister(self, what: str, text: str) -> Tool:
        return Tool(f"list-{what}", text, _schema({}), lambda _: {what: self.every(what)})


def _own(tool: Mapping[str, Any], run: Callable[..., Any]) -> Tool:
    properties = {one["id"]: {**one["schema"], "description": one["info"] or one["type"]} for one in tool["params"]}
    required = [one["id"] for one in tool["params"] if one["is-required"]]
    name = tool["id"]
    schema = {"type": "object", "properties": properties, "required": required}
    return Tool(name, tool.get("info", ""), schema, lambda args: run(name, args, wait=True), _has_failed)


def _typed(tool: Tool) -> Callable[[Mapping[str, Any]], Any]:
    """Its call, which is given only what its schema says. Errors: ``invalid-argument``."""

    def call(args: Mapping[str, Any]) -> Any:
        for name, value in args.items():
            kind = tool.schema["properties"].get(name, {}).get("type")
            right = kind is None or value is None or isinstance(value, _KINDS[kind])
            if not right or (kind == "integer" and isinstance(value, bool)):
                raise Invalid("invalid-argument", f"{tool.name}: {name} is a JSON {kind}, not {value!r}"[:300])
        return tool.call(args)

    return call


def _has_failed(answer: Any) -> bool:
    """Of ``Answers.run``."""
    return bool(answer.get("why"))


def _schema(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    wanted = required or tuple(name for name in properties if name == "id")
    return {"type": "object", "properties": dict(properties), "required": [*wanted]}


def _plain(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return {key: _time(value) if key in ("created", "started", "finished") else value for key, value in found.items()}


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
