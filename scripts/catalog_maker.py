"""Catalogs of any size, for benches: every id in them is right. ``python catalog_maker.py DIR MODULES RELEASES``.

Modules are called ``dNN.example/mNNNNN``; each release has two items, and every tenth module a replay for each release,
which takes items of the two modules before it. The same numbers give the same bytes.
"""

from __future__ import annotations

import json
import sys
from hashlib import blake2b
from pathlib import Path

from warpforge.model.atoms import WareId
from warpforge.model.catalog import CatalogModule, Release
from warpforge.model.ident import base58, plot_id, release_id
from warpforge.model.plot import Plot
from warpforge.model.serial import dump, load_plot

DOMAINS = 50
WORDS = ("arch", "bind", "core", "dust", "echo", "flux", "glue", "hash", "iris", "jolt")


def module_name(number: int) -> str:
    return f"d{number % DOMAINS:02}.example/{WORDS[number % len(WORDS)]}/m{number:05}"


def make_catalog(top: Path, modules: int, releases: int) -> None:
    """Write the files of a catalog; the directory must not hold one yet."""
    for number in range(modules):
        make_module(top, number, releases)


def make_module(top: Path, number: int, releases: int) -> None:
    """Write one module."""
    name = module_name(number)
    directory = top / name
    (directory / "_releases").mkdir(parents=True)
    named: dict[str, str] = {}
    for minor in range(releases):
        release = f"v1.{minor}"
        metadata = {}
        if number % 10 == 0 and number >= 2:
            plot = _plot(number, minor)
            metadata["replay"] = plot_id(plot)
            (directory / "_replays").mkdir(exist_ok=True)
            (directory / "_replays" / f"{metadata['replay']}.json").write_bytes(dump(plot))
        noun = Release(release, {item: _ware(name, release, item) for item in ("amd64", "src")}, metadata)
        named[release] = release_id(noun)
        (directory / "_releases" / f"{release}.json").write_bytes(dump(noun))
    about = {"description": f"{WORDS[number % 7]} and {WORDS[number % 10]} for {WORDS[number % 3]}, number {number}"}
    (directory / "_module.json").write_bytes(dump(CatalogModule(name, named, about)))
    mirrors = {"catalogmirrors.v1": {"byModule": {name: {"ztar": ["ca+https://wares.example/store"]}}}}
    (directory / "_mirrors.json").write_text(json.dumps(mirrors, indent="\t") + "\n")


def _ware(*parts: str) -> WareId:
    return WareId("ztar", base58(blake2b("/".join(parts).encode(), digest_size=32).digest()))


def _plot(number: int, minor: int) -> Plot:
    first, second = module_name(number - 1), module_name(number - 2)
    step = {
        "inputs": {"/": "pipe::tools", "/src": "pipe::src"},
        "action": {"script": {"interpreter": "/bin/sh", "contents": ["cd /src", "./configure", f"make V={minor}"]}},
        "outputs": {"out": {"from": "/out", "packtype": "ztar"}},
    }
    document = {
        "inputs": {"tools": f"catalog:{first}:v1.0:amd64", "src": f"catalog:{second}:v1.0:src"},
        "steps": {"build": {"protoformula": step}},
        "outputs": {"amd64": "pipe:build:out"},
    }
    return load_plot(json.dumps({"plot.v1": document}).encode(), "plot").noun


if __name__ == "__main__":
    make_catalog(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
