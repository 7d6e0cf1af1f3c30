"""Outputs: read out of the merged view after the last process is gone."""

from __future__ import annotations

import pytest
from support.boxes import Yard

from warpforge.errors import WarpforgeError
from warpforge.sandbox.spec import SCRIPT_DIR, make_mount


def statuses(result: object) -> list[str]:
    return [gathered.status for gathered in result.outcome.gathered]  # type: ignore[attr-defined]


def test_a_tree_a_file_and_what_is_missing(yard: Yard) -> None:
    script = "mkdir -p /out/d; echo a > /out/d/f; ln -s /etc/passwd /out/l; chmod 600 /out/d/f; echo x > /lone"
    result = yard.sh(script, gathers=["/out", "/lone", "/no", "/no/deeper", "/lone/below"])
    assert statuses(result) == ["ok", "ok", "missing", "missing", "missing"]
    assert [(n.path, n.kind, n.mode, n.uid) for n in result.trees[0]] == [
        ("", "d", 0o755, 0),
        ("d", "d", 0o755, 0),
        ("d/f", "f", 0o600, 0),
        ("l", "L", 0o777, 0),
    ]
    assert result.trees[0][3].link == b"/etc/passwd"
    assert [(n.path, n.kind, n.content) for n in result.trees[1]] == [("", "f", b"x\n")]


def test_equal_to_inside_above_an_input_nested_and_repeated(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "1", "d/b": "2"})
    script = "echo more >> /deep/in/a; echo x > /deep/beside"
    gathers = ["/deep/in", "/deep/in/d", "/deep", "/deep/in", "/deep/in/a"]
    result = yard.sh(script, make_mount("/deep/in", "overlay", tree), gathers=gathers)
    assert result.names(0) == ["", "a", "d", "d/b"]
    assert result.names(1) == ["", "b"]
    assert result.names(2) == ["", "beside", "in", "in/a", "in/d", "in/d/b"]
    assert result.trees[3] == result.trees[0]
    assert result.trees[4][0].content == b"1more\n"


def test_the_root_is_without_the_engines_mounts_and_inputs(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "1"})
    mounts = [
        make_mount("/in/deep", "overlay", tree),
        make_mount("/etc/hello", "bytes", b"other"),
        make_mount("/lit/eral", "bytes", b"x"),
        make_mount(SCRIPT_DIR + "/run", "bytes", b"x"),
    ]
    result = yard.sh("rm -r /bin; echo x > /made; echo y > /lit/own", *mounts, gathers=["/", "/in"])
    assert result.names(0) == ["", "etc", "etc/hello", "etc/passwd", "lit", "lit/own", "made"]
    assert result.content("etc/hello") == b"hello\n"
    assert result.names(1) == ["", "deep", "deep/a"]


def test_whiteouts_and_opaque_directories_are_not_seen(yard: Yard) -> None:
    tree = yard.tree("input", {"gone": "1", "old/a": "2", "moved/m": "3", "replaced/x": "4"})
    script = "cd /in; rm gone; rm -r old; mkdir old; echo new > old/b; mv moved away; rm -r replaced; echo f > replaced"
    result = yard.sh(script, make_mount("/in", "overlay", tree), gathers=["/in"])
    assert result.outcome.exit_code == 0, result.err
    assert result.names() == ["", "away", "away/m", "old", "old/b", "replaced"]


def test_trees_without_any_permission_are_read_and_deleted(yard: Yard) -> None:
    script = "mkdir -p /out/d/e; echo a > /out/d/f; chmod 0 /out/d/f /out/d/e /out/d /out"
    result = yard.sh(script, gathers=["/out"])
    assert [(n.path, n.mode) for n in result.trees[0]] == [("", 0), ("d", 0), ("d/e", 0), ("d/f", 0)]
    assert result.content("d/f") == b"a\n"


