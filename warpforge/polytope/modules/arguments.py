"""What code gave to a call, taken as what the call wants."""

from __future__ import annotations

from warpforge.errors import Invalid, WarpforgeError
from warpforge.polytope.calls.taking import Taking, show
from warpforge.polytope.nouns import Value

Args = list[Value]


def value_at(args: Args, index: int) -> Value:
    """One of them; None when there are fewer."""
    return args[index] if index < len(args) else None


def text_at(args: Args, index: int, default: str | None = None) -> str:
    """A text, or a number as one. Errors: ``invalid-argument``; so do those below."""
    value = value_at(args, index)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise odd(f"argument {index + 1}", f"text was expected, not {show(value)}")
    return str(value)


def whole_at(args: Args, index: int) -> int:
    """A whole number."""
    taking = Taking()
    found = taking.whole(value_at(args, index), f"argument {index + 1}")
    taking.finish("a call")
    return found


def map_at(args: Args, index: int) -> dict[str, Value]:
    """A map; empty when there is none."""
    value = value_at(args, index)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise odd(f"argument {index + 1}", f"a map was expected, not {show(value)}")
    return value


def id_at(args: Args, index: int) -> str:
    """An id, or a map with one: ``{:ref id :type "deployment"}``."""
    value = value_at(args, index)
    name = find_name(value)
    if not name:
        raise odd(f"argument {index + 1}", f"an id was expected, not {show(value)}")
    return name


def find_name(value: Value) -> str:
    """The id that a text or a map stands for; "" when it stands for none."""
    if isinstance(value, dict):
        value = value.get("ref", value.get("id"))
    return value if isinstance(value, str) else ""


def dataset_of(value: Value) -> str:
    """The dataset that something is kept as."""
    name = find_name(value.get("dataset", value.get("id"))) if isinstance(value, dict) else find_name(value)
    if not name:
        raise odd("store-dataset", "which dataset is it kept as?")
    return name


def odd(what: str, why: str) -> WarpforgeError:
    """What is wrong with a call."""
    return Invalid("invalid-argument", f"{what}: {why}")
