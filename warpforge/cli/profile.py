"""A profile of a run in the Trace Event Format, which chrome://tracing and Perfetto open.

One lane for what the memo answers, one for each worker, one for each ware that moves at the same time. A step is a
slice, its phases are slices within it; a counter tells how many steps run. Times in microseconds since the beginning.
Source: the Trace Event Format (complete, counter and metadata events).
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import IO, Any, Final

from warpforge.cli.render import name
from warpforge.engine.events import (
    Event,
    Ingested,
    Reporter,
    StepFailed,
    StepFinished,
    StepPhase,
    StepStarted,
    WareMoving,
    WareSupplied,
)
from warpforge.errors import WarpforgeError, store_error

MEMO_LANE: Final = 0
WARE_LANES: Final = 1000


class Profile(Reporter):
    """Hears events and keeps slices; ``close`` writes them. Errors: ``store`` when the file cannot be written."""

    def __init__(self, path: str) -> None:
        try:
            self._file: IO[str] = open(path, "w", encoding="utf-8")
        except OSError as error:
            raise store_error(error, f"cannot write the profile {path}") from error
        self._path = path
        self._began = monotonic()
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._open: dict[tuple[str, ...], tuple[int, float, dict[str, Any]]] = {}  # lane, begin, arguments
        self._wares: dict[str, tuple[int, float]] = {}

    def tell(self, event: Event) -> None:
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case StepPhase(seconds=None):
                self._begin(event.step, event.began)
            case StepPhase():
                lane, _, _ = self._begin(event.step, event.began)
                self._slice(event.phase, "phase", event.began, event.seconds or 0.0, lane)
            case StepStarted():
                self._begin(event.step, monotonic())[2].update(formulaID=event.formula_id, run=event.run_id)
            case StepFinished(hit=True) if event.step not in self._open:
                facts = {"formulaID": event.record.formula_id, "run": event.record.guid}
                self._slice(name(event.step), "memo", monotonic() - event.seconds, event.seconds, MEMO_LANE, facts)
            case StepFinished():
                self._end(event.step, {"results": {label: str(ware) for label, ware in event.record.results.items()}})
            case StepFailed():
                code = event.error.chain()[-1].code if isinstance(event.error, WarpforgeError) else "unknown"
                self._end(event.step, {"error": code})
            case WareMoving():
                self._wares.setdefault(str(event.ware), (self._free_ware_lane(), monotonic()))
            case WareSupplied():
                lane, began = self._wares.pop(str(event.ware), (self._free_ware_lane(), monotonic() - event.seconds))
                facts = {"ware": str(event.ware), "from": event.source}
                self._slice("ware", "ware", began, monotonic() - began, lane, facts)
            case Ingested():
                self._instant(f"ingested {event.ingest}", {"ware": str(event.ware)})

    def _begin(self, step: tuple[str, ...], at: float) -> tuple[int, float, dict[str, Any]]:
        if step not in self._open:
            used = {lane for lane, _, _ in self._open.values()}
            lane = next(lane for lane in range(1, len(used) + 2) if lane not in used)
            self._open[step] = (lane, at, {})
            self._count(at)
        return self._open[step]

    def _end(self, step: tuple[str, ...], facts: dict[str, Any]) -> None:
        now = monotonic()
        lane, began, known = self._open.pop(step, (MEMO_LANE, now, {}))
        self._slice(name(step), "step", began, now - began, lane, {**known, **facts})
        self._count(now)

    def _free_ware_lane(self) -> int:
        used = {lane for lane, _ in self._wares.values()}
        return next(lane for lane in range(WARE_LANES, WARE_LANES + len(used) + 1) if lane not in used)

    def _slice(
        self, what: str, kind: str, began: float, seconds: float, lane: int, facts: dict[str, Any] | None = None
    ) -> None:
        self._events.append(
            {
                "name": what,
                "cat": kind,
                "ph": "X",
                "ts": self._at(began),
                "dur": max(0, round(seconds * 1e6)),
                "pid": os.getpid(),
                "tid": lane,
                "args": facts or {},
            }
        )

    def _instant(self, what: str, facts: dict[str, Any]) -> None:
        at = {"ts": self._at(monotonic()), "pid": os.getpid(), "tid": MEMO_LANE}
        self._events.append({"name": what, "cat": "ingest", "ph": "i", "s": "t", **at, "args": facts})

    def _count(self, at: float) -> None:
        running = {"running": len(self._open)}
        self._events.append({"name": "steps", "ph": "C", "ts": self._at(at), "pid": os.getpid(), "args": running})

    def _at(self, moment: float) -> int:
        return max(0, round((moment - self._began) * 1e6))

    def close(self) -> None:
        """Write everything; may be called again."""
        import json

        if self._file.closed:
            return
        with self._lock:
            for step in [*self._open]:
                self._end(step, {"error": "interrupted"})
            lanes = sorted({event["tid"] for event in self._events if "tid" in event})
            events = [*(self._name(lane) for lane in lanes), *sorted(self._events, key=lambda event: event["ts"])]
        try:
            with self._file as file:
                json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)
        except OSError as error:
            raise store_error(error, f"cannot write the profile {self._path}") from error

    def _name(self, lane: int) -> dict[str, Any]:
        text = "memo" if lane == MEMO_LANE else f"worker {lane}"
        text = f"wares {lane - WARE_LANES + 1}" if lane >= WARE_LANES else text
        return {"name": "thread_name", "ph": "M", "pid": os.getpid(), "tid": lane, "args": {"name": text}}
