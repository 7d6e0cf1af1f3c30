"""Jobs of real servers in boxes: PostgreSQL, nginx, Python and Node, as root and as an ordinary user."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.browser import read_page
from support.registry import image_registry
from support.stack import Project, all_files
from support.terminal import Terminal
from support.world import PT, Result, World

pytestmark = pytest.mark.both


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    base = tmp_path_factory.mktemp("stack")
    with image_registry(base) as host, socket.create_server(("127.0.0.1", 0)) as taken:
        yield Project(World(base), host, taken.getsockname()[1])


def test_four_services_and_two_dependent_steps(project: Project) -> None:
    with project.running("stack") as job:
        job.until(lambda job: job.states("step").get("sql") == "success")
        job.until(lambda job: [*job.states("service").values()] == ["running"] * 4)
        assert job.said("look")[0] == "<h1>Hello from a box</h1>" and job.said("look")[-1] == "from node"
        assert job.said("sql") == ["1"]
        where = f"host=127.0.0.1 port={project.ports['pg']} user=postgres password=s3cr3t-of-pg dbname=app"
        with psycopg.connect(where) as connection:
            assert connection.execute("insert into t default values returning n").fetchone() == (2,)
        assert "Hello from a box" in read_page(f"http://127.0.0.1:{project.ports['web']}/hello.html")
        with urllib.request.urlopen(f"http://localhost:{project.ports['js']}/", timeout=100) as answer:
            assert answer.read() == b"from node"
        assert job.interrupt() == 130
        begun = [line["spawned"]["container"] for line in job.told if "spawned" in line]
        ended = job.order("container", "stopping")
        assert [name for name in ended if name in begun] == [name for name in reversed(begun) if name in ended]
        assert {*job.states("container").values()} == {"exited"} and len(ended) >= 4
        assert set(job.states("step").values()) == {"success", "stopped"}
    for port in project.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
    _outlives_a_kill(project)


def _outlives_a_kill(project: Project) -> None:
    """What the volume holds is there in the next job, also when pt was killed; nothing of that one is left."""
    with project.running("db", "sql") as job:
        job.until(lambda job: job.states("step").get("sql") == "success")
        assert job.said("sql") == ["3"]
        job.process.send_signal(signal.SIGKILL)
        job.process.wait()
    again = project.world.pt("--json", "run", "--until", "sql", "db", "sql")
    assert again.exit == 0, str(again)
    assert [line["text"] for line in again.all("jobline") if line.get("container") == "sql"] == ["4"]
    assert "killed" in project.world.pt("ps", "-a").out
    left = [path.name for path in (project.world.root / ".warpforge/tmp").iterdir()]
    assert left == [], left  # what the killed one had left was swept


def test_what_goes_wrong_is_said_and_ends_the_job(project: Project) -> None:
    died = project.world.pt("run", "dies")
    assert died.exit == 1 and "nonzero exit code (7)" in died.err
    taken = project.world.pt("run", "taken")
    assert taken.exit == 4 and f"pid {os.getpid()}" in taken.err
    noisy = project.world.pt("run", "noisy")
    assert noisy.exit == 0 and "it is ***" in noisy.out
    jobs = project.world.root / ".warpforge/polytope/jobs"
    assert not [path for path in all_files(jobs) if b"s3cr3t" in path.read_bytes()]


def test_a_step_whose_container_another_step_stops_is_stopped_however_early_that_is(project: Project) -> None:
    """Several at once: so some find the container between two threads that make it."""

    def run(_: int) -> Result:
        return project.world.pt("--json", "run", "ended")

    with ThreadPoolExecutor(5) as pool:
        for ended in pool.map(run, range(5)):
            states = {line["step"]: line["state"] for line in ended.all("step")}
            assert (ended.exit, states) == (0, {"waits": "stopped", "ends": "success", "noisy": "canceled"})


def test_a_value_that_another_step_stores_is_waited_for_and_what_nobody_awaits_runs_on(project: Project) -> None:
    with project.running("configured") as job:
        job.until(lambda job: job.said("apart") == ["from config"])
        job.until(lambda job: job.states("step") == {"apart": "success", "config": "success"})
        assert project.world.pt("stop", "apart").exit == 0
        assert job.end() == 0
    fell = project.world.pt("run", "falls")
    assert fell.exit == 1 and "exit code (3)" in fell.err and "oops" in fell.err


def test_a_person_runs_a_command_in_a_container(project: Project) -> None:
    with project.running("waits") as job:
        job.until(lambda job: job.states("container").get("waits") == "running")
        script = "echo $A $(wc -c); echo e >&2; exit 7"
        ran = project.world.pt("exec", "-e", "A=b", "waits", "--", "bash", "-c", script, stdin="four")
        assert (ran.exit, ran.out, ran.err) == (7, "b 4\n", "e\n")
        argv = [str(PT), "exec", "waits", "--", "bash", "-c", "trap 'exit 5' INT; echo on; while :; do sleep 0.1; done"]
        asked = subprocess.Popen(
            argv, cwd=project.world.root, env=project.world.environment(), stdout=subprocess.PIPE, text=True
        )
        assert asked.stdout and asked.stdout.readline() == "on\n"
        asked.send_signal(signal.SIGINT)
        assert asked.wait(60) == 5
        asked.stdout.close()
        terminal = Terminal(project.world, "exec", "-t", "waits", "--", "sh", "-c", "echo on; cat", program=PT)
        terminal.until(lambda: "on" in terminal.lines)
        terminal.keys(b"echoed\n")
        terminal.until(lambda: terminal.lines.count("echoed") == 2)  # by its terminal, and by the command
        terminal.keys(b"\x03")
        assert terminal.end() == 130
        assert project.world.pt("exec", "waits", "no-such-command", "-e", "its-own").exit == 127
        assert project.world.pt("exec", "-u", "nobody-here", "waits", "id").exit == 126
