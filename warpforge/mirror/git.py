"""Mirrors that are git repositories: for a ware ``git:<commit>``, any address without ``ca+`` is one.

A commit is fetched alone; from servers that give no single commits, with all that leads to it.
"""

from __future__ import annotations

import os
import random
import re
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Unable, WarpforgeError
from warpforge.fsx.git import Bare, is_id
from warpforge.fsx.scratch import scratch

from .git_process import GitFailed, converse
from .git_url import GitUrl, Unsafe, find_submodule, parse_git_remote, parse_git_url
from .git_way import Way, find_way
from .policy import DEFAULT, Access

if TYPE_CHECKING:
    from warpforge.model.atoms import WareId

    from .protocol import Moved

# where git looks for a name, first match wins (gitrevisions)
_RULES: Final = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
_MOST: Final = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_ALL: Final = ("+refs/*:refs/*",)


def _silent(done: int, total: int | None) -> None:
    pass


class GitRemote:
    """A repository that commits are fetched from."""

    def __init__(self, url: GitUrl, access: Access = DEFAULT, network: str = "") -> None:
        self.name: Final = url.url
        self._url = url
        self._access = access
        self._network = network

    @classmethod
    def of(cls, address: str, access: Access = DEFAULT) -> GitRemote:
        """The repository at an address. Errors: ``git`` (unsafe)."""
        try:
            return cls(parse_git_url(address), access)
        except Unsafe as error:
            raise _unsafe(address, error) from None

    @classmethod
    def named(cls, text: str, access: Access = DEFAULT) -> GitRemote:
        """The repository that a person's own git would go to for this text. Errors: ``git`` (unsafe)."""
        try:
            return cls(parse_git_remote(text), access)
        except Unsafe as error:
            raise _unsafe(text, error) from None

    @classmethod
    def at(cls, path: Path, access: Access = DEFAULT) -> GitRemote:
        """A repository of this machine."""
        return cls(GitUrl("file", "", os.path.abspath(path)), access)

    def submodule(self, address: str) -> GitRemote:
        """Where an address in ``.gitmodules`` leads; a password stays with the place that it was given for.

        What came over HTTP may send us on to a network as near as its own, or to the public one. Errors: ``git``
        (unsafe).
        """
        try:
            found = find_submodule(self._url, address)
        except Unsafe as error:
            raise _unsafe(address, error) from None
        network = self._way.network if self._url.scheme in ("http", "https") else ""
        return GitRemote(found, self._access, network)

    def bring(self, ware: WareId, directory: Path, moved: Moved, *, history: bool = False) -> None:
        """Fetch the commit into the bare repository at ``directory``, which may hold others; made if it is not there.

        ``history``: with the commits before it that are not there yet.
        Errors: ``fetch`` (not-found, net, size, policy), ``git`` (unsafe, missing).
        """
        commit = ware.hash
        if not is_id(commit):
            raise self._error("a commit's id is 40 or 64 hexadecimal digits", "policy")
        bare = Bare(directory, size=len(commit))
        if not bare.has_commit(commit):
            self._bring(bare, commit, moved, [] if history else ["--depth=1"])
        if not bare.has_commit(commit):
            raise self._absent(commit)

    def has(self, ware: WareId) -> bool:
        """Whether the repository gives this commit, without its files. Errors: as ``bring``."""
        if not is_id(ware.hash):
            return False
        with scratch() as work:
            bare = Bare(work / "git", size=len(ware.hash))
            try:
                self._fetch(bare, ["--depth=1", "--filter=tree:0"], [ware.hash], _silent)
                return bare.has_commit(ware.hash)
            except GitFailed as fault:
                if fault.kind == "refused":  # it gives no single commits: what has a name is there
                    return ware.hash in self._names(bare).values()
                if fault.kind == "absent":
                    return False
                raise self._explain(fault, ware.hash) from fault

    def resolve(self, ref: str, directory: Path) -> str:
        """The id of what ``ref`` names now, which is a commit or is refused when it is brought.

        ``ref``: a name by git's rules, a full or short id, or any revision such as ``HEAD~2``. ``directory``: of a
        repository that may be made for this, with commits but without trees.
        Errors: ``git`` (ref, unsafe, missing), ``fetch``.
        """
        if not ref or ref.startswith("-") or not ref.isprintable():
            raise Unable("git", f"not a git ref: {ref!r}", reason="unsafe", ref=ref)
        try:
            if is_id(ref):
                bare = Bare(directory, size=len(ref))
                self._fetch(bare, ["--depth=1", "--filter=tree:0"], [ref], _silent)
                return self._parse(bare, ref, ref)
            names = self._names(Bare(directory.with_name(directory.name + "-names")))
            name = next((name for rule in _RULES if (name := rule.format(ref)) in names), None)
            if name is not None:
                return names.get(name + "^{}", names[name])
            # only the history can tell
            bare = Bare(directory, size=max(map(len, names.values()), default=40))
            head = ["+HEAD:refs/HEAD"] if "HEAD" in names else []
            self._fetch(bare, ["--update-shallow", "--filter=tree:0"], [*_ALL, *head], _silent)
            return self._parse(bare, re.sub(r"^(HEAD|@)(?![\w/])", "refs/HEAD", ref), ref)
        except GitFailed as fault:
            if fault.kind == "absent":
                raise self._no_ref(ref) from fault
            raise self._explain(fault, ref) from fault

    def tags(self, directory: Path) -> dict[str, str]:
        """The id of what each tag leads to, by its name, in the order in which the repository gives them.

        ``directory`` as for ``resolve``. Errors: ``git`` (missing, unsafe), ``fetch``.
        """
        names = self.names(directory)
        return {name.removeprefix("refs/tags/"): oid for name, oid in names.items() if name.startswith("refs/tags/")}

    def names(self, directory: Path) -> dict[str, str]:
        """The id of what each name leads to, as ``tags`` has it: ``refs/heads/main`` and all others, and HEAD."""
        try:
            names = self._names(Bare(directory))
        except GitFailed as fault:
            raise self._explain(fault, "its names") from fault
        return {name: names.get(name + "^{}", oid) for name, oid in names.items() if not name.endswith("^{}")}

    def branches(self, directory: Path) -> tuple[str, dict[str, str]]:
        """The branch that HEAD is (empty when it is none), and the commit of each branch.

        ``directory`` as for ``resolve``. Errors: ``git`` (missing, unsafe), ``fetch``.
        """
        prefix = "refs/heads/"
        try:
            listed = self._listed(Bare(directory))
        except GitFailed as fault:
            raise self._explain(fault, "its branches") from fault
        head = next((said.removeprefix("ref: ") for said, name in listed if name == "HEAD" and said[:4] == "ref:"), "")
        found = {name.removeprefix(prefix): oid for oid, name in listed if name.startswith(prefix) and is_id(oid)}
        return head.removeprefix(prefix) if head.startswith(prefix) else "", found

    def _parse(self, bare: Bare, revision: str, ref: str) -> str:
        try:
            return bare.run("rev-parse", "-q", "--verify", "--end-of-options", revision + "^{commit}").decode().strip()
        except Unable as error:
            if error.reason == "missing":
                raise
            raise self._no_ref(ref) from error

    def _bring(self, bare: Bare, commit: str, moved: Moved, options: list[str]) -> None:
        try:
            self._fetch(bare, options, [commit], moved)
        except GitFailed as fault:
            if fault.kind != "refused":
                raise self._explain(fault, commit) from fault
            self._bring_all(bare, commit, moved)

    def _bring_all(self, bare: Bare, commit: str, moved: Moved) -> None:
        """From who gives no single commits: branches and tags, then whatever else has a name."""
        try:
            for names in (_MOST, _ALL):
                self._fetch(bare, ["--update-shallow"], [*names], moved)
                if bare.has_commit(commit):
                    return
        except GitFailed as fault:
            raise self._explain(fault, commit) from fault

    def _names(self, bare: Bare) -> dict[str, str]:
        """Every name with its id; where a tag leads to is called as the tag with ``^{}``. Raises GitFailed."""
        return {name: oid for oid, name in self._listed(bare) if is_id(oid)}

    def _listed(self, bare: Bare) -> list[tuple[str, str]]:
        """Every name behind its id; what is only another name stands behind ``ref:`` and that. Raises GitFailed."""
        said = self._converse(bare, ["ls-remote", "-q", "--symref", "--", self._way.url], _silent)
        lines = said.decode("utf-8", "surrogateescape").splitlines()
        return [(said, name) for said, _, name in (line.partition("\t") for line in lines)]

    def _fetch(self, bare: Bare, options: list[str], wanted: list[str], moved: Moved) -> None:
        """Raises GitFailed."""
        usual = ["--progress", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        self._converse(bare, ["fetch", *usual, *options, "--", self._way.url, *wanted], moved)

    def _converse(self, bare: Bare, arguments: list[str], moved: Moved) -> bytes:
        """What may pass is tried again. Raises GitFailed."""
        way, policy = self._way, self._access.policy
        environment = bare.environment((way.protocol,), way.config, dict(way.more))
        tries = 1
        while True:
            try:
                return converse(bare, arguments, environment, policy, lambda done: moved(done, None))
            except GitFailed as fault:
                if fault.kind != "net" or way.protocol == "file" or tries >= policy.tries:
                    raise
            pause = policy.pause * 2 ** (tries - 1) * random.uniform(0.5, 1.5)
            threading.Event().wait(min(policy.patience, pause))
            tries += 1

    @cached_property
    def _way(self) -> Way:
        if self._access.offline and self._url.scheme != "file":
            raise self._error("not asked, for this is offline", "offline")
        if self._url.scheme == "file" and not os.path.isdir(self._url.path):
            raise self._error("not found", "not-found")
        return find_way(self._url, self.name, self._access, self._network)

    def _explain(self, fault: GitFailed, wanted: str) -> WarpforgeError:
        if fault.kind == "absent":
            return self._absent(wanted)
        if fault.kind == "unsafe":
            return Unable("git", f"{self.name}: {fault}: refused", reason="unsafe", address=self.name)
        return self._error(str(fault), fault.kind if fault.kind in ("net", "size") else "net")

    def _absent(self, commit: str) -> Unable:
        return self._error(f"has no commit {commit}", "not-found")

    def _no_ref(self, ref: str) -> Unable:
        where = self._url.path if self._url.scheme == "file" else self.name
        return Unable("git", f"{where} has no commit called {ref!r}", reason="ref", ref=ref, path=where)

    def _error(self, what: str, reason: str) -> Unable:
        return Unable("fetch", f"{self.name}: {what}", reason=reason, address=self.name)


def _unsafe(address: str, error: Unsafe) -> Unable:
    from .protocol import shown

    return Unable("git", f"{shown(address)!r} is not followed: {error}", reason="unsafe", address=shown(address))
