"""The one door between bytes and nouns.

``load_*``: bytes -> Loaded(noun, warnings). Text first (strict, then lenient), then the schema, then what can be known
from the document alone; each stage tells all that it finds in one error. ``dump``: a noun -> canonical bytes.
Every ``name`` is only said in messages: what the document is called (its path).

Errors: ``serialization`` (reason ``parse`` or ``limit``, with line and column), ``datatoonew`` (a capsule's version or
nothing but unknown fields), ``wareid-invalid`` (nothing but malformed WareIds), otherwise ``formula-invalid``,
``plot-invalid``, ``module-invalid`` or ``catalog-invalid``, with JSON pointers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from warpforge.errors import Invalid

from .check import check_formula, check_plot
from .findings import ROOT, Finding, Place, invalid_document
from .formula import Formula, FormulaFile
from .plaintext import SIZE_LIMIT, read_plain
from .plot import Plot, PlotResults
from .read_formula import read_formula_file
from .read_plot import read_plot
from .reading import Reading

if TYPE_CHECKING:
    from .catalog import CatalogModule, CatalogSources, Mirroring, MirrorList, Mirrors, Release, Unpacking
    from .conduct import SandboxChoice, SecretSources
    from .jsontext import Slip
    from .limits import LimitTable
    from .module import Module
    from .run import RunRecord
    from .verdict import ReleaseVerdicts

    Noun = (
        FormulaFile
        | Plot
        | Module
        | CatalogModule
        | Mirrors
        | Release
        | Mirroring
        | MirrorList
        | CatalogSources
        | Unpacking
        | RunRecord
    )

__all__ = ["SIZE_LIMIT", "Loaded", "dump", "fmt", "load_document"]

T = TypeVar("T")


class Loaded(Generic[T]):
    """A valid noun, and how it was come by. Warnings are thought of only when asked for."""

    __slots__ = ("_slips", "is_replay", "noun")

    def __init__(self, noun: T, slips: Sequence[Slip], *, is_replay: bool = False) -> None:
        self.noun = noun
        self.is_replay = is_replay
        self._slips = slips

    @property
    def warnings(self) -> list[Finding]:
        """Commas forgiven, then what is allowed but odd, each with its JSON pointer."""
        from .lint import lint

        forgiven = [
            Finding("", f"line {slip.line}, column {slip.column}: {slip.message}", "comma") for slip in self._slips
        ]
        return forgiven + list(lint(self.noun, is_replay=self.is_replay))


class _Kind(NamedTuple):
    """A kind of document: ``family`` is its capsule without version, or empty when it has none."""

    family: str
    code: str
    read: Callable[[Reading, Any, Place], Any]
    check: Callable[[Any], list[Finding]] | None = None


def _check_formula_file(noun: FormulaFile) -> list[Finding]:
    return check_formula(noun.formula, ((ROOT, "formula"), "formula.v1"))


def _check_plot_file(noun: Plot) -> list[Finding]:
    return check_plot(noun, (ROOT, "plot.v1"))


def _lazily(module: str, function: str) -> Callable[[Reading, Any, Place], Any]:
    """Documents that most commands never read: their nouns are imported with the first such document."""

    def read(reading: Reading, value: Any, place: Place) -> Any:
        from importlib import import_module

        return getattr(import_module(f"warpforge.model.{module}"), function)(reading, value, place)

    return read


_FORMULA: Final = _Kind("", "formula-invalid", read_formula_file, _check_formula_file)
_PLOT: Final = _Kind("plot", "plot-invalid", read_plot, _check_plot_file)
_REPLAY: Final = _Kind("plot", "catalog-invalid", read_plot, _check_plot_file)
_MODULE: Final = _Kind("module", "module-invalid", _lazily("read_catalog", "read_module"))
_CATALOG_MODULE: Final = _Kind("catalogmodule", "catalog-invalid", _lazily("read_catalog", "read_catalog_module"))
_MIRRORS: Final = _Kind("catalogmirrors", "catalog-invalid", _lazily("read_catalog", "read_mirrors"))
_RELEASE: Final = _Kind("", "catalog-invalid", _lazily("read_catalog", "read_release"))
_MIRRORING: Final = _Kind("mirroring", "catalog-invalid", _lazily("read_catalog", "read_mirroring"))
_MIRROR_LIST: Final = _Kind("mirrors", "catalog-invalid", _lazily("read_catalog", "read_mirror_list"))
_CATALOG_SOURCES: Final = _Kind("catalogs", "catalog-invalid", _lazily("read_catalog", "read_catalog_sources"))
_UNPACKING: Final = _Kind("unpacking", "catalog-invalid", _lazily("read_catalog", "read_unpacking"))


_LIMITS: Final = _Kind("limits", "invalid", _lazily("limits", "read_limits"))
_SANDBOX: Final = _Kind("sandbox", "invalid", _lazily("conduct", "read_sandbox"))
_SECRETS: Final = _Kind("secrets", "invalid", _lazily("conduct", "read_secrets"))
_VERDICTS: Final = _Kind("verdicts", "catalog-invalid", _lazily("verdict", "read_verdicts"))
_RUN_RECORD: Final = _Kind("", "serialization", _lazily("read_catalog", "read_run_record"))

_CONFIGS: Final = (_MIRRORING, _MIRROR_LIST, _CATALOG_SOURCES, _UNPACKING)
_FAMILIES: Final = {kind.family: kind for kind in (_PLOT, _MODULE, _CATALOG_MODULE, _MIRRORS, _VERDICTS, *_CONFIGS)}
# documents without a capsule of their own are known by a member they must have
_SIGNS: Final = {"formula": _FORMULA, "releaseName": _RELEASE, "items": _RELEASE, "formulaID": _RUN_RECORD}
_CAPSULES: Final = {
    "Plot": "plot.v1",
    "Module": "module.v1",
    "CatalogModule": "catalogmodule.v1",
    "Mirrors": "catalogmirrors.v1",
    "Mirroring": "mirroring.v1",
    "MirrorList": "mirrors.v1",
    "CatalogSources": "catalogs.v1",
    "Unpacking": "unpacking.v1",
}


def load_document(data: bytes, name: str) -> Loaded[Any]:
    """Any document, known by its capsule."""
    return _load(data, name, None)


def load_formula(data: bytes, name: str) -> Loaded[FormulaFile]:
    return _load(data, name, _FORMULA)


def load_plot(data: bytes, name: str) -> Loaded[Plot]:
    return _load(data, name, _PLOT)


def load_replay(data: bytes, name: str) -> Loaded[Plot]:
    """A plot of a catalog: its faults are the catalog's."""
    return _load(data, name, _REPLAY)


