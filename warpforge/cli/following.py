"""Following: the output of what runs now, as it grows, until nothing that was asked for runs any more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from warpforge.cli.app import Common, to_json
from warpforge.errors import Missing

if TYPE_CHECKING:
    from warpforge.store.run_entry import RunEntry
    from warpforge.store.runs import Runs

PAUSE: Final = 0.1  # seconds between two looks
GRACE: Final = 1.0  # seconds in which the next step may begin
BLOCK: Final = 1 << 16


class _Open:
    """One execution and how far its output was read."""

    def __init__(self, entry: RunEntry) -> None:
        self.entry = entry
        self.file = open(entry.begun, "rb")  # it stays readable when the log gets its final name
        self.rest = b""
        self.ended = False


class Follower:
    """Follows the executions for which ``wanted`` answers true."""

    def __init__(self, common: Common, runs: Runs, wanted: Callable[[RunEntry], bool]) -> None:
        self._common = common
        self._runs = runs
        self._wanted = wanted
        self._open: dict[str, _Open] = {}
        self._several = False
        self._to_terminal = sys.stdout.isatty()

    def follow(self) -> None:
        """Until nothing runs any more. Errors: ``missing`` when nothing that was asked for runs now."""
        tail = self._runs.tail()
        for entry in self._runs.open_entries():
            self._begin(entry)
        if not self._open:
            raise Missing("missing", "nothing that was asked for runs here now: `warpforge log` lists what ran")
        quiet_since = monotonic()
        while self._open or monotonic() - quiet_since < GRACE:
            for entry in tail.read():
                if entry.begun:
                    self._begin(entry)
                elif entry.id in self._open:
                    self._open[entry.id].ended = True
            for one in [*self._open.values()]:
                self._look(one)
            if self._open:
                quiet_since = monotonic()
            sys.stdout.flush()
            sleep(PAUSE)

    def _begin(self, entry: RunEntry) -> None:
        if entry.id in self._open or not self._wanted(entry) or not self._runs.is_running(entry):
            return
        with suppress(OSError):  # it has ended just now
            self._open[entry.id] = _Open(entry)
            self._several = self._several or len(self._open) > 1
            if self._common.json:
                print(to_json({"run": entry}), flush=True)
            else:
                self._common.note(f"run   {'/'.join(entry.step) or 'formula'}  {entry.id[:8]}")

    def _look(self, one: _Open) -> None:
        over = one.ended or not self._runs.is_running(one.entry)
        while data := one.file.read(BLOCK):
            self._write(one, data)
        if over:
            if one.rest:
                self._write(one, b"\n" if not self._common.json else b"")
            one.file.close()
            del self._open[one.entry.id]

    def _write(self, one: _Open, data: bytes) -> None:
        name = "/".join(one.entry.step) or "formula"
        if self._common.json:
            text = data.decode("utf-8", "backslashreplace")
            print(to_json({"said": {"run": one.entry.id, "step": name, "text": text}}))
            return
        if not self._several and not self._to_terminal:
            sys.stdout.buffer.write(data)
            return
        from warpforge.cli.plain import plain

        *lines, one.rest = (one.rest + data).split(b"\n")
        if len(one.rest) > BLOCK:
            lines.append(one.rest)
            one.rest = b""
        lead = f"{name} | " if self._several else ""
        for line in lines:
            print(lead + plain(line.decode("utf-8", "backslashreplace")))
