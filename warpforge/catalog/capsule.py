"""Files of trust: JSON with one capsule. Read strictly, into a noun or not at all."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from warpforge.errors import Invalid
from warpforge.model.plaintext import read_plain

T = TypeVar("T")


def read_capsule(data: bytes, name: str, capsule: str, noun: type[T]) -> T:
    """What is in a capsule, such as ``trust.v1``. ``name``: what the file is called, for messages.

    Errors: ``serialization``, ``datatoonew`` (a later version), ``catalog-invalid`` (form).
    """
    value = read_plain(data)
    if value is None:
        from warpforge.model.jsontext import read_careful

        value, _ = read_careful(data, name)
    family = capsule.rpartition(".v")[0] + ".v"
    if type(value) is dict and capsule not in value and any(key.startswith(family) for key in value):
        raise Invalid("datatoonew", f"{name} is of a later version: {capsule} is read here", path=name)
    try:
        if type(value) is not dict or value.keys() != {capsule}:
            raise ValueError(f"an object with the one member {capsule} is wanted")
        return msgspec.convert(value[capsule], noun)
    except (msgspec.ValidationError, ValueError) as error:
        raise Invalid("catalog-invalid", f"{name}: {error}", cause=error, reason="form", path=name) from error
