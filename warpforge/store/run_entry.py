"""What the run log says of one execution."""

from __future__ import annotations

from typing import Final

import msgspec

NO_FORMULA: Final = msgspec.Raw()
FORMULA_LIMIT: Final = 1 << 16  # bytes of a formula's JSON that a line may hold; a larger one is left out


class RunEntry(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=False):
    """One execution, with its provenance. Times in seconds; ids and inputs as they are spelled in documents.

    ``begun``: only in the line of one that has not ended: the file that its output goes to meanwhile.
    ``why``: reasons why it was not hermetic or is not memoised. ``error``: the code when it failed.
    ``log`` is relative to the run log's directory; ``output_bytes`` counts also what was not kept.
    ``document``: the file that it was run from. ``origins``: by port, what the plot says is there, a pipe with the
    whole path of its step (``pipe:outer/inner:label``). ``formula``: its representation, empty when it is too large.
    ``limits``: what was asked for, in seconds, bytes or numbers, and what kept it (``"64 by cgroup v1"``).
    ``secrets``: names of those that it was given; then there is no formula id, and the outputs are for nobody else.
    ``phases``: name, begin after ``started`` (what came before it is negative), and how long.
    """

    begun: str = ""
    id: str = ""
    formula_id: str = ""
    step: list[str] = []
    started: float = 0.0
    duration: float = 0.0
    exit_code: int | None = None
    error: str = ""
    sandbox: str = ""
    limits: dict[str, str] = {}
    hermetic: bool = True
    memoised: bool = False
    why: list[str] = []
    plot: str = ""
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    log: str = ""
    output_bytes: int = 0
    truncated: bool = False
    invocation: str = ""
    document: str = ""
    origins: dict[str, str] = {}
    phases: list[tuple[str, float, float]] = []
    formula: msgspec.Raw = NO_FORMULA
    secrets: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether it ended without results, or has not ended at all."""
        return bool(self.begun or self.error) or self.exit_code != 0


def is_about(entry: RunEntry, what: str) -> bool:
    """Whether a person who says ``what`` may mean this execution."""
    return (
        what in (entry.id, entry.formula_id, "/".join(entry.step), *entry.step[-1:])
        or (len(what) >= 6 and entry.id.startswith(what))
        or any(what in (spelled, spelled.removeprefix("ware:")) for spelled in entry.inputs.values())
        or any(what in (spelled, spelled.removeprefix("ware:")) for spelled in entry.outputs.values())
    )
