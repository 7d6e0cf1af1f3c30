"""Trust: whose signatures a catalog needs, and what of it was seen before.

The keys are in ``config/trust.json`` of the root workspace, by the name of the catalog there:
``{"trust.v1": {NAME: {"keys": ["ed25519:...", ...], "threshold": K, "maxAge": SECONDS?}}}``.
What was seen last is in ``seen/NAME.json``. Both are written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from warpforge.errors import Invalid, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.ident import document_id
from warpforge.model.layout import layout

from .capsule import read_capsule
from .keys import PublicKey
from .snapshot import Snapshot
from .tree import read_file

SEEN: Final = "seen"
_TRUST: Final = "trust.v1"
_SEEN: Final = "seen.v1"


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Whose signatures one catalog needs: ``threshold`` of ``keys``, none older than ``max_age`` seconds."""

    keys: tuple[str, ...] = ()
    threshold: int = 1
    max_age: float | UnsetType = UNSET

    def public_keys(self) -> list[PublicKey]:
        """Errors: ``key-invalid``."""
        return [PublicKey.parse(key) for key in self.keys]

    @property
    def fingerprint(self) -> str:
        """Differs when other signatures are needed."""
        return document_id({"keys": sorted(self.keys), "threshold": self.threshold})

    def check(self, name: str) -> None:
        """Errors: ``catalog-invalid`` (trust) when nothing could ever satisfy it."""
        if not 1 <= self.threshold <= len(set(self.keys)):
            raise Invalid(
                "catalog-invalid",
                f"catalog {name}: {self.threshold} of {len(set(self.keys))} keys cannot sign: "
                "the threshold is between 1 and the number of keys",
                reason="trust",
            )


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest snapshot that was believed: no older one is believed again.

    ``signers``: the keys that had signed it; ``keys`` and ``threshold``: who must sign what comes after it;
    ``head``: the file that said so; ``trusted`` and ``trust``: which keys were trusted here then, and what was asked.
    """

    catalog: str
    version: int
    id: str
    root: str
    time: int
    signers: tuple[str, ...]
    keys: tuple[str, ...]
    threshold: int
    head: str
    trusted: tuple[str, ...]
    trust: str

    @classmethod
    def of(cls, snapshot: Snapshot, signers: set[PublicKey], now: Trust, head: str, trust: Trust) -> Seen:
        """``now``: who must sign from now on; ``trust``: who is trusted here."""
        at = (snapshot.catalog, snapshot.version, snapshot.id, snapshot.root, snapshot.time)
        return cls(*at, tuple(sorted(map(str, signers))), now.keys, now.threshold, head, trust.keys, trust.fingerprint)

    def binds(self, trust: Trust) -> bool:
        """Whether it still says something: not if keys are trusted no longer, and the others had not signed it."""
        still = {*self.signers} & {*trust.keys}
        return {*self.trusted} <= {*trust.keys} or 0 < min(trust.threshold, len(self.signers)) <= len(still)


def load_trusts(path: Path) -> dict[str, Trust]:
    """The catalogs of a root that need signatures. Errors: ``catalog-invalid``, ``serialization``, ``io``."""
    data = read_file(os.fspath(path))
    if data is None:
        return {}
    trusts = read_capsule(data, str(path), _TRUST, dict[str, Trust])
    for name, trust in trusts.items():
        trust.check(name)
    return trusts


def save_trusts(path: Path, trusts: Mapping[str, Trust]) -> None:
    """Errors: ``store``, ``key-invalid``; as ``Trust.check``."""
    for name, trust in trusts.items():
        trust.public_keys()
        trust.check(name)
    _save(path, _TRUST, dict(trusts))


def load_seen(path: Path) -> Seen | None:
    """What was seen, if anything was. Errors: ``catalog-invalid`` (form), ``io``."""
    data = read_file(os.fspath(path))
    if data is None:
        return None
    try:
        return read_capsule(data, str(path), _SEEN, Seen)
    except Invalid as error:
        advice = f"begin anew with `catalog verify -n {path.stem} --allow-rollback`"
        raise Invalid("catalog-invalid", f"{error.message}; {advice}", reason="form", path=path) from None


def save_seen(path: Path, seen: Seen) -> None:
    """Errors: ``store``."""
    _save(path, _SEEN, seen)


def forget_seen(path: Path) -> bool:
    """Whether there was anything to forget. Errors: ``store``."""
    try:
        path.unlink(missing_ok=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise store_error(error, f"cannot remove {path}") from error
    return True


def _save(path: Path, capsule: str, value: Any) -> None:
    data = layout({capsule: msgspec.json.decode(msgspec.json.encode(value))})
    try:
        make_dirs(path.parent)
        write_atomic(path, data)
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error
