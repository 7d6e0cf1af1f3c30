"""Clojure in a worker: what it can name besides its own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from warpforge.polytope.code.clojure import values
from warpforge.polytope.code.clojure.data import MISUSES, ClojureError, SyntaxFault, explain
from warpforge.polytope.code.clojure.evaluate import run as evaluate
from warpforge.polytope.code.clojure.printing import show, write
from warpforge.polytope.code.faults import Fault
from warpforge.polytope.code.host import CALLS, VARIABLES

Call = Callable[[str, list[Any]], Any]


class HostError(ClojureError):
    """What the host said; code may catch it."""


def run(text: str, params: Mapping[str, Any], variables: Mapping[str, Any], call: Call) -> Any:
    """The value of the last form, as plain data. Errors: Fault."""
    given = values.to_clojure(dict(params))
    names = {"params": given, "inputs": given, **_host(call)}
    names.update({f"pt/{name}": variables.get(name) for name in VARIABLES})
    try:
        return values.to_plain(evaluate(text, names))
    except ClojureError as error:
        reason = "syntax" if isinstance(error, SyntaxFault) else "code"
        line, column = error.at
        of_host = isinstance(error, HostError)
        raise Fault(error.message, reason=reason, line=line, column=column, is_of_host=of_host) from error
    except MISUSES as error:  # in a sequence that is made only now
        raise Fault(explain(error)) from error


def _host(call: Call) -> dict[str, Any]:
    def of(name: str) -> Any:
        def ask(*args: Any) -> Any:
            try:
                return values.to_clojure(call(name, [values.to_plain(argument) for argument in args]))
            except Fault as fault:
                raise HostError(fault.message, values.to_clojure(fault.data)) from fault

        return ask

    def told(spell: Any) -> Any:
        return lambda *args: of("log")(" ".join(map(spell, args)))

    return {
        **{f"pt/{name}": of(name) for name in CALLS},
        "println": told(show),
        "print": told(show),
        "prn": told(write),
    }
