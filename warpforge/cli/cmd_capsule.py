"""``warpforge capsule``: a module with all that it is built from, in one file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from warpforge.cli.app import Common, Group, pass_common, printable, refuse_argument, to_json
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.units import MAX_UNPACKED, size
from warpforge.errors import PREFIX, Failed, WarpforgeError, beneath, store_error
from warpforge.model.units import counted


@click.group(cls=Group, name="capsule", no_args_is_help=True)
def capsule() -> None:
    """Capsules: one file from which a machine with no network builds a module."""


@capsule.command("create")
@click.argument("file", metavar="FILE")
@click.argument("module", metavar="[DIR]", default=".")
@click.option("--no-memos", is_flag=True, help="Leave out what was built here: the other machine builds it all.")
@click.option("--recursive", "-r", is_flag=True, help="Also what the replays of its inputs are built from.")
@CATALOG_AT
@pass_common
def create_(common: Common, file: str, module: str, *, no_memos: bool, recursive: bool) -> None:
    """Run the module in DIR (default: here), and write it with all that it takes to FILE, which must not exist yet.

    Prints the capsule's own WareId: whoever opens it can ask for exactly that.
    """
    from warpforge.cli.cmd_ware import opened
    from warpforge.engine.capsule import How, create
    from warpforge.fsx.atomic import fsync_dir, rename_noreplace
    from warpforge.workspace.targets import find_targets

    (target,) = find_targets([module], common.settings.cwd)
    if target.kind == "formula":
        refuse_argument(f"{module} is a formula: a capsule holds a module or a plot")
    goal = os.path.abspath(file)
    if os.path.lexists(goal):
        raise Failed("already-exists", f"{file} is there already", path=goal)
    staged = f"{goal}.{os.getpid()}.part"
    try:
        with opened(common, target.path.parent) as engine, open(staged, "xb") as sink:
            filled = create(engine, target, sink, How(not no_memos, recursive))
            sink.flush()
            os.fsync(sink.fileno())
        rename_noreplace(staged, goal)
        fsync_dir(os.path.dirname(goal))
    except OSError as error:
        raise store_error(error, f"cannot write {file}") from error
    finally:
        if os.path.lexists(staged):
            os.unlink(staged)
    if common.json:
        common.result(to_json({"capsule": {**filled._asdict(), "ware": str(filled.ware), "file": goal}}))
        return
    numbers = (("ware", filled.wares), ("release", filled.releases), ("memo", filled.memos))
    common.note(", ".join([f"{file}: {size(filled.bytes)}", *(counted(number, one) for one, number in numbers)]))
    common.result(str(filled.ware))


@capsule.command("open")
@click.argument("file", metavar="FILE")
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--expect", metavar="WAREID", help="Refuse any other capsule than this one.")
@MAX_UNPACKED
@pass_common
def open_(common: Common, file: str, directory: str | None, expect: str | None) -> None:
    """Check everything in a capsule, then unpack it as the new directory DIR (default: FILE without its suffix).

    There `warpforge run` builds the module, also with --offline and --force. FILE may be - for standard input.
    """
    from warpforge.cli.cmd_ware import open_archive
    from warpforge.cli.render import make_reporter
    from warpforge.engine.capsule import open_capsule
    from warpforge.model.atoms import WareId
    from warpforge.pack.limits import DEFAULT

    if directory is None:
        if file == "-":
            refuse_argument("a capsule that comes by standard input needs a DIR")
        directory = os.path.splitext(os.path.basename(file))[0]
        if directory == os.path.basename(file):
            refuse_argument(f"{file} has no suffix to leave out: name a DIR")
    goal = Path(os.path.abspath(directory))
    wanted = WareId.parse(expect) if expect else None
    limits = DEFAULT if common.max_unpacked is None else DEFAULT.allowing(common.max_unpacked)
    with open_archive(common, file) as stream:
        try:
            found = open_capsule(stream, goal, make_reporter(common), limits, wanted)
        except WarpforgeError as error:
            if not error.code.startswith(f"{PREFIX}ware-"):
                raise
            raise beneath(error, f"{file} is no capsule as it was made", file=file) from error
    if common.json:
        common.result(to_json({"opened": {"ware": str(found), "directory": str(goal)}}))
    else:
        common.result(printable(f"{found}  {goal}"))
        sys.stdout.flush()
