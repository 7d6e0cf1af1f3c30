"""An MCP client talks to the server of a job that runs."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.jobs import Maker

from warpforge.errors import Unable
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import ContainerSaid, ContainerSpawned
from warpforge.polytope.jobs.answers import Answers
from warpforge.polytope.jobs.control import Control, ask
from warpforge.polytope.jobs.job import Job
from warpforge.polytope.jobs.mcp import Server
from warpforge.polytope.jobs.mcp_http import McpHttp
from warpforge.polytope.runner import Runner

NAME = {"id": "name", "type": "str", "info": "", "is-required": True, "schema": {"type": "string"}}
TOOLS = [{"id": "greet", "info": "Greets.", "is-tool": True, "params": [NAME]}]


class Client:
    def __init__(self, url: str, job: Job) -> None:
        self.url = url
        self.job = job

    def post(self, message: Any, **headers: str) -> tuple[int, Any]:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        request = urllib.request.Request(self.url, data, {"Content-Type": "application/json", **headers})
        try:
            with urllib.request.urlopen(request, timeout=100) as answer:
                said = answer.read()
                return answer.status, json.loads(said) if said else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    def ask(self, method: str, **params: Any) -> Any:
        status, answer = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        assert status == 200 and answer["id"] == 7, answer
        return answer.get("result") or answer["error"]

    def call(self, tool: str, **arguments: Any) -> Any:
        found = self.ask("tools/call", name=tool, arguments=arguments)
        return json.loads(found["content"][0]["text"]) | ({"isError": True} if found["isError"] else {})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    def greet(runner: Runner) -> str:
        runner.log("info", "hello")
        runner.set_secret("tok", "s3cr3t-t0k3n")
        return "hello s3cr3t-t0k3n"

    make_job = Maker(tmp_path_factory.mktemp("mcp"))
    job, _ = make_job({"greet": greet})

    def start(reference: str, args: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        steps = job.add([JobStep(id=reference, call=reference, args={**args})])
        return steps, steps

    answers = Answers(job, start, lambda: TOOLS)
    running = threading.Thread(target=job.run, args=([],), kwargs={"stay": True})
    running.start()
    http = McpHttp(Server("pt", "Be kind.", answers.tools), 0)
    control = Control(job.parts.journal.path, answers.answer)
    yield Client(http.url, job)
    ask(job.parts.journal.path, "stop")
    running.join(30)
    http.close()
    control.close()
    make_job.close()
    assert not running.is_alive()


def test_a_client_begins(client: Client) -> None:
    found = client.ask("initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo={"name": "t"})
    assert found["protocolVersion"] == "2025-03-26" and found["instructions"] == "Be kind."
    assert client.ask("initialize", protocolVersion="1999-01-01")["protocolVersion"] == "2025-06-18"
    assert client.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == (202, None)
    assert client.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})[1]["result"] == {}


def test_every_tool_has_a_schema(client: Client) -> None:
    tools = {tool["name"]: tool for tool in client.ask("tools/list")["tools"]}
    looking = {"list-containers", "list-services", "list-steps", "list-tools", "get-container-logs"}
    describing = {f"describe-{what}" for what in ("container", "job", "service", "step", "sandbox")}
    assert tools.keys() == looking | describing | {"run", "greet"}
    assert tools["greet"]["inputSchema"]["required"] == ["name"]
    assert tools["describe-step"]["inputSchema"]["required"] == ["id"]


def test_a_file_may_offer_some_of_its_tools_only(client: Client) -> None:
    answers = Answers(
        client.job, lambda *_: ([], []), lambda: [*TOOLS, {**TOOLS[0], "id": "run"}, {**TOOLS[0], "id": "other"}]
    )
    assert {tool.name for tool in answers.tools()} - {tool.name for tool in answers.tools(["greet"])} == {"other"}
    assert len([tool for tool in answers.tools() if tool.name == "run"]) == 1  # the sandbox's own goes before


def test_tools_run_things_and_look_at_them(client: Client) -> None:
    ran = client.call("run", ref="greet", args={"name": "you"}, wait=True)
    assert ran["state"] == "success" and ran["output"] == "hello ***" and ran["log"] == ["hello"]
    assert client.call("greet", name="me")["steps"] == ["greet-2"]
    assert [step["id"] for step in client.call("list-steps")["steps"]][:2] == ["greet", "greet-2"]
    assert client.call("describe-step", id="greet")["finished"] is not None
    assert client.call("describe-job")["steps"] >= 2
    assert client.call("list-tools")["tools"] == TOOLS
    failed = client.call("run", ref="nothing", wait=True)
    assert failed["state"] == "failed" and "nothing" in failed["why"] and failed["isError"]


def test_logs_of_a_container(client: Client) -> None:
    client.job.hear(ContainerSpawned("web", "greet", "nginx"))
    for number in range(5):
        client.job.hear(ContainerSaid("web", f"line {number}"))
    assert client.call("get-container-logs", container="web", limit=2)["lines"] == ["line 3", "line 4"]
    for wrong in ({"limit": "two"}, {"container": ["web"]}, {"limit": True}):
        refused = client.call("get-container-logs", **{"container": "web", **wrong})
        assert refused["isError"] and refused["code"] == "warpforge-error-invalid-argument"
    assert client.ask("tools/call", name="run", arguments=["web"])["code"] == -32602
    missing = client.call("get-container-logs", container="none")
    assert missing["isError"] and missing["code"] == "warpforge-error-missing"


def test_what_is_no_message_is_answered_as_such(client: Client) -> None:
    assert client.post(b"{")[1]["error"]["code"] == -32700
    assert client.post({"id": 1})[1]["error"]["code"] == -32600
    assert client.post({"jsonrpc": "2.0", "id": 1, "method": "dance"})[1]["error"]["code"] == -32601
    assert client.ask("tools/call", name="dance")["code"] == -32602
    assert "needs name" in client.ask("tools/call", name="greet")["message"]
    batch = [{"jsonrpc": "2.0", "id": id, "method": "ping"} for id in (1, 2)]
    assert [answer["id"] for answer in client.post(batch)[1]] == [1, 2]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://localhost:3"}, 200),
    ],
)
def test_a_page_of_elsewhere_is_refused(client: Client, headers: dict[str, str], status: int) -> None:
    assert client.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, **headers)[0] == status


def test_other_places_and_ports(client: Client) -> None:
    client_elsewhere = Client(client.url + "/else", client.job)
    assert client_elsewhere.post({})[0] == 404
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(client.url, timeout=100)
    assert caught.value.code == 405
    caught.value.close()
    with pytest.raises(Unable, match="--mcp-port"):
        McpHttp(Server("pt", "", list), int(client.url.split(":")[2].split("/")[0]))


def test_the_socket_answers_the_same(client: Client, tmp_path: Path) -> None:
    place = client.job.parts.journal.path
    assert ask(place, "run", reference="greet", args={"name": "x"}, wait=True)["output"] == "hello ***"
    assert ask(place, "summary")["id"] == "job"
    with pytest.raises(Exception, match="cannot be asked to dance"):
        ask(place, "dance")
    with pytest.raises(Unable, match="does not answer"):
        ask(str(tmp_path), "summary")
