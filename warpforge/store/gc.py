"""Garbage collection: what no root keeps is deleted, pointers before data.

A **root** is a reason to keep a ware. Roots from outside (releases in catalogs) are handed in; the store's own are
pins, the pins of running processes, and memos: a memo keeps its results, and what its formula was run from.
With ``keep_for`` a memo that was not used for longer is no root any more and goes, while whatever was used since
stays, root or not. Downloads that broke off go.
With ``max_size`` more goes until the store fits, least recently used first: trees that can be
unpacked again, then what only memos keep; never what another root keeps.

make_plan() looks and changes nothing; ``collect`` does what it says, under the exclusive lock: memos first, then the
index, then stamps, then trees and wares, each moved to the trash by one rename and deleted there. Killed midway, what
is left is a sound store, and the trash is swept at the next start.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Unable, WarpforgeError, store_error
from warpforge.model.atoms import WareId

from . import memo
from .finding import storing
from .layers import layers_of
from .pins import pinned
from .trees import Tree, tree_bytes, trees

if TYPE_CHECKING:
    from .store import Store


RUNNING: Final = "needed by a running process"


class Root(NamedTuple):
    """A ware that must stay, and why, in words."""

    ware: WareId
    why: str


class Policy(NamedTuple):
    """``keep_for`` in seconds, ``max_size`` in bytes; ``now`` in seconds since 1970."""

    now: float
    keep_for: float | None = None
    max_size: int | None = None

    def is_young(self, last_use: float) -> bool:
        """Whether something was used so lately that it stays; a time in the future counts as now."""
        return self.keep_for is not None and self.now - last_use <= self.keep_for

    def is_old(self, last_use: float) -> bool:
        """Whether something was used so long ago that its memo is no root any more."""
        return self.keep_for is not None and not self.is_young(last_use)


class Memoised(NamedTuple):
    """A memo: its results, and the wares that its formula was run from."""

    formula_id: str
    results: tuple[WareId, ...]
    inputs: tuple[WareId, ...]
    written: float


class Stock:
    """All that the store holds of one ware."""

    __slots__ = ("packed", "packed_bytes", "trees", "used", "ware")

    def __init__(self, ware: WareId) -> None:
        self.ware = ware
        self.packed = ""  # its path
        self.packed_bytes = 0
        self.trees: list[tuple[Tree, int]] = []
        self.used = 0.0

    @property
    def size(self) -> int:
        """Bytes, packed and unpacked."""
        return self.packed_bytes + sum(size for _, size in self.trees)


class Plan:
    """What is to go and what stays. Sizes in bytes."""

    def __init__(self) -> None:
        self.stock: dict[WareId, Stock] = {}
        self.memos: list[str] = []
        self.wares: list[Stock] = []
        self.trees: list[tuple[Tree, int]] = []  # of wares that stay
        self.partials: list[tuple[str, int]] = []  # downloads that broke off: path and size
        self.layers: list[tuple[str, int]] = []  # of images that are not here: path and size
        self.total = 0
        self.freed = 0
        self.reasons: dict[WareId, list[str]] = {}

    @property
    def left(self) -> int:
        """What the store takes afterwards."""
        return self.total - self.freed

    def explain(self, ware: WareId) -> list[str]:
        """Why a ware stays; nothing when it goes, or is not here."""
        return self.reasons.get(ware, [])


def make_plan(store: Store, roots: Iterable[Root], policy: Policy) -> Plan:
    """What a collection would do.

    Errors: ``store`` (corrupt, io) when a memo or pin cannot be read: it may be the one that keeps a ware.
    """
    plan = Plan()
    plan.stock = _take_stock(store)
    partials = [(path, size, policy.is_young(changed)) for path, size, changed in store.partials.unheld()]
    plan.partials = [(path, size) for path, size, young in partials if not young]
    plan.total = sum(stock.size for stock in plan.stock.values()) + sum(size for _, size, _ in partials)
    plan.freed = sum(size for _, size in plan.partials)
    hard: dict[WareId, list[str]] = {}
    for ware, why in (*roots, *_own_roots(store)):
        hard.setdefault(ware, []).append(why)
    memos = list(_memos(store))
    _Sifting(plan, policy, hard, memos, store).run()
    _sift_layers(store, plan, policy)
    return plan


def _sift_layers(store: Store, plan: Plan, policy: Policy) -> None:
    """Those of images that stay, stay; all go where there is no room, for they come again."""
    with storing("cannot look through the layers of images"):
        there = list(store.layers.all())
    if not there:
        return
    kept = (store.images.find(ware) for ware in plan.stock if ware.packtype == "oci")
    needed = layers_of(image for image in kept if image is not None)
    total = sum(size for _, _, size in there)
    plan.total += total
    if policy.max_size is not None and plan.left > policy.max_size:
        needed = set()
    plan.layers = [(path, size) for digest, path, size in there if digest not in needed]
    plan.freed += sum(size for _, size in plan.layers)


class _Sifting:
    """Dividing the stock into what stays and what goes."""

    def __init__(
        self, plan: Plan, policy: Policy, hard: dict[WareId, list[str]], memos: list[Memoised], store: Store
    ) -> None:
        self._plan = plan
        self._policy = policy
        self._hard = hard
        self._store = store
        self._memos = {known.formula_id: known for known in memos}
        self._used = {known.formula_id: self._last_use(known) for known in memos}
        self._kept_by: Counter[WareId] = Counter()

    def run(self) -> None:
        plan, policy = self._plan, self._policy
        for formula_id in [key for key, used in self._used.items() if policy.is_old(used)]:
            self._drop_memo(formula_id)
        for known in self._memos.values():
            self._kept_by.update({*known.results, *known.inputs})
        garbage = [stock for stock in plan.stock.values() if not self._stays(stock)]
        for stock in garbage:
            self._drop(stock)
        if policy.max_size is not None and plan.left > policy.max_size:
            self._shrink(policy.max_size)
        self._explain()

    def _stays(self, stock: Stock) -> bool:
        ware = stock.ware
        return ware in self._hard or self._kept_by[ware] > 0 or self._policy.is_young(stock.used)

    def _last_use(self, known: Memoised) -> float:
        """A memo is used when its results are: each look at these renews their times."""
        stock = self._plan.stock
        return max([known.written, *(stock[ware].used for ware in known.results if ware in stock)])

    def _drop_memo(self, formula_id: str) -> Memoised:
        self._plan.memos.append(formula_id)
        return self._memos.pop(formula_id)

    def _drop(self, stock: Stock) -> None:
        self._plan.freed += stock.size
        self._plan.wares.append(stock)
        del self._plan.stock[stock.ware]

    def _shrink(self, limit: int) -> None:
        plan = self._plan
        spare = [
            (tree.last_use, tree, size, stock)
            for stock in plan.stock.values()
            for tree, size in stock.trees
            if RUNNING not in self._hard.get(stock.ware, ())  # an action may stand on it
            and (stock.packed or self._store.warehouse.has(stock.ware))
        ]
        for _, tree, size, stock in sorted(spare, key=lambda row: row[0]):
            if plan.left <= limit:
                return
            stock.trees.remove((tree, size))
            plan.trees.append((tree, size))
            plan.freed += size
        self._forget(limit)

    def _forget(self, limit: int) -> None:
        """Memos, and wares that nothing but their age keeps, oldest first."""
        plan = self._plan
        alone = [s for s in plan.stock.values() if s.ware not in self._hard and not self._kept_by[s.ware]]
        queue: list[tuple[float, Stock | str]] = [(stock.used, stock) for stock in alone]
        queue += [(self._used[formula_id], formula_id) for formula_id in self._memos]
        for _, what in sorted(queue, key=lambda row: row[0]):
            if plan.left <= limit:
                return
            if isinstance(what, Stock):
                self._drop(what)
                continue
            known = self._memos[what]
            freed = [ware for ware in {*known.results, *known.inputs} if self._is_alone(ware)]
            if not freed and not any(ware not in self._hard and ware in plan.stock for ware in known.results):
                continue  # forgetting it would free nothing now or later
            self._drop_memo(what)
            for ware in {*known.results, *known.inputs}:
                self._kept_by[ware] -= 1
            for ware in freed:
                self._drop(plan.stock[ware])

    def _is_alone(self, ware: WareId) -> bool:
        return ware in self._plan.stock and ware not in self._hard and self._kept_by[ware] == 1

    def _explain(self) -> None:
        reasons = self._plan.reasons
        for ware, why in self._hard.items():
            if ware in self._plan.stock:
                reasons[ware] = list(why)
        for known in self._memos.values():
            for wares, words in ((known.results, "result of"), (known.inputs, "input of")):
                for ware in dict.fromkeys(wares):
                    if ware in self._plan.stock:
                        reasons.setdefault(ware, []).append(f"{words} formula {known.formula_id}, which is memoised")
        if self._policy.keep_for is not None:
            for ware, stock in self._plan.stock.items():
                if self._policy.is_young(stock.used):
                    reasons.setdefault(ware, []).append("used within the time that --keep-for says")


def _take_stock(store: Store) -> dict[WareId, Stock]:
    """Everything of our own: wares of a warehouse that stands in for ours are not ours to delete."""
    found: dict[WareId, Stock] = {}
    facts = dict(store.index.wares())
    with storing("cannot look through the store"):
        for ware, path in store.warehouse.own_wares():
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                stock = found.setdefault(ware, Stock(ware))
                stock.packed, stock.packed_bytes, stock.used = path, status.st_size, status.st_mtime
        for tree in trees(store.layout):
            stock = found.setdefault(tree.ware, Stock(tree.ware))
            known = facts.get(tree.ware)
            size = known.unpacked_bytes if known is not None and known.entries else tree_bytes(tree.path)
            stock.trees.append((tree, size))
            stock.used = max(stock.used, tree.last_use)
    return found


def _own_roots(store: Store) -> Iterator[Root]:
    for name, ware in store.kept.pins():
        yield Root(ware, f"pinned as {name}")
    with storing("cannot read what running processes need"):
        for ware in pinned(store.layout.roots):
            yield Root(ware, RUNNING)


def _memos(store: Store) -> Iterator[Memoised]:
    """Every memo. Errors: ``store`` for one that cannot be read."""
    inputs: dict[str, tuple[WareId, ...]] = {}
    for entry in store.runs.entries():  # the newest first
        if entry.formula_id and entry.memoised and entry.formula_id not in inputs:
            inputs[entry.formula_id] = tuple(_wares(entry.inputs.values()))
    for formula_id in store.memo.formula_ids():
        path = store.layout.memo(formula_id)
        try:
            with open(path, "rb") as file:
                written = os.fstat(file.fileno()).st_mtime
                record = memo.parse(file.read(), formula_id)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise refusal(f"the memo of {formula_id}", path, store_error(error, f"cannot read {path}")) from error
        except WarpforgeError as error:
            raise refusal(f"the memo of {formula_id}", path, error) from error
        results = tuple(result for result in record.results.values() if isinstance(result, WareId))
        yield Memoised(formula_id, results, inputs.get(formula_id, ()), written)


def refusal(what: str, path: str, cause: WarpforgeError) -> Unable:
    """The error for a root that cannot be read: nothing is deleted while it is not known what it keeps."""
    return Unable(
        "store",
        f"{what} cannot be read, so nothing was deleted: it may be what keeps a ware; `warpforge store repair` sets "
        "bad memos aside, a catalog is restored from where it came",
        cause=cause,
        reason="corrupt",
        path=path,
    )


def _wares(texts: Iterable[str]) -> Iterator[WareId]:
    for text in texts:
        if text.startswith("ware:"):
            with suppress(ValueError):
                yield WareId.parse(text[5:])
