"""What a container's mounts are: evaluated arguments -> sources, with every path made absolute.

Paths of the host: ``some/dir`` is relative to the directory of the file that says it, ``./some/dir`` and ``.`` to where
the command was given, nothing at all is the file's directory. Paths of a repository: ``/some/dir`` begins at its root,
``some/dir`` at the file's directory.
"""

from __future__ import annotations

import posixpath
from typing import Final

import msgspec

from warpforge.polytope.calls.taking import Taking, show
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import (
    Create,
    DatasetSource,
    HostSource,
    Mount,
    RepoSource,
    Source,
    StringSource,
    VolumeScope,
    VolumeSource,
)

CREATES: Final[tuple[Create, ...]] = ("never", "when-missing", "always")
SCOPES: Final[tuple[VolumeScope, ...]] = ("job", "project")
KINDS: Final = ("dataset", "host", "repo", "string", "volume")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a call does not say itself. Directories are absolute: ``base`` of the file that the arguments were written
    in, ``cwd`` where the command was given, ``root`` of the repository around ("": the base), ``home`` of whoever runs
    the job ("": not known). ``step``: the step's id; ``secrets``: texts that are never shown."""

    base: str = "/"
    cwd: str = "/"
    root: str = ""
    home: str = ""
    step: str = ""
    secrets: frozenset[str] = frozenset()


def take_mounts(taking: Taking, value: Value, facts: Facts) -> tuple[Mount, ...]:
    """The mounts; two at one path are a fault."""
    mounts: dict[str, tuple[Mount, str]] = {}
    for item, path in taking.items(value, "mounts"):
        said = taking.mapping(item, path)
        goal = take_absolute(taking, said.get("path"), f"{path}.path")
        source = take_source(taking, said.get("source"), f"{path}.source", facts)
        if goal in mounts:
            taking.fault(f"{path}.path", f"{goal} is mounted by {mounts[goal][1]} already")
        elif source is not None:
            mounts[goal] = Mount(goal, source), path
    return tuple(mount for mount, _ in mounts.values())


def take_absolute(taking: Taking, value: Value, path: str) -> str:
    """An absolute path of the container, in its shortest form."""
    text = taking.text(value, path)
    if not text.startswith("/") or "\0" in text:
        taking.fault(path, f"an absolute path was expected, not {show(value)}")
        return "/"
    if ".." in text.split("/"):
        taking.fault(path, f"{show(value)} leads upward: name the place itself")
        return "/"
    return _shortest(text)


def take_source(taking: Taking, value: Value, path: str, facts: Facts) -> Source | None:
    """One source; None after a fault."""
    said = taking.mapping(value, path)
    kind = said.get("type")
    if value is None:
        taking.fault(path, f"it says nothing; a source has a type: {', '.join(KINDS)}")
    elif kind == "host":
        return _take_host(taking, said, path, facts)
    elif kind == "repo":
        return _take_repo(taking, said, path, facts)
    elif kind == "string":
        return StringSource(taking.text(said.get("data"), f"{path}.data"))
    elif kind == "dataset":
        return _take_dataset(taking, said, path)
    elif kind == "volume":
        return _take_volume(taking, said, path, facts)
    elif isinstance(value, dict):
        taking.fault(f"{path}.type", f"{show(kind)} is none of {', '.join(KINDS)}")
    return None


def _take_host(taking: Taking, said: dict[str, Value], path: str, facts: Facts) -> HostSource | None:
    text = taking.text(said.get("path"), f"{path}.path")
    if "\0" in text:
        taking.fault(f"{path}.path", "a path has no zero byte")
        return None
    if text == "~" or text.startswith("~/"):
        if facts.home:
            return HostSource(_shortest(f"{facts.home}/{text[1:]}"))
        taking.fault(f"{path}.path", f"{text}: it is not known whose home this is; name the directory")
        return None
    start = facts.cwd if text == "." or text.startswith("./") else facts.base
    return HostSource(_shortest(posixpath.join(start, text)))


def _take_repo(taking: Taking, said: dict[str, Value], path: str, facts: Facts) -> RepoSource | None:
    repo = taking.text(said.get("repo"), f"{path}.repo")
    revision = taking.text(said.get("revision"), f"{path}.revision")
    text = taking.text(said.get("path"), f"{path}.path", "/")
    root = facts.root or facts.base
    if repo or text.startswith("/") or not text:
        whole = posixpath.normpath(f"/{text.lstrip('/')}")
        if ".." not in text.split("/"):
            return RepoSource(whole.strip("/"), "" if repo == root else repo, revision)
    else:
        inside = posixpath.relpath(posixpath.join(facts.base, text), root)
        if inside != ".." and not inside.startswith("../"):
            return RepoSource("" if inside == "." else inside, "", revision)
    taking.fault(f"{path}.path", f"{show(text)} leads out of the repository")
    return None


def _take_dataset(taking: Taking, said: dict[str, Value], path: str) -> DatasetSource | None:
    dataset = taking.text(said.get("dataset"), f"{path}.dataset")
    version = taking.whole(said.get("version"), f"{path}.version")
    if not dataset:
        taking.fault(f"{path}.dataset", "which dataset?")
        return None
    if version < 0:
        taking.fault(f"{path}.version", "versions are numbered from 1")
    return DatasetSource(dataset, taking.text(said.get("path"), f"{path}.path").strip("/"), max(version, 0))


def _take_volume(taking: Taking, said: dict[str, Value], path: str, facts: Facts) -> VolumeSource:
    source: Source | None = None
    if said.get("source") is not None:
        source = take_source(taking, said["source"], f"{path}.source", facts)
    if isinstance(source, VolumeSource):
        taking.fault(f"{path}.source.type", "a volume is not filled from a volume")
        source = None
    return VolumeSource(
        taking.text(said.get("id"), f"{path}.id"),
        taking.choice(said.get("scope"), f"{path}.scope", SCOPES, "job"),
        taking.choice(said.get("create"), f"{path}.create", CREATES, "when-missing"),
        source,
    )


def _shortest(path: str) -> str:
    return posixpath.normpath(f"/{path.lstrip('/')}")
