"""``pt run`` with a person at the terminal of a container, as root and as an ordinary user."""

from __future__ import annotations

from collections.abc import Iterator

import pexpect
import pytest
from support.processes import wait_until
from support.registry import image_registry
from support.world import PT, World

pytestmark = pytest.mark.both

FILE = """\
modules:
  - {{id: sh, module: polytope/container, args: {{image: "{host}/debian:12", id: sh, cmd: bash}}}}
  - id: mute
    module: polytope/container
    args: {{image: "{host}/debian:12", id: mute, tty: false, cmd: [bash, -c, "echo nobody; exit 3"]}}
  - id: trap
    module: polytope/container
    args:
      image: {host}/debian:12
      id: trap
      cmd: [bash, -c, "trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.1; done"]
  - {{id: aside, code: '#pt-clj (do (pt/log "said aside") nil)'}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("attach")
    with image_registry(base) as host:
        world = World(base)
        world.root_workspace()
        world.write("polytope.yml", FILE.format(host=host))
        yield world


def sit(world: World) -> pexpect.spawn[str]:
    """A shell on a terminal of 24 lines and 90 columns."""
    env = {**world.environment(), "TERM": "xterm", "PS1": "host> "}
    child = pexpect.spawn("sh", ["-i"], cwd=str(world.root), env=env, timeout=99, encoding="utf-8", dimensions=(24, 90))
    child.delaybeforesend = 0.1
    child.expect("host> ")
    return child


def test_keys_signals_and_sizes_reach_the_program_and_its_status_comes_back(project: World) -> None:
    child = sit(project)
    child.sendline(f"before=$(stty -g); {PT} run sh aside")
    child.expect("at the terminal of sh")
    child.expect("sh:/[#$] ")
    child.sendline("echo $TERM; stty size; sh -c 'echo go; exec sleep 1000'")
    child.expect("xterm\r\n24 90\r\ngo\r\n")
    child.sendintr()
    child.sendline("echo status $?")
    child.expect("status 130")
    child.setwinsize(13, 70)
    assert wait_until(lambda: bool(child.sendline("stty size")) and child.expect(["13 70", "24 90"]) == 0)
    child.sendline("exit 5")
    child.expect("FAIL  sh")
    child.expect("host> ")
    child.sendline("echo status $?; test $before = $(stty -g) && echo the same")
    child.expect("status 5\r\nthe same\r\n")
    child.sendline(f"{PT} run trap")
    child.expect("ready")
    child.sendintr()  # it is the box's first process, beside those that made the box
    child.expect("caught")
    child.expect("host> ")
    child.sendline("echo status $?; exit")
    child.expect("status 6\r\n")
    child.close()
    assert project.pt("logs", "aside").out == "said aside\n"


def test_the_terminal_is_given_back_to_pt_and_after_a_kill(project: World) -> None:
    child = sit(project)
    child.sendline(f"before=$(stty -g); {PT} run --attach sh sh mute")
    child.expect("sh:/[#$] ")
    child.sendline("trap exit TERM; while sleep 0.2; do echo ti''ck; done")
    child.expect("tick")
    child.send("\x10\x11")
    child.expect(r"sh\S* \| \S*tick")
    child.sendintr()
    child.expect("host> ")
    child.sendline("echo status $?; test $before = $(stty -g) && echo the same")
    child.expect("status 130\r\nthe same\r\n")
    child.sendline(f"{PT} run sh; echo status $?; test $before = $(stty -g) && echo the same")
    child.expect("sh:/[#$] ")
    child.sendline("trap exit TERM; echo rea''dy")
    child.expect("ready")
    assert project.pt("stop", "sh").exit == 0
    child.expect("status 1?[0-9]*\r\nthe same\r\n")
    child.sendline("exit")
    child.close()


def test_nobody_sits_where_there_is_no_terminal(project: World) -> None:
    refused = project.pt("run", "--attach", "mute", "mute")
    assert refused.exit == 2 and "needs a terminal" in refused.err
    child = sit(project)
    child.sendline(f"{PT} run --attach nobody mute; {PT} run --attach mute mute")
    child.expect("the steps are mute")
    child.expect("container mute has no terminal")
    child.expect("host> ")
    child.sendline("exit")
    child.close()


def test_a_line_of_code_is_edited_and_twice_ctrl_c_leaves_the_terminal_as_it_was(project: World) -> None:
    child = sit(project)
    child.sendline(f"before=$(stty -g); {PT} run polytope/repl")
    child.expect("code> ")
    child.sendline("(+ 1 2)")
    child.expect(r"repl\S* \| \S*3")
    child.expect("code> ")
    child.send("\x1b[A\x1b[D\x7f7\r")  # the line before, with another number
    child.expect(r"repl\S* \| \S*8")
    child.expect("code> ")
    child.sendintr()
    child.expect("once more")
    child.sendintr()
    child.expect("host> ")
    child.sendline("echo status $?; test $before = $(stty -g) && echo the same")
    child.expect("status 130\r\nthe same\r\n")
    child.sendline("exit")
    child.close()
