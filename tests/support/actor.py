"""A process that uses a store: ``python -m support.actor STORE VERB ARGUMENT...``; and ``act`` to start one.

The wares are texts and their ids digests of them, so that no packer is needed:

make FORMULA TEXT   once for all processes, run FORMULA: store TEXT as a ware, a tree on the shelf and a dual id,
                    write the run log, then the memo; prints the ware
store TEXT          put TEXT into the warehouse; prints the ware
hold FORMULA        hold the lock of a formula until stdin ends; prints its pid first
stage TEXT          stage TEXT, pin it, print the pid, wait until stdin ends
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.run import RunRecord
from warpforge.store.facts import WareFacts
from warpforge.store.finding import storing
from warpforge.store.store import Store

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "PYTHONDONTWRITEBYTECODE": "1"}


def ware_of(text: str, packtype: str = "ztar") -> WareId:
    """The ware that a text is."""
    return WareId(packtype, sha256(text.encode()).hexdigest())


def check(ware: WareId, file: BinaryIO) -> WareId:
    """What ``verify`` asks for: the id of what a file holds."""
    return ware_of(file.read().decode("utf-8", "replace"), ware.packtype)


def command(store: Path, *arguments: str) -> list[str]:
    """The command line of an actor."""
    return [sys.executable, "-m", "support.actor", str(store), *arguments]


def act(store: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start an actor."""
    return subprocess.Popen(
        command(store, *arguments),
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def store_text(store: Store, text: str, packtype: str = "ztar") -> WareId:
    """Put a text into the warehouse."""
    ware = ware_of(text, packtype)
    with store.warehouse.stage() as staged:
        staged.file.write(text.encode())
        staged.commit(ware, WareFacts(unpacked_bytes=len(text), entries=1, packed_sha256=ware.hash))
    return ware


def shelve_text(store: Store, text: str, filters_key: str = "") -> Path:
    """Put a tree with one file on the shelf."""
    with store.shelf.stage() as staged:
        with storing("cannot unpack"):
            os.mkdir(staged.path)
            Path(staged.path, "text").write_text(text)
        return store.shelf.commit(staged, ware_of(text), filters_key)


def make(store: Store, formula: str, text: str) -> WareId:
    """Run a formula once, as the engine would."""
    with store.use(), store.single_flight(formula):
        record = store.memo.load(formula)
        if record is not None and store.has(ware_of(text)):
            return ware_of(text)
        run = store.runs.begin(formula, ("one", "step"))
        try:
            run.write(b"said something\n")
            ware = store_text(store, text)
            store.duals.record(WareId("tar", ware.hash), str(ware))
            shelve_text(store, text)
            run.entry.exit_code = 0
            run.finish()
        finally:
            run.drop()
        store.memo.save(RunRecord(run.id, 1, formula, 0, {"out": ware}))
        return ware


def main(path: str, verb: str, *arguments: str) -> None:
    with Store(path) as store:
        if verb == "make":
            print(make(store, *arguments))
        elif verb == "store":
            print(store_text(store, *arguments))
        elif verb == "hold":
            with store.single_flight(*arguments):
                print(os.getpid(), flush=True)
                sys.stdin.read()
        elif verb == "stage":
            with store.warehouse.stage() as staged, store.pin() as pin:
                staged.file.write(arguments[0].encode())
                pin.add([ware_of(arguments[0])])
                print(os.getpid(), flush=True)
                sys.stdin.read()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except WarpforgeError as error:
        print(error.code, error.reason, error, file=sys.stderr)
        sys.exit(error.exit_status())
