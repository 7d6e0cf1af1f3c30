"""``pt run`` and what looks at jobs from elsewhere, as a person calls them; steps without containers."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Terminal
from support.world import PT, Result, World

from warpforge.polytope.jobs.journal import Journal
from warpforge.polytope.jobs.summary import JobSummary

FILE = """\
modules:
  - {id: hello, params: [{id: who, type: [default, str, world]}], code: '#pt-clj (do (pt/log "hello" (:who params)) {:said (:who params)})'}
  - {id: echo, params: [{id: text, type: any}], code: "#pt-js pt.log('got ' + JSON.stringify(params.text)); params.text"}
  - {id: bad, code: '#pt-clj (do (pt/log "a crack") (pt/fail "it broke" {:exit-code 3}))'}
  - {id: linger, code: '#pt-clj (do (pt/log "here") (pt/sleep "1h"))'}
  - {id: tell, code: '#pt-clj (do (pt/log (str "the secret is " (pt/secret "tok"))) (pt/fail (pt/secret "tok") nil))'}
templates:
  - {id: both, run: [hello, {module: echo, args: {text: "#pt-output hello said"}}]}
  - id: broken
    run: [bad, {module: echo, id: later, run-when: {after: bad}, args: {text: x}},
          {module: echo, id: mend, run-when: {after: bad, after-condition: failed}, args: {text: mended}}]
  - {id: circle, run: [{id: a, module: hello, after: {step: b}}, {id: b, module: hello, after: {step: a}}]}
  - {id: dangling, run: [hello, nowhere]}
triggers:
  - {id: pushed, on: [{events: [git-branch-added]}], template: both}
tools:
  greet: {info: Greets somebody., inputs: {name: {type: str}, loud: {type: [default, bool, false]}}, run: [{id: hello, tool: hello, args: {who: "pt.input name"}}]}
