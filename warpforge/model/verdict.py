"""Verdicts: what came of building a release again, as it is kept beside a catalog or in a workspace.

A document of its own, ``verdicts.v1``, for one release: it says nothing that the release's id depends on, so keeping it
changes no id. ``release_id`` tells for which form of the release it holds; of another form it says nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from .atoms import WareId
from .findings import Place
from .names import is_item_name, is_release_name, parse_module_name
from .read_catalog import parse_cid
from .reading import Reading

SAME: Final = "same"
DIFFERS: Final = "differs"
MISSING: Final = "missing"
FAILED: Final = "failed"
NO_REPLAY: Final = "no-replay"
VERDICTS: Final = (SAME, DIFFERS, MISSING, FAILED, NO_REPLAY)

_RELEASE: Final = frozenset(("module", "release", "releaseId", "replay", "items"))
_ITEM: Final = frozenset(("verdict", "published", "time", "engine"))
_MORE: Final = frozenset(("made", "why", "code", "machine"))


class ItemVerdict(msgspec.Struct, frozen=True):
    """What came of one item. ``time``: seconds since 1970 when it was known; ``engine``: what built it again.

    ``made``: the ware that came out, if any; ``why``: the files that differ, or the error; ``code``: the error's.
    ``machine``: on what it was built again, in words: architecture, kernel, cores.
    """

    verdict: str
    published: WareId
    time: int
    engine: str
    made: WareId | None = None
    why: tuple[str, ...] = ()
    code: str = ""
    machine: str = ""

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {
            "verdict": self.verdict,
            "published": str(self.published),
            "time": self.time,
            "engine": self.engine,
        }
        if self.made is not None:
            serial["made"] = str(self.made)
        if self.why:
            serial["why"] = [*self.why]
        if self.code:
            serial["code"] = self.code
        if self.machine:
            serial["machine"] = self.machine
        return serial


class ReleaseVerdicts(msgspec.Struct, frozen=True):
    """The last verdict of each item of one release that was built again by the plot ``replay``."""

    capsule: ClassVar[str] = "verdicts.v1"

    module: str
    release: str
    release_id: str
    replay: str
    items: dict[str, ItemVerdict]

    def to_serial(self) -> dict[str, Any]:
        return {
            "module": self.module,
            "release": self.release,
            "releaseId": self.release_id,
            "replay": self.replay,
            "items": {name: item.to_serial() for name, item in self.items.items()},
        }


def read_verdicts(reading: Reading, value: Any, place: Place) -> ReleaseVerdicts:
    members = reading.fields(value, place, _RELEASE, frozenset())
    name = reading.text(members.get("release", "-"), (place, "release"))
    if "release" in members and not is_release_name(name):
        reading.refuse((place, "release"), f"not a release name: {name!r}")
    at = (place, "items")
    items = {}
    for label, item in reading.mapping(members.get("items", {}), at).items():
        if not is_item_name(label):
            reading.refuse((at, label), f"not an item name: {label!r}")
        items[label] = _read_item(reading, item, (at, label))
    return ReleaseVerdicts(
        reading.atom(parse_module_name, members.get("module", ""), (place, "module")),
        name,
        reading.atom(parse_cid, members.get("releaseId", ""), (place, "releaseId")),
        reading.atom(parse_cid, members.get("replay", ""), (place, "replay")),
        items,
    )


def _read_item(reading: Reading, value: Any, place: Place) -> ItemVerdict:
    members = reading.fields(value, place, _ITEM, _MORE)
    verdict = reading.text(members.get("verdict", SAME), (place, "verdict"))
    if verdict not in VERDICTS:
        reading.refuse((place, "verdict"), f"not a verdict: {verdict!r}; one is {', '.join(VERDICTS)}")
    return ItemVerdict(
        verdict,
        reading.atom(WareId.parse, members.get("published", "tar:-"), (place, "published")),
        reading.number(members.get("time", 0), (place, "time")),
        reading.text(members.get("engine", ""), (place, "engine")),
        reading.atom(WareId.parse, members["made"], (place, "made")) if "made" in members else None,
        reading.texts(members.get("why", []), (place, "why")),
        reading.text(members.get("code", ""), (place, "code")),
        reading.text(members.get("machine", ""), (place, "machine")),
    )
