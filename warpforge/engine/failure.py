"""Failures: what went wrong in a run of one plot or of many, gathered into the one error that is raised at the end.

The cause of that error is the gravest of the failures, the first one of equals; its detail ``failures`` lists them all
as JSON: ``[{"module"?, "step"?, "code", "message", "details"?, "skipped"?: [step, ...]}, ...]``, where ``code`` is the
innermost cause's and ``skipped`` are the steps that were not run because of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from warpforge.errors import Failed, WarpforgeError

if TYPE_CHECKING:
    from warpforge.plan.plan import StepPath

SHOWN = 20  # failures that the message names; the details have all


class Failure(NamedTuple):
    """One step that failed, or a module that could not begin (no ``step``), and the steps that it took with it."""

    step: StepPath
    error: WarpforgeError
    skipped: Sequence[StepPath] = ()
    module: str = ""

    @property
    def name(self) -> str:
        """The step as people say it, with its module where there are several."""
        return ":".join(filter(None, (self.module, "/".join(self.step))))

    def to_serial(self) -> dict[str, Any]:
        """As in the detail ``failures``."""
        cause = self.error.chain()[-1]
        serial: dict[str, Any] = {
            "module": self.module,
            "step": "/".join(self.step),
            "code": cause.code,
            "message": cause.message,
            "details": cause.details,
            "skipped": ["/".join(path) for path in self.skipped],
        }
        return {key: value for key, value in serial.items() if value}


class Failures(Failed):
    """The error of a run that went on after its first failure."""

    failures: tuple[Failure, ...] = ()


def step_error(failure: Failure) -> WarpforgeError:
    """The failure of one step as the original's chain has it, without the plot around it."""
    error = failure.error
    for depth in range(len(failure.step), 0, -1):
        name = failure.step[depth - 1]
        error = Failed("plot-step-failed", f"step {name} failed", cause=error, stepName=name)
    return error


def plot_error(failure: Failure) -> WarpforgeError:
    """The error of a plot that ended with its first failure."""
    return Failed("plot-execution-failed", "the plot could not be run to its end", cause=step_error(failure))


def all_errors(failures: Sequence[Failure]) -> Failures:
    """The one error of a run that went on."""
    from msgspec import json

    gravest = max(failures, key=lambda failure: failure.error.exit_status())  # of equals the first
    skipped = sum(len(failure.skipped) for failure in failures)
    lost = f", and {_many(skipped, 'step')} could not be run because of that" if skipped else ""
    error = Failures(
        "plot-execution-failed",
        f"{_many(len(failures), 'failure')}{lost}:\n" + "\n".join(_lines(failures)),
        cause=step_error(gravest),
        failures=json.encode([failure.to_serial() for failure in failures]).decode(),
    )
    error.failures = tuple(failures)
    return error


def _lines(failures: Sequence[Failure]) -> list[str]:
    lines = []
    for failure in failures[:SHOWN]:
        lines.append(f"  {failure.name or 'the plot'}: {failure.error.chain()[-1].message}")
        if failure.skipped:
            names = ["/".join(path) for path in failure.skipped]
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            lines.append(f"    not run because of it: {', '.join(names[:SHOWN])}{more}")
    if len(failures) > SHOWN:
        lines.append(f"  and {len(failures) - SHOWN} more; --json lists them all")
    return lines


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
