"""What must be known of an LMDB file before it is mapped: a page beyond its end is a signal, not an exception.

The meta pages' layout is that of LMDB 0.9 (``MDB_page``, ``MDB_meta`` in mdb.c): after 16 bytes of page header
magic, version, address, map size, two databases of 48 bytes (the first's pad is the page size), last page, txn id.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Final

_MAGIC: Final = 0xBEEFC0DE
_META: Final = struct.Struct("=16xII8xQ I44x48x QQ")  # magic, version, map size, page size, last page, txn id
# file systems of other machines, by the numbers of statfs(2): NFS, SMB, SMB2, 9P, AFS, Ceph, Coda
_NETWORK: Final = (0x6969, 0x517B, 0xFE534D42, 0xFF534D42, 0x01021997, 0x5346414F, 0x00C36400, 0x73757245)
_PROBE: Final = """
import os, sys, lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, max_readers=1) as env:
    with env.begin() as txn:
        for _ in txn.cursor():
            pass
    env.copyfd(os.open(os.devnull, os.O_WRONLY), compact=True)  # follows the list of free pages, too
"""


def is_whole(data_file: str) -> bool:
    """Whether a data file holds every page that its meta pages count on. A missing file is not whole."""
    try:
        fd = os.open(data_file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        first = _meta(os.pread(fd, _META.size, 0))
        second = _meta(os.pread(fd, _META.size, first[0])) if first else None
        if first is None or second is None:
            return False
        return os.fstat(fd).st_size >= (max(first[1], second[1]) + 1) * first[0]
    except OSError:
        return False
    finally:
        os.close(fd)


def _meta(page: bytes) -> tuple[int, int] | None:
    """Page size and last page of one meta page; None when it is none."""
    if len(page) < _META.size:
        return None
    magic, _version, _map_size, page_size, last_page, _txn = _META.unpack(page)
    if magic != _MAGIC or page_size not in (4096, 8192, 16384, 32768, 65536):
        return None
    return page_size, last_page


def survives_reading(directory: str) -> bool:
    """Read every page that is in use in a process of its own: a damaged tree may end it by a signal."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROBE, directory], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0


def is_network(directory: str) -> bool:
    """Whether a directory is on another machine, where LMDB's memory map is not coherent."""
    from warpforge.fsx.linux import libc

    status = ctypes.create_string_buffer(512)  # struct statfs begins with a long: the type
    if libc.statfs(os.fsencode(directory), status):
        return False
    (kind,) = struct.unpack_from("@l", status)
    return kind & 0xFFFFFFFF in _NETWORK