instructions: Be kind.
"""  # noqa: E501


@pytest.fixture
def world(world: World) -> World:
    world.write("polytope.yml", FILE)
    return world


def states(result: Result) -> dict[str, str]:
    return {line["step"]: line["state"] for line in result.all("step")}


def test_a_template_runs_in_its_order_and_is_remembered(world: World) -> None:
    ran = world.pt("run", "both")
    assert (ran.exit, ran.out) == (0, 'hello | hello world\necho | got "world"\n')
    assert ran.err.splitlines() == ["ok    hello", "ok    echo"]
    told = world.pt("--json", "run", "both{}", "hello{who: you}")
    assert states(told) == {"hello": "success", "echo": "success", "hello-2": "success"}
    assert sorted(line["text"] for line in told.all("jobline")) == ['got "world"', "hello world", "hello you"]
    assert [job["id"] for job in world.pt("--json", "ps", "-a").all("jobsummary")] == ["both", "both-2"]
    assert world.pt("logs", "both").out == 'hello | hello world\necho | got "world"\n'
    assert world.pt("logs", "both-2", "echo").out == 'got "world"\n'
    assert world.pt("logs", "-n", "1").out.count("\n") == 1
    assert "both  success" in world.pt("ps", "-a").out and world.pt("ps").out == ""


def test_a_failure_is_said_with_its_step_and_its_status(world: World) -> None:
    ran = world.pt("--json", "run", "broken")
    assert (ran.exit, ran.code) == (1, "job-step-failed")
    assert states(ran) == {"bad": "failed", "later": "canceled", "mend": "success"}
    details = ran.error["cause"]["details"]
    assert (details["data"], details["output"]) == ('{"exit-code": 3}', "a crack")


@pytest.mark.parametrize(
    ("words", "exit", "why"),
    [
        (["circle"], 2, "a -> b -> a"),
        (["dangling"], 3, "nowhere"),
        (["nothing"], 3, "no module or template nothing"),
        ([], 2, "what is to run"),
        (["hello{who: "], 2, "never closed"),
        (["hello{who: [1]}"], 2, "who"),
        (["--until", "x", "hello"], 3, "the steps are hello"),
        (["--route", "a=b", "hello"], 2, "a route is"),
    ],
)
def test_what_cannot_be_run_is_refused(world: World, words: list[str], exit: int, why: str) -> None:
    ran = world.pt("run", *words)
    assert ran.exit == exit and why in ran.err, str(ran)


def test_a_comma_makes_a_sequence(world: World) -> None:
    assert world.pt("run", "hello,", "hello{who: second}").out == "hello | hello world\nhello-2 | hello second\n"
    failed = world.pt("--json", "run", "bad, hello")
    assert states(failed) == {"bad": "failed", "hello": "canceled"}
    assert world.pt("run", "hello{who: third}").exit == 0
    assert world.pt("logs", "hello").out == "hello third\n"  # not of the job that is called so
    assert world.pt("logs", "--job", "hello").out.count("\n") == 2


def test_a_secret_is_shown_nowhere(world: World) -> None:
    assert world.pt("secrets", "set", "tok", "hunter2hunter2").exit == 0
    ran = world.pt("--json", "run", "tell")
    written = [path.read_bytes() for path in Path(world.root).rglob("*") if path.is_file()]
    assert ran.exit == 1 and "hunter2" not in ran.out + ran.err and not any(b"hunter2" in data for data in written)
    assert "the secret is ***" in ran.out


@contextmanager
def running(world: World, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """``pt --json run WORDS``, until its steps run; ended by the block."""
    argv = [str(PT), "--json", "run", *words]
    process = subprocess.Popen(
        argv, cwd=world.root, env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    for line in process.stdout:
        if b'"here"' in line or b'"MCP at' in line:
            break
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_job_is_seen_fed_and_stopped_from_elsewhere(world: World) -> None:
    with running(world, "--log-file", "log.txt", "linger") as process:

        def beside(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen([PT, *words], cwd=world.root, env=world.environment(), stdout=subprocess.PIPE)

        following, attached = beside("logs", "-f", "--job", "linger"), beside("attach", "linger")
        [job] = world.pt("--json", "ps").all("jobsummary")
        assert (job["id"], job["state"], job["steps"]["linger"]["state"]) == ("linger", "running", "running")
        called = world.pt("--json", "call", "greet", "Anna", "loud=true")
        assert called.one("called")["output"] == {"said": "Anna"}
        assert world.pt("call", "greet").exit == 2  # as the job says
        assert world.pt("logs", "linger", "hello").out == "hello Anna\n"
        assert world.pt("services", "list").exit == 0
        missing = world.pt("stop", "nobody")
        assert missing.exit == 3 and "linger" in missing.err
        assert world.pt("stop", "linger").exit == 0
        assert process.wait(100) == 0
        for looking in (following, attached):
            assert looking.communicate(timeout=100)[0].decode() == "linger | here\nhello | hello Anna\n"
        assert attached.returncode == 0 and world.pt("attach").exit == 3
        assert [line.partition(" ")[2] for line in world.path("log.txt").read_text().splitlines()] == [
            "linger | here",
            "hello | hello Anna",
            "ok    hello",
            "stop  linger",
        ]
    assert world.pt("--json", "ps", "-a").one("jobsummary")["state"] == "stopped"


def test_a_job_runs_behind_the_terminal(world: World) -> None:
    begun = world.pt("run", "-d", "linger")
    assert (begun.exit, begun.out) == (0, "linger\n")
    assert world.pt("--json", "ps").one("jobsummary")["id"] == "linger"
    assert world.pt("stop").exit == 0
    assert world.pt("run", "--detach", "hello").out == "hello\n"
    refused = world.pt("run", "-d", "circle")
    assert refused.exit == 2 and "a -> b -> a" in refused.err


def test_ctrl_c_stops_in_order_and_a_kill_is_seen(world: World) -> None:
    with running(world, "linger") as process:
        wrong = world.pt("call", "hello{who: [1]}")
        assert wrong.exit == 2 and wrong.err.count("hello: ") == 1, str(wrong)
        assert [*world.pt("--json", "ps").one("jobsummary")["steps"]] == ["linger"]  # the job is as it was
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 130
        assert process.stderr and b"warpforge-error-interrupted" in process.stderr.read()
    with running(world, "linger") as process:
        process.kill()
        process.wait()
    jobs = world.pt("ps", "-a").out
    assert "linger  stopped" in jobs and "linger-2  killed" in jobs
    assert world.pt("stop").exit == 3
    assert world.pt("run", "hello").exit == 0


def test_a_job_that_is_tidying_up_runs_no_more(world: World) -> None:
    journal = Journal(f"{world.root}/.warpforge/polytope/jobs", "done")
    journal.save(JobSummary(id="done", uid="u", state="success"))
    try:
        assert world.pt("stop").exit == 3
        assert world.pt("logs").exit == 0
    finally:
        journal.close()


def test_mcp_on_the_command_line(world: World) -> None:
    from urllib.request import Request, urlopen

    world.write("sub/polytope.yml", "modules: []\n")
    argv = [str(PT), "run", "--mcp", "--mcp-port", "0"]
    env = world.environment()
    process = subprocess.Popen(argv, cwd=world.root / "sub", env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr and process.stdout
    url = process.stderr.readline().decode().split()[-1]

    def ask(method: str, **params: Any) -> Any:
        data = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=100) as answer:
            return json.load(answer)["result"]

    assert ask("initialize", protocolVersion="2025-06-18")["instructions"] == "Be kind."  # the highest file's
    tools = {tool["name"]: tool["inputSchema"] for tool in ask("tools/list")["tools"]}
    assert {"greet", "run", "list-steps"} <= {*tools} and "later" not in tools
    assert tools["greet"]["properties"]["loud"] == {"type": "boolean", "default": False, "description": "bool"}
    world.write("more/polytope.yml", "tools: {later: {run: [{id: hello, tool: hello}]}}\n")
    world.write("polytope.yml", FILE + "include: [more]\n")  # as a tool may do that scaffolds
    assert "hello world" in ask("tools/call", name="later", arguments={})["structuredContent"]["log"]
    found = ask("tools/call", name="greet", arguments={"name": "Bo"})
    assert found["structuredContent"]["output"] == {"said": "Bo"}
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 130
    process.communicate()


def test_tools_are_listed_called_and_included(world: World) -> None:
    tools = {tool["id"]: tool for tool in world.pt("--json", "tools", "list").all("tool")}
    assert tools["greet"]["params"][0]["type"] == "str"
    assert world.pt("tools", "get", "polytope/container").exit == 0
    assert json.loads(world.pt("call", "greet", "Anna").out.partition("\n")[2]) == {"said": "Anna"}
    world.write("more/polytope.yml", "modules: [{id: extra, code: '#pt-js 1'}]\n")
    assert "includes more" in world.pt("include", "more", cwd=".").err
    assert world.pt("run", "extra").exit == 0
    assert world.pt("include", "none").exit == 3


def test_serve_starts_what_happened_in_the_repository(world: World) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *who, *words], cwd=world.root, check=True, capture_output=True, env=world.environment())

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert world.pt("--json", "serve", "--once").all("trigger") == []
    git("branch", "new")
    result = world.pt("--json", "serve", "--once")
    told = result.all("trigger")
    assert result.exit == 0, str(result)
    assert [one["what"] for one in told] == ["begun", "ended"]
    assert told[0]["event"]["name"] == "new" and told[1]["state"] == "success"
    assert world.pt("--json", "serve", "--once").all("trigger") == []


def test_the_screen_shows_steps_and_what_they_say(world: World) -> None:
    terminal = Terminal(world, "run", "linger", "hello{who: you}", columns=44, rows=12, program=PT)
    wanted = ("▸1 ✓1", "linger | here", "▸ linger", "✓ hello")
    # all at once, for what was read last may be a part of a picture
    terminal.until(lambda: all(any(words in line for line in terminal.lines) for words in wanted))
    assert all(len(line) <= 44 for line in terminal.lines)
    terminal.keys(b"\x03")
    assert terminal.end() == 130
    assert not any("▸" in line for line in terminal.lines) and any("interrupted" in line for line in terminal.lines)
