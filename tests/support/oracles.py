"""What must hold of any bytes whatever, one oracle for each reader: the fuzzers call them.

``ORACLES[target](data)`` gives "accepted" or the code and reason of the refusal, and fails (AssertionError, or whatever
else was raised) when the reader does what no input may make it do. All bounds are small, so that a call is quick.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import zstandard

from warpforge.errors import PREFIX, WarpforgeError
from warpforge.fsx.remove import remove_tree
from warpforge.fsx.tree import walk
from warpforge.model import ident, jsontext, plaintext, serial
from warpforge.model.catalog import Release
from warpforge.model.formula import FormulaFile
from warpforge.model.plot import Plot
from warpforge.pack.decode import Packed, decode
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.lazy import Lazy
from warpforge.pack.limits import DEFAULT
from warpforge.pack.manifest import Line
from warpforge.pack.names import fold
from warpforge.pack.packer import Sum, manifest, pack, repack, scan, unpack
from warpforge.pack.table import read_table

T = TypeVar("T")
LIMITS: Final = DEFAULT._replace(unpacked=32 << 20, entries=5000)
REFUSALS: Final = {"ware-corrupt", "ware-invalid", "ware-limit"}
REASONS: Final = {
    "ware-corrupt": {""},
    "ware-invalid": {"path", "link", "type", "duplicate", "name", "metadata"},
    "ware-limit": {"bytes", "ratio", "entries", "header", "depth"},
}
DOCUMENT_CODES: Final = {
    "serialization",
    "datatoonew",
    "wareid-invalid",
    "formula-invalid",
    "plot-invalid",
    "module-invalid",
    "catalog-invalid",
}
FOREIGN: Final = (  # whatever the standard library raises for archives that it does not like
    tarfile.TarError,
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    OverflowError,
    RecursionError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    IndexError,
    MemoryError,
    zstandard.ZstdError,
)
ROOTED: Final = SCAN.parse("uid=0,gid=0")


def attempt(work: Callable[[], T], codes: set[str] = REFUSALS) -> T | str:
    """What it gives; or the refusal as text, which must be one of those that are foreseen, and say why."""
    try:
        return work()
    except WarpforgeError as error:
        code = error.code.removeprefix(PREFIX)
        assert code in codes, f"{code}: {error}"
        assert error.reason in REASONS.get(code, {error.reason}), f"{code} {error.reason}"
        if codes is REFUSALS:  # of documents the pointers are verbatim: the screen escapes them
            assert error.message.isprintable() and error.message, repr(error.message)
        return f"{code} {error.reason}".strip()


@contextmanager
def scratch() -> Iterator[int]:
    """A private directory in memory, and a witness beside it that must stay as it is."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as top:
        with open(f"{top}/witness", "wb") as file:
            file.write(b"still here")
        os.mkdir(f"{top}/in")
        fd = os.open(f"{top}/in", os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
            assert sorted(os.listdir(top)) == ["in", "witness"]
            with open(f"{top}/witness", "rb") as file:
                assert file.read() == b"still here"
        finally:
            for name in os.listdir(fd):
                remove_tree(fd, name)
            os.close(fd)


def archive(data: bytes, packtype: str) -> str:
    """Scan, unpack, repack, manifest, lazy reading and the standard library agree on what an archive holds."""
    seen = attempt(lambda: scan(io.BytesIO(data), packtype, ROOTED, limits=LIMITS))
    as_it_is = attempt(lambda: scan(io.BytesIO(data), packtype, limits=LIMITS))
    assert isinstance(seen, str) == isinstance(as_it_is, str)
    with scratch() as place:
        unpacked = attempt(
            lambda: unpack(io.BytesIO(data), packtype, place, b"t", filters=ROOTED, limits=LIMITS).source
        )
        assert unpacked == as_it_is, f"scan: {as_it_is}; unpack: {unpacked}"
        if isinstance(as_it_is, str) or isinstance(seen, str):
            assert os.listdir(place) == [], "something is left of what was refused"
            return as_it_is if isinstance(as_it_is, str) else str(seen)
        lines = list(manifest(io.BytesIO(data), packtype, limits=LIMITS))
        assert len(lines) == as_it_is.entries
        if all(map(_can_lie_on_disk, lines)):
            again = pack(walk(place, b"t"), packtype, OUTPUT.parse("mtime=keep"))
            assert (again.ware, again.dual) == (seen.ware, seen.dual), "what lies on disk is another tree"
    files = {line.entry.path: line.digest for line in lines if line.entry.kind == "f"}
    lazy = Lazy(io.BytesIO(data), packtype, LIMITS)
    assert [entry.path for entry in lazy.entries()] == [line.entry.path for line in lines]
    for path in list(files)[:3]:
        if path:
            assert digest(b"".join(Lazy(io.BytesIO(data), packtype, LIMITS).open(path))) == files[path]
    _repacked(data, packtype, as_it_is)
    for name, content in _foreign_files(data, packtype):
        assert files.get(name) == digest(content), f"the standard library has another {name!r}"
    return "accepted"


def _can_lie_on_disk(line: Line) -> bool:
    """Whether unpacking keeps all of it: no xattrs, no part of a second in what we pack, and symlinks have no modes."""
    entry = line.entry
    return not entry.xattrs and not entry.mtime_ns and (entry.kind != "L" or entry.mode == 0o777)


def _repacked(data: bytes, packtype: str, seen: Sum) -> None:
    sink = io.BytesIO()
    made = attempt(lambda: repack(io.BytesIO(data), packtype, SCAN, sink, limits=LIMITS))
    if isinstance(made, str):
        assert packtype != "ztar" and made in ("ware-corrupt", "ware-invalid duplicate"), made  # a foreign order
        return
    assert (made.ware, made.dual) == (seen.ware, seen.dual)
    again = scan(io.BytesIO(sink.getvalue()), packtype)
    assert (again.ware, again.dual, again.entries) == (seen.ware, seen.dual, seen.entries)


def _foreign_files(data: bytes, packtype: str) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the regular files as the standard library has them; nothing where it will not read."""
    try:
        if packtype == "zip" and data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    kind = info.external_attr >> 28 if info.create_system in (3, 19) else 8
                    if not info.is_dir() and kind in (0, 8) and not info.external_attr & 0x10:
                        name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
                        yield fold(name), archive.read(info)
            return
        plain = b"".join(decode(Packed(io.BytesIO(data)), LIMITS))
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            members = tar.getmembers()
            if tar.pax_headers or any(m.offset_data + m.size > len(plain) for m in members):
                return  # global headers, which are not for us; sizes that only the library believes
            for member in members:
                if member.isreg() and not member.issparse():
                    found = tar.extractfile(member)
                    assert found is not None
                    yield fold(member.name.lstrip("/").encode("utf-8", "surrogateescape")), found.read()
    except FOREIGN:
        return


def digest(content: bytes) -> bytes:
    import blake3

    return blake3.blake3(content).digest()


def frames(data: bytes) -> str:
    """What is decoded is what zstd's own reader decodes; the seek table, where it is believed, says the same."""

    def work() -> bytes:
        return b"".join(decode(Packed(io.BytesIO(data)), LIMITS))

    found = attempt(work)
    if isinstance(found, str):
        return found
    if data[:4] == b"\x28\xb5\x2f\xfd":
        try:
            reader = zstandard.ZstdDecompressor(max_window_size=128 << 20).stream_reader(
                io.BytesIO(data), read_across_frames=True
            )
            assert reader.read(len(found) + 1) == found
        except zstandard.ZstdError as error:
            raise AssertionError(f"zstd itself refuses what was accepted: {error}") from error
        table = read_table(io.BytesIO(data))
        if table is not None:
            assert sum(frame.unpacked for frame in table) == len(found)
    return "accepted"


def document(data: bytes) -> str:
    """A document is refused with its place, or is the same again after it was written."""
    _plain_and_careful(data)
    loaded = attempt(lambda: serial.load_document(data, "x"), DOCUMENT_CODES)
    if isinstance(loaded, str):
        return loaded
    assert all(isinstance(str(warning), str) for warning in loaded.warnings)
    text = serial.dump(loaded.noun)
    again = serial.load_document(text, "x")
    assert again.noun == loaded.noun
    assert not again._slips
    assert serial.dump(again.noun) == text == serial.fmt(text)
    assert _id(again.noun) == _id(loaded.noun)
    json.loads(text)
    return "accepted"


def polytope(data: bytes) -> str:
    """A polytope file of any form is refused with its place, or read the same twice; what is said of it has a place."""
    found = [_polytope(data, f"/x/polytope.{form}") for form in ("yml", "json", "edn")]
    return "accepted" if "accepted" in found else found[0]


def _polytope(data: bytes, name: str) -> str:
    from warpforge.polytope.files.read import load_file
    from warpforge.polytope.issues import Refused

    try:
        file, issues = load_file(data, name)
    except Refused as error:
        assert error.code.removeprefix(PREFIX) in {"serialization", "module-invalid"}
        assert error.findings[0].place.line >= 1 and error.findings[0].place.column >= 1
        return f"{error.code.removeprefix(PREFIX)} {error.reason}"
    assert load_file(data, name) == (file, issues)
    assert all(issue.place.line >= 1 for issue in issues)
    return "accepted"


def _plain_and_careful(data: bytes) -> None:
    """The quick reader and the careful one: what the first takes, the second takes, too, and reads the same."""
    quick = plaintext.read_plain(data)
    if quick is None:
        return
    try:
        value, slips = jsontext.read_careful(data, "x")
    except WarpforgeError as error:  # the quick one leaves numbers to the schema, which knows none that are so large
        assert error.reason == "limit" and "2^53" in error.message, error
        return
    assert not slips
    assert repr(value) == repr(quick)


def _id(noun: Any) -> str:
    if isinstance(noun, FormulaFile):
        return ident.formula_id(noun.formula)
    if isinstance(noun, Plot):
        return ident.plot_id(noun)
    if isinstance(noun, Release):
        return ident.release_id(noun)
    return ""


ORACLES: Final[dict[str, Callable[[bytes], str]]] = {
    "tar": lambda data: archive(data, "tar"),
    "ztar": lambda data: archive(data, "ztar"),
    "zip": lambda data: archive(data, "zip"),
    "zstd": frames,
    "document": document,
    "polytope": polytope,
}
