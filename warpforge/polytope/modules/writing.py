"""Values as text of JSON, YAML and EDN, and back: what code calls ``pt/write-json``, ``pt/read-yaml`` and so on."""

from __future__ import annotations

import io
import json
import re
from typing import Final

from warpforge.polytope.nouns import Value

FORMATS: Final = ("json", "yaml", "edn")
_KEYWORD: Final = re.compile(r"[A-Za-z*+!_?<>=.][\w*+!?<>=.\-/#]*")


def write_text(form: str, value: Value) -> str:
    """``form``: one of ``FORMATS``."""
    if form == "json":
        return json.dumps(value, ensure_ascii=False)
    return _yaml(value) if form == "yaml" else _edn(value)


def read_text(form: str, text: str) -> Value:
    """Errors: ``serialization``, with line and column."""
    name = f"the {form.upper()} text"
    if form == "json":
        from warpforge.polytope.text.json import read_json

        return read_json(text, name).value
    if form == "yaml":
        from warpforge.polytope.text.yaml import read_yaml

        return read_yaml(text, name).value
    from warpforge.polytope.text.edn import read_edn

    return read_edn(text, name).value


def _yaml(value: Value) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump(value, out)
    text = out.getvalue()
    return text.removesuffix("...\n")


def _edn(value: Value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} {_edn(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(_edn, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "nil" if value is None else json.dumps(value)


def _key(key: str) -> str:
    return f":{key}" if _KEYWORD.fullmatch(key) else json.dumps(key, ensure_ascii=False)
