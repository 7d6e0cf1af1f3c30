"""Signing: a snapshot of a catalog as it stands, its nodes first, then the log, then the head that names it.

A writer that is killed leaves nodes that nobody names, or a log that is one snapshot longer than the head: the next
one overwrites that. What is in the head is never lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from warpforge.errors import Invalid, WarpforgeError, store_error
from warpforge.fsx.atomic import fsync_dir, make_dirs, write_atomic
from warpforge.fsx.linux import syncfs
from warpforge.model.layout import layout

from . import trie
from .check import ERROR
from .edit import writing
from .envelope import Envelope, dump_envelope, load_envelope
from .examine import examine
from .keys import PrivateKey
from .snapshot import HEAD, LOG, PAYLOAD_TYPE, Snapshot, Snapshots, load_snapshot, make_entry, node_file
from .succession import GONE, REWRITTEN, succession
from .tree import Catalog
from .trie import Node
from .trust import Trust
from .view import PastView

MANY: Final = 64  # nodes from which on one sync of the whole file system is cheaper than one for each


class ReleaseChange(NamedTuple):
    """A release that another snapshot has otherwise: ``before`` and ``after`` are ids, None where it is not there."""

    module: str
    release: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"


class Signed(NamedTuple):
    """What signing gave. ``is_new``: a snapshot was made, else signatures were added to the newest."""

    snapshot: Snapshot
    envelope: Envelope
    changes: list[ReleaseChange]
    is_new: bool


class Terms(NamedTuple):
    """How a snapshot is to be.

    ``valid``: seconds until it should be renewed. ``renew``: a new one even if nothing has changed. ``force``: also
    when what releases said was changed or removed. ``after``: who must sign from now on, if that changes; those who
    must until then and these have to sign this one. ``now``: seconds since 1970.
    """

    valid: float | None = None
    renew: bool = False
    force: bool = False
    after: Trust | None = None
    now: float | None = None


_USUAL: Final = Terms()


def sign(
    catalog: Catalog,
    keys: Sequence[PrivateKey],
    terms: Terms = _USUAL,
    *,
    jobs: int = 1,
    check_past: Callable[[Snapshot, Snapshots], object] | None = None,
) -> Signed:
    """Sign what stands there: a new snapshot, or one more signature of the newest when nothing has changed.

    ``jobs``: processes at most. ``check_past`` looks at the newest snapshot first.
    Errors: ``catalog-invalid`` (check: what is wrong with modules; conflict: releases that were changed), ``store``.
    """
    with writing(catalog):
        snapshots = Snapshots(catalog.path)
        before, envelope = read_head(snapshots)
        if before is not None and check_past is not None:
            check_past(before, snapshots)
        nodes: dict[str, Node] = {}
        root = tree_of(catalog, nodes, snapshots, before.root if before else None, jobs=jobs)
        moved = list(changes(before.root if before else None, root, _reader(nodes, snapshots)))
        if before is not None and not terms.force:
            _refuse_moved(catalog, moved, Catalog(catalog.path, PastView(snapshots, before)))
        is_new = before is None or before.root != root or terms.renew or terms.after is not None
        snapshot = before if before is not None and not is_new else _follow(before, catalog.name, root, terms)
        if is_new or envelope is None:
            envelope = Envelope(PAYLOAD_TYPE, snapshot.payload())
        for key in keys:
            envelope = envelope.signed(key)
        _put_nodes(snapshots, nodes)
        _put_head(snapshots, snapshot, envelope)
        return Signed(snapshot, envelope, moved, is_new)


def _follow(before: Snapshot | None, name: str, root: str, terms: Terms) -> Snapshot:
    """The snapshot after another, or the first one."""
    made = int(time.time() if terms.now is None else terms.now)
    return Snapshot(
        catalog=before.catalog if before else name,
        version=before.version + 1 if before else 1,
        time=made,
        root=root,
        previous=before.id if before else "",
        expires=UNSET if terms.valid is None else made + int(terms.valid),
        keys=UNSET if terms.after is None else terms.after.keys,
        threshold=UNSET if terms.after is None else terms.after.threshold,
    )


def read_head(snapshots: Snapshots) -> tuple[Snapshot, Envelope] | tuple[None, None]:
    """The newest snapshot, whoever signed it. Errors: those of reading."""
    data = snapshots.head_data()
    if data is None:
        return None, None
    name = str(snapshots.path / HEAD)
    envelope = load_envelope(data, name)
    return load_snapshot(envelope.payload, name), envelope


def tree_of(
    catalog: Catalog, nodes: dict[str, Node], snapshots: Snapshots, before: str | None = None, *, jobs: int = 1
) -> str:
    """The root of a catalog as it stands; ``nodes`` gets every node.

    Modules that are not as in the snapshot ``before`` are looked at whole, by so many processes at most.
    Errors: ``catalog-invalid`` (check).
    """
    known = dict(trie.every(snapshots.node(before), snapshots.node)) if before else {}
    entries: dict[str, str] = {}
    changed: list[str] = []
    for module in catalog.modules():
        noun = catalog.module(module)
        if noun is None:
            continue
        entry = make_entry(noun, catalog.mirrors(module), nodes.__setitem__)
        entries[module] = trie.node_id(entry)
        nodes[entries[module]] = entry
        if known.get(module) != entries[module]:
            changed.append(module)
    examined = examine(Catalog(catalog.path), changed, jobs)
    faults = [str(fault) for one in examined for fault in one.faults if fault.level == ERROR]
    if faults:
        raise Invalid(
            "catalog-invalid",
            f"catalog {catalog.name} is not sound:" + "".join(f"\n  {one}" for one in faults),
            reason="check",
            path=catalog.path,
            errors=len(faults),
        )
    first = trie.build(entries, nodes.__setitem__)
    root = trie.node_id(first)
    nodes[root] = first
    return root


def check_tree(catalog: Catalog, snapshot: Snapshot, snapshots: Snapshots, *, jobs: int = 1) -> None:
    """That all of a catalog is as a snapshot says.

    Errors: ``catalog-invalid`` (hash, naming every release that is not; check).
    """
    nodes: dict[str, Node] = {}
    root = tree_of(catalog, nodes, snapshots, jobs=jobs)
    if root == snapshot.root:
        return
    moved = [*changes(snapshot.root, root, _reader(nodes, snapshots))]
    lines = "".join(f"\n  {one.module}:{one.release} was {one.kind}" for one in moved)
    raise Invalid(
        "catalog-invalid",
        f"catalog {catalog.name} is not what was signed:{lines or ' metadata or mirrors of modules differ'}",
        reason="hash",
        path=catalog.path,
        expected=snapshot.root,
        actual=root,
        catalogRef=" ".join(f"{one.module}:{one.release}" for one in moved) or None,
    )


def changes(before: str | None, after: str, read: trie.Read) -> Iterator[ReleaseChange]:
    """The releases in which two roots differ, by module."""
    empty: Node = {"entries": {}}
    for module, old, new in sorted(trie.changes(read(before) if before else empty, read(after), read)):
        one, other = (read(id_)["releases"] if id_ else empty for id_ in (old, new))
        yield from (ReleaseChange(module, *change) for change in sorted(trie.changes(one, other, read)))


def _refuse_moved(catalog: Catalog, moved: list[ReleaseChange], past: Catalog) -> None:
    bad = [one for one in moved if _takes_back(catalog, one, past)]
    if bad:
        lines = "".join(f"\n  {one.module}:{one.release} {one.kind}: {one.before} -> {one.after or '-'}" for one in bad)
        raise Invalid(
            "catalog-invalid",
            f"catalog {catalog.name}: releases are not what they were in the last snapshot:{lines}\n"
            "who used them has something else now: give them new names, or sign it with --force",
            reason="conflict",
            catalogRef=" ".join(f"{one.module}:{one.release}" for one in bad),
        )


def _takes_back(catalog: Catalog, change: ReleaseChange, past: Catalog) -> bool:
    """Whether who used the release has something else now; more metadata, such as a hazard, is no harm."""
    if change.before is None:
        return False
    if change.after is None:
        return True
    try:
        past.release(change.module, change.release)
    except WarpforgeError:
        return True  # nobody can tell any more
    steps = succession(past, catalog, [change.module])
    return any(step.release == change.release and step.kind in (GONE, REWRITTEN) for step in steps)


def _reader(nodes: dict[str, Node], snapshots: Snapshots) -> trie.Read:
    return lambda id_: nodes[id_] if id_ in nodes else snapshots.node(id_)


def _put_nodes(snapshots: Snapshots, nodes: dict[str, Node]) -> None:
    fresh = {id_: node for id_, node in nodes.items() if not snapshots.has_node(id_)}
    one_sync = len(fresh) > MANY
    try:
        for id_, node in fresh.items():
            path = snapshots.path / node_file(id_)
            make_dirs(path.parent, sync=not one_sync)
            write_atomic(path, layout(node), sync=not one_sync)
        if one_sync:
            syncfs(snapshots.path)
    except OSError as error:
        raise store_error(error, f"cannot write snapshots of {snapshots.path.parent}") from error


def _put_head(snapshots: Snapshots, snapshot: Snapshot, envelope: Envelope) -> None:
    data = dump_envelope(envelope)
    try:
        make_dirs(snapshots.path / LOG)
        write_atomic(snapshots.path / LOG / f"{snapshot.version}.json", data)
        write_atomic(snapshots.path / HEAD, data)
        fsync_dir(snapshots.path)
    except OSError as error:
        raise store_error(error, f"cannot write snapshots of {snapshots.path.parent}") from error
