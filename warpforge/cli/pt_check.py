"""``pt check``: everything that is wrong with polytope files, with line and column."""

from __future__ import annotations

import sys

import click

from warpforge.cli.app import Command, Common, pass_common, printable, to_json
from warpforge.errors import Invalid, Missing, WarpforgeError


@click.command(cls=Command)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@pass_common
def check(common: Common, files: tuple[str, ...]) -> None:
    """Check polytope files, and what they include; without FILE the one that belongs to this directory.

    Reads them, finds what every step and module refers to, holds arguments against parameters, and reads the code; runs
    nothing. Warnings do not fail.
    """
    from warpforge.polytope.code.evaluator import Evaluator

    errors: list[WarpforgeError] = []
    count = 0
    with Evaluator() as evaluator:
        for file in files or (None,):
            found = _check_one(common, file, evaluator)
            count += found[0]
            errors += found[1]
    if errors:
        message = f"{count} {'fault' if count == 1 else 'faults'}"
        code = errors[0].code.removeprefix("warpforge-error-")
        raise type(errors[0])(code, message, reason=errors[0].reason)


def _check_one(common: Common, file: str | None, evaluator: object) -> tuple[int, list[WarpforgeError]]:
    from warpforge.cli.pt_world import open_library
    from warpforge.polytope.code.evaluator import Evaluator
    from warpforge.polytope.issues import REFERENCE, Issue
    from warpforge.polytope.survey.checking import check_library

    assert isinstance(evaluator, Evaluator)
    try:
        library = open_library(common, file)
        if library.root is None:
            raise Missing("missing", "there is no polytope.yml here nor above: name a file, or make one")
        issues = check_library(library, evaluator, cwd=str(common.settings.cwd))
    except WarpforgeError as error:
        found = [issue for issue in getattr(error, "findings", ()) if isinstance(issue, Issue)]
        if not found:
            raise
        _tell(common, found)
        return len(found), [error]
    _tell(common, issues)
    wrong = [issue for issue in issues if issue.level == "error"]
    if not wrong:
        return 0, []
    first = next((issue for issue in wrong if issue.reason != REFERENCE), None)
    if first is None:
        return len(wrong), [Missing("missing", str(wrong[0]), reason=REFERENCE)]
    return len(wrong), [Invalid("module-invalid", str(first), reason=first.reason)]


def _tell(common: Common, issues: object) -> None:
    assert isinstance(issues, list)
    for issue in issues:
        if common.json:
            print(to_json({"issue": issue.to_serial()}))
        elif issue.level == "error" or not common.quiet:
            print(f"{issue.level}: {printable(str(issue))}", file=sys.stderr)
