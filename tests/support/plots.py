"""Plots as tests write them: steps over a busybox root, in a line or two."""

from __future__ import annotations

from typing import Any

BUSYBOX = "catalog:warpsys.org/busybox:v1.35.0:amd64-static"


def script(
    *contents: str, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None, **action: Any
) -> dict[str, Any]:
    """A step that runs shell lines in a busybox root; an output is given by its path."""
    return step({"script": {"interpreter": "/bin/sh", "contents": list(contents), **action}}, inputs, outputs)


def step(action: dict[str, Any], inputs: dict[str, Any] | None, outputs: dict[str, Any] | None) -> dict[str, Any]:
    """A step with any action."""
    gathers = {
        label: gather if isinstance(gather, dict) else {"from": gather, "packtype": "ztar"}
        for label, gather in (outputs or {}).items()
    }
    for gather in gathers.values():
        if gather["from"].startswith("$"):
            gather.pop("packtype", None)
    return {"protoformula": {"inputs": {"/": "pipe::rootfs", **(inputs or {})}, "action": action, "outputs": gathers}}


def plot(
    steps: dict[str, Any], outputs: dict[str, Any] | None = None, inputs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A plot in its capsule, with the busybox root as the input ``rootfs``."""
    return {"plot.v1": {"inputs": {"rootfs": BUSYBOX, **(inputs or {})}, "steps": steps, "outputs": outputs or {}}}


def subplot(
    inputs: dict[str, Any], steps: dict[str, Any], outputs: dict[str, Any], *, spelling: str = "plot"
) -> dict[str, Any]:
    """A step that is a plot."""
    return {spelling: {"inputs": inputs, "steps": steps, "outputs": outputs}}