def test_a_symlink_itself_is_refused_and_parents_stay_inside(yard: Yard) -> None:
    script = """
    mkdir /real; echo x > /real/f; ln -s real /link; ln -s / /top; ln -s /../../../../etc /up
    ln -s /proc/self/root /magic; ln -s loop /loop; mkfifo /fifo
    """
    gathers = ["/link", "/link/f", "/top/link/f", "/up/hello", "/magic/etc/hello", "/loop/x", "/fifo"]
    result = yard.sh(script, gathers=gathers)
    assert statuses(result) == ["type", "ok", "ok", "ok", "missing", "escape", "type"]
    assert result.trees[3][0].content == b"hello\n"


@pytest.mark.parametrize("make", ["mkfifo /out/d/x", "mkfifo /out/x; rm -f /out/d/y"])
def test_a_special_file_inside_is_invalid(yard: Yard, make: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        yard.sh(f"mkdir -p /out/d; {make}", gathers=["/out"])
    assert caught.value.code == "warpforge-error-output-invalid"
    assert caught.value.details["reason"] == "type"
    assert caught.value.details["entry"].endswith("x")


def test_a_huge_sparse_file_meets_the_limit(yard: Yard) -> None:
    with pytest.raises(WarpforgeError) as caught:
        yard.sh(
            "mkdir /out; dd if=/dev/null of=/out/big bs=1M seek=1000000 count=0", gathers=["/out"], gather_limit=1 << 20
        )
    assert caught.value.code == "warpforge-error-action-limit"


def test_many_outputs_of_some_size(yard: Yard) -> None:
    script = "for i in 0 1 2 3; do mkdir /o$i; for j in $(seq 50); do head -c 100000 /dev/zero > /o$i/$j; done; done"
    result = yard.sh(script, gathers=[f"/o{i}" for i in range(4)])
    assert [len(result.trees[i]) for i in range(4)] == [51] * 4
    assert all(len(node.content) == 100000 for node in result.trees[3] if node.path)


def test_nothing_is_gathered_of_a_failed_action_unless_asked(yard: Yard) -> None:
    assert yard.sh("mkdir /out; exit 3", gathers=["/out"]).outcome.gathered == ()
    kept = yard.sh("mkdir /out; exit 3", gathers=["/out"], gather_failed=True)
    assert (kept.outcome.exit_code, kept.names()) == (3, [""])


def test_no_process_at_all(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "1"})
    mounts = [make_mount("/in", "overlay", tree), make_mount("/in/lit", "bytes", b"x")]
    result = yard.run([], *mounts, gathers=["/in", "/in/lit", "/"])
    assert result.names(0) == ["", "a", "lit"]
    assert (result.trees[1][0].mode, result.trees[1][0].mtime) == (0o644, 1262304000)
    assert result.names(2) == [""]


def test_engine_written_files_can_be_gathered(yard: Yard) -> None:
    """So the value of a variable can come out of a script."""
    script = make_mount(SCRIPT_DIR + "/run", "bytes", b'V=4\necho -n "$V" > ${0%/*}/var', 0o755)
    root = make_mount("/", "overlay", yard.root)
    result = yard.run(["/bin/sh", SCRIPT_DIR + "/run"], root, script, gathers=[SCRIPT_DIR + "/var"])
    assert result.trees[0][0].content == b"4"


def test_trees_are_copied_where_overlays_do_not_work(yard: Yard) -> None:
    tree = yard.tree("input", {"a": "1", "d/b": "2"})
    (tree / "d" / "l").symlink_to("b")
    (tree / "d" / "b").chmod(0o555)
    lone = yard.tree("lone", {"file": "four"}) / "file"
    mounts = [make_mount("/in", "overlay", tree), make_mount("/f", "file", lone)]
    script = "echo more >> /in/a; rm /in/d/l; echo x >> /f; cat /etc/hello"
    copied = yard.sh(script, *mounts, gathers=["/in", "/f", "/"], overlay=False)
    assert not copied.outcome.facts.overlay
    overlaid = yard.sh(script, *mounts, gathers=["/in", "/f", "/"])
    assert overlaid.outcome.facts.overlay
    for index in range(3):
        assert [(n.path, n.kind, n.mode, n.content) for n in copied.trees[index]] == [
            (n.path, n.kind, n.mode, n.content) for n in overlaid.trees[index]
        ]
    assert (tree / "a").read_text() == "1"
