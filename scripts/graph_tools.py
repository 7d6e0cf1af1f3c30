"""One graph of trivial steps, written for warpforge and for each peer, and the command that builds it.

Every step concatenates what it needs and adds its own name. A **tool** writes a graph into a directory of its own and
gives the work of building it; ``reset`` makes everything be built again (**cold**), without it nothing is (**cached**).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

from bench_row import Work, command
from rootfs import find_busybox, make_rootfs

WARPFORGE = Path(sys.executable).parent / "warpforge"
BST = Path(__file__).parents[1] / "build" / "bench" / "bst" / "bin" / "bst"  # scripts/bench-setup.sh puts it there
JOBS = "2"


class Graph(NamedTuple):
    """Steps and what each needs, in an order in which they can be built."""

    name: str
    needs: dict[str, list[str]]

    @property
    def ends(self) -> list[str]:
        """The steps that no other needs."""
        needed = {need for needs in self.needs.values() for need in needs}
        return [step for step in self.needs if step not in needed]


def chain(count: int) -> Graph:
    return Graph(f"chain of {count}", {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(count)})


def fan(count: int) -> Graph:
    return Graph(f"fan of {count}", {"s0": [], **{f"s{n}": ["s0"] for n in range(1, count)}})


def grid(layers: int, width: int) -> Graph:
    """Each step needs the one before it and that one's neighbour."""
    needs = {
        f"s{layer}-{n}": [f"s{layer - 1}-{n}", f"s{layer - 1}-{(n + 1) % width}"] if layer else []
        for layer in range(layers)
        for n in range(width)
    }
    return Graph(f"{layers} x {width} grid", needs)


class Tool(Protocol):
    """What builds a graph."""

    name: str
    needs: tuple[str, ...]

    def __init__(self, base: Path, graph: Graph) -> None: ...

    def build(self) -> Work: ...

    def reset(self) -> None: ...


