"""A project whose jobs run real servers, in images that set-up made from Debian packages."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.places import free_port
from support.world import PT, World

SECONDS = 120

FILE = """\
modules:
  - id: db
    params: [{{id: port, type: [default, int, {pg}]}}]
    module: polytope/postgres
    args:
      image: {host}/postgres:15
      data-volume: {{type: volume, scope: project, id: pg}}
      env: [{{name: POSTGRES_PASSWORD, value: pt.secret pgpass}}, {{name: POSTGRES_DB, value: app}}]
      services: [{{id: postgres, ports: [{{port: 5432, expose-as: pt.param port}}]}}]
  - id: web
    module: polytope/nginx
    args:
      image: {host}/nginx:1.22
      services: [{{id: web, ports: [{{port: 80, protocol: http, expose-as: {web}}}]}}]
      mounts: [{{path: /usr/share/nginx/html/hello.html, source: {{type: string, data: "<h1>Hello from a box</h1>"}}}}]
  - id: py
    module: polytope/container
    args:
      image: {host}/python:3.11
      id: py
      cmd: [python, -m, http.server, "8000"]
      services: [{{id: py, ports: [{{port: 8000, protocol: http, expose-as: {py}}}]}}]
  - id: js
    module: polytope/container
    args:
      image: {host}/node:18
      id: js
      cmd: [node, -e, "require('http').createServer((q, r) => r.end('from node')).listen(3000)"]
      services: [{{id: js, ports: [{{port: 3000, protocol: http, expose-as: {js}}}]}}]
  - id: look
    module: polytope/container
    args:
      image: {host}/debian:12
      id: look
      cmd: [bash, -c, "for u in web/hello.html py:8000/ js:3000/; do
        until wget -qO /tmp/page http://$u 2>/dev/null; do sleep 0.2; done; head -c 30 /tmp/page; echo; done"]
  - id: count
    module: polytope/postgres!psql
    args: {{image: "{host}/postgres:15", host: postgres, username: postgres, database: app}}
  - id: sql
    module: polytope/container
    args:
      image: {host}/postgres:15
      id: sql
      entrypoint: []
      env: [{{name: PGPASSWORD, value: pt.secret pgpass}}]
      cmd: [bash, -c, "until psql -qAt -h postgres -U postgres app -c 'create table if not exists t (n serial)'; do
        sleep 0.2; done 2>/dev/null; psql -qAt -h postgres -U postgres app -c 'insert into t default values;
        select count(*) from t'"]
  - id: dies
    module: polytope/container
    args: {{image: "{host}/debian:12", id: dies, cmd: [bash, -c, "echo bye; exit 7"],
            services: [{{id: dies, ports: [{{port: 80, expose-as: {js}}}]}}]}}
  - id: taken
    module: polytope/nginx
    args:
      image: {host}/nginx:1.22
      id: taken
      services: [{{id: taken, ports: [{{port: 80, expose-as: {taken}}}]}}]
  - id: noisy
    module: polytope/container
    args: {{image: "{host}/debian:12", id: noisy, cmd: [bash, -c, "echo it is $PW; echo $PW | head -c 4 >/dev/null"],
            env: [{{name: PW, value: pt.secret pgpass}}]}}
  - id: waits
    module: polytope/container
    args: {{image: "{host}/debian:12", id: waits, cmd: [sleep, 1h]}}
  - id: ends
    code: "#pt-js for (;;) {{ try {{ pt.stop('waits'); break }} catch (e) {{ pt.sleep('0.1s') }} }}"
  - id: apart
    module: polytope/container
    args: {{image: "{host}/debian:12", id: apart, await: false, env: [{{name: WORD, value: pt.value word}}],
            cmd: [bash, -c, "echo $WORD; exec sleep 1h"]}}
  - id: falls
    module: polytope/container
    args: {{image: "{host}/debian:12", id: falls, await: false, cmd: [bash, -c, "echo oops; exit 3"]}}
  - {{id: config, code: "#pt-js pt.sleep('0.2s'); pt.setProjectValue('word', 'from config')"}}
templates:
  - {{id: configured, run: [apart, config]}}
  - id: stack
    run: [db, web, py, js, look, {{module: sql, after: {{step: look}}}}]
  - id: ended
    run: [waits, ends, {{module: noisy, after: {{step: waits}}}}]
"""


class Project:
    """A directory with the file; its servers are at ports of this machine that were free."""

    def __init__(self, world: World, host: str, taken: int) -> None:
        self.world = world
        self.ports = {name: free_port() for name in ("pg", "web", "py", "js")}
        world.root_workspace()
        world.write("polytope.yml", FILE.format(host=host, taken=taken, **self.ports))
        assert world.pt("secrets", "set", "pgpass", "s3cr3t-of-pg").exit == 0

    @contextmanager
    def running(self, *words: str) -> Iterator[Running]:
        """``pt --json run WORDS`` beside the block; killed at its end, if it still runs."""
        running = Running(self.world, *words)
        try:
            yield running
        finally:
            running.process.kill()
            running.process.communicate()


class Running:
    """One ``pt run``, and what it told."""

    def __init__(self, world: World, *words: str) -> None:
        argv = [str(PT), "--json", "run", *words]
        self.told: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            argv, cwd=world.root, env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def until(self, wanted: Callable[[Running], bool]) -> None:
        """Read on until what was told is as wanted."""
        assert self.process.stdout
        while not wanted(self):
            line = self.process.stdout.readline()
            assert line, f"it has ended: {self.told[-5:]} {self.process.communicate()[1].decode()}"
            self.told.append(json.loads(line))

    def end(self, number: int = 0) -> int:
        """Send a signal, if one is given, and read to the end; gives the exit status."""
        if number:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=SECONDS)
        self.told += map(json.loads, out.splitlines())
        return self.process.returncode

    def interrupt(self) -> int:
        return self.end(signal.SIGINT)

    def states(self, kind: str) -> dict[str, str]:
        """Of each step, container or service, the last one."""
        return {line[kind][kind]: line[kind]["state"] for line in self.told if kind in line}

    def order(self, kind: str, state: str) -> list[str]:
        """Which came to a state, in that order."""
        return [line[kind][kind] for line in self.told if kind in line and line[kind]["state"] == state]

    def said(self, container: str) -> list[str]:
        return [line["jobline"]["text"] for line in self.told if line.get("jobline", {}).get("container") == container]


def all_files(root: Path) -> Iterator[Path]:
    """Every file below a directory that we can read."""
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
