"""What layers make together: whiteouts, replacing, links across layers, and what no layer may do."""

from __future__ import annotations

import io

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forge import directory, hardlink, header, member, pax, symlink, tar
from support.images import archive

from warpforge.errors import WarpforgeError
from warpforge.pack.limits import DEFAULT
from warpforge.pack.packer import manifest, scan

ROOT = directory(b"./")


def tree(*layers: bytes) -> dict[str, str]:
    """Path and kind of every node; a file's mode too, a symlink's target."""
    found = {}
    for line in manifest(io.BytesIO(archive(*layers)), "oci"):
        entry = line.entry
        what = f"{entry.mode:o}" if entry.kind == "f" else entry.link.decode() if entry.kind == "L" else ""
        found[entry.path.decode()] = entry.kind + what
    assert found.pop("") == "d"
    return found


def refusal(*layers: bytes, limits: int | None = None) -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(archive(*layers)), "oci", limits=DEFAULT if limits is None else DEFAULT.allowing(limits))
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


LOWER = tar(ROOT, directory(b"a/"), member(b"a/x", b"1"), member(b"a/y", b"2"), directory(b"a/d/"), member(b"a/d/z"))


def test_a_whiteout_hides_what_is_below() -> None:
    assert tree(LOWER, tar(member(b"a/.wh.x"))) == {"a": "d", "a/y": "f644", "a/d": "d", "a/d/z": "f644"}
    assert tree(LOWER, tar(member(b"a/.wh.d"))) == {"a": "d", "a/x": "f644", "a/y": "f644"}
    assert tree(LOWER, tar(member(b".wh.a"))) == {}
    assert tree(LOWER, tar(member(b"a/.wh.nothing"), member(b"b/.wh.nothing"))) == tree(LOWER)


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_whiteout_spares_its_own_layer(first: bool) -> None:
    mark, new = member(b"a/.wh.d"), member(b"a/d/new")
    assert tree(LOWER, tar(*((mark, new) if first else (new, mark)))) == {
        "a": "d",
        "a/x": "f644",
        "a/y": "f644",
        "a/d": "d",
        "a/d/new": "f644",
    }


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_an_opaque_directory_holds_only_its_own(first: bool) -> None:
    mark, new = member(b"a/.wh..wh..opq"), member(b"a/new")
    assert tree(LOWER, tar(*((mark, new) if first else (new, mark)))) == {"a": "d", "a/new": "f644"}
    assert tree(LOWER, tar(member(b".wh..wh..opq"), member(b"b"))) == {"b": "f644"}


def test_a_later_layer_brings_back_what_was_hidden() -> None:
    assert tree(LOWER, tar(member(b".wh.a")), tar(member(b"a", b"file", mode=0o600))) == {"a": "f600"}


def test_marks_of_aufs_are_nothing_of_the_tree() -> None:
    assert tree(
        tar(member(b".wh..wh.aufs"), directory(b".wh..wh.plnk/"), member(b".wh..wh.plnk/1.2"), member(b"f"))
    ) == {"f": "f644"}


def test_what_stands_there_is_replaced() -> None:
    assert tree(LOWER, tar(member(b"a/x", mode=0o755)))["a/x"] == "f755"
    assert tree(LOWER, tar(symlink(b"a/d", b"x"))) == {"a": "d", "a/x": "f644", "a/y": "f644", "a/d": "Lx"}
    assert tree(LOWER, tar(directory(b"a/x/"), member(b"a/x/in")))["a/x/in"] == "f644"
    again = tree(LOWER, tar(directory(b"a/", mode=0o700)))
    assert again == tree(LOWER), "a directory over a directory keeps its children"


def test_a_parent_that_is_a_symlink_below_is_followed_inside() -> None:
    usr = tar(ROOT, directory(b"usr/"), directory(b"usr/lib/"), symlink(b"lib", b"usr/lib"), symlink(b"up", b"/../.."))
    assert tree(usr, tar(member(b"lib/new"), member(b"up/top"), member(b"lib/.wh.gone"))) == {
        "usr": "d",
        "usr/lib": "d",
        "usr/lib/new": "f644",
        "lib": "Lusr/lib",
        "up": "L/../..",
        "top": "f644",
    }


