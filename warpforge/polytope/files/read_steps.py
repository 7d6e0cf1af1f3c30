"""The steps of a template, in every way in which they are written."""

from __future__ import annotations

from typing import Final

from warpforge.polytope.files.reading import REFERENCE, Members, Reading, spell_scalar, step_of
from warpforge.polytope.nouns import CONDITIONS, After, Step, Value, Way

_STEP: Final = frozenset(
    ("id", "name", "info", "module", "tool", "template", "code", "call", "args", "params", "parameters", "run-when",
     "after", "after-condition")
)  # fmt: skip


class StepReader(Reading):
    """Reads ``run:``."""

    def _steps(self, value: Value, way: Way) -> tuple[Step, ...]:
        if isinstance(value, str | dict):  # one step, written without a list
            value = [value]
        made: list[Step] = []
        taken: set[str] = set()
        for number, inner in enumerate(self._list(value, way, "run")):
            if inner is not None:
                made.append(self._step(inner, (*way, number), taken))
        return tuple(made)

    def _step(self, value: Value, way: Way, taken: set[str]) -> Step:
        place = self._document.place(way)
        if not isinstance(value, dict):
            text = spell_scalar(value) if not isinstance(value, list) else ""
            if text.startswith(("pt.", "#pt-")):
                return Step(id=_free("code", taken), code=text, place=place, way=way)
            if not REFERENCE.fullmatch(text):
                self._say(way, f"{value!r} is no step: a module, or a map with module, template or code"[:200])
            return Step(id=_free(default_id(text), taken), call=text, place=place, way=way)
        self._unknown(value, _STEP, way)
        called = [key for key in ("module", "tool", "template", "code", "call") if value.get(key) is not None]
        if len(called) != 1:
            self._say(way, "a step has one of module, tool, template and code")
        what = called[0] if called else ""
        text = self._text(value, what, way) if what else ""
        name = self._text(value, "id" if "id" in value else "name", way)
        if name and name in taken:
            self._say(way, f"the step {name} is there twice")
        if name:
            taken.add(name)
        key = next((key for key in ("args", "parameters", "params") if key in value), "args")
        return Step(
            id=name or _free("code" if what == "code" else default_id(text), taken),
            call=text if what in ("module", "tool", "call") else "",
            template=text if what == "template" else "",
            code=text if what == "code" else "",
            args=self._map(value.get(key), (*way, key), key),
            after=self._after(value, way),
            place=place,
            way=(*way, key),
        )

    def _after(self, step: Members, way: Way) -> tuple[After, ...]:
        condition = step.get("after-condition")
        after, at = step.get("after"), (*way, "after")
        when = step.get("run-when")
        if isinstance(when, dict):
            after, condition, at = when.get("after"), when.get("after-condition", condition), (*way, "run-when")
        elif when is not None:
            after, at = when, (*way, "run-when")
        made = []
        for item in after if isinstance(after, list) else [] if after is None else [after]:
            own = item.get("condition", item.get("after-condition", condition)) if isinstance(item, dict) else condition
            if own not in (None, *CONDITIONS):
                self._say(at, f"{own!r} is no condition: success, always or failed")
                own = None
            name = spell_scalar(step_of(item))
            made.append(After(name, own or "success"))
        return tuple(made)


def default_id(reference: str) -> str:
    """The id of a step that names none: that of what it calls."""
    head, _, sub = reference.partition("!")
    return sub or head.partition(":")[0].partition("@")[0].rstrip("/").rpartition("/")[2] or "step"


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
