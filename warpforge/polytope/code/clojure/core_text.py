"""Text: str, format, clojure.string, regular expressions, and the methods of Java's texts that files use."""

from __future__ import annotations

import re
from typing import Any, Final

from warpforge.polytope.code.clojure import regex
from warpforge.polytope.code.clojure.data import (
    Char,
    ClojureError,
    Keyword,
    List,
    Regex,
    Symbol,
    Vector,
    call,
    items,
    type_name,
)
from warpforge.polytope.code.clojure.printing import show, write

TEXT_LIMIT: Final = 16 << 20

_FORMAT: Final = re.compile(r"%(?:(\d+)\$)?([-+ 0,#(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


def text(value: Any) -> str:
    """Errors: ClojureError when it is none."""
    if isinstance(value, str):
        return value
    raise ClojureError(f"{type_name(value)} is no text")


def _str(*values: Any) -> str:
    parts = [show(value) for value in values]
    if sum(map(len, parts)) > TEXT_LIMIT:
        raise ClojureError("the text grows too long")
    return "".join(parts)


def _join(*values: Any) -> str:
    between = show(values[0]) if len(values) > 1 else ""
    return between.join(map(show, items(values[-1])))


def _split(value: Any, by: Any, limit: int = 0) -> Vector:
    """As Java does: empty parts at the end are dropped, unless a limit is given."""
    source = text(value)
    if not source:
        return Vector(("",))
    parts: list[str] = []
    at = 0
    for match in regex.pattern(by).finditer(source):
        if limit > 0 and len(parts) == limit - 1:
            break
        if match.end() == 0 or (match.start() == match.end() == len(source)):
            continue
        parts.append(source[at : match.start()])
        at = match.end()
    parts.append(source[at:])
    while limit == 0 and len(parts) > 1 and not parts[-1]:
        parts.pop()
    return Vector(parts)


def _replace(value: Any, what: Any, by: Any) -> str:
    return regex.replace(text(value), what, by, first=False, call=call)


def _replace_first(value: Any, what: Any, by: Any) -> str:
    return regex.replace(text(value), what, by, first=True, call=call)


def _replace_all(value: Any, what: Any, by: Any) -> str:
    return _replace(value, Regex(text(what)), by)


def _format(template: Any, *values: Any) -> str:
    following = iter(values)

    def piece(match: re.Match[str]) -> str:
        number, flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        if kind == "n":
            return "\n"
        try:
            value = values[int(number) - 1] if number else next(following)
        except (StopIteration, IndexError) as error:
            raise ClojureError(f"there is no value for {match[0]}") from error
        if width and int(width) > 10_000:
            raise ClojureError(f"{match[0]} is too wide")
        return _formatted(flags, width or "", precision, kind, value, match[0])

    return _FORMAT.sub(piece, text(template))


def _formatted(flags: str, width: str, precision: str | None, kind: str, value: Any, spelled: str) -> str:
    if kind in "sS":
        shown = ("null" if value is None else show(value))[: int(precision) if precision else None]
        shown = shown.upper() if kind == "S" else shown
        return shown.ljust(int(width or 0)) if "-" in flags else shown.rjust(int(width or 0))
    if kind in "bc":
        return str(value is not None and value is not False).lower() if kind == "b" else str(value)
    if kind in "dxXofeEg":
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ClojureError(f"{spelled} takes a number, not {type_name(value)}")
        flags = flags.replace("(", "")
        comma = "," if "," in flags else ""
        try:
            if comma:
                return f"{value:{width}{comma}{f'.{precision}' if precision else ''}{kind}}"
            return f"%{flags}{width}{f'.{precision}' if precision else ''}{kind}" % value
        except (ValueError, TypeError) as error:
            raise ClojureError(f"{spelled}: {error}") from error
    raise ClojureError(f"{spelled} is not known to format")


def _subs(value: Any, start: int, end: int | None = None) -> str:
    source = text(value)
    stop = len(source) if end is None else end
    if not 0 <= start <= stop <= len(source):
        raise ClojureError(f"String index out of range: {start}, {stop} of {len(source)}")
    return source[start:stop]


def name(value: Any) -> str:
    """Of a keyword without what stands before its slash. Errors: ClojureError."""
    if isinstance(value, Keyword | Symbol):
        return value.name.rpartition("/")[2] or value.name
    return text(value)


def _namespace(value: Any) -> str | None:
    return value.name.rpartition("/")[0] or None if isinstance(value, Keyword | Symbol) else None


def _keyword(*values: Any) -> Keyword:
    return Keyword("/".join(value if isinstance(value, str) else name(value) for value in values).lstrip(":"))


def _index(found: int) -> int | None:
    return None if found < 0 else found


def _re_seq(pattern: Any, value: Any) -> Any:
    return List(regex.found(match) for match in regex.pattern(pattern).finditer(text(value))) or None


def _escape(value: Any, by: Any) -> str:
    return "".join(show(found) if (found := call(by, Char(char))) is not None else char for char in text(value))


def _blank(value: Any) -> bool:
    return value is None or not text(value).strip()


_STRING: Final[dict[str, Any]] = {
    "join": _join,
    "split": _split,
    "split-lines": lambda value: Vector(re.split(r"\r?\n", text(value).rstrip("\r\n"))),
    "replace": _replace,
    "replace-first": _replace_first,
    "re-quote-replacement": lambda value: re.sub(r"([\\$])", r"\\\1", text(value)),
    "trim": lambda value: text(value).strip(),
    "triml": lambda value: text(value).lstrip(),
    "trimr": lambda value: text(value).rstrip(),
    "trim-newline": lambda value: text(value).rstrip("\r\n"),
    "lower-case": lambda value: show(value).lower(),
    "upper-case": lambda value: show(value).upper(),
    "capitalize": lambda value: show(value).capitalize(),
    "blank?": _blank,
    "starts-with?": lambda value, part: text(value).startswith(show(part)),
    "ends-with?": lambda value, part: text(value).endswith(show(part)),
    "includes?": lambda value, part: show(part) in text(value),
    "index-of": lambda value, part, start=0: _index(text(value).find(show(part), start)),
    "last-index-of": lambda value, part: _index(text(value).rfind(show(part))),
    "reverse": lambda value: text(value)[::-1],
    "escape": _escape,
}

NAMES: Final[dict[str, Any]] = {
    **{
        f"{space}/{name}": function
        for space in ("clojure.string", "str", "string")
        for name, function in _STRING.items()
    },
    "str": _str,
    "pr-str": lambda *values: " ".join(map(write, values)),
    "print-str": lambda *values: " ".join(map(show, values)),
    "format": _format,
    "subs": _subs,
    "name": name,
    "namespace": _namespace,
    "keyword": _keyword,
    "symbol": lambda value: Symbol(name(value)),
    "re-pattern": lambda value: value if isinstance(value, Regex) else Regex(text(value)),
    "re-find": lambda pattern, value: regex.found(regex.pattern(pattern).search(text(value))),
    "re-matches": lambda pattern, value: regex.found(regex.pattern(pattern).fullmatch(text(value))),
    "re-seq": _re_seq,
    ".length": lambda value: len(text(value)),
    ".contains": lambda value, part: show(part) in value,
    ".startsWith": lambda value, part: text(value).startswith(show(part)),
    ".endsWith": lambda value, part: text(value).endswith(show(part)),
    ".toLowerCase": lambda value: text(value).lower(),
    ".toUpperCase": lambda value: text(value).upper(),
    ".trim": lambda value: text(value).strip(),
    ".replace": lambda value, what, by: text(value).replace(show(what), show(by)),
    ".replaceAll": _replace_all,
    ".substring": _subs,
    ".isEmpty": lambda value: len(value) == 0,
    ".toString": show,
    ".split": lambda value, by: _split(value, by if isinstance(by, Regex) else Regex(text(by))),
    "String/valueOf": show,
}
