"""Words: what somebody says of an item who built it again, and whether that counts.

The publisher's word counts, whose keys the catalog is trusted by, and that of rebuilders, who are named beside it. Only
rebuilders agree with a publisher: a key of the catalog's own is no independent one, whoever it is said to be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import WarpforgeError
from warpforge.model.verdict import SAME, ItemVerdict

from .tree import VERDICTS_DIR
from .verdicts import Found, find_verdicts

if TYPE_CHECKING:
    from warpforge.model.catalog import Release

    from .keys import PublicKey


class Judges(NamedTuple):
    """Whose word counts: the publisher's ``keys``, and ``rebuilders``, each key with the name of whose it is."""

    keys: tuple[PublicKey, ...] = ()
    rebuilders: tuple[tuple[PublicKey, str], ...] = ()


class Word(NamedTuple):
    """A verdict that somebody gave. ``signed``: ids of keys that the envelope names; ``believed``: those that count.

    ``by``: the rebuilders who signed it.
    """

    verdict: ItemVerdict
    published: bool  # in the catalog, else only in a workspace
    signed: tuple[str, ...] = ()
    believed: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


class Agreement(NamedTuple):
    """The rebuilders who made an item just so, and those who did not."""

    same: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


def read_words(
    places: Sequence[Path], judges: Judges, module: str, release: Release, cid: str
) -> dict[str, list[Word]]:
    """The words on each item of a release in its present form (``cid``), newest first.

    ``places``: the catalog, then directories of workspaces. Of two that say the same, the newer stays; of what a
    believed key signed, that alone, wherever else it stands.
    """
    found: dict[str, dict[tuple[object, ...], Word]] = {}
    for place in places:
        if not os.path.isdir(f"{place}/{module}/{VERDICTS_DIR}"):
            continue
        for one in find_verdicts(place, module, release.name):
            for item, verdict in one.verdicts.items.items() if one.verdicts.release_id == cid else ():
                if release.items.get(item) == verdict.published:
                    word = _word(one, verdict, judges, published=place == places[0])
                    key = (verdict.verdict, word.signed or word.published, word.believed)
                    known = found.setdefault(item, {}).setdefault(key, word)
                    if known.verdict.time < verdict.time:
                        found[item][key] = word
    return {item: sorted(_told_once(words.values()), key=_newest_first) for item, words in found.items()}


def _told_once(words: Iterable[Word]) -> Iterator[Word]:
    """Without what a catalog says unsigned and a believed key signed word for word."""
    words = [*words]
    sure = [word.verdict for word in words if word.believed]
    yield from (word for word in words if word.signed or not word.published or word.verdict not in sure)


def has_words(places: Iterable[Path], module: str) -> bool:
    """Whether anybody says anything of a module's releases; see ``read_words``."""
    return any(os.path.isdir(f"{place}/{module}/{VERDICTS_DIR}") for place in places)


def agreement(words: Iterable[Word]) -> Agreement:
    """What the rebuilders say of an item, each by the last word; of words that are newest first."""
    last = last_words(words)
    same = tuple(name for name, word in last.items() if word.verdict.verdict == SAME)
    return Agreement(same, tuple(name for name in last if name not in same))


def last_words(words: Iterable[Word]) -> dict[str, Word]:
    """The last word of each rebuilder, by name, sorted; of words that are newest first."""
    last: dict[str, Word] = {}
    for word in words:
        for name in word.by:
            last.setdefault(name, word)
    return dict(sorted(last.items()))


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


def _word(found: Found, verdict: ItemVerdict, judges: Judges, *, published: bool) -> Word:
    if found.envelope is None:
        return Word(verdict, published)
    names = {key: name for key, name in judges.rebuilders if key not in judges.keys}
    try:
        good = found.envelope.signers([*judges.keys, *names])
    except WarpforgeError:
        good = set()  # nothing here can verify: nobody is believed
    by = sorted({names[key] for key in good if key in names})
    signed = tuple(one.keyid for one in found.envelope.signatures)
    return Word(verdict, published, signed, tuple(sorted(key.id for key in good)), tuple(by))
