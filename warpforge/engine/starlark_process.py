"""The process that evaluates one Starlark program: ``starlark_process.py PROGRAM`` writes its ``result`` as JSON.

Run by ``generate``; nothing else imports it. It knows nothing of warpforge and imports nothing of it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

MEMORY = 1 << 30
OUTPUT = 16 << 20


def main(program: str) -> None:
    """Evaluate and write. Exit status 1 with words on stderr when that cannot be done."""
    import starlark

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    top = os.path.dirname(os.path.realpath(program))
    globals_ = starlark.Globals.extended_by(
        [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Json, starlark.LibraryExtension.Map]
    )
    loaded: dict[str, Any] = {}

    def evaluate(path: str, shown: str) -> Any:
        with open(path, encoding="utf-8") as file:
            ast = starlark.parse(shown, file.read(OUTPUT), starlark.Dialect.extended())
        module = starlark.Module()
        starlark.eval(module, ast, globals_, starlark.FileLoader(loader(os.path.dirname(path))))
        return module

    def loader(beside: str) -> Callable[[str], Any]:
        def load(name: str) -> Any:
            path = os.path.realpath(os.path.join(beside, name))
            if os.path.commonpath((path, top)) != top:
                raise ValueError(f"{name}: only what lies beside the program, or below it, can be loaded")
            if path not in loaded:
                loaded[path] = None
                loaded[path] = evaluate(path, name).freeze()
            if loaded[path] is None:
                raise ValueError(f"{name}: files load each other in a ring")
            return loaded[path]

        return load

    value = evaluate(program, os.path.basename(program))["result"]
    if value is None:
        raise ValueError("the program sets no `result`")
    text = json.dumps(value, allow_nan=False)
    if len(text) > OUTPUT:
        raise ValueError("the plot is too large")
    sys.stdout.write(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        sys.stderr.write(str(error) or type(error).__name__)
        sys.exit(1)
