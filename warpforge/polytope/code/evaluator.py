"""Runs code in workers, within bounds. Safe for threads: each piece of code has a worker to itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple

from warpforge.errors import Failed, Unable, WarpforgeError
from warpforge.polytope.code import wire
from warpforge.polytope.code.host import CALLS, ENDS, LOOKUPS, Host, NoHost
from warpforge.polytope.issues import CODE, Issue, spell
from warpforge.polytope.nouns import Place, Value

NAMES: Final = {"js": "JavaScript", "clj": "Clojure", "py": "Python"}

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from warpforge.polytope.code.worker import main; main()"
)
_ROOT: Final = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


class Code(NamedTuple):
    """``language``: js, clj or py. ``place``: of the text that holds it. ``line``: where it begins in its file; 0 when
    its lines are not those of a file."""

    language: str
    text: str
    place: Place = Place()
    line: int = 0

    def locate(self, line: int, message: str) -> Issue:
        """What to say of a line of the code (from 1; 0: not known)."""
        spelled = f"{NAMES[self.language]} code: "
        if self.line and line:
            return Issue(Place(self.place.path, self.line + line - 1), spelled + message, CODE)
        return Issue(self.place, spelled + (f"line {line}: " if line else "") + message, CODE)


class Scope(NamedTuple):
    """What code sees: ``params`` (also as inputs), and ``variables`` by their names in kebab-case."""

    params: Mapping[str, Value]
    variables: Mapping[str, Value] = MappingProxyType({})


class Bounds(NamedTuple):
    """``seconds`` of computing, by the processor's clock, from one call of the job to the next (lookups do not count);
    ``memory`` in bytes."""

    seconds: float = 10.0
    memory: int = 512 << 20


BOUNDS: Final = Bounds()
_TURN: Final = 0.2  # seconds between two looks whether code that computes may go on
_PATIENCE: Final = 60  # seconds by the clock for each that may be computed: of a process that is stopped


class Evaluator:
    """Keeps workers that wait for code; close it, or use it in ``with``."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, those at work too."""
        with self._lock:
            idle, busy = [*self._idle], [*self._busy]
            self._idle.clear()
        for worker in busy:
            worker.kill()  # whoever waits for it hears of that, and ends it
        for worker in idle:
            worker.end()

    def evaluate(
        self, code: Code, scope: Scope, host: Host | None = None, go_on: Callable[[], None] = lambda: None
    ) -> Value:
        """The value of the code. Calls of pt.* go to ``host``, in this thread; without one they are refused.
        ``go_on`` is called again and again while the code computes: what it raises ends the code.

        Errors: ``generator-failed``, reasons ``code`` (the code raised), ``syntax``, ``time``, ``memory``, and
        ``python`` for code that runs only in a box; what the host raised, when the code did not catch it.
        """
        if code.language == "py":
            message = "Python code runs only inside of a box, as the code of a module or a step"
            raise Failed("generator-failed", _at(code, message), reason="python")
        worker = self._take()
        is_whole = False
        try:
            value = worker.run(code, scope, host or NoHost(), self._bounds, go_on)
            is_whole = True
            return value
        except _Said:
            is_whole = True
            raise
        finally:
            self._give(worker, is_whole=is_whole)

    def _take(self) -> _Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker(self._bounds)
        with self._lock:
            self._busy.add(worker)
        return worker

    def _give(self, worker: _Worker, *, is_whole: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            if is_whole:
                self._idle.append(worker)
        if not is_whole:
            worker.end()


class CodeFailed(Failed):
    """Code did not give a value. ``findings``: the one issue, with its place."""

    findings: tuple[Issue, ...] = ()


class _Said(CodeFailed):
    """The code failed, and its worker is as good as before."""


class _Spending:
    """What code may yet compute, in its process: a busy machine takes nothing of that away.

    The clock is the kernel's of another process (clock_getcpuclockid(3)): its number with all bits turned, and 2 for
    the scheduler's count.
    """

    def __init__(self, pid: int, seconds: float, go_on: Callable[[], None]) -> None:
        self.seconds: Final = seconds
        self._go_on = go_on
        self._clock = (~pid << 3) | 2
        self._until = self._computed() + seconds
        self._deadline = time.monotonic() + seconds * _PATIENCE

    def left(self) -> float:
        """Seconds until it is to be asked again; none once it has been waited for far too long, whatever it computed.
        Raises what ``go_on`` does."""
        self._go_on()
        return min(_TURN, self._until - self._computed(), self._deadline - time.monotonic())

    def _computed(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0  # it has ended, as its pipe will tell


class _Worker:
    """One process."""

    def __init__(self, bounds: Bounds) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, _ROOT, str(bounds.memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,  # a Ctrl-C is for us to hear
                bufsize=0,
            )
        except OSError as error:
            raise Unable("syscall", f"no process for code: {error.strerror}", cause=error) from error
        assert self._process.stdin and self._process.stdout
        self._to, self._of = self._process.stdin.fileno(), self._process.stdout.fileno()

    def run(self, code: Code, scope: Scope, host: Host, bounds: Bounds, go_on: Callable[[], None]) -> Value:
        """Errors: as ``evaluate`` says."""
        request = {"language": code.language, "text": code.text, "time": bounds.seconds}
        request |= {"params": dict(scope.params), "variables": dict(scope.variables)}
        spending = _Spending(self._process.pid, bounds.seconds, go_on)
        last: WarpforgeError | None = None
        message: Any = request
        while True:
            answer = self._exchange(message, spending, code)
            if "call" not in answer:
                return _outcome(answer, code, last)
            if answer["call"] not in LOOKUPS:
                spending = _Spending(self._process.pid, bounds.seconds, go_on)
            try:
                message = {"value": _ask(host, str(answer["call"]), answer["args"])}
            except WarpforgeError as error:
                if answer["call"] in ENDS:
                    raise
                last = error
                message = {"error": error.message, "data": {"code": error.code, **error.details}}

    def _exchange(self, message: Any, spending: _Spending, code: Code) -> dict[str, Any]:
        try:
            wire.send(self._to, message)
            answer = wire.receive(self._of, spending.left)
        except TimeoutError:
            raise _failed(code, f"does not end: stopped after {spending.seconds:g} s", "time") from None
        except wire.TooLong:
            raise _failed(code, "gives or takes more data than any may", "memory") from None
        except wire.Ended:
            raise self._died(code) from None
        assert isinstance(answer, dict)
        return answer

    def _died(self, code: Code) -> Failed:
        import signal

        status = self._process.wait()
        if status == -signal.SIGXCPU:
            return _failed(code, "does not end: stopped", "time")
        return _failed(code, "takes too much memory: its process ended", "memory")

    def kill(self) -> None:
        """It has nothing to tidy up. Any thread."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, and give back what it took."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def _ask(host: Host, name: str, args: list[Value]) -> Value:
    if name not in CALLS:
        raise Failed("generator-failed", f"pt/{name} is not known", reason="code")
    return host.call(name, args)


def _outcome(answer: dict[str, Any], code: Code, last: WarpforgeError | None) -> Value:
    if "error" not in answer:
        value: Value = answer["value"]
        return value
    error = answer["error"]
    cause = last if last is not None and last.message in error["message"] else None
    issue = code.locate(error["line"], error["message"])
    said = _Said(
        "generator-failed",
        str(issue),
        reason=error["reason"],
        line=error["line"] or None,
        column=error["column"] or None,
        cause=cause,
    )
    said.findings = (issue,)
    raise said


def _failed(code: Code, what: str, reason: str) -> Failed:
    message = f"{NAMES[code.language]} code {what}"
    failed = CodeFailed("generator-failed", _at(code, message), reason=reason)
    failed.findings = (Issue(code.place, message, CODE),)
    return failed


def _at(code: Code, message: str) -> str:
    where = spell(code.place)
    return f"{where}: {message}" if where else message
