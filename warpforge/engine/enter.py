"""Enter: a person, or a command, in the box of a step, with the action's inputs and environment but not its action.

The box is the one that ``furnish`` makes. Before an action it is new, and gone afterwards; a failed one is made again
over the layers that it left, which stay. ``at_entry`` has the entries of a script before that one run first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from warpforge.engine.job import Job, Where
from warpforge.engine.wreck import read_formula
from warpforge.errors import Failed, Invalid
from warpforge.model.formula import Action, Script
from warpforge.model.ident import formula_id
from warpforge.sandbox.spec import SCRIPT_DIR, BoxSpec, make_mount

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.sandbox.protocol import Seat
    from warpforge.sandbox.spec import Outcome
    from warpforge.store.failed import FailedBox

ENTER: Final = f"{SCRIPT_DIR}/enter"
USUAL: Final = "/bin/sh"
SHELLS: Final = ("sh", "ash", "dash", "bash", "ksh", "mksh", "zsh", "busybox")


def job_of(box: FailedBox) -> Job:
    """What failed, as a job. Errors: ``formula-invalid``, ``serialization``."""
    from pathlib import Path

    formula = read_formula(box)
    return Job(tuple(box.step), formula, formula_id(formula), Where(Path(box.document), box.plot))


def enter(
    engine: Engine,
    job: Job,
    command: Sequence[str],
    *,
    seat: Seat,
    on_output: Callable[[str, bytes], None],
    at_entry: int = 0,
    box: FailedBox | None = None,
) -> Outcome:
    """Run a command in the box of a step, or its shell when none is given; in that of a failed one if it is given.

    The caller uses the store. Errors: ``invalid-argument``, ``formula-execution-failed`` when it cannot be executed,
    ``executor-failed`` and those of supply.
    """
    from warpforge.engine.furnish import furnish
    from warpforge.engine.job import check_mounts

    check_mounts(job)
    guard = engine.conduct.guard(job.formula)  # nothing is masked: who asked sees the box as it is
    spec = furnish(job.formula, engine.executor.trees(job.formula), job.where.base, guard.values if guard else {})
    spec = seated(spec, job.formula.action, command, at_entry)
    if box is not None:
        spec = replace(spec, layers=box.layers)
    with engine.store.away():
        outcome = engine.executor.boxes.run(spec, on_output, lambda index, entries: None, seat=seat)
    if outcome.exec_error:
        advice = "" if command else "; name a command behind --"
        raise Failed("formula-execution-failed", f"{outcome.text}{advice}", reason=outcome.exec_error)
    return outcome


def seated(spec: BoxSpec, action: Action, command: Sequence[str], at_entry: int) -> BoxSpec:
    """The box of an action with a command, or a shell, in the action's place; nothing is gathered. Pure.

    Errors: ``invalid-argument``.
    """
    interpreter = action.interpreter if isinstance(action, Script) else USUAL
    entries = action.contents if isinstance(action, Script) else ()
    is_shell = interpreter.rpartition("/")[2] in SHELLS
    if at_entry and (at_entry > len(entries) or not is_shell):
        what = f"it has {len(entries)}" if is_shell else f"{interpreter} is no shell"
        raise Invalid("invalid-argument", f"there is no way to entry {at_entry} of the script: {what}")
    lines = [f". {SCRIPT_DIR}/entry-{number} < /dev/null" for number in range(at_entry)]
    env = dict(spec.env)
    if command:
        argv = [interpreter, ENTER, *command] if lines else [*command]
        lines.append('"$@"')
    elif not is_shell:
        argv = [interpreter]
    elif interpreter.endswith("bash"):
        argv = [interpreter, "--rcfile", ENTER, "-i"]
        lines = [*lines, "set +e"]
    else:
        argv = [interpreter, "-i"]
        env[b"ENV"] = ENTER.encode()
        lines = ["unset ENV", *lines, "set +e"]
    mounts = [*spec.mounts, make_mount(ENTER, "bytes", "".join(f"{line}\n" for line in lines).encode())]
    mounts.sort(key=lambda mount: mount.at.split(b"/") if mount.at != b"/" else [])
    return replace(
        spec,
        mounts=tuple(mounts),
        argv=tuple(argument.encode("utf-8", "surrogateescape") for argument in argv),
        env=tuple(sorted(env.items())),
        gathers=(),
    )
