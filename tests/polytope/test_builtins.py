"""The modules that ship with us: what calls of them come down to, and what those that are code do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answering import answering
from support.goldens import GOLDENS, give, load
from support.recording import Recording, StepFailed

from warpforge.errors import Failed, Invalid
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library, builtin_names, load_builtin
from warpforge.polytope.jobs.author import Author
from warpforge.polytope.jobs.work import Work
from warpforge.polytope.nouns import Value

HOOK = "https://hooks.slack.com/services/T0/B0/abc"


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as made:
        yield made


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.json")), ids=lambda path: path.stem)
def test_what_calls_come_down_to(path: Path, evaluator: Evaluator) -> None:
    calls = load(path)
    assert [give(call["module"], call["args"], evaluator) for call in calls] == [call["gives"] for call in calls]


def test_every_module_has_a_golden_call() -> None:
    called = {call["module"] for path in GOLDENS.glob("*.json") for call in load(path)}
    for name in builtin_names():
        for module in load_builtin(name).modules:
            assert (f"polytope/{name}" if module.is_default else f"polytope/{name}!{module.id}") in called


def run(evaluator: Evaluator, runner: Recording, call: str, **args: Value) -> Value:
    author = Author(Library(None, directory="/project"), evaluator, cwd="/project")
    named = {key.replace("_", "-"): value for key, value in args.items()}
    opened = author.open(JobStep(id=call, call=f"polytope/{call}", args=named), runner)
    assert isinstance(opened, Work)
    return opened.do(runner)


def test_hello(evaluator: Evaluator) -> None:
    runner = Recording()
    run(evaluator, runner, "hello-world", message="Hi, you")
    run(evaluator, runner, "noop")
    assert runner.logs == [("info", "Hi, you")]


def test_a_container_is_what_most_come_down_to(evaluator: Evaluator) -> None:
    runner = Recording(exits={"psql": 2})
    run(evaluator, runner, "postgres!simple")
    assert [entry[0] for entry in runner.done] == ["spawn", "started", "open", "exited"]
    with pytest.raises(StepFailed, match="nonzero exit code"):
        run(evaluator, runner, "postgres!psql", hostname="h", database="d", username="u", password="p")


def test_the_repl_goes_on_after_an_error(evaluator: Evaluator) -> None:
    answers = ["(+ 1 2)", '(pt/log :warn "x")', "(nope)", "pt.js [1, 2].map(x => x * 2)"]
    runner = Recording(answers=answers)
    run(evaluator, runner, "repl")
    levels = [level for level, _ in runner.logs]
    assert levels == ["info", "warn", "info", "error", "info"]
    texts = [text for _, text in runner.logs]
    assert texts[0] == "3"
    assert texts[3].startswith("`") and "nope" in texts[3]
    assert texts[4] == "[2 4]"


def test_a_message_goes_to_the_webhook_wherever_that_is(evaluator: Evaluator) -> None:
    with answering() as server:
        server.answers["/services/T0/B0/abc"] = 200, b"ok"
        runner = Recording(routes={"https://hooks.slack.com": server.url})
        run(evaluator, runner, "send-slack-message", webhook=HOOK, text='it\'s "done"')
        assert server.bodies() == [{"text": 'it\'s "done"'}]
        server.answers["/services/T0/B0/abc"] = 404, b"no_service"
        with pytest.raises(StepFailed, match="status 404") as caught:
            run(evaluator, runner, "send-slack-message", webhook=HOOK, text="x")
        assert caught.value.data == {"status": 404, "body": "no_service"}
        with pytest.raises(Invalid, match="webhook"):
            run(evaluator, runner, "send-slack-message", webhook=f"{server.url}/services/T0/B0/abc", text="x")
        assert len(server.asked) == 2


def test_services_are_awaited_and_have_addresses(evaluator: Evaluator) -> None:
    runner = Recording()
    with pytest.raises(StepFailed, match="did not answer within 2s"):
        run(evaluator, runner, "await-service", service_id="postgres", timeout="2s")
    run(evaluator, runner, "postgres")
    assert run(evaluator, runner, "await-service", service_id="postgres") is True
    route = run(evaluator, runner, "create-gateway-route", service_id="postgres", service_port="5432")
    assert route == {"domain": "127.0.0.1", "port": 5432, "base-url": "http://127.0.0.1:5432"}
    with pytest.raises(Failed, match="there is no service nothing"):
        run(evaluator, runner, "create-gateway-route", service_id="nothing")


def test_an_image_is_built_by_the_runner(evaluator: Evaluator) -> None:
    runner = Recording()
    sources: Value = [{"source": {"type": "host", "path": "."}, "path": "/"}]
    output = run(evaluator, runner, "build-image", tags=["a:1"], sources=sources)
    assert isinstance(output, dict) and str(output["digest"]).startswith("sha256:")
    assert runner.done == [
        ("build", "tags", "sources", "dockerfile", "labels", "target", "build-args", "secrets", "network")
    ]
