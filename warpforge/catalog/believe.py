"""Believing: from the newest snapshot of a catalog, what was seen before, and who is trusted, to what may be believed.

In this order, each refused by its reason: that there is one (``unsigned``); that it goes on from what was seen,
snapshot by snapshot, or from the first one when nothing was (``log``); that enough keys signed it (``signature``):
those that are trusted here, or to which they handed over on the way; that it is of this catalog (``catalog``); that
it is not older than what was seen (``rollback``), nor another one of the same version (``conflict``). What was
believed is remembered before it is used. Then, every time, its age (``frozen``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import UNSET

from warpforge.errors import Invalid, Unable, store_error
from warpforge.fsx.atomic import make_dirs
from warpforge.fsx.locks import Busy, Lock
from warpforge.model.ident import digest
from warpforge.model.units import counted

from .envelope import Envelope, load_envelope
from .snapshot import HEAD, LOG, PAYLOAD_TYPE, Snapshot, Snapshots, load_snapshot
from .trust import Seen, Trust, load_seen, save_seen

PATIENCE: Final = 60.0  # seconds to wait for another process that looks at the same catalog
SKEW: Final = 86_400  # seconds that clocks may differ

Tell = Callable[[str], None]


class Believer(NamedTuple):
    """What believing one catalog takes. ``seen``: the file of what was seen; ``lock``: held while it changes."""

    catalog: Path
    trust: Trust
    seen: Path
    lock: Path
    tell: Tell = lambda message: None

    def believe(self, snapshots: Snapshots, *, allow_rollback: bool = False) -> Snapshot:
        """The newest snapshot, verified and remembered.

        ``allow_rollback``: what was seen before is forgotten.
        Errors: ``catalog-invalid`` (reasons above), ``sign-missing``, ``serialization``, ``store``, ``io``.
        """
        data = self._head(snapshots)
        seen = None if allow_rollback else load_seen(self.seen)
        name = str(snapshots.path / HEAD)
        if seen is None or seen.head != digest(data) or seen.trust != self.trust.fingerprint:
            with self._locked():
                seen = None if allow_rollback else load_seen(self.seen)
                data = self._head(snapshots)
                now = self._judge(data, seen, snapshots)
                if now != seen:
                    self._remember(now)
        snapshot = load_snapshot(load_envelope(data, name).payload, name)
        self._mind_age(snapshot)
        return snapshot

    def check(self, snapshots: Snapshots) -> Snapshot:
        """The newest snapshot of a catalog that is to stand here, which could be believed; nothing is remembered.

        Errors: as ``believe``.
        """
        data = self._head(snapshots)
        self._judge(data, load_seen(self.seen), snapshots)
        snapshot = load_snapshot(load_envelope(data, HEAD).payload, HEAD)
        self._mind_age(snapshot)
        return snapshot

    def check_past(self, snapshot: Snapshot, snapshots: Snapshots) -> None:
        """That a snapshot goes on from what was seen here, whoever signed it. Errors: ``catalog-invalid``."""
        seen = load_seen(self.seen)
        if seen is not None and seen.binds(self.trust):
            self._compare(snapshot, seen)
            if snapshot.version > seen.version:
                for _ in prove(snapshot, seen.version, seen.id, snapshots):
                    pass

    def _head(self, snapshots: Snapshots) -> bytes:
        data = snapshots.head_data()
        if data is None:
            raise self._refuse("unsigned", "it must be signed, and has no snapshot: see `catalog sign`")
        return data

    def _judge(self, data: bytes, seen: Seen | None, snapshots: Snapshots) -> Seen:
        name = str(snapshots.path / HEAD)
        envelope = load_envelope(data, name)
        if envelope.payload_type != PAYLOAD_TYPE:
            raise self._refuse("signature", f"what is signed is no snapshot, but {envelope.payload_type!r}")
        snapshot = load_snapshot(envelope.payload, name)
        known = seen if seen is not None and seen.binds(self.trust) else None
        since, id_, trusted = 0, "", self.trust
        if known is not None and known.trust == self.trust.fingerprint:
            since, id_, trusted = known.version, known.id, Trust(known.keys, known.threshold)
        past = [*prove(snapshot, since, id_, snapshots)] if snapshot.version > since else []
        for one in reversed(past):
            trusted = self._hand_over(one, envelope if one is snapshot else None, trusted, snapshots)
        keys = trusted.public_keys()
        try:
            envelope.verify(keys, trusted.threshold, PAYLOAD_TYPE)
        except Invalid as error:
            raise self._refuse("signature", f"its snapshot is not believed: {error.message}") from None
        if known is not None:
            self._compare(snapshot, known)
            if not since and all(one.id != known.id for one in past):
                raise rewritten(snapshots, known.version)
        return Seen.of(snapshot, envelope.signers(keys), trusted, digest(data), self.trust)

    def _hand_over(self, snapshot: Snapshot, envelope: Envelope | None, trusted: Trust, snapshots: Snapshots) -> Trust:
        """Who must sign after a snapshot: others, if it names them, and both who must until then and they signed it."""
        if snapshot.keys is UNSET or snapshot.threshold is UNSET:
            return trusted
        envelope = envelope or snapshots.envelope(snapshot.version)
        after = Trust(snapshot.keys, snapshot.threshold)
        after.check(self.catalog.name)
        if envelope is None or load_snapshot(envelope.payload, LOG).id != snapshot.id:
            return trusted
        for who in (trusted, after):
            try:
                envelope.verify(who.public_keys(), who.threshold, PAYLOAD_TYPE)
            except Invalid:
                return trusted
        return after

    def _compare(self, snapshot: Snapshot, known: Seen) -> None:
        if snapshot.catalog != known.catalog:
            raise self._refuse(
                "catalog",
                f"its snapshot is one of the catalog {snapshot.catalog}; it was {known.catalog}",
                snapshot.version,
            )
        if snapshot.version < known.version:
            raise self._refuse(
                "rollback",
                f"it was rolled back: its snapshot is version {snapshot.version}, version {known.version} was seen "
                "here; get the newer one, or accept the older with `catalog verify --allow-rollback` (where it is not "
                "here yet, `catalog update --force` brings it)",
                snapshot.version,
            )
        if snapshot.version == known.version and snapshot.id != known.id:
            raise self._refuse(
                "conflict",
                f"there are two snapshots of version {snapshot.version}: {known.id} was seen here, now it is "
                f"{snapshot.id}; ask who signs it",
                snapshot.version,
            )

    def _remember(self, seen: Seen) -> None:
        try:
            save_seen(self.seen, seen)
        except Unable as error:
            if error.reason != "readonly":
                raise
            self.tell(f"what was seen of the catalog {self.catalog.name} cannot be remembered: {error.message}")

    def _mind_age(self, snapshot: Snapshot) -> None:
        age = time.time() - snapshot.time
        if self.trust.max_age is not UNSET and age > self.trust.max_age:
            raise self._refuse(
                "frozen",
                f"its snapshot is {_days(age)} old, at most {_days(self.trust.max_age)} are allowed here: update it; "
                "if there is nothing newer, somebody may be keeping it from you",
                snapshot.version,
            )
        if snapshot.expires is not UNSET and time.time() > snapshot.expires:
            self.tell(
                f"the snapshot of catalog {self.catalog.name} should have been renewed "
                f"{_days(time.time() - snapshot.expires)} ago: update it"
            )
        if age < -SKEW:
            self.tell(f"the snapshot of catalog {self.catalog.name} is of the future: is the clock here right?")

    def _locked(self) -> Lock:
        try:
            make_dirs(self.lock.parent, sync=False)
            lock = Lock(self.lock, timeout=PATIENCE, shared=not os.access(self.lock.parent, os.W_OK), optional=True)
            lock.acquire()
        except Busy as busy:
            message = f"another process (pid {busy.pids}) looks at catalog {self.catalog.name}"
            raise Unable("store", message, cause=busy, reason="busy", pid=" ".join(map(str, busy.pids))) from busy
        except OSError as error:
            raise store_error(error, f"cannot lock {self.lock}") from error
        return lock

    def _refuse(self, reason: str, why: str, version: int | None = None) -> Invalid:
        return Invalid(
            "catalog-invalid",
            f"catalog {self.catalog.name}: {why}",
            reason=reason,
            path=str(self.catalog),
            version=version,
        )


def prove(snapshot: Snapshot, version: int, id_: str, snapshots: Snapshots) -> Iterator[Snapshot]:
    """Every snapshot from this one back to another, which is left out (to the first: version 0 and no id).

    Errors: ``catalog-invalid`` (log) when one is missing, or is not the one that the next names; those of reading.
    """
    one = snapshot
    while True:
        yield one
        if one.version <= version + 1:
            break
        before = snapshots.logged(one.version - 1)
        if (before.id, before.version, before.catalog) != (one.previous, one.version - 1, one.catalog):
            raise rewritten(snapshots, one.version - 1)
        one = before
    if one.version != version + 1 or one.previous != id_:
        raise rewritten(snapshots, version)


def rewritten(snapshots: Snapshots, version: int) -> Invalid:
    """The past is not what it was."""
    return Invalid(
        "catalog-invalid",
        f"{snapshots.path}: the log was rewritten: snapshot {version} is not the one that the next names or that was "
        "seen here; ask who signs it",
        reason="log",
        path=snapshots.path,
        version=version,
    )


def _days(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return counted(round(seconds / size), unit)
    return counted(round(seconds), "second")
