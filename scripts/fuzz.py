"""Fuzz the readers of archives and documents: ``fuzz.py [SECONDS] [TARGET...]``; SECONDS are of all targets together.

With atheris (the extra ``fuzz``) guided by coverage; without it blindly, with the same changes. What is found lies in
build/fuzz/TARGET.found/: put it into fixtures/fuzz/TARGET/, where `make test` replays it for ever. The corpus that grew
stays in build/fuzz/TARGET/ for the next time.
"""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
BUILD = ROOT / "build" / "fuzz"
SECONDS = 600
RSS_LIMIT = 512  # MiB of the whole process, the interpreter and libFuzzer's tables included
LONGEST = 1 << 16  # bytes of an input
PACK = ("central", "collect", "decode", "extract", "fileset", "lazy", "members", "methods", "zip_members", "zstd")
LAZY = (
    *(f"pack.{name}" for name in (*PACK, "tar", "zip", "ztar")),
    *(f"model.{name}" for name in ("jsontext", "check", "lint")),
    *(f"polytope.{name}" for name in ("files.read", "text.yaml", "text.json", "text.edn")),
)


def main(argv: list[str]) -> int:
    seconds = float(argv[0]) if argv[:1] and argv[0].replace(".", "", 1).isdigit() else SECONDS
    from support.oracles import ORACLES

    targets = [word for word in argv if word in ORACLES] or list(ORACLES)
    guided = has_atheris()
    print(f"fuzz: {', '.join(targets)}; {seconds:.0f} s in all, {'guided by coverage' if guided else 'blind'}")
    failed = []
    for target in targets:
        (BUILD / target).mkdir(parents=True, exist_ok=True)
        (BUILD / f"{target}.found").mkdir(exist_ok=True)
        share = seconds / len(targets)
        words = [sys.executable, __file__, "--guided" if guided else "--blind", target, f"{share:.0f}"]
        if subprocess.run(words, check=False, cwd=ROOT).returncode:
            failed.append(target)
    for target in targets:
        found = sorted((BUILD / f"{target}.found").iterdir())
        print(f"fuzz: {target}: {'FAILED, see ' + ', '.join(map(str, found)) if target in failed else 'nothing found'}")
    return 1 if failed else 0


def has_atheris() -> bool:
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


def guided(target: str, seconds: int) -> None:
    """libFuzzer with our own changes beside its own; ends the process."""
    import atheris

    with atheris.instrument_imports(
        include=["warpforge.pack", "warpforge.model", "warpforge.fsx", "warpforge.polytope"]
    ):
        for module in LAZY:  # imported by functions when they are needed: that would be too late
            importlib.import_module(f"warpforge.{module}")
        from support import corpus
        from support.oracles import ORACLES
    from support.mutation import mend, mutate

    seeds = BUILD / f"{target}.seeds"
    seeds.mkdir(exist_ok=True)
    inputs = corpus.read(target)
    for name, data in inputs.items():
        (seeds / name).write_bytes(data)
    others = list(inputs.values())

    def change(data: bytes, largest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        changed = mutate(data, rng, others) if rng.random() < 0.5 else atheris.Mutate(data, largest)
        return mend(changed, rng)[:largest]

    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={RSS_LIMIT}",
        f"-max_len={LONGEST}",
        "-timeout=20",
        "-print_final_stats=1",
        "-verbosity=1",
        f"-artifact_prefix={BUILD}/{target}.found/",
        str(BUILD / target),
        str(seeds),
    ]
    atheris.Setup(arguments, lambda data: ORACLES[target](data) and None, custom_mutator=change)
    atheris.Fuzz()


def blind(target: str, seconds: int) -> int:
    """Changes without guidance, each input from its own number: what fails can be made again."""
    from support import corpus
    from support.mutation import mend, mutate
    from support.oracles import ORACLES

    inputs = list(corpus.read(target).values())
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        rng = random.Random(number)
        data = mend(mutate(rng.choice(inputs), rng, inputs), rng)
        try:
            ORACLES[target](data)
        except BaseException:
            (BUILD / f"{target}.found" / f"blind-{number}").write_bytes(data)
            raise
    print(f"fuzz: {target}: {number} inputs")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    if sys.argv[1:2] == ["--guided"]:
        guided(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["--blind"]:
        sys.exit(blind(sys.argv[2], int(sys.argv[3])))
    else:
        sys.exit(main(sys.argv[1:]))
