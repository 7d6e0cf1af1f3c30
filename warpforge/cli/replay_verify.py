"""``warpforge replay --verify``: what others say who built releases again. Nothing is built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, NamedTuple

from warpforge.cli.app import Common, printable, refuse_argument, to_json
from warpforge.cli.cmd_ware import opened
from warpforge.cli.signing import Believed, verified
from warpforge.errors import Failed, Invalid
from warpforge.model.names import is_module_name, without_kind
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.catalog.words import Judges, Word
    from warpforge.engine.engine import Engine
    from warpforge.model.catalog import Release
    from warpforge.model.verdict import ReleaseVerdicts


def verify(common: Common, what: str, believed: Believed) -> None:
    """A file of signed verdicts, or all that is kept of releases. Errors: as ``verify_file``, ``verify_releases``."""
    if not os.path.lexists(what) and is_module_name(without_kind(what).partition(":")[0]):
        verify_releases(common, what, believed)
    else:
        verify_file(common, what, believed)


def verify_file(common: Common, path: str, believed: Believed) -> None:
    """What a signed file says, and whether the release is here in the form that it speaks of.

    Errors: ``signature-invalid``, ``missing``; ``attestation-invalid`` (release).
    """
    from warpforge.catalog.verdicts import PAYLOAD
    from warpforge.model.serial import load_verdicts

    payload, ids = verified(common, path, PAYLOAD, believed, rebuilders=True)
    said = load_verdicts(payload, path).noun
    with opened(common) as engine:
        known = _known(engine, said)
    for item, one in said.items.items():
        ref = f"{said.module}:{said.release}:{item}"
        if common.json:
            line = {"ref": ref, "replay": said.replay, **one.to_serial(), "signedBy": ids, "inCatalog": known}
            print(to_json({"verdict": line}))
        else:
            common.result(printable(f"{one.verdict:<10}{ref}  {one.published}"))
            machine = f" on {one.machine}" if one.machine else ""
            common.result(printable(f"          at {_moment(one.time)} by {one.engine}{machine}"))
    if not common.json:
        here = "a catalog here has the release just so" if known else "no catalog here has the release"
        common.note(f"signed by {', '.join(ids)}; {here}")


def _known(engine: Engine, said: ReleaseVerdicts) -> bool:
    """Whether a catalog here has the release. Errors: ``attestation-invalid`` (release) when it says something else."""
    from warpforge.model.ident import release_id

    known = [catalog.release(said.module, said.release) for catalog in engine.lookup.catalogs()]
    ids = {release_id(release) for release in known if release is not None}
    if ids and said.release_id not in ids:
        raise Invalid(
            "attestation-invalid",
            f"the verdicts are of another form of {said.module}:{said.release} than the catalogs here have: "
            f"{said.release_id}, not {', '.join(sorted(ids))}",
            reason="release",
        )
    return bool(ids)


class Standing(NamedTuple):
    """What is said of one item. ``other``: rebuilders who did not make the same, with the words of their verdicts."""

    ref: str
    published: str
    same: tuple[str, ...]
    other: tuple[tuple[str, str], ...]
    publisher: str = ""
    here: str = ""

    def to_serial(self) -> dict[str, Any]:
        serial = {**self._asdict(), "same": [*self.same], "other": dict(self.other)}
        return {key: value for key, value in serial.items() if value or key == "same"}


def verify_releases(common: Common, text: str, believed: Believed) -> None:
    """How many rebuilders made releases just so, by what is kept in catalogs and workspaces.

    Errors: ``ware-mismatch`` (rebuilders) when one did not, or fewer did than ``--threshold``; those of reading.
    """
    from warpforge.engine.catalogs import find_judges
    from warpforge.engine.replay import Replayer, Wanted

    if believed.catalog is not None:
        refuse_argument("--trusted is for a file: a release has the rebuilders of the catalog that it stands in")
    wanted = Wanted.parse(text)
    found: list[Standing] = []
    heard = False
    with opened(common) as engine:
        for catalog, module, release in Replayer(engine).wanted(wanted):
            judges = _with_keys(find_judges(engine.stack, catalog.path, common.note)[0], believed)
            heard = heard or bool(judges.rebuilders)
            found += _standings(engine, judges, catalog, module, release, wanted.item)
    for one in found:
        _show(common, one)
    if not heard:
        common.note("no rebuilder is trusted here: name them with `catalog trust add --rebuilder WHO KEY`")
    _conclude(found, believed.threshold or 0)


def _with_keys(judges: Judges, believed: Believed) -> Judges:
    """Also keys that a person names, each by its own id."""
    from warpforge.catalog.keys import any_public

    known = dict(judges.rebuilders)
    named = {key: known.get(key, key.id[:16]) for key in map(any_public, believed.keys)}
    return judges._replace(rebuilders=(*{**known, **named}.items(),))


def _standings(
    engine: Engine, judges: Judges, catalog: Catalog, module: str, release: Release, item: str
) -> Iterator[Standing]:
    from warpforge.catalog.words import agreement, last_words
    from warpforge.engine.verdicts import words_on

    words = words_on(engine.stack, judges, catalog, module, release)
    for name, ware in release.items.items():
        if item in ("", name):
            said = words.get(name, [])
            agreed, last = agreement(said), last_words(said)
            other = tuple((who, last[who].verdict.verdict) for who in agreed.other)
            publisher = _last(one for one in said if one.believed and not one.by)
            here = _last(one for one in said if not one.published and not one.signed)
            yield Standing(f"{module}:{release.name}:{name}", str(ware), agreed.same, other, publisher, here)


def _last(words: Iterator[Word]) -> str:
    """A verdict, of words that are newest first."""
    return next((word.verdict.verdict for word in words), "")


def _show(common: Common, one: Standing) -> None:
    if common.json:
        print(to_json({"rebuilt": one.to_serial()}))
        return
    head = "disputed" if one.other else "agreed" if one.same else "unheard"
    common.result(printable(f"{head:<10}{one.ref}  {one.published}"))
    lines = [f"{counted(len(one.same), 'rebuilder')} made the same: {', '.join(one.same)}"] if one.same else []
    lines += [f"{who} says {verdict}" for who, verdict in one.other]
    lines += [f"who publishes it says {one.publisher}"] if one.publisher else []
    lines += [f"built again here: {one.here}"] if one.here else []
    for line in lines:
        common.result(printable(f"          {line}"))


def _conclude(found: Sequence[Standing], least: int) -> None:
    disputed = [one.ref for one in found if one.other]
    short = [one.ref for one in found if len(one.same) < least]
    if not disputed and not short:
        return
    said = [f"rebuilders did not make the same of {', '.join(disputed)}"] if disputed else []
    said += [f"fewer than {counted(least, 'rebuilder')} made {', '.join(short)}"] if short else []
    raise Failed("ware-mismatch", "; ".join(said), reason="rebuilders", catalogRef=" ".join({*disputed, *short}))


def _moment(seconds: int) -> str:
    return strftime("%Y-%m-%d %H:%M", gmtime(seconds))
