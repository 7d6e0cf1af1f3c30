"""What a job does for the modules that no other describes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.answering import Answering, answering
from support.recording import Recording, StepFailed

from warpforge.errors import Invalid, Unable
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.modules.primitives import run_primitive
from warpforge.polytope.nouns import Value

FACTS = Facts(step="s")
SERVED: dict[str, Value] = {
    "image": "x",
    "id": "web",
    "services": [{"id": "b", "ports": [{"port": 1}]}, {"id": "a", "ports": [{"port": 2}]}],
    "datasets": [{"path": "/out", "sink": "kept"}],
}


def test_a_container_is_started_opened_awaited_and_kept() -> None:
    runner = Recording()
    output = run_primitive("container", runner, SERVED, FACTS)
    assert runner.done == [
        ("spawn", "web"),
        ("started", "web"),
        ("open", "web", "b"),
        ("open", "web", "a"),
        ("exited", "web"),
        ("store", "web", "/out", "kept"),
    ]
    assert output == {"id": "web", "exit-code": 0, "datasets": {"kept": 1}}


def test_a_container_that_fails_keeps_nothing() -> None:
    runner = Recording(exits={"web": 3})
    with pytest.raises(StepFailed, match=r"^The container exited with a nonzero exit code\.$") as caught:
        run_primitive("container", runner, SERVED, FACTS)
    assert caught.value.data == {"exit-code": 3}
    assert runner.done[-1] == ("exited", "web")


def test_a_container_may_be_left_to_itself() -> None:
    runner = Recording()
    assert run_primitive("container", runner, {**SERVED, "await": False}, FACTS) == {"id": "web"}
    assert runner.done[-1] == ("open", "web", "a")


def test_a_command_in_a_container() -> None:
    runner = Recording(exits={"false": 1})
    run_primitive("container", runner, {"image": "x", "id": "web", "await": False}, FACTS)
    args: dict[str, Value] = {"container": "web", "cmd": "ls -l"}
    assert run_primitive("container!exec", runner, args, FACTS) == 0
    assert runner.done[-1] == ("exec", "web", "ls", "-l")
    with pytest.raises(StepFailed):
        run_primitive("container!exec", runner, {"container": "web", "cmd": ["false"]}, FACTS)
    with pytest.raises(Invalid):
        run_primitive("container!exec", runner, {"container": "web"}, FACTS)


def events(*texts: str) -> bytes:
    chunks: list[object] = [{"choices": [{"delta": {"role": "assistant"}}]}]
    chunks += [{"choices": [{"delta": {"content": text}}]} for text in texts]
    lines = [": hello", *(f"data: {json.dumps(chunk)}" for chunk in chunks), "data: [DONE]", ""]
    return "\n\n".join(lines).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with answering() as made:
        yield made


def assistant(server: Answering, path: str, **more: Value) -> dict[str, Value]:
    return {"endpoint": f"{server.url}{path}/", "model": "m", **more}


def test_a_talk_is_streamed_and_remembered(server: Answering) -> None:
    server.answers["/v1/chat/completions"] = 200, events("Hel", "lo.")
    server.asked.clear()
    runner = Recording(answers=["hi", " ", "more", "/reset", "again"])
    args = assistant(server, "/v1", instructions="Be kind.", temperature=1, **{"api-key": "k"})
    assert run_primitive("assistant", runner, args, FACTS) == "Hello."
    assert runner.said == "Hello.\n" * 3
    first, second, third = server.bodies()
    assert (first["model"], first["stream"], first["temperature"]) == ("m", True, 1)
    assert [said["role"] for said in second["messages"]] == ["system", "user", "assistant", "user"]
    assert [said["content"] for said in third["messages"]] == ["Be kind.", "again"]
    assert server.asked[0][2]["authorization"] == "Bearer k"


def test_an_endpoint_that_does_not_stream(server: Answering) -> None:
    whole = {"choices": [{"message": {"role": "assistant", "content": "All at once."}}]}
    server.answers["/whole/chat/completions"] = 200, json.dumps(whole, indent=1).encode()
    runner = Recording()
    assert run_primitive("assistant", runner, assistant(server, "/whole", message="hi"), FACTS) == "All at once."


def test_an_endpoint_that_refuses(server: Answering) -> None:
    server.answers["/no/chat/completions"] = 401, b'{"error": {"message": "no such key"}}'
    server.answers["/odd/chat/completions"] = 200, b"<html>"
    server.answers["/over/chat/completions"] = 200, b'data: {"error": {"message": "too much"}}\n\n'
    for path, why in {"/no": "no such key", "/odd": "no chat completion", "/over": "too much"}.items():
        with pytest.raises(Unable, match=why):
            run_primitive("assistant", Recording(), assistant(server, path, message="hi"), FACTS)
    runner = Recording(answers=["one", "two"])
    assert run_primitive("assistant", runner, assistant(server, "/no"), FACTS) == ""
    assert [level for level, _ in runner.logs] == ["error", "error"]