def test_a_slash_in_front_is_the_images_own_root() -> None:
    found = tree(tar(directory(b"/"), member(b"/etc/x", b"1"), hardlink(b"y", b"/etc/x")), tar(member(b"/etc/.wh.x")))
    assert found == {"etc": "d", "y": "f644"}


def test_a_layer_may_lack_its_end_but_nothing_of_a_member() -> None:
    whole = member(b"one", b"1") + member(b"two", b"22")
    for cut in (whole, whole[:-510], b""):
        assert tree(cut) == ({"one": "f644", "two": "f644"} if cut else {})
    large = member(b"large", bytes(3 << 20) + b"1")
    assert tree(large[:-511]) == {"large": "f644"}
    for cut in (whole[:-1], whole[:-511], whole[:1100], whole[:100], large[:-512]):
        assert refusal(cut) == ("ware-corrupt", "")


def test_hardlinks_reach_through_layers() -> None:
    below = tar(ROOT, member(b"one", b"content"), symlink(b"link", b"one"))
    assert tree(below, tar(hardlink(b"two", b"one"), hardlink(b"three", b"./two"), hardlink(b"four", b"link"))) == {
        "one": "f644",
        "two": "f644",
        "three": "f644",
        "link": "Lone",
        "four": "Lone",
    }
    digests = {line.digest for line in manifest(io.BytesIO(archive(below, tar(hardlink(b"two", b"one")))), "oci")}
    assert len(digests) == 2  # None, and the one content


def test_a_hidden_file_lives_on_in_its_links() -> None:
    below = tar(member(b"one", b"content"))
    assert tree(below, tar(hardlink(b"two", b"one"), member(b".wh.one"))) == {"two": "f644"}


def test_what_a_tree_of_ours_cannot_hold() -> None:
    layer = tar(
        member(b"su", mode=0o6755),
        header(b"dev/null", b"3", device=(1, 3)),
        pax({b"SCHILY.xattr.security.capability": b"x", b"mtime": b"1262304000.5"}) + member(b"ping"),
    )
    found = {line.entry.path: line.entry for line in manifest(io.BytesIO(archive(layer)), "oci")}
    assert [*found] == [b"", b"ping", b"su"]
    assert found[b"su"].mode == 0o755
    assert (found[b"ping"].xattrs, found[b"ping"].mtime_ns) == ({}, 0)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([tar(member(b"../evil"))], "path"),
        ([tar(member(b"/../evil"))], "path"),
        ([tar(member(b"a/../../evil"))], "path"),
        ([tar(symlink(b"l", b".."), member(b"l/evil"))], "link"),
        ([tar(symlink(b"l", b"l")), tar(member(b"l/evil"))], "link"),
        ([tar(hardlink(b"h", b"../secret"))], "link"),
        ([tar(hardlink(b"h", b"/etc/shadow"))], "link"),
        ([tar(hardlink(b"h", b"later"), member(b"later"))], "link"),
        ([tar(directory(b"d/"), hardlink(b"h", b"d"))], "link"),
        ([tar(member(b"f")), tar(member(b".wh.f"), hardlink(b"h", b"f"))], "link"),
        ([tar(member(b"d/.wh..."))], "name"),
        ([tar(member(b"d/.wh.."))], "name"),
        ([tar(member(b"d/.wh."))], "name"),
        ([tar(member(b".wh.d/below"))], "name"),
        ([tar(member(b"f"), member(b"f"))], "duplicate"),
        ([tar(member(b"d/f"), member(b"d"))], "duplicate"),
        ([tar(member(b"f"), member(b"f/below"))], "path"),
        ([tar(member(b"f")), tar(member(b"f/below"))], "path"),
        ([tar(header(b"disk", b"4", device=(8, 0)))], "type"),
        ([tar(header(b"gone", b"3", device=(0, 0)))], "type"),
        ([tar(member(b"."))], "type"),
    ],
)
def test_what_no_layer_may_do(layers: list[bytes], reason: str) -> None:
    assert refusal(*layers) == ("ware-invalid", reason)


