"""``warpforge ware export`` and ``ware image``: wares for other tools, and what an image says."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from warpforge.cli.app import WARE, Command, Common, pass_common, refuse_argument, to_json
from warpforge.cli.cmd_ware import FILTERS, named, opened
from warpforge.cli.conduct import ALLOW_HAZARD, CATALOG_AT
from warpforge.errors import Failed, Missing

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.model.atoms import WareId
    from warpforge.pack.image import Platform


@click.command("export", cls=Command)
@click.argument("what", metavar=WARE)
@click.argument("goal", metavar="DEST")
@click.option("--as", "form", type=click.Choice(["oci", "tar", "dir"]), required=True, help="What to make of it.")
@click.option(
    "--compress",
    metavar="KIND",
    help="tar: none, gzip, zstd, xz or bzip2; default: by DEST's name. oci: gzip (default), zstd or none.",
)
@FILTERS
@click.option("--tag", default="", metavar="NAME", help="oci: the image's name in the layout.")
@click.option("--platform", metavar="OS/ARCH", help="oci: what it runs on; default: the image's own, or this machine.")
@click.option("--entrypoint", metavar="WORDS", help='oci: as a shell splits words, or as JSON: ["/bin/sh", "-c"].')
@click.option("--cmd", "command", metavar="WORDS", help="oci: the command, or the arguments of an entrypoint.")
@click.option("--env", multiple=True, metavar="K=V", help="oci: a variable of its environment.")
@click.option("--workdir", metavar="DIR", help="oci: where its process starts.")
@click.option("--user", metavar="USER[:GROUP]", help="oci: who its process is.")
@click.option("--label", multiple=True, metavar="K=V", help="oci: a label.")
@CATALOG_AT
@ALLOW_HAZARD
@pass_common
def export(common: Common, /, what: str, goal: str, form: str, filters: str, **options: Any) -> None:
    """Make something for other tools of a ware's tree. DEST must not exist; for tar and oci - is standard output.

    oci: an image of one layer, as an OCI layout in the directory DEST (skopeo copy oci:DEST ..., umoci), or in one
    file where DEST ends in .tar (skopeo copy oci-archive:DEST ..., docker load, podman load). The same ware and options
    give the same bytes. What an oci ware's own image says stays, unless it is said anew.

    tar: a tar in canonical order. dir: the tree itself, which is yours.
    """
    given = sorted(name for name, value in options.items() if value)
    if form != "oci" and (odd := [name for name in given if name != "compress"]):
        refuse_argument(f"--{odd[0].replace('command', 'cmd')} is for --as oci")
    if form == "dir" and options["compress"]:
        refuse_argument("--compress is for --as tar and --as oci")
    with opened(common) as engine, engine.store.use():
        ware = named(common, engine, what, use=True)
        if form == "dir":
            _export_dir(engine, ware, goal, filters)
        elif form == "tar":
            _export_tar(engine, ware, goal, filters, options["compress"])
        else:
            made = _export_image(engine, ware, goal, filters, options)
            if goal != "-":
                common.result(to_json({"image": str(made)}) if common.json else str(made))


@click.command("image", cls=Command)
@click.argument("what", metavar=WARE)
@CATALOG_AT
@pass_common
def image(common: Common, what: str) -> None:
    """Print what the image of an oci ware says besides its tree, as JSON: platform, and how its process starts."""
    from warpforge.pack.image import read_platform, read_start

    with opened(common) as engine, engine.store.use():
        ware = named(common, engine, what)
        kept = engine.store.images.find(ware) if ware.packtype == "oci" else None
        if kept is None:
            raise Missing(
                "missing", f"what the image {ware} says is not known here: fetch it from a registry", ware=ware
            )
        found = {"ware": str(ware), "platform": str(read_platform(kept.config)), "config": read_start(kept.config)}
        common.result(to_json({"image": found}) if common.json else json.dumps(found, indent="\t", ensure_ascii=False))


def _export_dir(engine: Engine, ware: WareId, goal: str, filters: str) -> None:
    from warpforge.cli.placing import place
    from warpforge.pack.filters import INPUT

    if goal == "-":
        refuse_argument("a directory cannot be written to standard output: --as tar can")
    if os.path.lexists(goal):
        raise Failed("already-exists", f"{goal} is there already: name another place, or remove it", path=goal)
    place(engine, ware, goal, INPUT.replace({"uid": "mine", "gid": "mine"}).parse(filters), force=False)


def _export_tar(engine: Engine, ware: WareId, goal: str, filters: str, compress: str | None) -> None:
    from warpforge.engine.export import Exporter
    from warpforge.pack.compressors import COMPRESSIONS, guess_compression
    from warpforge.pack.filters import SCAN

    if compress not in (None, *COMPRESSIONS):
        refuse_argument(f"--compress is one of {', '.join(COMPRESSIONS)}, not {compress}")
    _refuse_terminal(goal)
    chosen = SCAN.parse(filters)
    Exporter(engine, sys.stdout.buffer).tar(ware, goal, chosen, compress or guess_compression(goal))


def _export_image(engine: Engine, ware: WareId, goal: str, filters: str, options: dict[str, Any]) -> WareId:
    from warpforge.engine.export import Exporter
    from warpforge.pack.filters import SCAN
    from warpforge.pack.image import read_platform, read_start
    from warpforge.pack.image_writer import COMPRESSIONS, Making

    if options["compress"] not in (None, *COMPRESSIONS):
        refuse_argument(f"--compress is one of {', '.join(COMPRESSIONS)}, not {options['compress']}")
    _refuse_terminal(goal)
    kept = engine.store.images.find(ware) if ware.packtype == "oci" else None
    start = make_start(read_start(kept.config) if kept else {}, options)
    platform = _platform(options["platform"], read_platform(kept.config) if kept else None)
    making = Making(platform, tuple(start.items()), options["compress"] or "gzip")
    return Exporter(engine, sys.stdout.buffer).image(ware, goal, SCAN.parse(filters), making, options["tag"])


def make_start(before: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """How an image's process starts: what was said before, and what is said now. Errors: ``invalid-argument``."""
    start = dict(before)
    if options["entrypoint"] is not None:
        start["Entrypoint"] = _words("--entrypoint", options["entrypoint"])
        start.pop("Cmd", None)  # those were the arguments of another
    if options["command"] is not None:
        start["Cmd"] = _words("--cmd", options["command"])
    if options["env"]:
        pairs = _pairs("--env", [*(start.get("Env") or ()), *options["env"]])
        start["Env"] = [f"{key}={value}" for key, value in pairs.items()]
    if options["label"]:
        start["Labels"] = {**(start.get("Labels") or {}), **_pairs("--label", options["label"])}
    if options["workdir"] is not None:
        if not options["workdir"].startswith("/"):
            refuse_argument(f"--workdir is an absolute path, not {options['workdir']}")
        start["WorkingDir"] = options["workdir"]
    if options["user"] is not None:
        start["User"] = options["user"]
    return start


def _platform(said: str | None, own: Platform | None) -> Platform:
    from warpforge.pack.image import Platform

    return Platform.parse(said) if said else own or Platform.here()


def _words(option: str, text: str) -> list[str]:
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except ValueError as error:
        refuse_argument(f"{option}: {error}")
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        refuse_argument(f"{option} is words, or a JSON list of texts")
    return found


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            refuse_argument(f"{option} is K=V, not {text}")
        found[key] = value
    return found


def _refuse_terminal(goal: str) -> None:
    if goal == "-" and sys.stdout.isatty():
        refuse_argument("that is no text for a terminal: name a file, or a pipe")
