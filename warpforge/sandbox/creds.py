"""Who a process says to be in a box with one uid, and what it may become: setresuid(2) and its kin. Pure, and cheap to
import."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY = 0xFFFFFFFF  # -1: as it is
_COUNTS = {"": 1, "re": 2, "res": 3}


class Refused(Exception):
    """The call fails, with this error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Creds:
    """Who a process says to be. Never changed once made."""

    __slots__ = ("gids", "groups", "keeps", "uids")

    def __init__(
        self,
        uids: tuple[int, int, int],
        gids: tuple[int, int, int],
        groups: tuple[int, ...],
        *,
        keeps: bool,
    ) -> None:
        self.uids = uids  # real, effective, saved
        self.gids = gids
        self.groups = groups
        self.keeps = keeps  # as prctl(2), PR_SET_KEEPCAPS: may change gids when it is root no more

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it another."""
        return (self.uids, self.gids, self.groups, self.keeps)

    @property
    def may_change_gids(self) -> bool:
        """Whether any."""
        return self.uids[1] == 0 or self.keeps


def count_ids(name: str) -> int:
    """How many ids a call such as ``setreuid`` takes."""
    return _COUNTS[name[3:-3]]


def change_ids(creds: Creds, name: str, wanted: Sequence[int]) -> Creds:
    """What it is after a call. Raises Refused."""
    of_users = name.endswith("uid")
    real, effective, saved = ids = creds.uids if of_users else creds.gids
    may_all = creds.uids[1] == 0 if of_users else creds.may_change_gids
    kind = name[3:-3]
    choices: dict[str, list[tuple[int, ...]]] = {"": [(real, saved)], "re": [(real, effective), ids], "res": [ids] * 3}
    if not may_all and any(one not in (*some, NOBODY) for one, some in zip(wanted, choices[kind], strict=True)):
        raise Refused(errno.EPERM)
    new = _change(kind, ids, wanted, may_all=may_all)
    uids, gids = (new, creds.gids) if of_users else (creds.uids, new)
    return Creds(uids, gids, creds.groups, keeps=creds.keeps)


def _change(kind: str, ids: tuple[int, int, int], wanted: Sequence[int], *, may_all: bool) -> tuple[int, int, int]:
    real, _, saved = ids
    if kind == "":
        return (wanted[0], wanted[0], wanted[0]) if may_all else (real, wanted[0], saved)
    new_real, new_effective = (old if one == NOBODY else one for one, old in zip(wanted[:2], ids, strict=False))
    if kind == "res":
        return new_real, new_effective, saved if wanted[2] == NOBODY else wanted[2]
    changes = wanted[0] != NOBODY or (wanted[1] != NOBODY and new_effective != real)
    return new_real, new_effective, new_effective if changes else saved
