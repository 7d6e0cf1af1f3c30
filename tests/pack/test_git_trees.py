"""The tree of a commit by our own walk: forged trees, which no git would write, and what attributes do not change."""

from __future__ import annotations

import zlib
from hashlib import sha1, sha256
from pathlib import Path

import pytest

from warpforge.errors import WarpforgeError
from warpforge.fsx.git import Bare
from warpforge.pack.git import Submodule, commit_entries
from warpforge.pack.limits import DEFAULT, Limits


class Forge:
    """A bare repository of ours into which any object is written."""

    def __init__(self, base: Path, size: int = 40) -> None:
        self.size = size
        self.bare = Bare(base / "objects", size=size)
        self.blob = self.write("blob", b"x")
        self.filled: list[Submodule] = []

    def write(self, kind: str, data: bytes) -> str:
        """Any object, as git lays it down."""
        whole = f"{kind} {len(data)}\0".encode() + data
        oid = (sha256 if self.size == 64 else sha1)(whole).hexdigest()
        path = self.bare.directory / "objects" / oid[:2] / oid[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole, 1))
        return oid

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        return self.write("tree", b"".join(f"{m} ".encode() + n + b"\0" + bytes.fromhex(o) for m, n, o in entries))

    def commit(self, tree: str) -> str:
        who = b"a <a@b> 0 +0000"
        return self.write("commit", b"tree %b\nauthor %b\ncommitter %b\n\nx\n" % (tree.encode(), who, who))

    def paths(self, tree: str, limits: Limits = DEFAULT) -> list[tuple[bytes, str, int]]:
        def fill(found: Submodule, around: list[Submodule]) -> None:
            self.filled.append(found)

        walk = commit_entries(self.bare, self.commit(tree), fill, limits)
        return [(entry.path, entry.kind, entry.mode) for entry, _ in walk]

    def refusal(self, tree: str, limits: Limits = DEFAULT) -> tuple[str, str]:
        with pytest.raises(WarpforgeError) as caught:
            self.paths(tree, limits)
        return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


UNSAFE = [
    b"..", b".", b"", b"a/b", b"/abs", b"../x", b".git", b".GIT", b".Git ", b".git.", b".git\xe2\x80\x8c",
    b"\xe2\x80\x8d.git", b"\xef\xbb\xbf.git", b".git::$INDEX_ALLOCATION", b"git~1", b"GIT~2",
]  # fmt: skip


def test_names_that_no_checkout_may_have(forge: Forge) -> None:
    for name in UNSAFE:
        for mode in ("100644", "40000", "120000", "160000"):
            oid = {"40000": forge.tree(("100644", b"a", forge.blob)), "160000": "1" * 40}.get(mode, forge.blob)
            assert forge.refusal(forge.tree((mode, name, oid))) == ("git", "unsafe"), (mode, name)
            inner = forge.tree(("40000", b"d", forge.tree((mode, name, oid))))
            assert forge.refusal(inner) == ("git", "unsafe"), (mode, name)


def test_a_name_twice(forge: Forge) -> None:
    empty = forge.tree()
    for other in (("100644", b"a", forge.blob), ("120000", b"a", forge.blob), ("40000", b"a", empty)):
        assert forge.refusal(forge.tree(("100644", b"a", forge.blob), other)) == ("git", "unsafe")
        between = forge.tree(("120000", b"a", forge.blob), ("100644", b"a.b", forge.blob), other)
        assert forge.refusal(between) == ("git", "unsafe")


def test_harmless_names_come_through(forge: Forge) -> None:
    names = [b"...", b".gitx", b"x.git", b".gitignore", b"a\nb", b"\x1b[31m", b"\xff\xfe", b"-rf", b"a\\b", b"n" * 255]
    names += ["\u202eevil".encode(), "e\u0301".encode(), "\u00e9".encode(), b"A", b"a"]
    found = forge.paths(forge.tree(*[("100644", name, forge.blob) for name in sorted(names)]))
    assert [path for path, _, _ in found] == [b"", *sorted(names)]


def test_any_order_is_put_into_ours(forge: Forge) -> None:
    full = forge.tree(("100644", b"z", forge.blob))
    found = forge.paths(
        forge.tree(("40000", b"b", full), ("100644", b"b.c", forge.blob), ("100644", b"b-c", forge.blob))
    )
    assert [path for path, _, _ in found] == [b"", b"b-c", b"b.c", b"b", b"b/z"]


def test_modes_are_two(forge: Forge) -> None:
    modes = {"100644": 0o644, "100755": 0o755, "100664": 0o644, "100600": 0o644, "0100777": 0o755, "100100": 0o755}
    tree = forge.tree(*[(mode, mode.encode(), forge.blob) for mode in modes])
    found = {path.decode(): mode for path, kind, mode in forge.paths(tree) if kind == "f"}
    assert found == modes
    for mode in ("10644", "60000", "140000", "0", "nine", "20000"):
        assert forge.refusal(forge.tree((mode, b"a", forge.blob))) == ("git", "unsafe"), mode


