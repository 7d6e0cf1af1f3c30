"""Every kind of damage that an index can take, done to the index of a store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import lmdb

from warpforge.store import index_file

PAGE = 4096


def data_of(store: Path) -> Path:
    return store / "index.lmdb" / "data.mdb"


def _empty(file: Path) -> None:
    os.truncate(file, 0)


def _half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 // PAGE * PAGE)


def _odd(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def _one_page(file: Path) -> None:
    os.truncate(file, PAGE)


def _head(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"\xff" * 2 * PAGE)


def _text(file: Path) -> None:
    file.write_text("no database")


def _pages(file: Path) -> None:
    """Garbage in every page but the first two, in the very same boot."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(2 * PAGE)
        opened.write(random.Random(1).randbytes(size - 2 * PAGE))


def _bits(file: Path) -> None:
    """A few bits of every page but the first two, which LMDB itself would not notice; times as they were."""
    status = file.stat()
    rng = random.Random(2)
    data = bytearray(file.read_bytes())
    for page in range(2, len(data) // PAGE):
        for _ in range(8):
            data[page * PAGE + rng.randrange(PAGE)] ^= 1 << rng.randrange(8)
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _values(file: Path) -> None:
    """One bit of every value: LMDB finds nothing wrong."""
    with lmdb.open(str(file.parent)) as env, env.begin(write=True) as txn:
        for key, value in list(txn.cursor()):
            if key != index_file.VERSION_KEY and value:
                txn.put(key, value[:-2] + bytes((value[-2] ^ 1,)) + value[-1:])


def _lock(file: Path) -> None:
    file.with_name("lock.mdb").write_bytes(random.Random(3).randbytes(8192))


def _foreign_lock(file: Path) -> None:
    """As a machine of another word size would have left it."""
    lock = file.with_name("lock.mdb")
    lock.write_bytes(lock.read_bytes()[:4] + b"\x02\x9c\x20\x00" + bytes(508))


def _no_lock(file: Path) -> None:
    file.with_name("lock.mdb").unlink(missing_ok=True)


def _version(file: Path) -> None:
    with lmdb.open(str(file.parent)) as env, env.begin(write=True) as txn:
        txn.put(index_file.VERSION_KEY, b"0")


def _gone(file: Path) -> None:
    for name in os.listdir(file.parent):
        file.with_name(name).unlink()


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _symlink(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def _file(file: Path) -> None:
    _gone(file)
    file.parent.rmdir()
    file.parent.write_text("no directory")


INDEX: dict[str, Callable[[Path], None]] = {
    "empty": _empty,
    "half": _half,
    "odd size": _odd,
    "one page": _one_page,
    "head": _head,
    "text": _text,
    "pages": _pages,
    "bits": _bits,
    "values": _values,
    "lock": _lock,
    "lock of another machine": _foreign_lock,
    "no lock": _no_lock,
    "version": _version,
    "gone": _gone,
    "a directory": _directory,
    "a symlink": _symlink,
    "a file in its place": _file,
}


def damage_index(store: Path, how: str) -> None:
    """Do it to the index below ``store``; nobody has it open."""
    INDEX[how](data_of(store))