def load_module(data: bytes, name: str) -> Loaded[Module]:
    return _load(data, name, _MODULE)


def load_catalog_module(data: bytes, name: str) -> Loaded[CatalogModule]:
    return _load(data, name, _CATALOG_MODULE)


def load_release(data: bytes, name: str) -> Loaded[Release]:
    return _load(data, name, _RELEASE)


def load_mirrors(data: bytes, name: str) -> Loaded[Mirrors]:
    return _load(data, name, _MIRRORS)


def load_mirroring(data: bytes, name: str) -> Loaded[Mirroring]:
    return _load(data, name, _MIRRORING)


def load_mirror_list(data: bytes, name: str) -> Loaded[MirrorList]:
    return _load(data, name, _MIRROR_LIST)


def load_catalog_sources(data: bytes, name: str) -> Loaded[CatalogSources]:
    return _load(data, name, _CATALOG_SOURCES)


def load_limits(data: bytes, name: str) -> Loaded[LimitTable]:
    return _load(data, name, _LIMITS)


def load_sandbox(data: bytes, name: str) -> Loaded[SandboxChoice]:
    return _load(data, name, _SANDBOX)


def load_secrets(data: bytes, name: str) -> Loaded[SecretSources]:
    return _load(data, name, _SECRETS)


def load_unpacking(data: bytes, name: str) -> Loaded[Unpacking]:
    return _load(data, name, _UNPACKING)


def load_verdicts(data: bytes, name: str) -> Loaded[ReleaseVerdicts]:
    return _load(data, name, _VERDICTS)


def load_run_record(data: bytes, name: str) -> Loaded[RunRecord]:
    return _load(data, name, _RUN_RECORD)


def dump(noun: Noun | Formula | PlotResults | ReleaseVerdicts) -> bytes:
    """Canonical bytes: in its capsule where the document has one, struct fields in schema order, maps as they were."""
    from .layout import layout

    serial = noun.to_serial()
    if isinstance(noun, Formula):
        serial = {"formula": {"formula.v1": serial}}
    capsule = _CAPSULES.get(type(noun).__name__) or getattr(noun, "capsule", None)
    return layout({capsule: serial} if capsule else serial)


def fmt(data: bytes, name: str = "document") -> bytes:
    """The document in canonical form: the same meaning, the same id. Commas are put right; dangling pipes stay."""
    return dump(_read(data, name, None)[0])


def _load(data: bytes, name: str, kind: _Kind | None) -> Loaded[Any]:
    noun, kind, slips = _read(data, name, kind)
    if kind.check is not None and (findings := kind.check(noun)):
        raise invalid_document(kind.code, name, findings)
    return Loaded(noun, slips, is_replay=kind is _REPLAY)


def _read(data: bytes, name: str, kind: _Kind | None) -> tuple[Any, _Kind, list[Slip]]:
    """The noun by its schema alone."""
    # jsontext is imported only for the few documents that need it
    value = read_plain(data)
    slips: list[Slip] = []
    is_careful = value is None
    if is_careful:
        from .jsontext import read_careful

        value, slips = read_careful(data, name)
    try:
        noun, kind = _read_value(value, name, kind)
    except Invalid:
        # the text's own faults come first, and only the careful reader can tell where they are
        if not is_careful:
            from .jsontext import read_careful

            read_careful(data, name)
        raise
    return noun, kind, slips


def _read_value(value: Any, name: str, kind: _Kind | None) -> tuple[Any, _Kind]:
    kind = kind or _recognise(value, name)
    reading = Reading()
    inner: tuple[Any, Place] | None = (value, ROOT)
    if kind.family:
        inner = reading.capsule(value, ROOT, kind.family)
    noun = kind.read(reading, *inner) if inner else None
    if reading.findings:
        raise invalid_document(kind.code, name, reading.findings)
    return noun, kind


def _recognise(value: Any, name: str) -> _Kind:
    for key in value if isinstance(value, dict) else ():
        if kind := _SIGNS.get(key) or _FAMILIES.get(_family(key)):
            return kind
    raise Invalid(
        "serialization",
        f"{name}: no document of ours: a capsule is wanted, such as plot.v1, module.v1, or formula",
        document=name,
        path="",
        reason="capsule",
    )


def _family(key: str) -> str:
    """``plot`` of ``plot.v1``, ``plot.v2``, ...; empty for another key."""
    family, _, version = key.rpartition(".v")
    return family if version.isdecimal() else ""
