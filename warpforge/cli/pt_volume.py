"""``pt volume`` and ``pt dataset``: what containers of this project left."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, Group, pass_common, printable, to_json

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.containers.volumes import Volumes


@click.group(cls=Group)
def volume() -> None:
    """The volumes of this project."""


@volume.command(cls=Command, name="ls")
@pass_common
def list_volumes(common: Common) -> None:
    """List the volumes, and what their files hold."""
    from warpforge.cli.units import size

    for found in _open(common, None).list():
        if common.json:
            common.result(to_json({"volume": {"id": found.id, "path": str(found.path), "bytes": found.bytes}}))
        else:
            common.result(printable(f"{found.id:<24} {size(found.bytes):>10}  {found.path}"))


@volume.command(cls=Command, name="rm")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@pass_common
def remove(common: Common, ids: tuple[str, ...]) -> None:
    """Remove volumes with all that is in them. Stop what uses them before."""
    with _engine(common) as engine:
        volumes = _open(common, engine)
        for name in ids:
            volumes.remove(name)
            common.note(f"volume {name} is removed")


@click.group(cls=Group)
def dataset() -> None:
    """The datasets of this project."""


@dataset.command(cls=Command, name="ls")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@pass_common
def list_datasets(common: Common, ids: tuple[str, ...]) -> None:
    """List the datasets, their versions and wares."""
    from warpforge.polytope.containers.datasets import Datasets

    with _engine(common) as engine:
        datasets = Datasets(_directory(common), engine.store)
        for name in ids or datasets.names():
            datasets.find(name)
            for one in datasets.versions(name):
                if common.json:
                    found = {"id": name, "version": one.number, "ware": str(one.ware), "stored": one.stored}
                    common.result(to_json({"dataset": found}))
                else:
                    when = datetime.fromtimestamp(one.stored).strftime("%Y-%m-%d %H:%M:%S")
                    common.result(printable(f"{name:<24} {one.number:>4}  {when}  {one.ware}"))


def _directory(common: Common) -> Path:
    from warpforge.cli.pt_world import open_library

    return Path(open_library(common).directory)


def _engine(common: Common) -> Engine:
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Reporter
    from warpforge.workspace.find import find_stack

    return Engine(find_stack(_directory(common), common.settings.home), Reporter(), common.options())


def _open(common: Common, engine: Engine | None) -> Volumes:
    """The project's; without an engine nothing is removed."""
    from warpforge.polytope.containers.volumes import Volumes, volumes_of

    directory = _directory(common)
    project = volumes_of(directory)
    if engine is None:
        return Volumes(project, project, lambda _: None)
    from warpforge.polytope.containers.discarding import Discarder
    from warpforge.sandbox.ids import find_ids

    scratch = Path(engine.store.staging.directory())
    return Volumes(project, project, Discarder(engine.box, find_ids(engine.box.owner), scratch).discard)
