"""Why a step runs: what differs between the formula it ran last and the one it is now.

A **reason** tells of one step: its **verdict**, and the **changes** from the older formula to the newer one. A change
of an input that another step made has a **cause**, the reason of that step: then it is only a consequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final

import msgspec

LINES: Final = 40  # of one text's difference that are told

Serial = Mapping[str, Any]

FIRST: Final = "first"
CHANGED: Final = "changed"
SAME: Final = "same"
WAITS: Final = "waits"


class Change(msgspec.Struct, omit_defaults=True):
    """One field that differs. ``at``: where, as ``inputs /src`` or ``script entry 2 line 3``.

    ``old`` and ``new`` are empty for what was added or is gone. ``origin``: what the plot says is there now, and
    ``old_origin``, when that was another. ``files``: which files differ between two wares. ``note``: more to know.
    """

    at: str
    old: str = ""
    new: str = ""
    origin: str = ""
    old_origin: str = ""
    files: list[str] = []
    note: str = ""
    cause: Reason | None = None


class Reason(msgspec.Struct, omit_defaults=True):
    """Why one step runs, or ran. ``verdict``: first, changed, same (then ``note`` says why all the same), waits.

    ``waits``: its formula is not known before the steps in ``changes`` have run. ``run``: the execution that is told
    of, if it was one; ``before``: the one that it is compared with.
    """

    step: str
    verdict: str
    changes: list[Change] = []
    note: str = ""
    run: str = ""
    before: str = ""

    @property
    def is_consequence(self) -> bool:
        """Whether every change comes from another step."""
        return bool(self.changes) and all(change.cause is not None for change in self.changes)

    def roots(self) -> Iterator[tuple[str, Change]]:
        """Every change that is no consequence, with its step; each once."""
        seen: set[tuple[str, str]] = set()
        waiting = [self]
        while waiting:
            reason = waiting.pop()
            for change in reason.changes:
                if change.cause is not None:
                    waiting.append(change.cause)
                elif (reason.step, change.at) not in seen:
                    seen.add((reason.step, change.at))
                    yield reason.step, change


def compare(
    old: Serial, new: Serial, old_origins: Mapping[str, str] | None = None, origins: Mapping[str, str] | None = None
) -> list[Change]:
    """What differs between two formulas, given as their representations; inputs first."""
    return [
        *_inputs(old.get("inputs", {}), new.get("inputs", {}), old_origins or {}, origins or {}),
        *_action(old.get("action", {}), new.get("action", {})),
        *_outputs(old.get("outputs", {}), new.get("outputs", {})),
    ]


def _inputs(old: Serial, new: Serial, old_origins: Serial, origins: Serial) -> Iterator[Change]:
    for port in dict.fromkeys((*old, *new)):
        before, after = _split(old.get(port)), _split(new.get(port))
        origin, was = origins.get(port, ""), old_origins.get(port, "")
        if before[0] != after[0]:
            yield Change(f"input {port}", before[0], after[0], origin, was if was != origin else "")
        elif before[1] != after[1]:
            yield Change(f"filters of input {port}", before[1], after[1])


def _split(entry: Any) -> tuple[str, str]:
    """An input's basis, and its filters."""
    if isinstance(entry, Mapping):
        return str(entry.get("basis", "")), _filters(entry.get("filters")) or "an object without filters"
    return ("", "") if entry is None else (str(entry), "")


def _filters(filters: Any) -> str:
    if not isinstance(filters, Mapping):
        return ""
    return ",".join(f"{key}={value}" for key, value in filters.items()) or "{}"


def _action(old: Serial, new: Serial) -> Iterator[Change]:
    before, after = next(iter(old), ""), next(iter(new), "")
    if before != after:
        yield Change("action", before, after)
        return
    one, other = old.get(after, {}), new.get(after, {})
    for field in dict.fromkeys((*one, *other)):
        yield from _field(field, one.get(field), other.get(field))


def _field(field: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, list) and isinstance(new, list):
        what = {"contents": "script entry", "command": "command word"}.get(field, field)
        yield from _texts(what, [str(text) for text in old], [str(text) for text in new])
        return
    yield Change(field, _text(old), _text(new))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _texts(what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """The texts of a list, each with its number from 1; those that take another's place are compared line by line."""
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        paired = min(b - a, d - c)
        for number in range(paired):
            yield from _lines(f"{what} {c + number + 1}", old[a + number], new[c + number])
        for number in range(a + paired, b):
            yield Change(f"{what} {number + 1}", old=old[number], note="was there before")
        for number in range(c + paired, d):
            yield Change(f"{what} {number + 1}", new=new[number], note="is new")


def _lines(what: str, old: str, new: str) -> Iterator[Change]:
    before, after = old.splitlines() or [""], new.splitlines() or [""]
    if len(before) == len(after) == 1:
        yield Change(what, old, new)
        return
    told = 0
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        told += 1
        if told > LINES:
            yield Change(what, note="and more lines")
            return
        place = f"{what} line {c + 1}" if max(b - a, d - c) <= 1 else f"{what} lines {c + 1}-{max(d, c + 1)}"
        yield Change(place, "\n".join(before[a:b]), "\n".join(after[c:d]))
    if not told:
        yield Change(what, repr(old[-40:]), repr(new[-40:]), note="only its line ends differ")


def _outputs(old: Serial, new: Serial) -> Iterator[Change]:
    for label in dict.fromkeys((*old, *new)):
        before, after = _gather(old.get(label)), _gather(new.get(label))
        if before != after:
            yield Change(f"output {label}", before, after)


def _gather(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    words = [str(entry.get("from", ""))]
    words += [f"packtype {entry['packtype']}"] if "packtype" in entry else []
    words += [f"filters {_filters(entry['filters'])}"] if "filters" in entry else []
    return ", ".join(words)