class Warpforge:
    name = "warpforge"
    needs: tuple[str, ...] = ("bwrap",)

    def __init__(self, base: Path, graph: Graph) -> None:
        self._template, self._root = base / "template", base / "workspace"
        make_rootfs(base / "rootfs")
        (self._template / ".warpforge").mkdir(parents=True)
        (self._template / ".warpforge" / "root").touch()
        self._env = {"PATH": os.environ["PATH"], "HOME": str(base)}
        packed = [str(WARPFORGE), "ware", "pack", str(base / "rootfs")]
        done = subprocess.run(packed, cwd=self._template, env=self._env, check=True, capture_output=True, text=True)
        steps = {step: self._step(step, needs) for step, needs in graph.needs.items()}
        outputs = {end: f"pipe:{end}:o" for end in graph.ends}
        plot = {"inputs": {"root": f"ware:{done.stdout.strip()}"}, "steps": steps, "outputs": outputs}
        (self._template / "plot.wf").write_text(json.dumps({"plot.v1": plot}))
        self.reset()

    def _step(self, step: str, needs: list[str]) -> dict[str, object]:
        inputs = {"/": "pipe::root", **{f"/in/{need}": f"pipe:{need}:o" for need in needs}}
        line = f"cat {' '.join(f'/in/{need}' for need in needs)} /dev/null > /o; echo {step} >> /o"
        action = {"script": {"interpreter": "/bin/sh", "contents": [line]}}
        outputs = {"o": {"from": "/o", "packtype": "ztar"}}
        return {"protoformula": {"inputs": inputs, "action": action, "outputs": outputs}}

    def build(self) -> Work:
        return command([WARPFORGE, "--quiet", "run", "-j", JOBS, "plot.wf"], cwd=self._root, env=self._env)

    def reset(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        shutil.copytree(self._template, self._root, symlinks=True)

    def peak(self) -> float:
        """The most memory that a build took in the engine's process, in MB."""
        probe = (
            "import sys; from warpforge.cli.main import call; call(sys.argv[1:]); "
            "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')), file=sys.stderr)"
        )
        argv = [sys.executable, "-c", probe, "--quiet", "run", "-j", JOBS, "plot.wf"]
        done = subprocess.run(argv, cwd=self._root, env=self._env, check=True, capture_output=True, text=True)
        return int(done.stderr.split()[-1]) / 1024


class Ninja:
    name = "ninja"
    needs: tuple[str, ...] = ("ninja",)

    def __init__(self, base: Path, graph: Graph) -> None:
        self._base = base
        base.mkdir()
        rule = "rule step\n command = cat $in /dev/null > $out; echo $out >> $out\n"
        lines = [f"build o/{s}: step {' '.join(f'o/{need}' for need in needs)}" for s, needs in graph.needs.items()]
        (base / "build.ninja").write_text(rule + "\n".join(lines) + "\n")

    def build(self) -> Work:
        return command(["ninja", "-j", JOBS], cwd=self._base)

    def reset(self) -> None:
        for name in ("o", ".ninja_log", ".ninja_deps"):
            subprocess.run(["rm", "-rf", str(self._base / name)], check=True)


class Make:
    name = "make"
    needs: tuple[str, ...] = ("make",)

    def __init__(self, base: Path, graph: Graph) -> None:
        self._base = base
        (base / "o").mkdir(parents=True)
        rules = [
            f"o/{step}: {' '.join(f'o/{need}' for need in needs)}\n\t@cat $^ /dev/null > $@; echo $@ >> $@"
            for step, needs in graph.needs.items()
        ]
        everything = f"all: {' '.join(f'o/{end}' for end in graph.ends)}\n"
        (base / "Makefile").write_text(everything + "\n".join(rules) + "\n")

    def build(self) -> Work:
        return command(["make", "-j", JOBS], cwd=self._base)

    def reset(self) -> None:
        shutil.rmtree(self._base / "o")
        (self._base / "o").mkdir()


class Nix:
    """In its sandbox, with a store of its own."""

    name = "nix-build, sandboxed"
    needs: tuple[str, ...] = ("nix-build",)

    def __init__(self, base: Path, graph: Graph) -> None:
        self._base = base
        (base / "conf").mkdir(parents=True)
        lines = [f'  {_nix(s)} = step "{s}" [ {" ".join(map(_nix, needs))} ];' for s, needs in graph.needs.items()]
        (base / "default.nix").write_text(
            "let\n  step = name: inputs: derivation { inherit name inputs; system = builtins.currentSystem;\n"
            '    builder = "/bin/sh"; args = ["-c" "cat $inputs /dev/null > $out; echo ${name} >> $out"]; };\n'
            + "\n".join(lines)
            + f"\nin [ {' '.join(map(_nix, graph.ends))} ]\n"
        )

    def build(self) -> Work:
        busybox = find_busybox()
        argv = ["nix-build", "--store", str(self._base / "root"), "--no-out-link", "default.nix", "-j", JOBS]
        options = {
            "sandbox": "true",
            "build-users-group": "",
            "sandbox-paths": f"/bin/sh={busybox} /bin/cat={busybox}",
        }
        for name, value in options.items():
            argv += ["--option", name, value]
        env = {"PATH": os.environ["PATH"], "HOME": str(self._base), "NIX_CONF_DIR": str(self._base / "conf")}
        return command(argv, cwd=self._base, env=env)

    def reset(self) -> None:
        subprocess.run(["chmod", "-R", "u+w", str(self._base / "root")], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._base / "root", ignore_errors=True)


def _nix(step: str) -> str:
    return step.replace("-", "_")


class BuildStream:
    """With a cache of its own; an element for each step."""

    name = "bst build"
    needs: tuple[str, ...] = (str(BST),)

    def __init__(self, base: Path, graph: Graph) -> None:
        self._base = base
        (base / "elements").mkdir(parents=True)
        (base / "files").mkdir()
        make_rootfs(base / "files" / "base")
        (base / "project.conf").write_text("name: bench\nmin-version: 2.0\nelement-path: elements\n")
        (base / "elements" / "base.bst").write_text("kind: import\nsources:\n- kind: local\n  path: files/base\n")
        for step, needs in graph.needs.items():
            (base / "elements" / f"{step}.bst").write_text(
                "kind: manual\nbuild-depends:\n"
                + "".join(f"- {need}.bst\n" for need in ("base", *needs))
                + "config:\n  strip-commands: []\n  install-commands:\n"
                + '  - mkdir -p "%{install-root}/o"\n'
                + f'  - cat {" ".join(f"/o/{need}" for need in needs)} /dev/null > "%{{install-root}}/o/{step}"\n'
            )
        self._ends = [f"{end}.bst" for end in graph.ends]

    def build(self) -> Work:
        env = {"PATH": os.environ["PATH"], "HOME": str(self._base), "XDG_CACHE_HOME": str(self._base / "cache")}
        return command([BST, "--no-interactive", "--builders", JOBS, "build", *self._ends], cwd=self._base, env=env)

    def reset(self) -> None:
        subprocess.run(["chmod", "-R", "u+w", str(self._base / "cache")], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._base / "cache", ignore_errors=True)
