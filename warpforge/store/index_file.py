"""The file of the index: LMDB behind guards, so that a damaged, torn or full file costs nothing but the index.

* A page beyond the end of the file is a signal (SIGBUS), so sizes are compared before anything is mapped.
* A file that anybody but us changed, and any after a reboot, which may have been a power cut, is first read, all pages
  of it, in a process of its own. Our mark beside it says how we left it.
* LMDB's own writer lock waits for ever; ours, around it, does not. Never a writable map, never without sync.
* Two environments over one file in one process are forbidden, so there is one of these objects for each directory.
* A forked child may not use its parent's environment.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from warpforge.errors import Internal
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import Busy, Lock

from .boot import boot_id
from .finding import is_unwritable, quarantine
from .index_guard import is_network, is_whole, survives_reading

if TYPE_CHECKING:
    import lmdb

T = TypeVar("T")

VERSION_KEY: Final = b"v"
VERSION: Final = b"2"
_MAP_SIZE: Final = 1 << 26  # to begin with; it doubles when it is full
_PATIENCE: Final = 60.0  # seconds to wait for other writers: there may be many, and a disk that is slow to keep
_MODE: Final = 0o644
_GLANCES: Final = 5  # at a mark that does not fit: another process may be about to renew it
_GLANCE: Final = 0.002  # seconds between two

_files: dict[str, IndexFile] = {}
_files_lock = threading.Lock()
_inherited: list[object] = []


class IndexFile:
    """Bytes to bytes. Every method raises Trouble when the file cannot be had; the index then does without."""

    def __init__(self, directory: str, lock: str, quarantine_dir: str) -> None:
        self.directory = directory
        self._data = os.path.join(directory, "data.mdb")
        self._mark_path = os.path.join(directory, "mark")
        self._lock_path = lock
        self._quarantine = quarantine_dir
        self._mutex = threading.RLock()
        self._env: lmdb.Environment | None = None
        self._pid = os.getpid()
        self.users = 0
        self.fresh = False  # whether we began it anew, so that nothing is in it that was not written since

    def get(self, key: bytes) -> bytes | None:
        """One value."""

        def look(txn: lmdb.Transaction) -> bytes | None:
            value = txn.get(key)
            return None if value is None else bytes(value)

        return self._read(None, look)

    def scan(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """All keys of a prefix with their values, sorted."""

        def walk(txn: lmdb.Transaction) -> list[tuple[bytes, bytes]]:
            found = []
            with txn.cursor() as cursor:
                cursor.set_range(prefix)
                for key, value in cursor:
                    if bytes(key[: len(prefix)]) != prefix:
                        break
                    found.append((bytes(key), bytes(value)))
            return found

        return self._read([], walk)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Put or delete (None) in one transaction, durable when this returns."""
        with self._mutex, self._writer():
            self._twice(lambda: self._put(changes), locked=True)
            self._mark()

    def begin_anew(self) -> None:
        """Set the file aside."""
        with self._mutex, self._writer():
            self.close()
            quarantine(self._quarantine, self.directory, "index")

    def close(self) -> None:
        """Unmap the file; the next use maps it again."""
        with self._mutex:
            env, self._env = self._env, None
            if env is None:
                return
            if self._pid != os.getpid():
                _inherited.append(env)  # closing it here, or letting it be collected, would disturb our parent
                return
            with suppress(Exception):  # a dead environment may refuse even this
                env.close()

    def _read(self, nothing: T, look: Callable[[lmdb.Transaction], T]) -> T:
        def work() -> T:
            env = self._open(create=False, locked=False)
            if env is None:
                return nothing
            with env.begin() as txn:
                return look(txn)

        with self._mutex:
            return self._twice(work, locked=False)

    def _put(self, changes: Mapping[bytes, bytes | None]) -> None:
        import lmdb

        env = self._open(create=True, locked=True)
        while env is not None:
            try:
                with env.begin(write=True) as txn:
                    for key, value in changes.items():
                        if value is None:
                            txn.delete(key)
                        else:
                            txn.put(key, value)
                return
            except lmdb.MapFullError:
                env.set_mapsize(2 * env.info()["map_size"])

    def _twice(self, work: Callable[[], T], *, locked: bool) -> T:
        """Do it; when LMDB refuses, map the file anew, without what is damaged, and do it once more."""
        if self._pid != os.getpid():
            raise Internal("internal", "the index was used in a forked child: start a new process instead")
        import lmdb

        try:
            return work()
        except lmdb.MapResizedError:
            self.close()  # another process made it larger: mapping again takes its size
        except lmdb.Error as error:
            self.close()
            if isinstance(
                error, (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)
            ):
                self._set_aside(locked=locked)
        return work()

    def _open(self, *, create: bool, locked: bool) -> lmdb.Environment | None:
        """The environment; None when there is nothing to read, or LMDB cannot work here."""
        if self._env is not None:
            return self._env
        exists = self._exists()
        if exists and not self._is_sound():
            self._set_aside(locked=locked, recheck=True)
            exists = self._exists()
        if not exists and not create:
            return None
        make_dirs(self.directory, sync=False)
        if is_network(self.directory):
            return None
        import lmdb

        map_size = max(_MAP_SIZE, 2 * os.path.getsize(self._data)) if exists else _MAP_SIZE
        if exists and not os.access(self._data, os.W_OK):
            self._env = lmdb.open(self.directory, map_size=map_size, readonly=True, lock=False)
            return self._env
        self._env = lmdb.open(self.directory, map_size=map_size, mode=_MODE, max_readers=510)
        self._env.reader_check()
        if not exists:
            self.fresh = True
            with self._env.begin(write=True) as txn:
                txn.put(VERSION_KEY, VERSION)
        return self._check_version(self._env, create=create, locked=locked)

    def _check_version(self, env: lmdb.Environment, *, create: bool, locked: bool) -> lmdb.Environment | None:
        with env.begin() as txn:
            version = txn.get(VERSION_KEY)
        if version in (VERSION, None):
            return env
        self.close()
        self._set_aside(locked=locked)
        return self._open(create=create, locked=locked)

    def _exists(self) -> bool:
        """Whether something lies there, whatever it is."""
        return os.path.lexists(self._data) or (os.path.lexists(self.directory) and not os.path.isdir(self.directory))

    def _is_sound(self) -> bool:
        """Whether the file may be mapped."""
        if not is_whole(self._data):
            return False
        for _ in range(_GLANCES):
            try:
                with open(self._mark_path, "rb") as file:
                    if file.read(200) == self._state():
                        return True
            except OSError:
                break
            time.sleep(_GLANCE)
        if not survives_reading(self.directory):
            return False
        self._mark()
        return True

    def _mark(self) -> None:
        """Note how we leave the file: whoever finds it otherwise does not trust it."""
        if self._env is not None or os.path.exists(self._data):
            with suppress(OSError):
                write_atomic(self._mark_path, self._state(), sync=False)

    def _state(self) -> bytes:
        """This boot, and what changes when the file is written. Raises OSError."""
        status = os.stat(self._data)
        return f"{boot_id()} {status.st_ino} {status.st_ctime_ns} {status.st_size}".encode()

    def _set_aside(self, *, locked: bool, recheck: bool = False) -> None:
        """Move a damaged file away, unless somebody did so while we waited for the lock."""
        if not locked:
            with self._writer():
                self._set_aside(locked=True, recheck=recheck)
        elif self._exists() and not (recheck and self._is_sound()):
            self.fresh = True
            quarantine(self._quarantine, self.directory, "index")

    def _writer(self) -> Lock:
        make_dirs(os.path.dirname(self._lock_path), sync=False)
        return Lock(self._lock_path, timeout=_PATIENCE)


def share(directory: str, lock: str, quarantine_dir: str) -> IndexFile:
    """This process's object for an index; give it back with release()."""
    path = os.path.realpath(directory)
    with _files_lock:
        file = _files.get(path)
        if file is None:
            file = _files[path] = IndexFile(path, lock, quarantine_dir)
        file.users += 1
    return file


def release(file: IndexFile) -> None:
    """Give up a shared object; the last user unmaps the file."""
    with _files_lock:
        file.users -= 1
        if not file.users:
            _files.pop(file.directory, None)
            file.close()


def is_harmless(error: BaseException) -> bool:
    """Whether an index that cannot be used is no news: a read-only store, or another writer who takes long."""
    return isinstance(error, Busy) or (isinstance(error, OSError) and is_unwritable(error))
