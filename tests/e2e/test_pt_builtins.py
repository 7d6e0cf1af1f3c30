"""Built-in modules run for real: formulas that are remembered, images that are built and used, messages and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.answering import Answering, answering
from support.pinned import pinned_world
from support.world import World

FILE = """\
modules:
  - id: table
    module: polytope/container
    args:
      image: IMAGE
      cmd: [sh, -c, 'mkdir /out && sort /src/list > /out/sorted && echo sorted']
      mounts: [{path: /src, source: {type: host, path: src}}]
      datasets: [{path: /out, sink: sorted}]
      hermetic: true
  - {id: tagged, module: polytope/container, args: {image: "example.org/base:1", hermetic: true}}
templates:
  - id: shipped
    run:
      - {id: image, module: polytope/build-image, args: {tags: ["local/app:1"], sources: [{source: {type: host, path: app}, path: /}]}}
      - {module: polytope/container, id: app, args: {image: "local/app:1"}, run-when: {after: image}}
"""  # noqa: E501


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made, image = pinned_world(tmp_path_factory.mktemp("builtins"), FILE)
    made.write("app/Dockerfile", f"FROM {image}\nWORKDIR /app\nRUN echo built > what\nCMD cat what; pwd\n")
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    with answering() as made:
        yield made


@pytest.mark.both
def test_a_formula_runs_once(world: World) -> None:
    assert world.pt("run", "table").out == "table | sorted\n"
    assert world.pt("run", "table").out == "table | remembered: nothing ran\n"
    world.write("src/list", "c\n")
    assert world.pt("run", "table").out == "table | sorted\n"
    refused = world.pt("--json", "run", "tagged")
    assert (refused.exit, refused.error["cause"]["details"]["reason"]) == (2, "hermetic")
    assert "not pinned to a digest" in refused.error["cause"]["message"]


@pytest.mark.both
def test_an_image_is_built_and_used_by_its_tag(world: World) -> None:
    ran = world.pt("run", "shipped")
    assert ran.exit == 0, str(ran)
    assert [line for line in ran.out.splitlines() if line.startswith("app ")] == ["app | built", "app | /app"]


def test_messages_go_where_a_route_sends_them(world: World, server: Answering) -> None:
    server.answers["/services/T0/B0/abc"] = 200, b"ok"
    hook = "https://hooks.slack.com/services/T0/B0/abc"
    route = f"https://hooks.slack.com={server.url}"
    ran = world.pt("run", "--route", route, f"polytope/send-slack-message{{webhook: {hook}, text: done}}")
    assert ran.exit == 0, str(ran)
    assert json.loads(server.asked[-1][3]) == {"text": "done"}


def test_an_assistant_answers(world: World, server: Answering) -> None:
    parts = [{"choices": [{"delta": {"content": text}}]} for text in ("Hel", "lo.")]
    stream = "\n\n".join([*(f"data: {json.dumps(part)}" for part in parts), "data: [DONE]", ""])
    server.answers["/v1/chat/completions"] = 200, stream.encode()
    ran = world.pt("run", f"polytope/assistant{{endpoint: '{server.url}/v1', model: m, message: hi}}")
    assert (ran.exit, ran.out) == (0, "Hello.\n"), str(ran)
