"""Words: what somebody says of an item who built it again, and whether that counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warpforge.catalog.tree import VERDICTS_DIR
from warpforge.catalog.verdicts import Found, find_verdicts
from warpforge.errors import WarpforgeError
from warpforge.model.verdict import SAME, ItemVerdict

if TYPE_CHECKING:
    from warpforge.catalog.keys import PublicKey
    from warpforge.model.catalog import Release


class Word(NamedTuple):
    """A verdict that somebody gave. ``signed``: ids of keys that the envelope names; ``believed``: those that count."""

    verdict: ItemVerdict
    published: bool  # in the catalog, else only in a workspace
    signed: tuple[str, ...] = ()
    believed: tuple[str, ...] = ()


def read_words(
    places: Sequence[Path], keys: Sequence[PublicKey], module: str, release: Release, cid: str
) -> dict[str, list[Word]]:
    """The words on each item of a release in its present form (``cid``), newest first.

    ``places``: the catalog, then directories of workspaces. Of two that say the same, the newer stays.
    """
    found: dict[str, dict[tuple[object, ...], Word]] = {}
    for place in places:
        if not (place / module / VERDICTS_DIR).is_dir():
            continue
        for one in find_verdicts(place, module, release.name):
            for item, verdict in one.verdicts.items.items() if one.verdicts.release_id == cid else ():
                if release.items.get(item) == verdict.published:
                    word = _word(one, verdict, keys, published=place == places[0])
                    key = (verdict.verdict, word.published, word.signed)
                    known = found.setdefault(item, {}).setdefault(key, word)
                    if known.verdict.time < verdict.time:
                        found[item][key] = word
    return {item: sorted(words.values(), key=_newest_first) for item, words in found.items()}


def telling(words: Sequence[Word]) -> Word | None:
    """The one to show: the newest that a believed key signed, else that was seen here, else the newest."""
    weight = [(bool(word.believed), not word.published) for word in words]
    return words[weight.index(max(weight))] if words else None


def worst(words: Iterable[Word | None]) -> Word | None:
    """The one to show of a whole release: of its items', one that is not well, if there is any."""
    found = [word for word in words if word is not None]
    return max(found, key=lambda word: word.verdict.verdict != SAME, default=None)


def _newest_first(word: Word) -> tuple[int, tuple[str, ...], str]:
    return -word.verdict.time, word.signed, word.verdict.verdict


def _word(found: Found, verdict: ItemVerdict, keys: Sequence[PublicKey], *, published: bool) -> Word:
    if found.envelope is None:
        return Word(verdict, published)
    try:
        believed = tuple(sorted(key.id for key in found.envelope.signers(keys)))
    except WarpforgeError:
        believed = ()  # nothing here can verify: nobody is believed
    return Word(verdict, published, tuple(one.keyid for one in found.envelope.signatures), believed)
