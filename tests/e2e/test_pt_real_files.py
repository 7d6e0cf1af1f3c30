"""A file as people have written it, a module that speaks to the web, and a registry that lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answering import answering
from support.forge import member, tar
from support.hostile_http import Hostile, body
from support.images import Image
from support.registry import blob_path, host_of, image_registry, offer
from support.world import World

from warpforge.model.atoms import WareId
from warpforge.pack.image import Platform
from warpforge.polytope.containers.lockfile import LockFile

FILE = Path(__file__).parents[3] / "shared/polytope/files/131-orangem4_webapp-template-test__polytope.yml"
PYTHON = "public.ecr.aws/docker/library/python"
PULL = """\
modules:
  - {{id: pull, module: polytope/container, args: {{image: "{host}/{name}", cmd: ["true"]}}}}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with image_registry(tmp_path) as host:
        yield host


def digest_of(name: str, tag: str) -> str:
    """As the registry has it."""
    tags = Path(sys.prefix, "images/registry/docker/registry/v2/repositories", name, "_manifests/tags")
    return (tags / tag / "current/link").read_text()


def test_the_ci_of_a_real_file_runs_to_its_end(world: World, registry: str) -> None:
    if not FILE.exists():
        pytest.skip("the files of the reference are not here")
    world.root_workspace()
    world.write("pull/polytope.yml", PULL.format(host=registry, name="python:3.11"))
    assert world.pt("run", "pull", cwd="pull").exit == 0
    world.write("app/polytope.yml", FILE.read_text())
    world.write("app/bin/lint", "#!/bin/sh\npython -c 'print(\"lint: fine\")' && touch linted\n").chmod(0o755)
    world.write("app/bin/test", "#!/bin/sh\ntest -e linted && echo tests: fine\n").chmod(0o755)
    shown = world.pt("show", "lint", cwd="app").out
    image = next(word.strip('"') for word in shown.split() if word.startswith(f'"{PYTHON}'))
    digest = digest_of("python", "3.11")
    lock = LockFile(world.path("app/polytope.lock"))
    lock.put(image, digest, str(Platform.here()), WareId("oci", digest.removeprefix("sha256:")))
    lock.save()
    ran = world.pt("--json", "run", "ci", cwd="app")
    assert ran.exit == 0, str(ran)
    assert [line["text"] for line in ran.all("jobline") if "container" in line] == ["lint: fine", "tests: fine"]
    assert {line["step"]: line["state"] for line in ran.all("step")} == {"lint": "success", "test": "success"}


def test_a_message_is_sent(world: World) -> None:
    hook = "https://hooks.slack.com/services/T0/B0/abc"
    with answering() as server:
        server.answers["/services/T0/B0/abc"] = (200, b"ok")
        said = f"polytope/send-slack-message{{webhook: '{hook}', text: 'it is done'}}"
        ran = world.pt("run", "--route", f"https://hooks.slack.com={server.url}", said)
        assert ran.exit == 0, str(ran)
        assert server.bodies() == [{"text": "it is done"}]
        server.answers.clear()
        refused = world.pt("run", "--route", f"https://hooks.slack.com={server.url}", said)
        assert refused.exit == 1 and "refused with status 404" in refused.err


def test_a_registry_that_lies_is_not_believed(world: World) -> None:
    world.root_workspace()
    image = Image(tar(member(b"bin/true", b"not what was promised")))
    with Hostile() as server:
        offer(server, image, "some/thing", "1")
        server.on(blob_path(image, "some/thing"), body(b"x" * image.layers[0]["size"]))
        world.write("polytope.yml", PULL.format(host=host_of(server), name="some/thing:1"))
        ran = world.pt("--json", "run", "pull")
    assert (ran.exit, ran.code) == (1, "ware-mismatch"), str(ran)
    assert "/some/thing@sha256:" in ran.causes[-1]["message"]  # which image it was
    assert {line["state"] for line in ran.all("container")} >= {"failed"}
