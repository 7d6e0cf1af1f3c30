"""Evaluates what was written, in the scope of the file that it was written in."""

from __future__ import annotations

import os
from typing import Protocol

import msgspec

from warpforge.errors import Invalid, Missing
from warpforge.polytope.calls.references import Reference, parse_code, parse_reference, spell_within, split_text
from warpforge.polytope.code.evaluator import Code, Evaluator, Scope
from warpforge.polytope.code.host import camel
from warpforge.polytope.files.library import Library, repository_of
from warpforge.polytope.issues import spell
from warpforge.polytope.marks import SecretText, Unknown, find_unknown, holds_secret, mark_secrets, secrets_of
from warpforge.polytope.nouns import NOWHERE, Place, Places, PolytopeFile, Value, Way


class NotStored(Missing):
    """Values or secrets that nobody has stored."""


class Stores(Protocol):
    """Stored values and secrets; None when there is none of that name."""

    def value(self, name: str) -> str | None: ...

    def secret(self, name: str) -> str | None: ...


class Outputs(Protocol):
    """What steps of the job gave."""

    def output(self, step: str) -> Value:
        """Errors: ``missing`` when it has not ended, or is none."""


class Frame(msgspec.Struct, frozen=True):
    """Where something was written: its file (None: the command line), and the parameters that it sees."""

    file: PolytopeFile | None
    params: dict[str, Value] = {}


