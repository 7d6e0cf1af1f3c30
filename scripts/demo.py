"""``make demo``: modules built in sealed boxes, answered from the memo, and built again.

1. The distribution's busybox becomes a root file system; the quickstart module runs in it.
2. A C compiler and LMDB's sources become wares; a real program is compiled and run. Its hash is published in catalogs/.
3. Brotli is compiled, a step for each of its 32 files, two boxes at once.
4. All again: the run log shows that nothing ran.
5. The first two by force: the same hashes.

Everything happens in a new workspace below the temporary directory; only downloads and unpacked inputs are kept, under
build/demo. Each claim is checked: the exit status is 1 when one does not hold.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from demo_inputs import brotli_tree, lmdb_tree, zig_tree
from packages import BROTLI, DOWNLOADS, LMDB, PROJECT, ZIG, fetch
from places import Workspace
from rootfs import busybox_release, find_busybox, make_rootfs

KEPT = PROJECT / "build" / "demo"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
SHIPPED = "warpforge"  # the catalog under catalogs/
LOCAL = "local"  # the catalog that the demo makes
PUBLISHED = "warpforge.demo/lmdb:v1:program"


class Ran(NamedTuple):
    """What one ``warpforge run`` did: steps that ran in a box, steps answered by the memo, output of the actions."""

    ran: list[str]
    remembered: list[str]
    said: str
    results: dict[str, str]
    seconds: float


def say(text: str = "") -> None:
    print(text, flush=True)


def stop(text: str) -> NoReturn:
    sys.exit(f"demo: {text}")


def expect(is_so: bool, claim: str) -> None:  # noqa: FBT001 (reads as a sentence)
    if not is_so:
        stop(f"this should have held, and does not: {claim}")


class Demonstration(Workspace):
    """The workspace of the demo."""

    def executions(self) -> int:
        """How many executions the run log holds."""
        return len(self.get("--json", "log", "--count", "1000").splitlines())

    def run(self, module: str, *flags: str) -> Ran:
        start = time.monotonic()
        done = self.call("--json", "run", *flags, module)
        seconds = time.monotonic() - start
        lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        finished = [line["finished"] for line in lines if "finished" in line]
        said = [json.loads(line).get("output", "") for line in done.stderr.splitlines() if line.startswith("{")]
        return Ran(
            ran=[step["step"] for step in finished if not step["hit"]],
            remembered=[step["step"] for step in finished if step["hit"]],
            said="".join(said),
            results=[line["plotresults"] for line in lines if "plotresults" in line][-1],
            seconds=seconds,
        )

    def release(self, reference: str, tree: Path) -> str:
        """Pack a tree and give it a name in the local catalog."""
        archive = tree.with_suffix(".ztar")
        ware = self.get("ware", "pack", "--to", f"file://{archive}", tree)
        self.call("catalog", "--name", LOCAL, "add", "tar", "-t", "ztar", reference, archive)
        return ware

    def look_up(self, reference: str) -> str:
        """The ware that a catalog reference stands for."""
        shown = json.loads(self.get("--json", "catalog", "show", reference))
        return str(shown["release"]["items"][reference.rpartition(":")[2]])


def quickstart(workspace: Demonstration, base: Path) -> str:
    """A module directory as the product writes it, on a busybox of this machine."""
    item = f"{MACHINES.get(platform.machine(), platform.machine())}-static"
    release = busybox_release(find_busybox())
    make_rootfs(base / "rootfs")
    workspace.call("catalog", "init", LOCAL)
    ware = workspace.release(f"warpsys.org/busybox:{release}:{item}", base / "rootfs")
    say(f"   busybox {release} is {ware}")
    module = workspace.root / "hello"
    module.mkdir()
    workspace.call("quickstart", "warpforge.demo/hello", cwd="hello")
    plot = module / "plot.wf"
    # the plot is written for the busybox of Debian 12 on x86_64; another distribution has another
    plot.write_text(plot.read_text().replace("v1.35.0:amd64-static", f"{release}:{item}"))
    return "hello"


def real_program(workspace: Demonstration) -> str:
    """The LMDB module, its compiler and sources in the warehouse, as the shipped catalog names them."""
    files = fetch(DOWNLOADS, ZIG, LMDB)
    shutil.copytree(PROJECT / "catalogs" / SHIPPED, workspace.root / ".warpforge" / "catalogs" / SHIPPED)
    shutil.copytree(PROJECT / "fixtures" / "lmdb", workspace.root / "lmdb")
    trees = {
        "ziglang.org/zig:v0.13.0:amd64-linux": zig_tree(files[ZIG], KEPT / "zig-0.13.0"),
        "lmdb.tech/lmdb:v0.9.31:src": lmdb_tree(files[LMDB], KEPT / "lmdb-0.9.31"),
    }
    for reference, tree in trees.items():
        pack_published(workspace, reference, tree)
    return "lmdb"


def pack_published(workspace: Demonstration, reference: str, tree: Path) -> None:
    ware = workspace.get("ware", "pack", tree)
    published = workspace.look_up(reference)
    expect(ware == published, f"{tree.name} is packed as {published}, the id in catalogs/ (it is {ware})")
    say(f"   {tree.name} is {ware}, as published")


def large_build(workspace: Demonstration) -> str:
    """The Brotli module: 32 files compiled one a step, linked, and tried. "" when its sources cannot be had."""
    try:
        sources = fetch(DOWNLOADS, BROTLI)[BROTLI]
    except RuntimeError as error:
        say(f"   left out: {error}")
        return ""
    shutil.copytree(PROJECT / "fixtures" / "brotli", workspace.root / "brotli")
    pack_published(workspace, "brotli.org/brotli:v1.1.0:src", brotli_tree(sources, KEPT / "brotli-1.1.0"))
    return "brotli"


def show(workspace: Demonstration, base: Path, ran: Ran) -> None:
    for label, ware in ran.results.items():
        say(f"   {label} is {ware}")
    if ran.said:
        say("".join(f"   | {line}\n" for line in ran.said.splitlines()).rstrip())


def main() -> int:
    base = Path(tempfile.mkdtemp(prefix="warpforge-demo-"))
    try:
        return demo(Demonstration(base), base)
    except (OSError, RuntimeError) as error:
        stop(str(error))
    finally:
        shutil.rmtree(base, ignore_errors=True)


def demo(workspace: Demonstration, base: Path) -> int:
    say("1  The quickstart module, on a root file system made from busybox")
    modules = [quickstart(workspace, base)]
    first = {"hello": workspace.run("hello")}
    show(workspace, base, first["hello"])
    expect(first["hello"].ran == ["hello-world"], "the step hello-world ran in a box")
    expect("hello world" in first["hello"].said, "the action said hello world")

    say("2  A C compiler and a C library: compiled and run in boxes with no network")
    if platform.machine() == "x86_64":
        modules.append(real_program(workspace))
        say("   compiling: half a minute or so ...")
        first["lmdb"] = ran = workspace.run("lmdb")
        show(workspace, base, ran)
        expect(ran.ran == ["build", "try"], "the steps build and try ran in boxes")
        expect("1000 records in order" in ran.said, "the program that was built works")
        published = workspace.look_up(PUBLISHED)
        expect(ran.results["program"] == published, f"the program is {published}, the id in catalogs/")
        say(f"   built in {ran.seconds:.0f} s; the program's hash is the published one")

        say("3  Brotli: 32 files compiled, linked and tried, two boxes at once")
        if module := large_build(workspace):
            modules.append(module)
            first[module] = ran = workspace.run(module, "-j", "2")
            show(workspace, base, ran)
            expect(len(ran.ran) == 34, "34 steps ran in boxes")
            expect("and these of them again" in ran.said, "the program that was built works")
            say(f"   34 steps in {ran.seconds:.0f} s")
    else:
        say(f"   left out: the compiler and the published hashes are for x86_64, this is {platform.machine()}")

    say("4  All again")
    executions = workspace.executions()
    for module in modules:
        again = workspace.run(module)
        expect(not again.ran, f"no step of {module} runs again")
        expect(again.results == first[module].results, f"{module} has the same results")
        say(f"   {module}: {len(again.remembered)} from the memo, {len(again.ran)} ran, {again.seconds:.2f} s")
    expect(workspace.executions() == executions, "the run log has no new execution")
    say(f"   the run log still has {executions} executions")

    say("5  By force")
    for module in [module for module in modules if module != "brotli"]:  # once is enough of 34 compilations
        forced = workspace.run(module, "--force")
        expect(forced.ran == first[module].ran, f"every step of {module} ran")
        expect(forced.results == first[module].results, f"{module} has the same results")
        say(f"   {module}: {len(forced.ran)} ran, {forced.seconds:.1f} s, the same hashes")
    expect(workspace.executions() > executions, "the run log has the new executions")
    say("All of it held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