def test_broken_objects(forge: Forge) -> None:
    for data in (b"100644 a\0" + b"1" * 19, b"100644 a", b"100644", b"\0" * 30, b" a\0" + b"1" * 20):
        assert forge.refusal(forge.write("tree", data))[0] == "git"
    assert forge.refusal(forge.blob) == ("git", "failed"), "a commit of a blob"
    assert forge.refusal(forge.tree(("100644", b"a", "1" * 40))) == ("git", "failed"), "a missing blob"
    assert forge.refusal(forge.tree(("100644", b"a", forge.tree()))) == ("git", "failed"), "a tree as a file"
    assert forge.refusal(forge.tree(("40000", b"a", forge.blob))) == ("git", "failed"), "a file as a tree"


def test_symlinks_are_data(forge: Forge) -> None:
    for target in (b"/etc/passwd", b"../../..", b"x" * 4095, b"\xff"):
        assert forge.paths(forge.tree(("120000", b"l", forge.write("blob", target))))[1] == (b"l", "L", 0o777)
    for target in (b"", b"a\0b", b"x" * 4096):
        assert forge.refusal(forge.tree(("120000", b"l", forge.write("blob", target)))) == ("ware-invalid", "link")


def test_limits(forge: Forge) -> None:
    assert forge.refusal(forge.tree(("100644", b"n" * 256, forge.blob))) == ("ware-invalid", "name")
    level = forge.tree(*[("100644", b"%d" % n, forge.blob) for n in range(10)])
    for _ in range(8):
        level = forge.tree(*[("40000", b"%d" % n, level) for n in range(10)])
    few = DEFAULT._replace(entries=2000)
    assert forge.refusal(level, few) == ("ware-limit", "entries"), "a bomb of few objects"
    deep = forge.tree()
    for _ in range(1100):
        deep = forge.tree(("40000", b"d", deep))
    assert forge.refusal(deep) == ("ware-limit", "depth")
    large = forge.write("blob", bytes(1 << 20))
    bomb = forge.tree(*[("100644", b"%d" % n, large) for n in range(9)])
    assert forge.refusal(bomb, DEFAULT._replace(unpacked=5 << 20)) == ("ware-limit", "bytes")


def test_submodules_are_where_the_commit_around_them_says(forge: Forge) -> None:
    inner = forge.commit(forge.tree(("100644", b"b", forge.blob)))
    modules = b'[submodule "n"]\n\tpath = s.d/s\n\turl = ../x\n[submodule "other"]\n\tpath = gone\n\turl = y\n'
    gitmodules = ("100644", b".gitmodules", forge.write("blob", modules))
    tree = forge.tree(
        gitmodules, ("40000", b"s.d", forge.tree(("160000", b"s", inner), ("100644", b"s.c", forge.blob)))
    )
    paths = [path for path, _, _ in forge.paths(tree)]
    assert paths == [b"", b".gitmodules", b"s.d", b"s.d/s.c", b"s.d/s", b"s.d/s/b"]
    assert forge.filled == [Submodule(b"s.d/s", inner, "../x", "n")]
    assert forge.refusal(forge.tree(("160000", b"s\r", inner))) == ("git", "unsafe")
    assert forge.refusal(forge.tree(("160000", b"s", "1" * 40))) == ("git", "failed"), "nobody brought it"
    for broken in (b"[submodule", b"[include]\n\tpath = /etc/passwd\n", b"\0\xff", b""):
        forge.filled.clear()
        forge.paths(forge.tree(("100644", b".gitmodules", forge.write("blob", broken)), ("160000", b"s", inner)))
        assert forge.filled == [Submodule(b"s", inner, "", "")]


def test_sha256(tmp_path: Path) -> None:
    forge = Forge(tmp_path, size=64)
    assert len(forge.blob) == 64
    assert forge.paths(forge.tree(("100644", b"a", forge.blob)))[1:] == [(b"a", "f", 0o644)]


def test_what_a_checkout_would_change_does_not_count(forge: Forge) -> None:
    """Line ends, idents, substitutions, export-ignore: the tree has the bytes that were committed."""
    files = {b"a.txt": b"one\r\ntwo\n", b"hidden": b"x", b"id": b"$Id$ $Format:%H%D$"}
    attributes = b"* text eol=crlf ident export-subst filter=evil\nhidden export-ignore\n"
    entries = [("100644", name, forge.write("blob", data)) for name, data in files.items()]
    commit = forge.commit(forge.tree(("100644", b".gitattributes", forge.write("blob", attributes)), *entries))
    forge.bare.run("config", "filter.evil.smudge", "false")
    seen = []
    for _ in range(2):
        walk = commit_entries(forge.bare, commit, lambda found, around: None)
        seen.append({entry.path: content.read(1000) for entry, content in walk if content is not None})
        forge.bare.run("tag", "-f", "seen", commit)  # what %D tells
    assert seen[0] == seen[1] == {b".gitattributes": attributes, **files}


def test_replacements_and_grafts_do_not_count(forge: Forge) -> None:
    true, lie = forge.commit(forge.tree(("100644", b"true", forge.blob))), forge.commit(forge.tree())
    directory = forge.bare.directory
    forge.bare.run("update-ref", f"refs/replace/{true}", lie)
    tree = forge.bare.run("rev-parse", f"{true}^{{tree}}").decode().strip()
    forge.bare.run("update-ref", f"refs/replace/{tree}", forge.tree())
    (directory / "info").mkdir(exist_ok=True)
    (directory / "info" / "grafts").write_text(f"{true} {lie}\n")
    walk = commit_entries(forge.bare, true, lambda found, around: None)
    assert [entry.path for entry, _ in walk] == [b"", b"true"]
