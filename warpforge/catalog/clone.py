"""Clones: a catalog directory with a ``.git``, which says where it came from, and what it had there.

``.git`` is git's own: the original clones such a catalog and pulls, and so may a person. Here git never works in it:
its settings, hooks and filters count for nothing. What it says is read as text, and a new one is built beside it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Unable
from warpforge.fsx.git import is_id
from warpforge.fsx.links import link_file, link_tree

if TYPE_CHECKING:
    from warpforge.fsx.git import Bare

GIT: Final = ".git"
_HEADS: Final = "refs/heads/"
_BRANCH: Final = re.compile(r"(?!/)(?:(?!\.\.|//|/\.)[^\x00-\x20\x7f~^:?*\[\\])+(?<![/.])\Z")  # git-check-ref-format(1)
_LARGEST: Final = 64 << 20  # bytes of packed-refs


class Origin(NamedTuple):
    """Where a clone came from. ``branch``: its own; ``theirs``: the remote's.

    ``commit``: what its branch has, empty if nothing; ``seen``: what it last saw of the remote's. ``address`` is as git
    takes it, and may hold a password.
    """

    address: str
    branch: str
    theirs: str
    commit: str = ""
    remote: str = "origin"
    seen: str = ""


def is_branch(name: str) -> bool:
    """Whether git would let a branch be called so."""
    return bool(_BRANCH.match(name)) and not name.startswith("-") and not any(
        part.startswith(".") or part.endswith(".lock") for part in name.split("/")
    )  # fmt: skip


def read_origin(catalog: Path, bare: Bare) -> Origin | None:
    """What ``.git`` says; None for a catalog without one, or with one that names no other place.

    ``bare``: a repository of ours, to read settings with. Errors: ``git`` (clone; busy).
    """
    dot = catalog / GIT
    if not os.path.lexists(dot):
        return None
    if dot.is_symlink() or not dot.is_dir():
        raise _odd(catalog, "its .git is no directory: update it where its repository is")
    if (dot / "index.lock").exists():
        raise _odd(catalog, "git is at work in it (.git/index.lock)", "busy")
    try:
        settings = _settings(dot / "config", bare)
        head = (dot / "HEAD").read_bytes()[:4096].decode("utf-8", "replace").strip()
        branch = head.removeprefix(f"ref: {_HEADS}")
        remote = settings.get(f"branch.{branch}.remote", "origin")
        address = settings.get(f"remote.{remote}.url", "")
        if not address:
            return None
        if branch == head or not is_branch(branch):
            raise _odd(catalog, f"its HEAD is no branch ({head[:80]!r}): `git switch` to one")
        theirs = settings.get(f"branch.{branch}.merge", _HEADS + branch).removeprefix(_HEADS)
        seen = _read_ref(dot, f"refs/remotes/{remote}/{theirs}") if is_branch(f"{remote}/{theirs}") else ""
        return Origin(address, branch, theirs, _read_ref(dot, _HEADS + branch), remote, seen)
    except OSError as error:
        raise _odd(catalog, f"its .git cannot be read: {error.strerror}", cause=error) from error


def is_shallow(catalog: Path) -> bool:
    """Whether a clone has only the last of the commits."""
    return (catalog / GIT / "shallow").exists()


def base_of(bare: Bare, origin: Origin) -> str:
    """The last commit that a clone shares with its remote: what it has beyond that was never published."""
    if origin.commit and origin.seen and origin.seen != origin.commit:
        with suppress(Unable):
            return bare.run("merge-base", origin.commit, origin.seen).decode().strip()
    return origin.commit


def is_ahead(bare: Bare, catalog: Path, origin: Origin, commit: str) -> bool:
    """Whether a clone has a commit of its remote already, beneath commits of its own."""
    if not origin.commit or not borrow(bare, catalog, origin.commit) or not bare.has_commit(commit):
        return False
    try:
        return bare.run("merge-base", commit, origin.commit).decode().strip() == commit
    except Unable:
        return False


def borrow(bare: Bare, catalog: Path, commit: str) -> bool:
    """Let our repository find what a clone has, as far as that is whole; gives whether ``commit`` is there."""
    dot = catalog / GIT
    try:
        shallow = (dot / "shallow").read_bytes() if is_shallow(catalog) else b""
        bare.borrow(dot / "objects", shallow)
        if not commit or not bare.has_commit(commit):
            return False
        bare.run("update-ref", "refs/warpforge/had", commit)
    except (OSError, Unable):
        return False
    return True


def build_git(goal: Path, bare: Bare, origin: Origin, old: Path | None) -> None:
    """A ``.git`` at ``goal`` whose branch is at ``origin.commit``, which ``bare`` holds.

    ``old``: the one there was, whose objects, settings and other branches are carried along. Raises OSError.
    Errors: ``git`` (failed).
    """
    bare.run("read-tree", origin.commit)
    ours = bare.directory
    remote_ref = f"refs/remotes/{origin.remote}/{origin.theirs}"
    refs = [_HEADS + origin.branch, *([remote_ref] if is_branch(origin.remote) and is_branch(origin.theirs) else [])]
    if old is not None:
        link_tree(old, goal, {"index", "shallow", "FETCH_HEAD", "ORIG_HEAD", *refs})
    else:
        for directory in ("objects/pack", "refs/heads", "refs/tags", "info", "hooks"):
            (goal / directory).mkdir(parents=True, exist_ok=True)
        (goal / "config").write_text(_config(ours, origin))
        (goal / "config").chmod(0o600 if "@" in origin.address else 0o644)
        (goal / "HEAD").write_text(f"ref: {_HEADS}{origin.branch}\n")
    for pack in (ours / "objects" / "pack").iterdir():
        (goal / "objects" / "pack").mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link_file(pack, goal / "objects" / "pack" / pack.name)
    if (ours / "shallow").exists():
        (goal / "shallow").write_bytes((ours / "shallow").read_bytes())
    (goal / "index").write_bytes((ours / "index").read_bytes())
    for ref in refs:
        (goal / ref).parent.mkdir(parents=True, exist_ok=True)
        (goal / ref).write_text(origin.commit + "\n")


def _settings(config: Path, bare: Bare) -> dict[str, str]:
    """Settings as git reads them from this one file, which includes no other. Errors: ``git`` (failed)."""
    said = bare.run("config", "--no-includes", "-z", "--list", "-f", str(config))
    pairs = (line.partition("\n") for line in said.decode("utf-8", "surrogateescape").split("\0"))
    return {key: value for key, _, value in pairs}


def _read_ref(dot: Path, ref: str) -> str:
    """The commit of a branch, or an empty text when it has none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        found = (dot / ref).read_bytes()[:100].decode("ascii", "replace").strip()
        return found if is_id(found) else ""
    with suppress(FileNotFoundError), open(dot / "packed-refs", "rb") as file:
        for line in file.read(_LARGEST).decode("utf-8", "surrogateescape").splitlines():
            oid, _, name = line.partition(" ")
            if name == ref and is_id(oid):
                return oid
    return ""


def _config(ours: Path, origin: Origin) -> str:
    kept = (ours / "config").read_text().replace("bare = true", "bare = false")
    return (
        f'{kept}[remote "origin"]\n\turl = {_quote(origin.address)}\n'
        f"\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
        f"[branch {_quote(origin.branch)}]\n\tremote = origin\n\tmerge = {_quote(_HEADS + origin.theirs)}\n"
    )


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _odd(catalog: Path, what: str, reason: str = "clone", cause: BaseException | None = None) -> Unable:
    return Unable("git", f"catalog {catalog.name}: {what}", cause=cause, reason=reason, path=catalog)
