"""Fixtures of the whole suite: worlds, and a busybox ware made with the product's own commands."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from rootfs import make_rootfs
from support import ledger
from support.world import World

from warpforge.fsx.remove import remove_tree

# before any test is read: no test is timed, and nothing is kept beside the sources
settings.register_profile("steady", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """One file of counts for all processes of this run."""
    if ledger.VARIABLE not in os.environ:
        fd, os.environ[ledger.VARIABLE] = tempfile.mkstemp(prefix="warpforge-ledger-")
        os.close(fd)
        config.add_cleanup(lambda: os.unlink(os.environ.pop(ledger.VARIABLE)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the suites of faults tried, and that nothing was lost."""
    counts = ledger.read(os.environ[ledger.VARIABLE])
    if counts:
        terminalreporter.section("faults")
        for what, number in counts.items():
            terminalreporter.write_line(f"{number:>8}  {what}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note down what failed, where the caller asks for it: see scripts/test.sh."""
    wanted = os.environ.get("WARPFORGE_TEST_FAILED")
    if wanted and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(wanted, "a", encoding="utf-8") as file:
            file.write(report.nodeid + "\n")


for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        # started in the background of a shell, or by nohup: what tests start must hear Ctrl-C and its kin all the same
        with suppress(ValueError):
            signal.signal(number, usual)


class Busybox(NamedTuple):
    """A root workspace whose catalog ``test`` knows busybox, to be copied into a world."""

    ware: str
    template: Path


BUSYBOX = "warpsys.org/busybox:v1.35.0:amd64-static"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """pytest's, removed after the test by what can remove any tree: some are too deep or too closed for pytest."""
    yield tmp_path
    remove_tree(-100, os.fsencode(tmp_path), missing_ok=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty world: no workspace but an empty home."""
    return World(tmp_path)


@pytest.fixture(scope="session")
def needs_box() -> None:
    """Boxes must be possible here: their absence fails a test, for set-up could have installed what is missing."""
    if shutil.which("bwrap") is None:
        pytest.fail("bwrap is not installed: `make setup` installs it")


@pytest.fixture(scope="session")
def busybox(needs_box: None, tmp_path_factory: pytest.TempPathFactory) -> Busybox:
    """busybox, packed and put into a catalog once for every test of this process."""
    base = tmp_path_factory.mktemp("busybox")
    make_rootfs(base / "rootfs")
    made = World(base / "world")
    made.root_workspace()
    ware = made.run("ware", "pack", "--to", f"file://{base}/busybox.ztar", base / "rootfs").out.strip()
    made.run("catalog", "init", "test")
    made.run("catalog", "--name", "test", "add", "tar", "-t", "ztar", BUSYBOX, base / "busybox.ztar")
    return Busybox(ware, made.root)


@pytest.fixture
def box_world(busybox: Busybox, world: World) -> World:
    """A world that is a root workspace with busybox in its warehouse and catalog."""
    world.adopt(busybox.template)
    return world
