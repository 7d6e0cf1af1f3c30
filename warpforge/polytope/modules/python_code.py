"""Code in Python: it runs nowhere but in a box, with ``params`` at hand; its last expression is its value.

What it gives must be JSON. It has no ``pt``: a box cannot reach the job that runs it.
"""

from __future__ import annotations

import json
from typing import Final

from warpforge.errors import Failed
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec, Mount, StringSource

IMAGE_VALUE: Final = "python-image"  # a stored value that names another image
IMAGE: Final = "public.ecr.aws/docker/library/python:3.12.2-slim-bookworm"
_OUTPUT: Final = "/tmp/pt-output.json"
_WAIT: Final = ("python3", "-c", "import signal; signal.pause()")  # the code runs beside it, and its output is read
_RUN: Final = ("python3", "-u", "/pt/start.py")
_START: Final = """\
import ast, json
with open(f"{files}/code.py", encoding="utf-8") as file:
    tree = ast.parse(file.read(), "code")
with open(f"{files}/params.json", encoding="utf-8") as file:
    params = json.load(file)
scope = {"__name__": "__main__", "params": params, "inputs": params}
last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
exec(compile(tree, "code", "exec"), scope)
value = None if last is None else eval(compile(ast.Expression(last.value), "code", "eval"), scope)
with open(output, "w", encoding="utf-8") as file:
    json.dump(value, file)
"""


def make_start(files: str, output: str) -> str:
    """The program that runs ``code.py`` with ``params.json``, both in the directory ``files``."""
    return f"files, output = {files!r}, {output!r}\n{_START}"


def run_python(runner: Runner, code: str, params: dict[str, Value], step: str) -> Value:
    """The value of the code (text without its prefix). Errors: ``generator-failed``, and what the runner raises."""
    said = runner.get_value("project", IMAGE_VALUE)
    image = said if isinstance(said, str) and said else IMAGE
    files = {"/pt/start.py": make_start("/pt", _OUTPUT), "/pt/code.py": code, "/pt/params.json": json.dumps(params)}
    spec = ContainerSpec(
        id=step,
        image=image,
        entrypoint=(),
        cmd=_WAIT,
        mounts=tuple(Mount(path, StringSource(text)) for path, text in files.items()),
        has_stdin=False,
        tty=False,
    )
    container = runner.spawn(spec)
    runner.await_started(container)
    try:
        status = runner.exec(container, _RUN, {})
        if status:
            runner.fail("The Python code failed.", {"exit-code": status})
        value: Value = json.loads(runner.read_file(container, _OUTPUT))
    except ValueError as error:
        message = "the Python code gave what is no JSON"
        raise Failed("generator-failed", message, cause=error, reason="code") from error
    finally:
        runner.stop(container)
    return value
