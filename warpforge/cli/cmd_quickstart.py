"""``warpforge quickstart NAME``: a first module and plot."""

from __future__ import annotations

import os

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.errors import Failed, store_error
from warpforge.fsx.atomic import write_new
from warpforge.model.atoms import CatalogRef, Pipe, SandboxPort
from warpforge.model.formula import GatherDirective, Script
from warpforge.model.module import Module
from warpforge.model.names import parse_module_name
from warpforge.model.plot import Plot, PlotInput, PlotOutput, Protoformula, Step
from warpforge.model.serial import dump
from warpforge.workspace.targets import MODULE, PLOT


@click.command(cls=Command, name="quickstart")
@click.argument("name")
@pass_common
def quickstart(common: Common, name: str) -> None:
    """Write module.wf and plot.wf into this directory: a step that says hello.

    NAME is the module's name; it looks like foo.org/group/theproject.
    """
    module = Module(parse_module_name(name))
    there = [file for file in (MODULE, PLOT) if os.path.lexists(file)]
    if there:
        raise Failed(
            "already-exists", f"there already is {' and '.join(there)} here: nothing was changed", path=there[0]
        )
    for file, noun in ((MODULE, module), (PLOT, first_plot())):
        try:
            write_new(file, dump(noun))
        except FileExistsError as error:
            raise Failed("already-exists", f"{file} already exists here", cause=error, path=file) from error
        except OSError as error:
            raise store_error(error, f"cannot write {file}") from error
    common.note(f"Wrote {MODULE} and {PLOT} for the module {module.name}.")
    common.note("Its root file system comes from a catalog: see `warpforge catalog ls --refs`, and `warpforge status`.")
    common.note(f"Run it with `warpforge run`; then edit the script in {PLOT}.")


def first_plot() -> Plot:
    """One step in a busybox root that says hello to a file."""
    script = Script("/bin/sh", ("mkdir /output", "echo 'hello world' | tee /output/file"), network=False)
    hello = Protoformula(
        {SandboxPort("/"): PlotInput.of(Pipe("", "rootfs"))},
        script,
        {"out": GatherDirective(SandboxPort("/output"), "ztar")},
    )
    rootfs = CatalogRef("warpsys.org/busybox", "v1.35.0", "amd64-static")
    return Plot(
        {"rootfs": PlotInput.of(rootfs)},
        {"hello-world": Step.of(hello)},
        {"output": PlotOutput.of(Pipe("hello-world", "out"))},
    )
