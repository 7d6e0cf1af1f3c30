"""The process in which code runs. Started by the evaluator; speaks over its standard input and output.

Everything that it needs is loaded first; then it gives up whatever it could do besides computing. What is left is
bounded by its limits of memory and of time on a processor, and the evaluator kills it when code overdraws.
"""

from __future__ import annotations

import os
import resource
import select
import sys
import threading
from typing import Any, Final

from warpforge.polytope.code import clojure_code, confine, javascript_code, wire
from warpforge.polytope.code.faults import Fault
from warpforge.polytope.code.vetting import vet

_STACK: Final = 128 << 20

_IN, _OUT = 0, 1


def main() -> None:
    """Serve until the evaluator hangs up. argv: the bytes of memory that code may take."""
    confine.limit(_STACK + int(sys.argv[1]))
    sys.setrecursionlimit(12_000)
    threading.stack_size(_STACK)
    threading.Thread(target=_serve, daemon=True).start()
    watch = select.poll()
    watch.register(_IN, 0)  # only whether the other side has gone
    watch.poll()
    os._exit(0)


def _serve() -> None:
    confine.filter_calls()
    try:
        while True:
            request = wire.receive(_IN)
            _bounds.seconds = request["time"]
            _bounds.restart()
            wire.send(_OUT, _answer(request))
    except wire.Ended:
        pass


class _Bounds:
    """Should nobody be there any more to kill this process while it can hear of nothing, the kernel does."""

    seconds = 0.0

    def restart(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime + self.seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


_bounds = _Bounds()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    run = javascript_code.run if request["language"] == "js" else clojure_code.run
    try:
        return {"value": vet(run(request["text"], request["params"], request["variables"], _call))}
    except Fault as fault:
        return {"error": fault.to_serial()}
    except MemoryError:
        return {"error": Fault("the code takes too much memory", reason="memory").to_serial()}
    except RecursionError:
        return {"error": Fault("calls are nested too deep").to_serial()}
    except Exception as error:
        return {"error": Fault(f"{type(error).__name__}: {error}").to_serial()}


def _call(name: str, args: list[Any]) -> Any:
    """Ask the host, and wait. Errors: Fault."""
    wire.send(_OUT, {"call": name, "args": vet(args)})
    answer = wire.receive(_IN)
    _bounds.restart()
    if "error" in answer:
        raise Fault(answer["error"], data=answer.get("data"), is_of_host=True)
    return answer["value"]
