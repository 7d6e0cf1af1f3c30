"""Events as JSON lines: the kinds of the original and ours; ``warpforge schema`` says what each holds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from warpforge.cli.app import Common, to_json
from warpforge.cli.render import Renderer, name
from warpforge.engine.events import (
    Event,
    Ingested,
    Notice,
    PlotFinished,
    StepExplained,
    StepFailed,
    StepFinished,
    StepOutput,
    StepSkipped,
    StepStarted,
    WareMoving,
    WareSupplied,
)

if TYPE_CHECKING:
    from warpforge.plan.why import Reason


class JsonLines(Renderer):
    """The original's lines (log, runrecord, plotresults, output) and ours (started, finished, supplied, moving...)."""

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._moved: dict[str, float] = {}  # when we last told of a ware that moves

    def show(self, event: Event) -> None:
        match event:
            case StepFinished():
                self._out({"runrecord": event.record.to_serial()})
                facts = {"step": name(event.step), "hit": event.hit, "seconds": round(event.seconds, 3)}
                self._more("finished", {**facts, "formulaID": event.record.formula_id})
            case StepFailed():
                if event.record:
                    self._out({"runrecord": event.record.to_serial()})
            case StepSkipped():
                self._more("skipped", {"step": name(event.step), "because": name(event.because)})
            case PlotFinished():
                self._out({"plotresults": event.results.to_serial()})
            case StepOutput():
                line = {"output": event.data.decode("utf-8", "backslashreplace")}
                if not self._common.quiet:
                    print(to_json(line), file=sys.stderr, flush=True)
            case StepStarted():
                facts = {"step": name(event.step), "formulaID": event.formula_id, "run": event.run_id}
                self._more("started", facts)
            case WareSupplied():
                facts = {"ware": str(event.ware), "from": event.source, "seconds": round(event.seconds, 3)}
                self._more("supplied", facts)
            case Ingested():
                self._more("ingested", {"ingest": event.ingest, "ware": str(event.ware), "cached": event.cached})
            case StepExplained():
                self._more("why", {"state": "run", **serial_reason(event.reason)})
            case Notice():
                self._more("log", {"Msg": event.message})
            case WareMoving():
                self._move(event)

    def _move(self, event: WareMoving) -> None:
        """A line a second for each ware that moves, the first after one: short ways are told of by their end alone."""
        from time import monotonic

        now, key = monotonic(), f"{event.ware} {event.address}"
        if now - self._moved.setdefault(key, now) >= 1.0:
            self._moved[key] = now
            place = {"ware": str(event.ware), "address": event.address}
            self._more("moving", {**place, "done": event.done, "total": event.total})

    def _more(self, kind: str, value: dict[str, Any]) -> None:
        if not self._common.quiet:
            self._out({kind: value})

    def _out(self, value: dict[str, Any]) -> None:
        print(to_json(value), flush=True)


def serial_reason(reason: Reason) -> dict[str, Any]:
    """A reason as plain values."""
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(reason)
    return value
