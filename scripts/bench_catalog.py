"""Large catalogs: what a reference costs to resolve, what checking all of it takes, and its pages."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench_row import SCRATCH, Row, command, within
from catalog_maker import make_catalog, make_module, module_name

from warpforge.catalog.lookup import Lookup
from warpforge.engine.catalogs import open_lookup
from warpforge.model.atoms import CatalogRef
from warpforge.workspace.find import Stack, find_stack

WARPFORGE = Path(sys.executable).parent / "warpforge"
MODULES, RELEASES = 10_000, 10
DEEP = 10_000  # releases of one module
RESOLVE, CHECK = 0.005, 60.0  # seconds
PAGES, AGAIN = 60.0, 15.0
JOBS = "2"


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        workspace = Path(directory)
        catalogs = workspace / ".warpforge" / "catalogs"
        catalogs.mkdir(parents=True)
        (workspace / ".warpforge" / "root").touch()
        make_catalog(catalogs / "wide", MODULES, RELEASES)
        make_module(catalogs / "deep", 0, DEEP)
        yield from _resolving(catalogs)
        yield from _commands(workspace)
        yield from _trusting(workspace)


def _resolving(catalogs: Path) -> Iterator[Row]:
    """A reference by a lookup that has read nothing yet, as each command makes it."""
    wide = CatalogRef(module_name(MODULES // 2), "v1.5", "src")
    deep = CatalogRef(module_name(0), f"v1.{DEEP - 2}", "src")
    yield within(f"a reference among {MODULES} modules", lambda: _pin(catalogs / "wide", wide), RESOLVE)
    yield within(f"a reference among {DEEP} releases of a module", lambda: _pin(catalogs / "deep", deep), RESOLVE)


def _pin(catalog: Path, ref: CatalogRef) -> None:
    assert Lookup([[catalog]]).pin([ref])[ref].ware.packtype == "ztar"


def _commands(workspace: Path) -> Iterator[Row]:
    env = {"PATH": os.environ["PATH"], "HOME": str(workspace)}

    def ours(*words: str) -> object:
        return command([WARPFORGE, "--quiet", "catalog", *words], cwd=workspace, env=env)

    size = f"{MODULES} modules x {RELEASES} releases, -j{JOBS}"
    for name, words, bound, rounds in (
        (f"catalog check of {size}", ("-n", "wide", "check", "-j", JOBS), CHECK, 1),
        (f"generate-html of {size}", ("-n", "wide", "generate-html", "-j", JOBS), PAGES, 1),
        ("the same, nothing changed", ("-n", "wide", "generate-html", "-j", JOBS), AGAIN, 1),
        (f"generate-html of a module with {DEEP} releases", ("-n", "deep", "generate-html", "-j", JOBS), PAGES, 1),
    ):
        work = ours(*words)
        assert callable(work)
        yield within(name, work, bound, rounds=rounds, warm=False)


def _trusting(workspace: Path) -> Iterator[Row]:
    """The same catalogs once signatures are needed: each reference is proved by the newest snapshot."""
    env = {"PATH": os.environ["PATH"], "HOME": str(workspace)}

    def call(*words: str) -> None:
        command([WARPFORGE, "--quiet", "catalog", *words], cwd=workspace, env=env)()

    call("key", "new", "key")
    for name in ("wide", "deep"):
        call("-n", name, "sign", "--key", "key")
        call("-n", name, "trust", "add", "key.pub")
    stack = find_stack(workspace, None)
    # the module of the deep one is in the wide one, too: its first releases are those
    for what, ref in (
        (f"a signed reference among {MODULES} modules", CatalogRef(module_name(MODULES // 2), "v1.5", "src")),
        (f"a signed reference among {DEEP} releases", CatalogRef(module_name(0), f"v1.{DEEP - 2}", "src")),
    ):
        yield within(what, partial(_pin_signed, stack, ref), RESOLVE)


def _pin_signed(stack: Stack, ref: CatalogRef) -> None:
    assert open_lookup(stack).pin([ref])[ref].ware.packtype == "ztar"
