"""A signal at every line of a command line: the real one, in a process of its own, forked from one that is warm.

Run as a script it reads one JSON line a command on stdin and answers with one; ``Rig`` is its other end. A command is
run in a fresh copy of a prepared directory. Its main thread is traced; the N-th line of the traced files is where the
handler that the product installed is called, as the interpreter would have called it there.
Orphans come to the script, so that no process of a command is overlooked.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, NamedTuple, Self

PR_SET_CHILD_SUBREAPER: Final = 36
PATIENCE: Final = 200  # seconds that a command which hangs is given
LAST: Final = 100  # seconds in which what watches a command has to end after it
OURS: Final = ("/warpforge/", "threading.py", "queue.py", "contextlib.py", "subprocess.py", "selectors.py", "socket.py")


class Ended(NamedTuple):
    """What a command gave. ``where``: the line at which the signal came; ``places``: see ``Rig.run``."""

    status: int
    out: str
    err: str
    where: str
    places: list[int]
    left: list[str]  # processes that did not end
    hung: bool


class Rig:
    """Runs command lines of one program, some of them struck."""

    def __init__(self, environment: dict[str, str], *, program: str = "warpforge", warm: bool = True) -> None:
        argv = [sys.executable, __file__, program, "warm" if warm else "cold"]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(
        self,
        argv: list[str],
        cwd: Path,
        *,
        at: int = -1,
        times: int = 1,
        files: tuple[str, ...] = OURS,
        number: int = signal.SIGINT,
    ) -> Ended:
        """Run one command line. ``at``: the line that is struck, from 0; -1: none; -2: none, but they are counted:
        ``places`` tells where each line ran first, and where last. ``times``: signals there. ``files``: parts of the
        names of traced files."""
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"argv": argv, "cwd": str(cwd), "at": at, "times": times, "files": files, "number": int(number)}
        self._process.stdin.write(json.dumps(order) + "\n")
        return Ended(**json.loads(self._process.stdout.readline()))


class _Strike:
    """Traces the lines of this thread."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.where = ""
        self.places: dict[str, list[int]] = {}
        self._lines = 0
        self._at = order["at"]
        self._times = order["times"]
        self._number = order["number"]
        self._files = tuple(order["files"])
        self._known: dict[str, bool] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        is_ours = self._known.get(name)
        if is_ours is None:
            is_ours = self._known[name] = any(part in name for part in self._files) and "/support/" not in name
        if not is_ours:
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event != "line":
            return self._line
        number, self._lines = self._lines, self._lines + 1
        if self._at == -2:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            self.places[where] = [*self.places.get(where, [])[:1], number]
        elif number == self._at:
            sys.settrace(None)
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            handler = signal.getsignal(self._number)
            if not callable(handler):  # nothing has begun, or all was said
                signal.raise_signal(self._number)
                return None
            try:
                handler(self._number, frame)
            finally:
                if self._times > 1:
                    handler(self._number, frame)
            return None
        return self._line


def _run(order: dict[str, Any], program: str, report: str) -> None:
    """In the child: become the command."""
    os.chdir(order["cwd"])
    os.setpgid(0, 0)
    out = os.open(order["cwd"] + "/../out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    err = os.open(order["cwd"] + "/../err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, place in ((null, 0), (out, 1), (err, 2)):
        os.dup2(fd, place)
        os.close(fd)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    sys.argv = [program, *order["argv"]]
    main = vars(importlib.import_module("warpforge.cli.pt" if program == "pt" else "warpforge.cli.main"))["main"]
    strike = _Strike(order)
    end, us = os._exit, os.getpid()

    def tell(status: int) -> None:
        sys.settrace(None)
        if os.getpid() == us:
            names = [name for name in sys.modules if name.startswith("warpforge.")]
            places = sorted({number for numbers in strike.places.values() for number in numbers})
            with open(report, "w") as file:
                json.dump([strike.where, places, names], file)
        end(status)

    os._exit = tell  # type: ignore[assignment]
    if order["at"] != -1:
        sys.settrace(strike)
    main()


def _serve(program: str, *, warm: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        order = json.loads(line)
        base = Path(order["cwd"]).parent
        report = base / "report"
        report.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            try:
                _run(order, program, str(report))
            except BaseException:  # what got past the command line
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(99)
        status, hung = _wait(pid)
        where, places, names = json.loads(report.read_text()) if report.exists() else ("", [], [])
        for name in names if warm else ():
            importlib.import_module(name)
        out, err = ((base / name).read_text(errors="replace") for name in ("out", "err"))
        print(json.dumps(Ended(status, out, err, where, places, _left(), hung)._asdict()), flush=True)


def _wait(pid: int) -> tuple[int, bool]:
    fd = os.pidfd_open(pid)
    hung = not select.select([fd], [], [], PATIENCE)[0]
    if hung:
        os.kill(pid, signal.SIGUSR1)  # where does it stand?
        select.select([fd], [], [], 2)
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), hung


def _left() -> list[str]:
    """Reap orphans; what does not end by itself is named, and killed."""
    until = time.monotonic() + LAST
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return []
        if not pid:
            time.sleep(0.002)
    left = []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in children:
        left.append(Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "))
        os.kill(int(child), signal.SIGKILL)
    return left


def fresh(template: Path, target: Path) -> Path:
    """A copy of a prepared directory, in place of what was there."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(template, target, symlinks=True)
    return target


if __name__ == "__main__":
    _serve(sys.argv[1], warm=sys.argv[2] == "warm")
