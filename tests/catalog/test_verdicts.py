"""Verdicts on disk: what is kept, what is left out, and what an envelope holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpforge.catalog.envelope import Envelope, Signature, dump_envelope
from warpforge.catalog.verdicts import PAYLOAD, find_verdicts, keep_verdicts, verdicts_dir
from warpforge.model.atoms import WareId
from warpforge.model.serial import dump
from warpforge.model.verdict import DIFFERS, SAME, ItemVerdict, ReleaseVerdicts

ONE = WareId("ztar", "one")
TWO = WareId("ztar", "two")


def verdicts(release_id: str = "zA", **items: ItemVerdict) -> ReleaseVerdicts:
    return ReleaseVerdicts("a.org/app", "v1", release_id, "zP", items)


def same(time: int = 1) -> ItemVerdict:
    return ItemVerdict(SAME, ONE, time, "warpforge", ONE)


def find(top: Path) -> list[ReleaseVerdicts]:
    return [found.verdicts for found in find_verdicts(top, "a.org/app", "v1")]


def test_items_that_were_not_built_again_keep_their_verdict(tmp_path: Path) -> None:
    keep_verdicts(tmp_path, verdicts(a=same(1), b=same(1)))
    differs = ItemVerdict(DIFFERS, ONE, 2, "warpforge", TWO, ("changed /a",), "")
    keep_verdicts(tmp_path, verdicts(b=differs))
    assert find(tmp_path) == [verdicts(a=same(1), b=differs)]


def test_another_form_of_the_release_begins_anew(tmp_path: Path) -> None:
    keep_verdicts(tmp_path, verdicts(a=same(1), b=same(1)))
    keep_verdicts(tmp_path, verdicts("zB", b=same(2)))
    assert find(tmp_path) == [verdicts("zB", b=same(2))]


def test_an_envelope_holds_the_documents_bytes(tmp_path: Path) -> None:
    payload = dump(verdicts(a=same()))
    path = keep_verdicts(tmp_path, verdicts(b=same())).with_name("key.dsse")
    path.write_bytes(dump_envelope(Envelope(PAYLOAD, payload, (Signature("key", b"signature"),))))
    plain, signed = find_verdicts(tmp_path, "a.org/app", "v1")
    assert plain.envelope is None and signed.verdicts == verdicts(a=same())
    assert signed.envelope is not None and signed.envelope.payload == payload
    assert signed.envelope.signatures == (Signature("key", b"signature"),)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\xff", dump(verdicts(a=same())).replace(b"app", b"other")])
def test_what_is_not_right_is_no_word(tmp_path: Path, damage: bytes) -> None:
    directory = Path(verdicts_dir(tmp_path, "a.org/app", "v1"))
    directory.mkdir(parents=True)
    for name in ("verdicts.json", "key.dsse"):
        directory.joinpath(name).write_bytes(damage)
    assert find(tmp_path) == []
