"""The files that belong together, and what a reference means in one of them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple

from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.polytope.files.read import load_file, load_strict
from warpforge.polytope.issues import REFERENCE, Issue, not_there
from warpforge.polytope.nouns import NOWHERE, Include, Module, Place, PolytopeFile, Template

NAMES: Final = tuple(f"polytope.{end}" for end in ("yml", "yaml", "json", "edn"))
INCLUDE_LIMIT: Final = 500

_BUILTIN: Final = re.compile(r"(?:polytope|pt)/([a-z0-9-]+)")
_BUILTIN_DIRECTORY: Final = os.path.join(os.path.dirname(__file__), "..", "builtin")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Found(NamedTuple):
    """What a reference means, and the file in whose scope it was written."""

    noun: Module | Template
    file: PolytopeFile


def find_in(directory: str) -> str | None:
    """The polytope file of a directory."""
    return next((path for name in NAMES if os.path.isfile(path := os.path.join(directory, name))), None)


def find_file(directory: str) -> str | None:
    """The polytope file of a directory, or of the nearest one above; not above a git repository."""
    return next((path for place in _upward(directory) if (path := find_in(place))), None)


def find_highest(directory: str) -> str | None:
    """The polytope file of the highest directory within the git repository."""
    return next((path for place in reversed(list(_upward(directory))) if (path := find_in(place))), None)


def _upward(directory: str) -> Iterator[str]:
    directory = os.path.abspath(directory)
    while True:
        yield directory
        above = os.path.dirname(directory)
        if above == directory or os.path.exists(os.path.join(directory, ".git")):
            return
        directory = above


def repository_of(path: str) -> str:
    """The git repository that a file lies in, or ""."""
    directory = os.path.dirname(path)
    top = list(_upward(directory))[-1]
    return top if os.path.exists(os.path.join(top, ".git")) else ""


@lru_cache(128)
def load_builtin(name: str) -> PolytopeFile:
    """A file that ships with us. Errors: ``missing``."""
    path = os.path.join(_BUILTIN_DIRECTORY, f"{name}.yml")
    try:
        with open(path, "rb") as source:
            return load_strict(source.read(), f"polytope/{name}")
    except FileNotFoundError as error:
        near = get_close_matches(name, builtin_names(), 1)
        hint = f": did you mean polytope/{near[0]}?" if near else "; pt show lists those that there are"
        raise Missing("missing", f"there is no built-in module polytope/{name}{hint}", cause=error) from error


def builtin_names() -> list[str]:
    """All built-in files."""
    try:
        return sorted(name.removesuffix(".yml") for name in os.listdir(_BUILTIN_DIRECTORY) if name.endswith(".yml"))
    except FileNotFoundError:
        return []


class Library:
    """A root file (or none) and all that it includes.

    ``repositories``: where checkouts of repositories are, by ``owner/name``; ``revision``: where what one held at a
    revision is. ``issues``: what there is to say about the files; an include that cannot be had is one of them, and an
    error only for whoever needs it.
    """

    def __init__(
        self,
        root: str | None,
        *,
        directory: str,
        repositories: Mapping[str, str] = {},
        read: Callable[[str], bytes] | None = None,
        revision: Callable[[str, str], str] | None = None,
    ) -> None:
        self.directory = os.path.dirname(root) if root else directory
        self._root = os.path.abspath(root) if root else ""
        self._repositories = {_plain_repository(name): path for name, path in repositories.items()}
        self._read = read or _read
        self._revision = revision
        self._refreshing = threading.Lock()
        self._load_all()

    def refresh(self) -> None:
        """Read everything again if one of the files has changed: a job may write to them. What had been read stays as
        it was when that fails. Errors: those of the root file."""
        with self._refreshing:
            if any(_stamp(path) != stamp for path, stamp in self._stamps.items()):
                before = dict(self.__dict__)
                try:
                    self._load_all()
                except WarpforgeError:
                    self.__dict__.update(before)
                    raise

    def _load_all(self) -> None:
        self.issues: list[Issue] = []
        self.unresolved: list[Include] = []
        self._files: dict[str, PolytopeFile] = {}
        self._includes: dict[str, list[str]] = {}
        self._stamps: dict[str, tuple[int, ...]] = {}
        if self._root:
            self._add_root(self._root)

    @property
    def files(self) -> tuple[PolytopeFile, ...]:
        """All files, the root first, the nearer before the further."""
        return tuple(self._files.values())

    @property
    def root(self) -> PolytopeFile | None:
        return next(iter(self._files.values()), None)

    def _add_root(self, path: str) -> None:
        self._stamps[path] = _stamp(path)
        file, issues = load_file(self._read(path), path)
        self.issues += issues
        waiting = [self._keep(file)]
        while waiting:
            file = waiting.pop(0)
            for include in file.include:
                found = self._locate(file, include)
                if found is None:
                    continue
                self._includes[file.path].append(found)
                if found not in self._files and (added := self._load(found, include)):
                    waiting.append(added)

    def _keep(self, file: PolytopeFile) -> PolytopeFile:
        self._files[file.path] = file
        self._includes[file.path] = []
        return file

    def _load(self, path: str, include: Include) -> PolytopeFile | None:
        if len(self._files) >= INCLUDE_LIMIT:
            self._unresolved(include, f"more than {INCLUDE_LIMIT} files are included")
            return None
        self._stamps[path] = _stamp(path)
        try:
            file, issues = load_file(self._read(path), path)
        except WarpforgeError as error:
            self.issues += getattr(error, "findings", None) or [Issue(include.place, error.message)]
            self.unresolved.append(include)
            return None
        self.issues += issues
        return self._keep(file)

    def checkout(self, repo: str) -> str | None:
        """Where the checkout of a repository is, by whatever spells its name."""
        return self._repositories.get(_plain_repository(repo))

    def _locate(self, file: PolytopeFile, include: Include) -> str | None:
        if include.repo:
            name = _plain_repository(include.repo)
            checkout = self._repositories.get(name)
            if checkout is None:
                what = f"no checkout of {include.repo} is known: clone it, and name it in the configuration, as"
                self._unresolved(include, f"{what} repos: {{{name}: /path/to/it}}")
                return None
            base = os.path.join(checkout, include.path)
        else:
            base = os.path.join(os.path.dirname(file.path), include.path)
        path = os.path.normpath(base)
        if os.path.isdir(path):
            found = find_in(path)
            if found is None:
                self._unresolved(include, f"there is no polytope.yml in {path}")
            return found
        if not os.path.isfile(path):
            self._unresolved(include, f"there is no {path} to include")
            return None
        return path

    def _unresolved(self, include: Include, message: str) -> None:
        self.unresolved.append(include)
        self.issues.append(Issue(include.place, message, REFERENCE))

    # references

    def find(self, reference: str, scope: PolytopeFile | None = None, *, place: Place = NOWHERE) -> Found:
        """What a reference means in a file (the root, when none is given).

        ``/path/polytope.yml!id`` means the id in that file. Errors: ``missing``.
        """
        head, _, sub = reference.partition("!")
        if builtin := _BUILTIN.fullmatch(head):
            return _of_file(load_builtin(builtin[1]), builtin[1], sub, reference)
        if head in self._files:
            scope, head = self._files[head], ""
        scope = scope or self.root
        name = sub if sub and (not head or _BARE.fullmatch(head)) else head
        for file in self._visible(scope):
            noun = noun_of(file, name)
            if noun is not None:
                return Found(noun, file)
        found = self._elsewhere(head, sub, reference, scope, place) if "/" in head else None
        if found is None:
            raise self._missing(reference, scope, place)
        return found

    def _visible(self, scope: PolytopeFile | None) -> Iterator[PolytopeFile]:
        """The file itself, what it includes, then all that belongs together."""
        if scope is None:
            return
        yield scope
        if scope.is_builtin:
            return
        seen = {scope.path}
        waiting = list(self._includes.get(scope.path, ()))
        while waiting:
            path = waiting.pop(0)
            if path in seen or path not in self._files:
                continue
            seen.add(path)
            yield self._files[path]
            waiting += self._includes[path]
        yield from (file for path, file in self._files.items() if path not in seen)

    def _elsewhere(self, head: str, sub: str, reference: str, scope: PolytopeFile | None, place: Place) -> Found | None:
        """``owner/project@revision:path!id`` in a checkout, or ``directory/id`` below."""
        project, _, inner = head.partition(":")
        project, _, revision = project.partition("@")
        checkout = self._repositories.get(_plain_repository(project))
        if checkout and revision:
            checkout = self._at(checkout, revision, reference, place)
        bases = [os.path.join(checkout, inner)] if checkout else []
        below = os.path.dirname(scope.path) if scope and not scope.is_builtin else self.directory
        bases += [os.path.join(below, head), os.path.join(below, os.path.dirname(head))]
        for base in bases:
            path = find_in(base)
            if path:
                file = self._files.get(path) or load_file(self._read(path), path)[0]
                return _of_file(file, os.path.basename(head), sub, reference)
        return None

    def _at(self, checkout: str, revision: str, reference: str, place: Place) -> str:
        if self._revision is None:
            raise not_there([Issue(place, f"{reference}: revisions cannot be read here", REFERENCE)])
        try:
            return self._revision(checkout, revision)
        except WarpforgeError as error:
            message = f"{reference}: {checkout} has no revision {revision}: {error.message}"
            raise not_there([Issue(place, message, REFERENCE)]) from error

    def _missing(self, reference: str, scope: PolytopeFile | None, place: Place) -> Missing:
        known = sorted({noun.id for file in self._visible(scope) for noun in file.nouns})
        near = get_close_matches(reference, known, 1)
        message = f"there is no module or template {reference}"
        if near:
            message += f": did you mean {near[0]}?"
        elif self.unresolved:
            absent = [include.repo or include.path for include in self.unresolved]
            more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
            message += f"; it may be in what could not be included: {', '.join(absent[:3])}{more}"
        elif "/" in reference:
            message += ": include its repository, or name its checkout in the configuration (repos)"
        elif self.root is None:
            message += ": there is no polytope.yml here"
        return not_there([Issue(place, message, REFERENCE)])


def scoped(reference: str, file: PolytopeFile | None) -> str:
    """A bare id as it can be handed to whoever stands in another file: ``/path/polytope.yml!id``."""
    bare = _BARE.fullmatch(reference.removeprefix("!"))
    if file is None or file.is_builtin or not bare:
        return reference
    return f"{file.path}!{bare[0]}"


def noun_of(file: PolytopeFile, name: str) -> Module | Template | None:
    """The module or template with this id; a template goes before."""
    return next((noun for noun in file.nouns if noun.id == name), None)


def default_of(file: PolytopeFile, name: str) -> Module | Template | None:
    """What a file is without a ``!id``: the one that says so, the one with the file's name, the only one."""
    nouns = file.nouns
    return (
        next((module for module in file.modules if module.is_default), None)
        or noun_of(file, name)
        or (nouns[0] if len(nouns) == 1 else None)
    )


def _of_file(file: PolytopeFile, name: str, sub: str, reference: str) -> Found:
    noun = noun_of(file, sub) if sub else default_of(file, name)
    if noun is None:
        known = ", ".join(noun.id for noun in file.nouns)
        raise Missing("missing", f"{reference}: {file.path} has {known or 'nothing'}", reference=reference)
    return Found(noun, file)


def _plain_repository(name: str) -> str:
    """``owner/name`` of whatever spells a repository."""
    name = re.sub(r"^(?:gh|gl|github|gitlab):|^[a-z+]+://[^/]+/|^git@[^:]+:", "", name)
    return name.removesuffix(".git").strip("/")


def _stamp(path: str) -> tuple[int, ...]:
    """Another one when a file was written to, or replaced; of one that is not there, none."""
    try:
        seen = os.stat(path)
    except OSError:
        return ()
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _read(path: str) -> bytes:
    from warpforge.polytope.text.document import SIZE_LIMIT

    try:
        with open(path, "rb") as source:
            return source.read(SIZE_LIMIT + 1)
    except FileNotFoundError as error:
        raise Missing("missing", f"there is no {path}", cause=error) from error
    except IsADirectoryError as error:
        raise Invalid("invalid-argument", f"{path} is a directory", cause=error) from error
