"""Every line that a command writes under --json, held against the schemas that the product ships."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from warpforge.cli.schemas import kinds, schema

if TYPE_CHECKING:
    from support.world import Result

MANY: Final = 300  # lines of one command that are looked at
# what a person asked for as it is, --json or not
RAW: Final = ({"ware", "cat"}, {"schema"}, {"fmt"}, {"--version"}, {"--help"}, {"export"}, {"plan", "--graph"})


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    assert kind in kinds(), f"no schema for lines of the kind {kind}: warpforge/schema/{kind}.json, see docs/json.md"
    return Draft202012Validator(schema(kind))


def check_line(line: str, kind: str = "") -> None:
    """One line is an object of a kind that has a schema, and fits it. The kind is that of its first key."""
    value = json.loads(line)
    assert isinstance(value, dict), line
    found = kind or next(iter(value))
    problems = [problem.message for problem in _validator(found).iter_errors(value)]
    assert not problems, f"a line does not fit the schema of {found}: {problems[0]}\n{line[:2000]}"


def check_lines(out: Iterable[str], err: Iterable[str]) -> None:
    """What came on stdout, and of stderr the lines that are JSON."""
    for number, line in enumerate(out):
        if number < MANY:
            check_line(line)
    for number, line in enumerate(err):
        if number < MANY and line.startswith('{"'):
            check_line(line, "error" if line.startswith('{"code"') else "output")


def check(result: Result) -> None:
    """What a command gave, if it was asked for JSON."""
    argv = {*result.argv}
    if "--json" in argv and not any(raw <= argv for raw in RAW):
        check_lines(result.out.splitlines(), result.err.splitlines())
