"""Power cuts: what a disk holds at a moment when a writer is in the middle of things, mounted again and looked at.

``python -m support.power DIRECTORY CUTS SEED`` in a private mount namespace, as root: an ext4 file system in a file,
mounted through a loop device; a writer that runs the commands of the product there and notes, elsewhere, what each said
it had done; now and then the writer is stopped, and the file copied. What the file system had not yet written to its
device is not in the copy, as after a power cut. The copy is mounted: all that was noted must be there, and sound.
Prints one line of JSON: cuts, and for each kind how many were acknowledged, looked for and lost, and what was torn.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from support.repositories import Repo
from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.catalog.verdicts import find_verdicts
from warpforge.errors import WarpforgeError
from warpforge.fsx.atomic import write_all
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.pack.packer import scan
from warpforge.store.store import Store
from warpforge.store.verify import verify

SIZE = 1 << 30  # sparse: what is not written takes no room
BOOT = "/proc/sys/kernel/random/boot_id"


def write(place: str, noted: str, seed: int) -> None:
    """Run commands in ``place`` for ever; note in ``noted`` what each has done, once it said so."""
    from warpforge.cli.main import call

    rng = random.Random(seed)
    os.chdir(place)
    os.makedirs(".warpforge/catalogs/mine", exist_ok=True)
    Path(".warpforge/root").touch()
    notes = os.open(noted, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(*words: str) -> str:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            status = call(["--json", *words])
        assert status == 0, said.getvalue()
        return said.getvalue()

    for number in range(1_000_000):
        os.makedirs("tree/d", exist_ok=True)
        for name in ("a", "d/b"):
            Path("tree", name).write_bytes(
                f"{number} {name}\n".encode() + rng.randbytes(rng.choice((10, 3000, 60_000)))
            )
        ware = json.loads(run("ware", "pack", "-t", rng.choice(("tar", "ztar")), "tree"))["ware"]
        write_all(notes, f"ware {ware}\n".encode())
        run("ware", "pin", ware, f"p{number % 20}")
        write_all(notes, f"pin p{number % 20} {ware}\n".encode())
        formula = {"inputs": {"$N": f"literal:{number}"}, "action": {"echo": {}}, "outputs": {}}
        Path("f.json").write_text(json.dumps({"formula": {"formula.v1": formula}}))
        for line in run("run", "f.json").splitlines():
            record = json.loads(line).get("runrecord") if line.startswith("{") else None
            if record:
                write_all(notes, f"memo {record['formulaID']}\n".encode())
        if number % 3 == 0:
            reference = f"example.org/m{number % 7}:v{number}:x"
            added = run("catalog", "--name", "mine", "add", "tar", reference, "packed.tar") if number else ""
            if added:
                write_all(notes, f"ref {reference}\n".encode())
            else:
                subprocess.run(["tar", "-cf", "packed.tar", "-C", "tree", "."], check=True)
        if number % 4 == 1:
            publish(run, notes, ware, number)


def publish(run: Callable[..., str], notes: int, ware: str, number: int) -> None:
    """Release what a step gives, sign the catalog, build it again, and bundle it."""
    place, name = f"example.org/r{number % 3}", f"v{number}"
    if not os.path.exists("key"):
        run("catalog", "key", "new", "key")
        os.makedirs("near/.warpforge")
    os.makedirs("module", exist_ok=True)
    _document("module/module.wf", {"module.v1": {"name": place}})
    _document("module/plot.wf", _passing(f"ware:{ware}"))
    run("catalog", "--name", "mine", "release", "--extended", name, "module")
    write_all(notes, f"ref {place}:{name}:x\n".encode())
    said = map(json.loads, run("catalog", "--name", "mine", "sign", "--key", "key").splitlines())
    (version,) = (line["snapshot"]["version"] for line in said if "snapshot" in line)
    write_all(notes, f"snapshot {version}\n".encode())
    run("replay", f"{place}:{name}", "--publish", "--sign", "key")
    write_all(notes, f"verdict {place} {name}\n".encode())
    _document("near/plot.wf", _passing(f"catalog:{place}:{name}:x"))
    run("catalog", "bundle", "near")
    write_all(notes, f"bundle {place} {name}\n".encode())
    follow(run, notes, ware, name)


def follow(run: Callable[..., str], notes: int, ware: str, name: str) -> None:
    """What somebody else publishes, in a repository on another disk, comes here."""
    far = Path(os.readlink(f"/proc/self/fd/{notes}")).with_name("far")
    is_new = not far.exists()
    repo = Repo(far, new=is_new)
    add_item(Catalog(far), CatalogRef("example.org/far", name, "x"), WareId.parse(ware))
    repo.commit(message=name)
    run(*("catalog", "init", "--remote", str(far), "lib") if is_new else ("catalog", "update", "lib"))
    write_all(notes, f"update {name}\n".encode())


def _document(path: str, value: dict[str, object]) -> None:
    Path(path).write_text(json.dumps(value))


def _passing(basis: str) -> dict[str, object]:
    """A plot whose step gives what it takes: no process runs."""
    step = {"inputs": {"/x": basis}, "action": {"noop": {}}, "outputs": {"o": {"from": "/x"}}}
    return {"plot.v1": {"inputs": {}, "steps": {"s": {"protoformula": step}}, "outputs": {"x": "pipe:s:o"}}}


class Disk:
    """A file system in a file, made, mounted, copied; the caller is in a mount namespace of its own."""

    def __init__(self, base: Path) -> None:
        self.image = base / "image"
        self.place = base / "disk"
        self.copy = base / "copy"
        self.seen = base / "seen"
        self.place.mkdir()
        self.seen.mkdir()
        with self.image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.place], check=True)

    def cut(self) -> Path:
        """The power fails now: what is on the disk, mounted."""
        subprocess.run(["cp", "--sparse=always", self.image, self.copy], check=True)
        subprocess.run(["mount", "-o", "loop", self.copy, self.seen], check=True)
        return self.seen

    def forget(self) -> None:
        """Unmount what was looked at."""
        _unmount(self.seen)
        self.copy.unlink()

    def close(self) -> None:
        """Unmount the disk, once those that a killed writer had started have noticed and ended."""
        _unmount(self.place)


def _unmount(place: Path) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run(["umount", "-q", place], check=False).returncode:
        assert time.monotonic() < deadline, f"{place} is still in use"
        time.sleep(0.05)


def torture(base: Path, cuts: int, seed: int) -> dict[str, int]:
    rng = random.Random(seed)
    disk, noted = Disk(base), base / "noted"
    noted.touch()
    other_boot = base / "boot"
    other_boot.write_text("11111111-2222-3333-4444-555555555555\n")
    subprocess.run(["mount", "--bind", other_boot, BOOT], check=True)  # who looks afterwards is in another boot
    command = [sys.executable, "-m", "support.power", "--write", str(disk.place), str(noted), str(seed)]
    counts: Counter[str] = Counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as writer:
        try:
            for _ in range(cuts):
                _wait_for_more(noted, rng.randrange(2, 12), writer)
                time.sleep(rng.random() * 0.03)
                os.kill(writer.pid, signal.SIGSTOP)
                os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
                lines = noted.read_text().splitlines()
                seen = disk.cut()
                os.kill(writer.pid, signal.SIGCONT)
                try:
                    counts.update(look(seen, lines))
                    counts["cuts"] += 1
                finally:
                    disk.forget()
        finally:
            writer.kill()
    disk.close()
    return dict(counts)


def _wait_for_more(noted: Path, lines: int, writer: subprocess.Popen[str]) -> None:
    goal = noted.read_text().count("\n") + lines
    while noted.read_text().count("\n") < goal:
        if writer.poll() is not None:
            raise AssertionError(f"the writer ended: {writer.stderr.read() if writer.stderr else ''}")
        time.sleep(0.005)


def look(place: Path, lines: list[str]) -> Counter[str]:
    """What of that which was noted is there, and what is torn."""
    counts: Counter[str] = Counter()
    pins: dict[str, str] = {}
    references = set()
    mine, lib = (Catalog(place / ".warpforge" / "catalogs" / name) for name in ("mine", "lib"))
    near = Catalog(place / "near" / ".warpforge" / "catalog")
    with Store(place / ".warpforge") as store:
        for line in lines:
            kind, *rest = line.split(" ")
            counts[f"{kind}s looked for"] += 1
            if kind == "ware":
                counts["wares lost"] += not _is_sound(store, WareId.parse(rest[0]))
            elif kind == "memo":
                counts["memos lost"] += store.memo.load(rest[0]) is None
            elif kind == "pin":
                pins[rest[0]] = rest[1]
            elif kind == "snapshot":
                counts["snapshots lost"] += not (mine.path / "_snapshots" / "log" / f"{rest[0]}.json").stat().st_size
            elif kind == "verdict":
                plain, signed = [*find_verdicts(mine.path, *rest), None, None][:2]
                counts["verdicts lost"] += plain is None or signed is None
            elif kind == "bundle":
                counts["bundles lost"] += near.release(*rest) is None
            elif kind == "update":
                counts["updates lost"] += lib.release("example.org/far", rest[0]) is None
            else:
                references.add(rest[0])
        kept = dict(store.kept.pins())
        # the latest of a name may already be a later one that was not yet said to be there
        counts["pins lost"] += sum(name not in kept for name in pins)
        found = verify(store, lambda ware, file: scan(file, ware.packtype).ware)
        counts["torn"] += sum(finding.kind != "index" for finding in found)
        counts["torn"] += len(store.findings())
    listed = _command(place, "catalog", "ls", "--refs")
    counts["refs lost"] += sum(reference not in listed for reference in references)
    _command(place, "catalog", "check", "--name", "mine")
    if counts["snapshots looked for"]:
        _command(place, "catalog", "--name", "mine", "log")
    if counts["updates looked for"]:
        counts["torn"] += bool(Repo(lib.path, new=False).git("status", "--porcelain"))
        _command(place, "catalog", "update", "lib")  # it goes on from there
    _command(place, "store", "stats")
    _command(place, "ware", "pack", "tree")
    return counts


def _is_sound(store: Store, ware: WareId) -> bool:
    try:
        with store.warehouse.open(ware) as file:
            return scan(file, ware.packtype).ware == ware
    except WarpforgeError:
        return False


def _command(place: Path, *words: str) -> str:
    command = [str(Path(sys.executable).parent / "warpforge"), "--json", *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        print(json.dumps(torture(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
