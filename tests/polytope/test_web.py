"""HTTP for the code of modules."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from support.answering import Answering, answering

from warpforge.errors import Invalid, Missing, Unable
from warpforge.polytope.modules.web import Web, parse_route

HOOK = "https://hooks.slack.com/services/T0/B0/abc"


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with answering() as made:
        yield made


def test_a_value_is_sent_as_json_and_the_answer_is_whole(server: Answering) -> None:
    server.answers["/a"] = 201, b"made\xff"
    answer = Web().request({"url": f"{server.url}/a", "method": "POST", "headers": {"X-A": 1}, "body": {"b": [1]}})
    assert (answer["status"], answer["body"]) == (201, "made\ufffd")
    method, _, headers, body = server.asked[-1]
    assert (method, headers["content-type"], headers["x-a"], json.loads(body)) == (
        "POST",
        "application/json",
        "1",
        {"b": [1]},
    )


def test_a_route_sends_a_host_somewhere_else_and_keeps_its_name(server: Answering) -> None:
    server.answers["/services/T0/B0/abc"] = 200, b"ok"
    web = Web(dict([parse_route(f"https://hooks.slack.com={server.url}")]))
    assert web.request({"url": HOOK, "method": "post", "body": {"text": "hi"}})["status"] == 200
    assert server.asked[-1][2]["host"] == "hooks.slack.com"
    assert "error" in Web({"https://hooks": server.url}).request({"url": "https://hooks.invalid/", "timeout": 1})


def test_services_of_a_job_are_found_by_name(server: Answering) -> None:
    server.answers["/x"] = 200, b"yes"
    port = int(server.url.rpartition(":")[2])
    web = Web(find=lambda host, asked: ("127.0.0.1", port) if (host, asked) == ("api", 8080) else None)
    assert web.request({"url": "http://api:8080/x"})["body"] == "yes"
    assert server.asked[-1][2]["host"] == "api:8080"

    def none(host: str, port: int) -> None:
        raise Missing("missing", "there is no such service")

    assert "no such service" in str(Web(find=none).request({"url": "http://api:8080/x"})["error"])


def test_nobody_there_is_an_answer_that_shows_no_path() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = Web().request({"url": f"http://127.0.0.1:{taken.getsockname()[1]}/s3cret"})
    assert "status" not in answer
    assert "127.0.0.1" in str(answer["error"])
    assert "s3cret" not in str(answer["error"])


def test_lines_come_as_they_are_and_refusals_are_errors(server: Answering) -> None:
    server.answers["/lines"] = 200, b"one\r\ntwo\n\nlast"
    server.answers["/no"] = 403, b"go away"
    assert list(Web().stream({"url": f"{server.url}/lines"})) == ["one", "two", "", "last"]
    with pytest.raises(Unable, match="status 403: go away") as caught:
        list(Web().stream({"url": f"{server.url}/no"}))
    assert caught.value.details["status"] == "403"


@pytest.mark.parametrize("request_", [{"url": "file:///etc/passwd"}, {}, {"url": "http://x/", "method": "brew"}])
def test_what_is_no_request(request_: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Web().request(dict(request_))


def test_what_is_no_route() -> None:
    with pytest.raises(Invalid):
        parse_route("hooks.slack.com")