def test_layers_are_bounded_together() -> None:
    layer = tar(member(b"zeros", bytes(3 << 20)))
    assert refusal(layer, limits=2 << 20) == ("ware-limit", "bytes")
    assert refusal(layer, tar(member(b"more", bytes(3 << 20))), limits=5 << 20) == ("ware-limit", "bytes")
    assert scan(io.BytesIO(archive(layer)), "oci", limits=DEFAULT.allowing(8 << 20)).unpacked_bytes == 3 << 20


def test_entries_are_bounded_together() -> None:
    layer = tar(*(member(b"%d" % number) for number in range(30)))
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(archive(layer, layer)), "oci", limits=DEFAULT._replace(entries=50))
    assert caught.value.reason == "entries"


# any layers at all, against a model that knows no shortcuts

Change = tuple[str, str]  # what, and at which path
PATHS = ("a", "b", "a/x", "a/y", "b/x", "a/d", "a/d/z", "b/d/z")
CHANGES = st.lists(
    st.tuples(st.sampled_from(["file", "directory", "symlink", "whiteout", "opaque"]), st.sampled_from(PATHS)),
    max_size=8,
)


def written(changes: list[Change], number: int) -> bytes:
    members = []
    for what, path in changes:
        parent, slash, name = path.rpartition("/")
        if what == "file":
            members.append(member(path.encode(), b"%d" % number))
        elif what == "directory":
            members.append(directory(path.encode() + b"/"))
        elif what == "symlink":
            members.append(symlink(path.encode(), b"to%d" % number))
        elif what == "whiteout":
            members.append(member(f"{parent}{slash}.wh.{name}".encode()))
        else:
            members.append(member(f"{path}/.wh..wh..opq".encode()))
    return tar(*members)


def below(tree: dict[str, str], path: str) -> list[str]:
    return [other for other in tree if other.startswith(path + "/")]


def merged(layers: list[list[Change]]) -> dict[str, str]:
    """First what a layer takes away, then what it brings: the specification's own words. LookupError: no such tree."""
    tree: dict[str, str] = {}
    for number, changes in enumerate(layers):
        for what, path in changes:
            if what in ("whiteout", "opaque") and is_reached(tree, path):
                for gone in [*below(tree, path), *([path] if what == "whiteout" else [])]:
                    tree.pop(gone, None)
        fresh: set[str] = set()
        for what, path in changes:
            if what in ("whiteout", "opaque"):
                continue
            bring(tree, fresh, path, {"file": f"f{number}", "directory": "d", "symlink": f"Lto{number}"}[what])
    return tree


def marks_first(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change[0] not in ("whiteout", "opaque"))


def is_reached(tree: dict[str, str], path: str) -> bool:
    parts = path.split("/")
    return all(tree.get("/".join(parts[:depth])) == "d" for depth in range(1, len(parts)))


def bring(tree: dict[str, str], fresh: set[str], path: str, what: str) -> None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        if tree.setdefault(above, "d") != "d":
            raise LookupError(path)
        fresh.add(above)
    if path in fresh and not (tree[path] == "d" and what == "d"):
        raise LookupError(path)
    if what != "d":
        for gone in below(tree, path):
            tree.pop(gone)
    tree[path] = what
    fresh.add(path)


@settings(max_examples=150, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_any_layers_are_merged_as_the_specification_says(layers: list[list[Change]]) -> None:
    data = archive(*(written(marks_first(changes), number) for number, changes in enumerate(layers)))
    try:
        expected = merged(layers)
    except LookupError:
        return  # what lies below a symlink or a file is told of above
    marks_last = archive(*(written(marks_first(changes)[::-1], number) for number, changes in enumerate(layers)))
    plain = all(what != "symlink" for changes in layers for what, _ in changes)
    # a symlink is there to be followed until a mark takes it away
    for one in (data, marks_last) if plain else (data,):
        try:
            lines = list(manifest(io.BytesIO(one), "oci"))
        except WarpforgeError as error:
            # a mark that comes after something below what it takes away: nothing can stand there before
            assert error.reason in ("path", "link")
            continue
        contents = {blake3(b"%d" % number).digest(): str(number) for number in range(4)}
        found = {
            line.entry.path.decode(): line.entry.kind
            + (contents[line.digest] if line.digest else line.entry.link.decode())
            for line in lines
        }
        assert {**expected, "": "d"} == found
