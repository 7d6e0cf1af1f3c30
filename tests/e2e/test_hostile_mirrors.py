"""Mirrors that lie, through the whole command line: a reason for each, and nothing wrong stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO

import pytest
from support import hostile_http as hostile
from support.aftermath import Canary, check_sound
from support.hostile_http import Behaviour, Hostile
from support.world import World

from warpforge.fsx.tree import Entry
from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId
from warpforge.pack.packer import pack


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


def behaviours(url: str, data: bytes) -> dict[str, tuple[Behaviour, str]]:
    """Cases and the words that the reason must hold."""
    evil = "\x1b]0;evil\x07"
    return {
        "N01 a short body": (hostile.short(data[:-9], 9), "ends too early"),
        "N02 no length and an early end": (hostile.until_close(data[:-9]), ""),
        "N02 chunks without an end": (hostile.chunked(data, end=b""), "ends too early"),
        "N02 a length that is too small": (hostile.until_close(data, "Content-Length: 9"), ""),
        "N02 a negative length": (hostile.until_close(data[:50], "Content-Length: -9"), ""),
        "N03 larger than anybody takes": (hostile.short(b"", 1 << 40), "bytes"),
        "N06 gone": (hostile.missing, "not found"),
        "N06 forbidden": (hostile.status("403 Forbidden"), "403"),
        "N06 a status with control characters": (hostile.status(f"403 No{evil}"), "403"),
        "N06 come back tomorrow": (hostile.status("429 Slow", "Retry-After: 86400"), "86400 s"),
        "N06 reset": (hostile.resetting, ""),
        "N07 to a file": (hostile.redirect("file:///etc/passwd"), "not followed"),
        "N07 to itself": (hostile.redirect("?again"), "not found"),
        "N07 to control characters": (hostile.redirect(f"http://x/{evil}"), ""),
        "N08 says that it is compressed": (hostile.body(data[:-1] + b"x", "Content-Encoding: gzip"), ""),
        "N09 a login page": (hostile.body(b"<html>log in</html>"), ""),
        "N09 nothing at all": (hostile.body(b""), ""),
        "N10 another ware": (hostile.body(bytes(reversed(data))), ""),
    }


def make_ware(text: str) -> tuple[WareId, bytes]:
    """A ware that is one file, and its packed bytes."""
    sink = BytesIO()
    made = pack([(Entry(b"", "f", 0o644, size=len(text)), BytesIO(text.encode()))], "ztar", sink=sink)
    return made.ware, sink.getvalue()


def place(world: World, ware: WareId, data: bytes) -> None:
    """Onto the honest mirror, a directory."""
    world.write(f"shelf/{ca_path(ware)}", data)


def test_every_lie_has_a_line_and_nothing_of_it_stays(world: World, server: Hostile) -> None:
    """One ware for each lie, all pulled at once; then the same from a mirror that is honest (P6)."""
    world.root_workspace()
    canary = Canary(world.root.parent / "canary")
    first = behaviours(server.url, b"x")
    wares = {}
    for case in first:
        made, data = make_ware(case)
        wares[case] = str(made)
        place(world, made, data)
        server.on("/" + ca_path(made), behaviours(server.url, data)[case][0])
    failed = world.fail("mirror", "pull", "-j", "18", "--from", f"ca+{server.url}", *wares.values())
    assert failed.exit == 4
    message = failed.error["message"]
    assert message.isprintable() or all(c.isprintable() or c == "\n" for c in message)
    for case, ware in wares.items():
        at = message.index(f"ware {ware} could not be had from any mirror")
        reason = message[at:].split("\n")[1]
        assert server.url in reason and first[case][1] in reason, (case, reason)
    check_sound(world, wares=0)
    moved = world.run("--json", "mirror", "pull", "--from", world.path("shelf"), *wares.values()).all("moved")
    assert {row["outcome"] for row in moved} == {"fetched"}
    check_sound(world, wares=len(wares))
    canary.check()


def test_after_a_lie_comes_the_truth(world: World, server: Hostile) -> None:
    """N10: each lie first, the truth second: it works, and one warning says about whom."""
    world.root_workspace()
    ware, data = make_ware("x" * 1000)
    place(world, ware, data)
    path = ca_path(ware)
    chosen = (
        "N02 a length that is too small",
        "N06 forbidden",
        "N07 to a file",
        "N09 a login page",
        "N10 another ware",
    )
    addresses = []
    for number, case in enumerate(chosen):
        server.on(f"/{number}/{path}", behaviours(server.url, data)[case][0])
        addresses.append(f"ca+{server.url}/{number}")
    world.write(
        ".warpforge/config/mirrors.json", json.dumps({"mirrors.v1": [*addresses, f"ca+file://{world.root}/shelf"]})
    )
    done = world.run("--json", "ware", "fetch", str(ware))
    assert done.one("moved")["address"] == f"ca+file://{world.root}/shelf"
    warned = [row["Msg"] for row in done.all("log")]
    assert len(warned) == len(chosen)
    assert all(address in said for address, said in zip(addresses, warned, strict=True))
    check_sound(world, wares=1)
