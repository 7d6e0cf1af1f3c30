"""What containers leave, by the command line: volumes, datasets; and what images' names are locked to."""

from __future__ import annotations

import hashlib
import json

from support.containers import make_image
from support.hostile_http import Hostile, body
from support.registry import host_of, offer
from support.world import World

FILE = """
modules:
  - id: leave
    module: polytope/container
    args:
      image: {image}
      tty: false
      cmd: [sh, -c, "echo 12345 > /v/f; mkdir /out; echo data > /out/f"]
      mounts: [{{path: /v, source: {{type: volume, scope: project, id: kept}}}}]
      datasets: [{{path: /out, sink: result}}]
  - {{id: make, module: polytope/build-image, args: {{tags: [own:1], sources: []}}}}
  - {{id: made, module: polytope/container, args: {{image: own:1}}}}
"""


def test_what_containers_left_is_listed_and_removed(world: World) -> None:
    world.root_workspace()
    with Hostile() as registry:
        image = make_image()
        offer(registry, image, "some/thing", "v1")
        name = f"{host_of(registry)}/some/thing:v1"
        (world.root / "polytope.yml").write_text(FILE.format(image=name))
        unlocked = world.pt("lock", "--check")
        assert unlocked.exit == 2 and name in unlocked.err
        locked = world.pt("--json", "lock").one("locked")
        assert locked == {"image": name, "digest": f"sha256:{image.id}", "changed": True}
        assert world.pt("lock", "--check").exit == 0
        (world.root / "polytope.lock").unlink()
        gone = [f"{host_of(registry)}/some/{word}:v1" for word in ("gone", "lost")]
        partly = world.pt("lock", gone[0], name, gone[1])
        assert partly.exit == 3 and all(one in partly.err for one in gone), str(partly)
        assert world.pt("lock", "--check", name).exit == 0
        said = json.loads((world.root / "polytope.lock").read_text())["polytope.lock.v1"]["images"]
        assert said[name]["digest"] == f"sha256:{image.id}"
        assert world.pt("lock", "--check", "--update").exit == 2
        _renews_what_dockerfiles_add(world, registry)
        assert world.pt("run", "leave").exit == 0
    assert world.pt("--json", "volume", "ls").one("volume")["bytes"] == 6
    listed = world.pt("--json", "dataset", "ls").one("dataset")
    assert (listed["id"], listed["version"], listed["ware"][:5]) == ("result", 1, "ztar:")
    assert world.pt("volume", "rm", "kept").exit == 0
    assert world.pt("volume", "ls").out == ""
    assert world.pt("volume", "rm", "kept").exit == world.pt("dataset", "ls", "other").exit == 3


def _renews_what_dockerfiles_add(world: World, server: Hostile) -> None:
    address = f"{server.url}/file.txt"
    one, two = (f"sha256:{hashlib.sha256(text).hexdigest()}" for text in (b"one", b"two"))
    server.on("/file.txt", body(b"one"))
    assert world.pt("lock", address).out == f"{address}  {one}\n"
    server.on("/file.txt", body(b"two"))
    assert world.pt("lock").out.endswith(f"{address}  {one}\n")  # what is locked is not asked for again
    renewed = world.pt("--json", "lock", "--update", address).one("locked")
    assert renewed == {"address": address, "digest": two, "changed": True, "was": one}
    assert world.pt("lock", "--check").exit == 0
