"""The arguments of polytope/build-image -> an image in the store, called by its tags from then on."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import Missing
from warpforge.model.atoms import WareId
from warpforge.polytope.calls.mounts import Facts, take_source
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.dockerfile.adding import Pins
from warpforge.polytope.dockerfile.builder import Builder, Building
from warpforge.polytope.dockerfile.context import Files, leave_out, read_files
from warpforge.polytope.dockerfile.parse import parse_dockerfile
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import Source, StringSource

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine


class Ground(NamedTuple):
    """``find_image``: what a name means; ``name_image``: a tag means this from now on; ``source_path``: where a source
    is on this host; ``log``: hears of each instruction; ``pins``: of what comes from elsewhere."""

    facts: Facts
    find_image: Callable[[str], WareId]
    name_image: Callable[[str, WareId], None]
    source_path: Callable[[Source], str]
    log: Callable[[str], None]
    pins: Pins


class Wanted(NamedTuple):
    """What was asked for. ``sources``: what the context is put together of, by its place in it."""

    tags: list[str]
    sources: dict[str, Source]
    dockerfile: str
    labels: dict[str, str]
    build_args: dict[str, str]
    target: str
    network: bool
    secrets: dict[str, str]


def build_image(engine: Engine, args: Mapping[str, Value], ground: Ground) -> dict[str, Value]:
    """Build; ImageBuildResult: ``{digest, metadata: {ware, tags}}``.

    Errors: ``invalid-argument``, ``missing``, and as ``Builder.build``.
    """
    wanted = _take(args, ground.facts)
    files = read_files(
        {
            place: source.data.encode() if isinstance(source, StringSource) else ground.source_path(source)
            for place, source in wanted.sources.items()
        },
        "the build's context",
    )
    text, name = _read_dockerfile(files, wanted)
    file = parse_dockerfile(text, name, wanted.build_args)
    building = Building(
        leave_out(files, wanted.dockerfile),
        wanted.build_args,
        ground.find_image,
        ground.log,
        wanted.network,
        wanted.secrets,
        ground.pins,
    )
    with engine.store.use():
        ware = Builder(engine, file, building).build(wanted.target, wanted.labels)
        for tag in wanted.tags:
            ground.name_image(tag, ware)
    return {"digest": f"sha256:{ware.hash}", "metadata": {"ware": str(ware), "tags": list(wanted.tags)}}


def _take(args: Mapping[str, Value], facts: Facts) -> Wanted:
    taking = Taking()
    sources: dict[str, Source] = {}
    for item, path in taking.items(args.get("sources"), "sources"):
        said = taking.mapping(item, path)
        source = take_source(taking, said.get("source"), f"{path}.source", facts)
        if source is not None:
            sources[taking.text(said.get("path"), f"{path}.path", "/")] = source
    wanted = Wanted(
        [taking.text(item, path) for item, path in taking.items(args.get("tags"), "tags")],
        sources,
        taking.text(args.get("dockerfile"), "dockerfile", "Dockerfile"),
        _take_texts(taking, args.get("labels"), "labels"),
        _take_texts(taking, args.get("build-args"), "build-args"),
        taking.text(args.get("target"), "target"),
        taking.truth(args.get("network"), "network", default=True),
        _take_texts(taking, args.get("secrets"), "secrets"),
    )
    taking.finish("build-image")
    return wanted


def _take_texts(taking: Taking, value: Value, path: str) -> dict[str, str]:
    return {key: taking.text(inner, f"{path}.{key}") for key, inner in taking.mapping(value, path).items()}


def _read_dockerfile(context: Files, wanted: Wanted) -> tuple[str, str]:
    """The Dockerfile's text, and what it is called in messages."""
    inside = posixpath.normpath(f"/{wanted.dockerfile}").strip("/")
    node = context.nodes.get(context.resolve(inside) or inside)
    if node is None or node.kind != "f":
        raise Missing("missing", f"there is no {wanted.dockerfile} in the build's context", path=wanted.dockerfile)
    return node.read().decode("utf-8", "replace"), os.path.abspath(node.place or inside)
