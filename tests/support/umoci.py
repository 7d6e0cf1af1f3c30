"""Images made, moved and unpacked by the tools that others use: umoci and skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rootfs import make_rootfs


def need_tools() -> None:
    for tool in ("umoci", "skopeo"):
        if shutil.which(tool) is None:
            pytest.fail(f"{tool} is not installed: `make setup` installs it")


def call(*argv: str | Path) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, f"{argv}\n{done.stderr}"
    return done.stdout


def skopeo(*argv: str | Path) -> str:
    return call("skopeo", "--insecure-policy", "--tmpdir", os.environ.get("TMPDIR", "/tmp"), *argv)


def push(layout: str, host: str, name: str) -> None:
    skopeo("copy", "-q", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{host}/{name}")


def raw_manifest(*what: str) -> bytes:
    return skopeo("inspect", "--raw", *what).encode()


def make_layout(base: Path) -> Path:
    """A layout whose image ``v1`` is a busybox with all that layers can do: four of them."""
    rootfs, more, other = base / "rootfs", base / "more", base / "other"
    make_rootfs(rootfs)
    for path, text in {"etc/gone": "1", "etc/kept": "2", "opt/a": "3", "opt/deep/b": "4"}.items():
        (rootfs / path).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / path).write_text(text)
    os.link(rootfs / "etc/kept", rootfs / "etc/linked")
    more.mkdir()
    (more / "new").write_text("new\n")
    other.mkdir()
    (other / "only").write_text("only\n")
    layout = base / "layout"
    image = ["--image", f"{layout}:v1"]
    owner = [] if os.geteuid() == 0 else ["--rootless"]
    call("umoci", "init", "--layout", layout)
    call("umoci", "new", *image)
    call("umoci", "insert", *owner, *image, rootfs, "/")
    call("umoci", "insert", *owner, *image, "--whiteout", "/etc/gone")
    call("umoci", "insert", *owner, *image, more, "/etc/more")
    call("umoci", "insert", *owner, *image, "--opaque", other, "/opt")
    call("umoci", "config", *image, "--config.cmd", "/bin/sh", "--config.env", "LANG=C", "--config.workingdir", "/opt")
    for used in (rootfs, more, other):
        shutil.rmtree(used)
    return layout


def unpack(image: str, bundle: Path) -> Path:
    """The image's root, unpacked by umoci."""
    call("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", image, bundle)
    return bundle / "rootfs"


def listed(tree: Path) -> list[tuple[str, str, int, int, str]]:
    """Path, kind, mode, time, and content or target of every node but the root."""
    found = []
    for directory, names, files in os.walk(tree):
        for path in [Path(directory, entry) for entry in (*names, *files)]:
            status = path.lstat()
            what = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
            found.append((str(path.relative_to(tree)), oct(status.st_mode), status.st_mode, int(status.st_mtime), what))
    return sorted(found)


def config_of(layout: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(skopeo("inspect", "--config", f"oci:{layout}"))
    return found
