"""Forms -> values: the special forms. It runs only inside of a worker, which bounds its time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from warpforge.polytope.code.clojure.binding import bind
from warpforge.polytope.code.clojure.core import CORE
from warpforge.polytope.code.clojure.data import (
    MISUSES,
    ClojureError,
    Keyword,
    List,
    Map,
    Set,
    Symbol,
    SyntaxFault,
    Tagged,
    Vector,
    call,
    equal,
    explain,
    items,
)
from warpforge.polytope.code.clojure.env import Env, Recur
from warpforge.polytope.code.clojure.macros import MACROS
from warpforge.polytope.code.clojure.reader import read_forms

_CONSTRUCTORS: Final = frozenset(("Exception", "RuntimeException", "Throwable", "Error", "js/Error"))


def read_code(text: str) -> list[Any]:
    """All forms; closing brackets too many at the very end are let pass. Errors: SyntaxFault."""
    try:
        return read_forms(text)
    except SyntaxFault as fault:
        if fault.is_stray:
            forms: list[Any] = fault.data
            return forms
        raise


def run(text: str, names: Mapping[str, Any]) -> Any:
    """The value of the last form. ``names``: what else the code can name. Errors: ClojureError."""
    env = Env({}, Env({**CORE, **names}))
    value: Any = None
    try:
        for form in read_code(text):
            value = evaluate(form, env)
    except RecursionError as error:
        raise ClojureError("calls are nested too deep") from error
    return value


def evaluate(form: Any, env: Env) -> Any:
    kind = type(form)
    if kind is Symbol:
        return look_up(form, env)
    if kind is List:
        return _call(form, env) if form else form
    if kind is Vector:
        return Vector([_value(item, env) for item in form])
    if kind is Map:
        return Map((_value(key, env), _value(value, env)) for key, value in form.items())
    if kind is Set:
        return Set(_value(item, env) for item in form)
    if kind is Tagged:
        raise ClojureError(f"#{form.tag} is not known here")
    return form


def look_up(symbol: Symbol, env: Env) -> Any:
    """Errors: ClojureError when nobody knows the name."""
    found = env.around(symbol.name)
    if found is not None:
        return found.names[symbol.name]
    if symbol.name in SPECIAL or symbol.name in MACROS:
        raise ClojureError(f"{symbol.name} stands first in a list", at=symbol.at)
    raise ClojureError(f"{symbol.name} is not known here", at=symbol.at)


def _value(form: Any, env: Env) -> Any:
    """A value that is not in tail position."""
    value = evaluate(form, env)
    if type(value) is Recur:
        raise ClojureError("recur stands only where its loop would end")
    return value


def _call(form: List, env: Env) -> Any:
    head = form[0]
    try:
        if type(head) is Symbol and env.around(head.name) is None:
            special = SPECIAL.get(head.name)
            if special:
                return special(form, env)
            macro = MACROS.get(head.name)
            if macro:
                return evaluate(macro(form), env)
            made = _of_java(head, form, env)
            if made is not None:
                return made[0]
        function = _value(head, env)
        return call(function, *[_value(item, env) for item in form[1:]])
    except ClojureError as error:
        if error.at == (0, 0):
            error.at = form.at
        raise
    except MISUSES as error:  # a form that lacks something, or a sequence made only now
        raise ClojureError(f"{head!r} is not written so: {explain(error)}", at=form.at) from error


def _of_java(head: Symbol, form: List, env: Env) -> tuple[Any] | None:
    """``(Exception. "x")`` and ``(.method object ...)``."""
    name = head.name
    if name.endswith(".") and len(name) > 1:
        return (_construct(name[:-1].rpartition(".")[2], form[1:], env),)
    if name.startswith(".") and len(name) > 1:
        function = CORE.get(f".{name[1:].lstrip('-')}")
        if function is None:
            raise ClojureError(f"the method {name} is not known here")
        return (call(function, *[_value(item, env) for item in form[1:]]),)
    return None


def _construct(name: str, forms: tuple[Any, ...], env: Env) -> Any:
    if name not in _CONSTRUCTORS and not name.endswith("Exception"):
        raise ClojureError(f"{name} is out of reach: code cannot make objects of the host")
    return ClojureError(str(_value(forms[0], env)) if forms else "")


def body(forms: tuple[Any, ...], env: Env) -> Any:
    """``do``: the value of the last; only that one is in tail position."""
    for form in forms[:-1]:
        _value(form, env)
    return evaluate(forms[-1], env) if forms else None


def _if(form: List, env: Env) -> Any:
    if not 3 <= len(form) <= 4:
        raise ClojureError("if takes a test, a value, and another")
    test = _value(form[1], env)
    if test is not None and test is not False:
        return evaluate(form[2], env)
    return evaluate(form[3], env) if len(form) == 4 else None


def bindings(form: Any) -> list[tuple[Any, Any]]:
    """The pairs of ``[name value ...]``. Errors: ClojureError."""
    if not isinstance(form, Vector) or len(form) % 2:
        raise ClojureError("names and values in pairs, in [ ], were expected")
    return list(zip(form[::2], form[1::2], strict=True))


def _value_of(env: Env) -> Callable[[Any], Any]:
    return lambda form: _value(form, env)


def _let(form: List, env: Env) -> Any:
    inner = Env({}, env)
    for target, value in bindings(form[1]):
        inner = Env({}, inner)  # what was captured before must not change
        bind(target, _value(value, inner), inner.names, _value_of(inner))
    return body(form[2:], inner)


def _loop(form: List, env: Env) -> Any:
    pairs = bindings(form[1])
    inner = env
    values = []
    for target, value in pairs:
        values.append(_value(value, inner))
        inner = Env({}, inner)
        bind(target, values[-1], inner.names, _value_of(inner))
    while True:
        result = body(form[2:], inner)
        if type(result) is not Recur:
            return result
        _same_count(result.values, len(pairs))
        inner = Env({}, env)
        for (target, _), value in zip(pairs, result.values, strict=True):
            bind(target, value, inner.names, _value_of(inner))


def _same_count(values: list[Any], count: int) -> None:
    if len(values) != count:
        raise ClojureError(f"recur gives {len(values)} values where {count} are bound")


def _recur(form: List, env: Env) -> Any:
    return Recur([_value(item, env) for item in form[1:]])


def _fn(form: List, env: Env) -> Any:
    rest = form[1:]
    name = ""
    if rest and isinstance(rest[0], Symbol):
        name, rest = rest[0].name, rest[1:]
    clauses = [rest] if rest and isinstance(rest[0], Vector) else [tuple(clause) for clause in rest]
    if not clauses or not all(clause and isinstance(clause[0], Vector) for clause in clauses):
        raise ClojureError("fn takes its parameters in [ ]")
    return function(name, clauses, env)


def function(name: str, clauses: list[tuple[Any, ...]], env: Env) -> Callable[..., Any]:
    """A function of one clause a number of parameters; it can name itself."""

    def called(*values: Any) -> Any:
        given: list[Any] = list(values)
        clause = _clause(clauses, len(given), name)
        while True:
            inner = Env({name: called} if name else {}, env)
            bind(clause[0], Vector(given), inner.names, _value_of(inner))
            result = body(clause[1:], inner)
            if type(result) is not Recur:
                return result
            given = _again(clause[0], result.values)

    return called


def _again(parameters: Vector, values: list[Any]) -> list[Any]:
    """``recur`` gives the rest as one sequence."""
    if Symbol("&") in parameters and values:
        return [*values[:-1], *items(values[-1])]
    _same_count(values, len(parameters))
    return values


def _clause(clauses: list[tuple[Any, ...]], count: int, name: str) -> tuple[Any, ...]:
    for clause in clauses:
        parameters = clause[0]
        if Symbol("&") in parameters:
            if count >= parameters.index(Symbol("&")):
                return clause
        elif len(parameters) == count:
            return clause
    raise ClojureError(f"{name or 'a function'} does not take {count} values")


def _def(form: List, env: Env) -> Any:
    if not isinstance(form[1], Symbol):
        raise ClojureError("def takes a name")
    top = env
    while top.outer is not None and top.outer.outer is not None:
        top = top.outer
    top.names[form[1].name] = _value(form[-1], env) if len(form) > 2 else None
    return form[1]


def _try(form: List, env: Env) -> Any:
    plain = tuple(item for item in form[1:] if not _begins(item, "catch") and not _begins(item, "finally"))
    catches = [item for item in form[1:] if _begins(item, "catch")]
    last = next((item for item in form[1:] if _begins(item, "finally")), None)
    try:
        return _realised(body(plain, env))
    except ClojureError as error:
        for clause in catches:
            return _realised(body(clause[3:], Env({clause[2].name: error}, env)))
        raise
    finally:
        if last is not None:
            body(last[1:], env)


def _realised(value: Any) -> Any:
    if type(value) is Recur:
        raise ClojureError("recur cannot leave a try")
    return value


def _begins(form: Any, name: str) -> bool:
    return isinstance(form, List) and bool(form) and form[0] == Symbol(name)


def _throw(form: List, env: Env) -> NoReturn:
    error = _value(form[1], env)
    if isinstance(error, ClojureError):
        raise error
    raise ClojureError(f'throw takes an exception, as (ex-info "..." {{}}), not {error!r}')


def _case(form: List, env: Env) -> Any:
    value = _value(form[1], env)
    clauses = form[2:]
    for constant, then in zip(clauses[::2], clauses[1::2], strict=False):
        options = constant if isinstance(constant, List) else (constant,)
        if any(equal(value, _constant(option)) for option in options):
            return evaluate(then, env)
    if len(clauses) % 2:
        return evaluate(clauses[-1], env)
    raise ClojureError(f"no clause of case for {value!r}")


def _constant(form: Any) -> Any:
    return form[1] if _begins(form, "quote") else form


def _for(form: List, env: Env) -> Any:
    made: list[Any] = []
    _each(list(bindings(form[1])), form[2:], env, made.append)
    return List(made)


def _doseq(form: List, env: Env) -> Any:
    _each(list(bindings(form[1])), form[2:], env, lambda value: None)


def _each(pairs: list[tuple[Any, Any]], forms: tuple[Any, ...], env: Env, take: Callable[[Any], None]) -> bool:
    """Every combination in turn; false when a :while ended the walk that is around."""
    if not pairs:
        take(_realised(body(forms, env)))
        return True
    (target, source), rest = pairs[0], pairs[1:]
    if isinstance(target, Keyword):
        return _modified(target, source, rest, forms, env, take)
    for value in items(_value(source, env)):
        inner = Env({}, env)
        bind(target, value, inner.names, _value_of(inner))
        if not _each(rest, forms, inner, take):
            break
    return True


def _modified(
    modifier: Keyword, form: Any, rest: list[Any], forms: tuple[Any, ...], env: Env, take: Callable[[Any], None]
) -> bool:
    if modifier.name == "let":
        inner = Env({}, env)
        for target, value in bindings(form):
            bind(target, _value(value, inner), inner.names, _value_of(inner))
        return _each(rest, forms, inner, take)
    test = _value(form, env)
    holds = test is not None and test is not False
    if modifier.name == "while":
        return holds and _each(rest, forms, env, take)
    if modifier.name != "when":
        raise ClojureError(f"{modifier!r} is no modifier of for")
    return _each(rest, forms, env, take) if holds else True


def _and(form: List, env: Env) -> Any:
    for item in form[1:-1]:
        value = _value(item, env)
        if value is None or value is False:
            return value
    return evaluate(form[-1], env) if len(form) > 1 else True


def _or(form: List, env: Env) -> Any:
    for item in form[1:-1]:
        value = _value(item, env)
        if value is not None and value is not False:
            return value
    return evaluate(form[-1], env) if len(form) > 1 else None


def _letfn(form: List, env: Env) -> Any:
    inner = Env({}, env)
    for one in form[1]:
        inner.names[one[0].name] = _fn(List((Symbol("fn"), *one)), inner)
    return body(form[2:], inner)


def _forbidden(form: List, env: Env) -> NoReturn:
    raise ClojureError(f"{form[0]!r} is out of reach: code stands alone, and cannot load or run other code")


SPECIAL: Final[dict[str, Callable[[List, Env], Any]]] = {
    "quote": lambda form, env: form[1],
    "do": lambda form, env: body(form[1:], env),
    "if": _if,
    "let": _let,
    "loop": _loop,
    "recur": _recur,
    "fn": _fn,
    "fn*": _fn,
    "def": _def,
    "try": _try,
    "throw": _throw,
    "case": _case,
    "for": _for,
    "doseq": _doseq,
    "and": _and,
    "or": _or,
    "letfn": _letfn,
    "new": lambda form, env: _construct(form[1].name.rpartition(".")[2], form[2:], env),
    "comment": lambda form, env: None,
    "ns": _forbidden,
    "defmacro": _forbidden,
    **dict.fromkeys(
        ("require", "use", "import", "eval", "load", "load-string", "load-file", "read-string", "slurp", "spit"),
        _forbidden,
    ),
    "resolve": _forbidden,
    "intern": _forbidden,
    "alter-var-root": _forbidden,
    "sh": _forbidden,
}
