"""The shell scripts that built-ins hand to their containers, run by a real shell beside programs that stand in for the
images' own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.answering import answering
from support.goldens import give

from warpforge.polytope.code.evaluator import Evaluator


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as made:
        yield made


def run(evaluator: Evaluator, directory: Path, module: str, args: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The command of a container, with the programs of ``directory`` before all others."""
    command = give(f"polytope/{module}", args, evaluator)["container"]["cmd"]
    env = {"PATH": f"{directory}:/usr/bin:/bin", "HERE": str(directory)}
    return subprocess.run(command, env=env, cwd=directory, capture_output=True, text=True, timeout=100)


def program(directory: Path, name: str, text: str) -> None:
    """A script that notes its arguments, one a line, in ``said``."""
    path = directory / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" -- >> "$HERE/said"\n{text}\n')
    path.chmod(0o755)


def said(directory: Path) -> list[str]:
    return (directory / "said").read_text().splitlines()


CLUSTER = {"cluster": "couchbase://cb", "username": "it's", "password": 'p "$x" `y`'}


def test_a_cluster_that_is_there_is_fine(evaluator: Evaluator, tmp_path: Path) -> None:
    program(tmp_path, "couchbase-cli", "echo 'ERROR: Cluster is already initialized, use setting-cluster'; exit 1")
    assert run(evaluator, tmp_path, "couchbase!init-cluster", CLUSTER).returncode == 0
    assert said(tmp_path)[:4] == [
        "cluster-init",
        "--cluster=couchbase://cb",
        "--cluster-username=it's",
        '--cluster-password=p "$x" `y`',
    ]
    program(tmp_path, "couchbase-cli", "echo no; exit 7")
    failed = run(evaluator, tmp_path, "couchbase!init-cluster", CLUSTER)
    assert (failed.returncode, failed.stdout) == (7, "no\n")


def test_a_bucket_is_known_by_its_whole_name(evaluator: Evaluator, tmp_path: Path) -> None:
    program(tmp_path, "couchbase-cli", '[ "$1" != bucket-list ] || printf "maintenance\\n bucketType: x\\nthere\\n"')
    assert run(evaluator, tmp_path, "couchbase!create-bucket", {**CLUSTER, "name": "there"}).returncode == 0
    assert "bucket-create" not in said(tmp_path)
    assert run(evaluator, tmp_path, "couchbase!create-bucket", {**CLUSTER, "name": "main"}).returncode == 0
    assert "--bucket=main" in said(tmp_path)


def test_a_script_of_queries_arrives_as_it_is(evaluator: Evaluator, tmp_path: Path) -> None:
    program(tmp_path, "cbq", 'for file; do :; done; cat "${file#-f=}"')
    script = "select '$HOME' from `main`;\n\\q"
    done = run(evaluator, tmp_path, "couchbase!cbq", {**CLUSTER, "script": script})
    assert (done.returncode, done.stdout) == (0, f"{script}\n")
    assert said(tmp_path)[:4] == ["-u", "it's", "-p", 'p "$x" `y`']


def test_connectors_are_submitted_and_refusals_end_it(evaluator: Evaluator, tmp_path: Path) -> None:
    config = {"connector.class": "a.B", "text": 'it\'s "so"\n\\'}
    with answering() as server:
        server.answers = {"/connectors": (200, b"[]"), "/connectors/one/config": (201, b"{}")}
        host, _, port = server.url.removeprefix("http://").partition(":")
        args = {"host": host, "port": int(port), "connectors": [{"name": "one", "config": config}]}
        done = run(evaluator, tmp_path, "kafka!create-connectors", args)
        assert (done.returncode, done.stdout) == (0, "Submitted connector one\n")
        method, _, _, body = server.asked[-1]
        assert (method, json.loads(body)) == ("PUT", config)
        args["connectors"] = [{"name": "two", "config": config}]
        done = run(evaluator, tmp_path, "kafka!create-connectors", args)
        assert done.returncode == 1
        assert "Kafka Connect refused connector two (404)" in done.stdout


def test_what_is_installed_first_does_not_change_the_command(evaluator: Evaluator, tmp_path: Path) -> None:
    program(tmp_path, "pip", "echo pip")
    program(tmp_path, "npm", "echo npm")
    words = ["printf", "%s|", "a b", "it's", "$HOME", ""]
    source = {"type": "host", "path": "x"}
    done = run(evaluator, tmp_path, "python", {"cmd": words, "requirements": source})
    assert done.stdout == "pip\na b|it's|$HOME||"
    done = run(evaluator, tmp_path, "node", {"cmd": "printf '%s|' a && printf b", "package": source})
    assert done.stdout == "npm\na|b"