class Resolver:
    """Evaluates references and code.

    ``is_dry``: what is not known (stored values, outputs) stands as ``Unknown``, so that a plan can be made anywhere.
    ``secrets`` grows by every secret that was looked at.
    """

    def __init__(
        self,
        library: Library,
        evaluator: Evaluator,
        stores: Stores,
        *,
        cwd: str,
        outputs: Outputs | None = None,
        is_dry: bool = False,
    ) -> None:
        self.library = library
        self.evaluator = evaluator
        self.stores = stores
        self.cwd = cwd
        self.is_dry = is_dry
        self.secrets: set[str] = set()
        self.missing: dict[str, Place] = {}
        self._outputs = outputs

    def with_outputs(self, outputs: Outputs) -> Resolver:
        """The same, within a job."""
        made = Resolver(self.library, self.evaluator, self.stores, cwd=self.cwd, outputs=outputs, is_dry=self.is_dry)
        made.secrets = self.secrets
        return made

    def resolve(self, value: Value, frame: Frame, way: Way = ()) -> Value:
        """The value, nothing in it left to evaluate. ``way`` leads to it in the frame's file, for error messages.

        Errors: ``generator-failed`` when code fails. What is not stored is noted in ``missing``.
        """
        if isinstance(value, str):
            return self._text(value, frame, way)
        if isinstance(value, list):
            return [self.resolve(item, frame, (*way, number)) for number, item in enumerate(value)]
        if isinstance(value, dict):
            return self._anchor({key: self.resolve(inner, frame, (*way, key)) for key, inner in value.items()}, frame)
        return value

    def look_up(self, reference: Reference, frame: Frame, way: Way = ()) -> Value:
        """What a reference stands for; null for a parameter that is not declared. ``way``: as in ``resolve``."""
        if reference.kind == "param":
            value = frame.params.get(reference.name)
            self.secrets.update(secrets_of(value))
            return value
        if reference.kind == "output":
            return self._output(reference)
        found = (self.stores.value if reference.kind == "value" else self.stores.secret)(reference.name)
        if found is None:
            if not self.is_dry:
                place = frame.file.places.find(way) if frame.file and way else NOWHERE
                self.missing.setdefault(f"pt {reference.kind}s set {reference.name} ...", place)
            return Unknown(f"pt.{reference.kind} {reference.name}")
        if reference.kind == "secret":
            if found:
                self.secrets.add(found)
            return SecretText(found)
        return found

    def demand_nothing_missing(self) -> None:
        """Errors: NotStored, which names every value and secret that is not there, and says where the first is
        spoken of."""
        if self.missing:
            names, place = "; ".join(self.missing), next(iter(self.missing.values()))
            self.missing.clear()
            where = f"{spell(place)}: " if place.path else ""
            raise NotStored("missing", f"{where}not stored yet: {names}", names=names)

    def _output(self, reference: Reference) -> Value:
        spelled = f"pt.output {reference.name} {reference.key}".strip()
        if self._outputs is None:
            if self.is_dry:
                return Unknown(spelled)
            raise Invalid("invalid-argument", f"{spelled}: outputs are there only for the steps of a job")
        found = self._outputs.output(reference.name)
        if not reference.key:
            return found
        return found.get(reference.key) if isinstance(found, dict) else None

    def _text(self, text: str, frame: Frame, way: Way) -> Value:
        if isinstance(text, SecretText | Unknown) or "pt" not in text:
            return text
        reference = parse_reference(text)
        if reference:
            return self.look_up(reference, frame, way)
        places = frame.file.places if frame.file else Places()
        code = parse_code(text, places.find(way), places.first_line(way))
        if code:
            return self.run(code, frame)
        return self._interpolate(text, frame, way)

    def _interpolate(self, text: str, frame: Frame, way: Way) -> str:
        parts = split_text(text)
        if len(parts) == 1:
            return text
        values = [self.look_up(part, frame, way) if isinstance(part, Reference) else part for part in parts]
        made = "".join(map(spell_within, values))
        if any(isinstance(value, Unknown) for value in values):
            return Unknown(made)
        if any(isinstance(value, SecretText) for value in values) or holds_secret(made, frozenset(self.secrets)):
            return SecretText(made)
        return made

    def run(self, code: Code, frame: Frame) -> Value:
        """The value of code that only computes; texts in it that hold a secret are marked.

        In a dry run, code that names something unknown is not run: its value is unknown, too.
        """
        if self.is_dry and self._names_unknown(code, frame):
            return Unknown(f"pt.{code.language}")
        self.secrets.update(secrets_of(frame.params))
        value = self.evaluator.evaluate(code, Scope(frame.params, self.variables(frame)), _Lookups(self, frame))
        return self.anchor(mark_secrets(value, frozenset(self.secrets)), frame)

    def _names_unknown(self, code: Code, frame: Frame) -> bool:
        names = [name for name, value in frame.params.items() if find_unknown(value) is not None]
        return any(word in code.text for name in names for word in (name, camel(name))) or any(
            word in code.text for dot in "/." for word in (f"pt{dot}value", f"pt{dot}secret", f"pt{dot}output")
        )

    # places of the host and of repositories

    def variables(self, frame: Frame) -> dict[str, Value]:
        """What code calls module-repo-ref and module-project-ref: the repository of the file it was written in."""
        repository = self.repository(frame.file)
        return {"module-repo-ref": repository, "module-project-ref": repository}

    def repository(self, file: PolytopeFile | None) -> str:
        """The directory of a file's repository, or a built-in's name."""
        if file is not None and file.is_builtin:
            return file.path
        if file is None:
            return self.project()
        own = os.path.dirname(file.path)
        found = repository_of(file.path)
        top = self.library.directory
        return found or (top if own == top or own.startswith(top.rstrip("/") + "/") else own)

    def project(self) -> str:
        """The repository of whoever runs this."""
        root = self.library.root
        return (repository_of(root.path) if root else "") or self.library.directory

    def base(self, file: PolytopeFile | None) -> str:
        """What plain relative paths start from."""
        return self.cwd if file is None or file.is_builtin else os.path.dirname(file.path)

    def _anchor(self, value: dict[str, Value], frame: Frame) -> dict[str, Value]:
        """A source of a mount means the same wherever it is handed on to."""
        path = value.get("path", "")
        if value.get("type") not in ("host", "repo") or isinstance(path, Unknown) or not isinstance(path, str | None):
            return value
        if value["type"] == "host":
            return {**value, "path": self._host_path(path or "", frame)}
        file = frame.file
        is_written = file is not None and not file.is_builtin
        repository = self.repository(file) if is_written else self.project()
        if value.get("repo", repository) not in (None, "", repository):
            return value
        inner = path or ""
        if inner and not inner.startswith("/") and is_written:
            inner = os.path.relpath(self._repository_path(inner, self.base(file), repository), repository)
        return {**value, "repo": repository, "path": os.path.normpath("/" + inner.lstrip("/"))}

    def _repository_path(self, path: str, base: str, repository: str) -> str:
        """``x`` is what the file's directory has; where it has none, the repository's root: authors say both."""
        beside, at_root = os.path.join(base, path), os.path.join(repository, path)
        is_at_root = not path.startswith(".") and not os.path.lexists(beside) and os.path.lexists(at_root)
        return at_root if is_at_root else beside

    def _host_path(self, path: str, frame: Frame) -> str:
        """``./x`` and ``.`` start from the working directory, ``x`` from the directory of its file."""
        if path == "~" or path.startswith("~/"):
            return path  # whose home it is, those know who make the mounts
        start = self.cwd if path == "." or path.startswith("./") else self.base(frame.file)
        return os.path.normpath(os.path.join(start, path))

    def anchor(self, value: Value, frame: Frame) -> Value:
        """Every source of a mount in a value of code means what it means in the code's file."""
        if isinstance(value, list):
            return [self.anchor(item, frame) for item in value]
        if isinstance(value, dict):
            return self._anchor({key: self.anchor(inner, frame) for key, inner in value.items()}, frame)
        return value


class _Lookups:
    """The host of code that only computes."""

    def __init__(self, resolver: Resolver, frame: Frame) -> None:
        self._resolver = resolver
        self._frame = frame

    def call(self, name: str, args: list[Value]) -> Value:
        if name in ("params", "inputs") or (name in ("param", "input") and not args):
            return self._frame.params
        if name in ("param", "input", "value", "values", "secret", "output"):
            key = str(args[1]) if len(args) > 1 and name == "output" else ""
            kind = "param" if name == "input" else name.removesuffix("s")
            found = self._resolver.look_up(Reference(kind, str(args[0]), key), self._frame)
            if isinstance(found, Unknown):
                raise Missing("missing", f"{found}: not known yet")
            return found
        if name == "log":
            return None
        raise Invalid("invalid", f"pt/{name} is there only for the code of a module or a step", reason="code")
