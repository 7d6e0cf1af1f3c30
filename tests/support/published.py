"""A catalog worth looking at: a library, what is built from it, and a module that says hostile things."""

from __future__ import annotations

import json
from typing import Any

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import Release
from warpforge.model.serial import load_plot

from .plots import plot, script, subplot

LIB, APP, EVIL = "a.org/lib", "a.org/app", "evil.org/x"
WARE = WareId("ztar", "CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\x1b\u202e"


def fill(catalog: Catalog) -> None:
    """A library of three releases, one of them a hazard; an application, built in a subplot; a hostile module."""
    with edit(catalog, LIB) as module:
        for name in ("v1.9", "v1.10", "v1.10-rc1"):
            module.put_item(CatalogRef(LIB, name, "src"), WARE)
        module.put_release(Release("v1.9", {"src": WARE}, {"hazard": "it deletes what it finds"}))
        module.add_mirror(WarehouseAddr.parse("https://user:word@x.invalid/a.tar?signed=1"), ware=WARE)
        module.module = type(module.module)(LIB, module.module.releases, {"description": "a library of <things>"})
    with edit(catalog, APP) as module:
        make = script("cat /in/x", inputs={"/in": "pipe::lib"}, outputs={"o": "/out"})
        below = subplot({"rootfs": "pipe::rootfs", "lib": "pipe::lib"}, {"make": make}, {"o": "pipe:make:o"})
        inputs = {"lib": f"catalog:{LIB}:v1.9:src", "far": "catalog:b.org/no:v1:x"}
        outer = plot({"sub": below}, {"app": "pipe:sub:o"}, inputs)
        module.put_release(Release("v1", {"app": WARE}, {"replay": module.put_replay(noun(outer))}))
    with edit(catalog, EVIL) as module:
        step = script(
            HOSTILE, inputs={"/in": "pipe::l", "$V": f"literal:{HOSTILE}"}, outputs={"</pre><b>": f"/{HOSTILE}"}
        )
        document = plot({"</title>": step}, {"o": "pipe:</title>:</pre><b>"}, {"l": f"ware:{WARE}"})
        metadata = {
            HOSTILE: HOSTILE,
            "hazard": HOSTILE,
            "replay": module.put_replay(noun(document)),
            "url": "javascript:x",
        }
        module.put_release(Release("v1", {"x": WARE}, metadata))
        module.add_mirror(WarehouseAddr.parse("javascript:alert(1)"), ware=WARE)
        module.module = type(module.module)(EVIL, module.module.releases, {"description": HOSTILE})


def noun(document: dict[str, Any]) -> Any:
    return load_plot(json.dumps(document).encode(), "p").noun
