"""Update: a catalog that came from a git repository gets what that repository has now, all at once or not at all.

ask for the branch · fetch its commit into a repository of ours · write its tree beside the old directory · check what
is new in it as documents, and against what was published before · carry along what only we have · swap the directories

The last two steps hold the lock of the catalog's writers; whoever finds it updated meanwhile begins again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.catalog.check import ERROR
from warpforge.catalog.clone import (
    GIT,
    Origin,
    base_of,
    borrow,
    build_git,
    is_ahead,
    is_branch,
    is_shallow,
    read_origin,
)
from warpforge.catalog.edit import forget_known, writing
from warpforge.catalog.examine import examine
from warpforge.catalog.ours import Ours, is_as_published, tree_of, walk
from warpforge.catalog.succession import GONE, REWRITTEN, Step, succession
from warpforge.catalog.tree import Catalog
from warpforge.engine.checkout import Checkout, check_out
from warpforge.errors import Failed, Invalid, Unable, store_error
from warpforge.fsx.atomic import exchange, fsync_dir, make_dirs, rename_noreplace
from warpforge.fsx.git import Bare
from warpforge.fsx.linux import syncfs
from warpforge.mirror.git import GitRemote
from warpforge.model.atoms import WareId
from warpforge.model.findings import Finding, invalid_document
from warpforge.model.names import is_catalog_name, is_module_name
from warpforge.pack.limits import DEFAULT, Limits
from warpforge.store.staging import Staging

if TYPE_CHECKING:
    from warpforge.catalog.believe import Believer
    from warpforge.mirror.policy import Access

LOCAL: Final = "local"
SAME: Final = "same"
UPDATED: Final = "updated"
INSTALLED: Final = "installed"
LARGEST: Final = 1 << 30  # bytes of a fetch
TOLD: Final = 20  # of many things in one error


class Update(NamedTuple):
    """How a catalog fared. ``state``: local (it came from nowhere), same, updated, installed.

    ``steps``: what became of its releases.
    """

    name: str
    state: str
    commit: str = ""
    before: str = ""
    steps: Sequence[Step] = ()


class Updater:
    """Brings catalogs of a root workspace up to date; ``internal`` is its ``.warpforge``.

    ``force``: what was published may be taken back, and what was changed here is dropped. ``believer``: what believing
    the catalog at a path takes, where keys are trusted for it.
    """

    def __init__(
        self,
        internal: Path,
        access: Access,
        *,
        force: bool = False,
        jobs: int = 1,
        limits: Limits = DEFAULT,
        believer: Callable[[Path], Believer | None] = lambda _: None,
    ) -> None:
        self._internal = internal
        self._access = access._replace(policy=access.policy._replace(largest=min(access.policy.largest, LARGEST)))
        self._force = force
        self._jobs = jobs
        self._limits = limits
        self._believer = believer

    def install(self, name: str, address: str, branch: str = "") -> Update:
        """A new catalog from a repository. ``branch``: of it; by default the one that its HEAD is.

        Errors: ``catalog-name``, ``already-exists``, ``git``, ``fetch``, ``catalog-invalid``, ``ware-limit``,
        ``store``.
        """
        if not is_catalog_name(name):
            raise Invalid("catalog-name", f"not a catalog name: {name!r}", catalog=name)
        catalog = Catalog(self._internal / "catalogs" / name)
        if os.path.lexists(catalog.path):
            raise _taken(catalog)
        remote = GitRemote.named(address, self._access)
        with self._work() as work:
            theirs, commit = _find_branch(remote, branch, work)
            with _storing(f"cannot write catalog {name}"):
                bare, fresh = self._bring(remote, commit, work, None, "")
                self._examine(catalog, fresh)
                build_git(fresh.path / GIT, bare, Origin(address, theirs, theirs, commit), None)
                make_dirs(catalog.path.parent)
                with writing(catalog):
                    syncfs(work)
                    try:
                        rename_noreplace(fresh.path, catalog.path)
                    except FileExistsError:
                        raise _taken(catalog) from None
                    fsync_dir(catalog.path.parent)
            steps = tuple(succession(Catalog(work / "nothing"), catalog, catalog.modules()))
        return Update(name, INSTALLED, commit, "", steps)

    def update(self, catalog: Catalog) -> Update:
        """One catalog. Errors: as ``install``; ``catalog-invalid`` (rollback), ``already-exists`` (changed here)."""
        if catalog.path.is_symlink():
            return Update(catalog.name, LOCAL)
        while True:
            with self._work() as work:
                done = self._update(catalog, work)
            if done is not None:
                return done

    def _update(self, catalog: Catalog, work: Path) -> Update | None:
        """None when somebody else updated it meanwhile."""
        if not os.path.lexists(catalog.path / GIT):
            return Update(catalog.name, LOCAL)
        asking = Bare(work / "ask")
        origin = read_origin(catalog.path, asking)
        if origin is None:
            return Update(catalog.name, LOCAL)
        remote = GitRemote.named(origin.address, self._access)
        _, commit = _find_branch(remote, origin.theirs, work)
        if commit == origin.commit:
            if not self._force or self._stands(catalog, asking, commit):
                return Update(catalog.name, SAME, commit, commit)
        elif is_ahead(asking, catalog.path, origin, commit):
            return Update(catalog.name, SAME, commit, commit)
        with _storing(f"cannot write catalog {catalog.name}"):
            bare, fresh = self._bring(remote, commit, work, catalog.path, origin.commit)
            self._examine(catalog, fresh)
            with writing(catalog):
                if read_origin(catalog.path, asking) != origin:
                    return None
                steps = self._accept(catalog, fresh, tree_of(bare, base_of(bare, origin)))
                build_git(fresh.path / GIT, bare, origin._replace(commit=commit), catalog.path / GIT)
                syncfs(work)
                exchange(fresh.path, catalog.path)
                fsync_dir(catalog.path.parent)
        return Update(catalog.name, UPDATED, commit, origin.commit, steps)

    def _stands(self, catalog: Catalog, asking: Bare, commit: str) -> bool:
        """Whether all files are as the commit has them that the clone is at."""
        return borrow(asking, catalog.path, commit) and is_as_published(catalog.path, tree_of(asking, commit))

    def _bring(self, remote: GitRemote, commit: str, work: Path, old: Path | None, had: str) -> tuple[Bare, _Fresh]:
        """Fetch a commit and write its tree; from a clone that turns out not to be whole nothing is borrowed."""
        for number, lends in enumerate((old, None)):
            bare = Bare(work / f"git-{number}", size=len(commit))
            fresh = _Fresh(work / f"tree-{number}", commit)
            borrowed = lends is not None and borrow(bare, lends, had)
            history = borrowed and lends is not None and not is_shallow(lends)
            try:
                remote.bring(WareId("git", commit), bare.directory, _silent, history=history)
                fresh.check_out(bare, old, self._limits)
                break
            except Unable as error:
                if not borrowed or error.reason != "failed":
                    raise
        return bare, fresh

    def _examine(self, catalog: Catalog, fresh: _Fresh) -> None:
        """What is new, as documents of a catalog, signed where it must be. Errors: ``catalog-invalid`` (all faults)."""
        modules = sorted(module for module in fresh.modules if (fresh.path / module).is_dir())
        faults = [
            Finding(f"{fault.path}{fault.pointer}", fault.message, fault.reason)
            for one in examine(Catalog(fresh.path), modules, self._jobs)
            for fault in one.faults
            if fault.level == ERROR
        ]
        if faults:
            raise invalid_document("catalog-invalid", f"{catalog.name} at {fresh.commit[:12]}", faults[:TOLD])
        believer = None if self._force else self._believer(catalog.path)
        if believer is not None:
            from warpforge.catalog.view import SignedView

            signed = Catalog(fresh.path, SignedView(believer, fresh.path))
            for module in modules or [""]:
                signed.module(module)
                signed.mirrors(module)

    def _accept(self, catalog: Catalog, fresh: _Fresh, had: dict[str, str] | None) -> tuple[Step, ...]:
        """What we have and the repository does not is carried along, or it is a reason to refuse."""
        ours = Ours(catalog.path, fresh.path, fresh.files, had)
        fresh.modules.update(module for path in ours.differing if (module := _module_of(path)))
        changed = [] if self._force else [*ours.changed()]
        if changed:
            raise Failed(
                "already-exists",
                f"catalog {catalog.name} was changed here, and the repository says something else of "
                f"{_listed(changed)}: publish that there, or use --force to drop it",
                reason="changed",
                catalog=catalog.name,
                paths="\n".join(changed[:TOLD]),
            )
        ours.carry()
        steps = tuple(succession(catalog, Catalog(fresh.path), sorted(fresh.modules)))
        taken = [step for step in steps if step.kind in (GONE, REWRITTEN)]
        if taken and not self._force:
            raise Invalid(
                "catalog-invalid",
                f"the repository of catalog {catalog.name} takes back what it published: "
                f"{_listed([f'{step} is {step.kind}' for step in taken])}; nothing was changed here. "
                "Ask those who publish it; --force takes it over all the same",
                reason="rollback",
                catalog=catalog.name,
                releases=" ".join(f"{step.module}:{step.release}" for step in taken[:TOLD]),
                commit=fresh.commit,
            )
        for step in taken:
            forget_known(catalog, step.module, [step.release])
        return steps

    @contextmanager
    def _work(self) -> Iterator[Path]:
        """A private directory on the file system of the workspace; what killed updates left there is swept."""
        staging = Staging(os.fspath(self._internal / "tmp"))
        try:
            yield Path(staging.directory())
        finally:
            staging.close()


class _Fresh:
    """The new directory. ``modules``: those of which something is not as it was."""

    def __init__(self, path: Path, commit: str) -> None:
        self.path = path
        self.commit = commit
        self.files: set[str] = set()
        self.modules: set[str] = set()

    def check_out(self, bare: Bare, old: Path | None, limits: Limits) -> None:
        found: Checkout = check_out(bare, self.commit, self.path, old, limits)
        self.files = found.files
        gone = [path for path in walk(old) if path not in found.files] if old else []
        self.modules = {module for path in (*found.touched, *gone) if (module := _module_of(path))}


def _silent(done: int, total: int | None) -> None:
    pass


def _module_of(path: str) -> str:
    """The module that a file is part of, or an empty text."""
    module, mark, _ = path.partition("/_")
    return module if mark and is_module_name(module) else ""


def _find_branch(remote: GitRemote, wanted: str, work: Path) -> tuple[str, str]:
    """A branch of the repository, and the commit it is at. Errors: ``git`` (ref), ``fetch``."""
    head, branches = remote.branches(work / "names")
    name = wanted or head
    if not name or not is_branch(name) or name not in branches:
        known = ", ".join(sorted(branches)[:TOLD]) or "none"
        what = f"no branch {name!r} (any more)" if name else "no branch that its HEAD is: name one with --branch"
        raise Unable("git", f"{remote.name} has {what}; it has: {known}", reason="ref", ref=name, address=remote.name)
    return name, branches[name]


def _listed(things: Sequence[str]) -> str:
    rest = len(things) - TOLD
    return ", ".join(things[:TOLD]) + (f" and {rest} more" if rest > 0 else "")


def _taken(catalog: Catalog) -> Failed:
    return Failed("already-exists", f"there is a catalog {catalog.name} already", path=catalog.path)


@contextmanager
def _storing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_error(error, what) from error
