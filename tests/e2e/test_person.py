"""Actions' ``cwd`` and ``userinfo``: who the action is, and where it begins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.plots import plot, script
from support.world import World

pytestmark = pytest.mark.both

SAY = "id -u; id -g; pwd; echo $HOME ${USER-nobody} ${LOGNAME-nobody}; stat -c %u:%g /bin/sh; : > /new; stat -c %u /new"


def lines(world: World, sandbox: str = "bwrap", line: str = SAY, **action: Any) -> list[str]:
    """What the action said."""
    world.write("plot.wf", plot({"s": script(line, **action)}))
    done = world.run("--json", "run", "--sandbox", sandbox, "plot.wf")
    said = "".join(json.loads(text)["output"] for text in done.err.splitlines() if text.startswith('{"output"'))
    return said.split()


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
def test_by_default_it_is_uid_0(box_world: World, sandbox: str) -> None:
    assert lines(box_world, sandbox) == ["0", "0", "/", "/", "nobody", "nobody", "0:0", "0"]


def test_everything_said(box_world: World) -> None:
    """All files of the box belong to the one real uid behind it, so to whoever the action is."""
    who = {"uid": 1234, "gid": 56, "username": "luser", "homedir": "/home/luser"}
    found = lines(box_world, userinfo=who)
    assert found == ["1234", "56", "/", "/home/luser", "luser", "luser", "1234:56", "1234"]


@pytest.mark.parametrize(
    ("who", "found"),
    [
        ({}, ["0", "0", "/", "/", "nobody", "nobody"]),
        ({"uid": 7}, ["7", "0", "/", "/", "nobody", "nobody"]),
        ({"username": "root"}, ["0", "0", "/", "/", "root", "root"]),
        ({"username": "ann"}, ["11", "12", "/", "/home/ann", "ann", "ann"]),
        ({"uid": 11}, ["11", "12", "/", "/home/ann", "nobody", "nobody"]),
        ({"uid": 5, "username": "ann"}, ["5", "0", "/", "/", "ann", "ann"]),
        ({"gid": 2147483647, "uid": 2147483647}, ["2147483647", "2147483647", "/", "/", "nobody", "nobody"]),
    ],
)
def test_what_is_left_out_the_boxs_own_passwd_says(box_world: World, who: dict[str, Any], found: list[str]) -> None:
    users = "root:x:0:0:root:/:/bin/sh\\nann:x:11:12::/home/ann:/bin/sh\\n"
    steps = {
        "users": script(f"mkdir /etc; printf '{users}' > /etc/passwd", outputs={"etc": "/etc"}),
        "s": script(SAY, inputs={"/etc": "pipe:users:etc"}, userinfo=who),
    }
    box_world.write("plot.wf", plot(steps))
    done = box_world.run("--json", "run", "--sandbox", "bwrap", "plot.wf")
    assert "".join(line.split('"output":"')[1][:-2] for line in done.err.splitlines()).split("\\n")[:4] == [
        *found[:3],
        " ".join(found[3:]),
    ]


def test_variables_of_the_formula_come_first(box_world: World) -> None:
    inputs = {"$HOME": "literal:/elsewhere"}
    box_world.write(
        "plot.wf", plot({"s": script("echo $HOME $USER", inputs=inputs, userinfo={"uid": 0, "username": "root"})})
    )
    assert '"/elsewhere root\\n"' in box_world.run("--json", "run", "plot.wf").err


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"username": "nobody-knows"}, "nobody-knows"),
        ({"homedir": "home"}, "absolute"),
        ({"username": "a:b"}, "called"),
        ({"uid": 4294967295}, "4294967295"),
    ],
)
def test_nobody(box_world: World, who: dict[str, Any], said: str) -> None:
    box_world.write("plot.wf", plot({"s": script("true", userinfo=who)}))
    failed = box_world.fail("run", "plot.wf")
    assert (failed.exit, failed.code) == (2, "formula-invalid")
    assert said in failed.causes[-1]["message"]


def test_runc_says_that_it_cannot(box_world: World) -> None:
    box_world.write("plot.wf", plot({"s": script("true", userinfo={"uid": 3})}))
    failed = box_world.fail("run", "--sandbox", "runc", "plot.wf")
    assert (failed.exit, failed.code) == (4, "sandbox-unavailable")
    assert "--sandbox bwrap" in failed.causes[-1]["message"]


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
@pytest.mark.parametrize(
    ("cwd", "found"),
    [
        ("/etc", "/etc"),
        ("/made/for/it", "/made/for/it"),
        ("/etc/../bin/.//", "/bin"),
        ("/../..", "/"),
        ("//etc", "/etc"),
    ],
)
def test_the_working_directory(box_world: World, cwd: str, found: str, sandbox: str) -> None:
    assert lines(box_world, sandbox, "pwd; echo x > here && echo fine", cwd=cwd) == [found, "fine"]


@pytest.mark.parametrize("sandbox", ["bwrap", "runc"])
def test_a_file_is_no_working_directory(box_world: World, sandbox: str) -> None:
    box_world.write("plot.wf", plot({"s": script("pwd", cwd="/bin/busybox")}))
    failed = box_world.fail("run", "--sandbox", sandbox, "plot.wf")
    assert (failed.exit, failed.code) == (2, "formula-invalid")
    assert failed.causes[-1]["details"]["reason"] == "cwd"


def test_where_and_who_are_part_of_the_formula_as_written(box_world: World) -> None:
    ids = set()
    action: dict[str, Any]
    for action in ({}, {"cwd": "/"}, {"cwd": "//"}, {"userinfo": {}}, {"userinfo": {"uid": 0}}):
        box_world.write("plot.wf", plot({"s": script("true", **action)}))
        ids.add(box_world.run("--json", "run", "plot.wf").one("finished")["formulaID"])
    assert len(ids) == 5
