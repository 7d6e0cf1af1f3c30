"""JavaScript in a worker: QuickJS, which has no host but what is given to it here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from warpforge.polytope.code.faults import Fault
from warpforge.polytope.code.host import CALLS, VARIABLES, camel

try:
    import quickjs
except ImportError:  # the extra polytope is not installed: Clojure works without
    quickjs = None

MEMORY: Final = 128 << 20
_STACK: Final = 1 << 20

Call = Callable[[str, list[Any]], Any]

# ``params`` has its keys in camelCase, ``inputs`` as they were written; each answers to the other spelling too.
# ``__ask`` is captured and taken away, so that code cannot call it with other names.
_PRELUDE: Final = """
(function (given, names, variables) {
  const ask = globalThis.__ask, parse = JSON.parse, write = JSON.stringify;
  delete globalThis.__ask;
  const camel = name => /^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)+$/.test(name)
    ? name.replace(/[-_]([a-z0-9])/g, (_, c) => c.toUpperCase()) : name;
  const spelled = (value, inCamel) => {
    if (Array.isArray(value)) return value.map(item => spelled(item, inCamel));
    if (value === null || typeof value !== 'object') return value;
    const made = {};
    for (const key of Object.keys(value)) {
      const inner = spelled(value[key], inCamel), other = camel(key);
      Object.defineProperty(made, inCamel ? other : key,
        {value: inner, enumerable: true, writable: true, configurable: true});
      const hidden = inCamel ? key : other;
      if (!(Object.prototype.hasOwnProperty.call(made, hidden)))
        Object.defineProperty(made, hidden, {value: inner, enumerable: false, writable: true, configurable: true});
    }
    return made;
  };
  const call = (name, args) => {
    const answer = parse(ask(name, write(args)));
    if ('error' in answer) throw Object.assign(new Error(answer.error), {data: answer.data, ofHost: true});
    return answer.value;
  };
  const pt = {};
  for (const [name, own] of names) pt[own] = (...args) => call(name, args);
  for (const [own, value] of variables) pt[own] = value;
  for (const own of ['param', 'input', 'params', 'output']) {
    const plain = pt[own];
    pt[own] = (...args) => spelled(plain(...args), true);
  }
  globalThis.pt = pt;
  globalThis.params = spelled(given, true);
  globalThis.inputs = spelled(given, false);
  const told = level => (...words) =>
    pt.log(level, words.map(word => typeof word === 'string' ? word : write(word)).join(' '));
  globalThis.console = {log: told('info'), info: told('info'), warn: told('warn'), error: told('error'),
                        debug: told('debug')};
})
"""
_FAR: Final = 100_000  # lines: the prelude stands behind them, so that what is called there is not taken for the code's
_PLACE: Final = re.compile(r"at (?:[^\n(]*\()?<input>:(\d+)")


def run(text: str, params: Mapping[str, Any], variables: Mapping[str, Any], call: Call) -> Any:
    """The value of the last statement, as plain data. Errors: Fault."""
    if quickjs is None:
        raise Fault("JavaScript needs the extra polytope: pip install 'warpforge[polytope]'", reason="unavailable")
    context = quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_max_stack_size(_STACK)
    context.add_callable("__ask", _asker(call))
    names = [[name, camel(name)] for name in sorted(CALLS - VARIABLES)]
    shown = [[camel(name), variables.get(name)] for name in sorted(VARIABLES)]
    try:
        prelude = ",".join(json.dumps(part) for part in (dict(params), names, shown))
        context.eval("\n" * _FAR + f"{_PRELUDE}({prelude})")
        return _plain(context.eval(_as_expression(context, text)))
    except quickjs.JSException as error:
        raise _fault(str(error)) from error
    except UnicodeDecodeError as error:
        raise Fault("the value holds text that is no Unicode") from error
    except ValueError as error:  # what Python will not spell
        raise Fault("the value holds a number that is larger than 64 bits") from error


def _asker(call: Call) -> Callable[[str, str], str]:
    def ask(name: str, args: str) -> str:
        try:
            return json.dumps({"value": call(name, json.loads(args))})
        except Fault as fault:
            return json.dumps({"error": fault.message, "data": fault.data})

    return ask


def _as_expression(context: Any, text: str) -> str:
    """What begins with a brace is an object, if it can be one, and not a block."""
    if not text.lstrip().startswith("{"):
        return text
    wrapped = f"({text.strip().rstrip(';')}\n)"
    try:
        context.eval(f"void function () {{ return {wrapped} }}")
    except quickjs.JSException:
        return text
    return wrapped


def _plain(value: Any) -> Any:
    if isinstance(value, quickjs.Object):
        found = value.json()
        if found is None:
            raise Fault("the value is a function: nothing can be made of it")
        return _whole(json.loads(found))
    return _whole(value)


def _whole(value: Any) -> Any:
    """Numbers that are whole are so, whatever JavaScript calculated with."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    return value


def _fault(said: str) -> Fault:
    head, _, trace = said.partition("\n")
    line = next((line for place in _PLACE.finditer(trace) if (line := int(place[1])) < _FAR), 0)
    if "out of memory" in head or said.strip() == "null":
        return Fault("the code takes too much memory", reason="memory", line=line)
    if "stack overflow" in head:
        return Fault("calls are nested too deep", line=line)
    reason = "syntax" if head.startswith("SyntaxError") else "code"
    return Fault(head.removeprefix("Error: "), reason=reason, line=line)
