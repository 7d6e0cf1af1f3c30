"""Dockerfiles read: lines, variables, stages; what .dockerignore names; what COPY takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpforge.errors import Invalid, Missing
from warpforge.polytope.dockerfile.context import Node, leave_out, read_files
from warpforge.polytope.dockerfile.copy import Copying, list_copied
from warpforge.polytope.dockerfile.ignoring import Ignoring
from warpforge.polytope.dockerfile.owners import find_owner, read_modes
from warpforge.polytope.dockerfile.parse import Instruction, parse_dockerfile, read_pairs
from warpforge.polytope.dockerfile.run_mounts import read_mounts
from warpforge.polytope.dockerfile.state import State
from warpforge.polytope.dockerfile.variables import fill

FILE = """\
# syntax=docker/dockerfile:1
ARG TAG=v1
FROM --platform=linux/amd64 base:${TAG} AS Build
RUN a \\
  # a comment
  && b

COPY <<EOF <<-'RAW' /etc/
one $X
EOF
\ttwo $X
\tRAW
FROM scratch
COPY --from=build --chmod=755 /a /b /c/
FROM --platform=$BUILDPLATFORM 1 AS last
"""


def test_lines_and_stages() -> None:
    file = parse_dockerfile(FILE, "Dockerfile", {"TAG": "v2"})
    first, second, third = file.stages
    assert (first.name, first.base, first.platform) == ("Build", "base:v2", "linux/amd64")
    run, copy = first.instructions
    assert (run.word, run.rest.split(), run.line) == ("RUN", ["a", "&&", "b"], 4)
    assert [(one.name, one.text, one.is_verbatim) for one in copy.documents] == [
        ("EOF", "one $X\n", False),
        ("RAW", "two $X\n", True),
    ]
    assert (second.base, second.instructions[0].flags) == ("scratch", (("from", "build"), ("chmod", "755")))
    assert str(second.instructions[0]) == "COPY --from=build --chmod=755 /a /b /c/"
    assert (third.base, file.needed(""), file.needed("build"), file.needed("LAST")) == ("1", [0, 1, 2], [0], [0, 1, 2])
    with pytest.raises(Missing, match="Build, 1, last"):
        file.needed("nothing")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "no FROM"),
        ("RUN a", 1, "before the first FROM"),
        ("FROM a b c", 1, "FROM IMAGE"),
        ("FROM a\n\nNOPE x", 3, "no instruction"),
        ("FROM a\nONBUILD FROM b", 2, "makes no sense"),
        ("FROM a\nONBUILD NOPE b", 2, "no instruction"),
        ("FROM a\nRUN <<E\nx", 2, "never ends"),
        ("FROM a\nCOPY", 2, "says nothing"),
        ("FROM ${X:?which?}", 1, "X: which\\?"),
    ],
)
def test_faults_name_their_line(text: str, line: int, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        parse_dockerfile(text, "Dockerfile", {})
    assert caught.value.details["line"] == str(line)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A-${A}_${B:-b$A}", "1-1_b1"),
        ("${A:+x}${B:+y}$B", "x"),
        (r"\$A '$A' \n", r"$A '$A' \n"),
        ("${P#*/} ${P##*/} ${P%/*} ${P%%/*}", "b/c.d c.d a/b a"),
        ("${P/[x]/y} ${P/?\\/b/z} ${P//\\//-}", "a/b/c.d z/c.d a-b-c.d"),
        ("${E-x}${E:-y}${N-z}${E+w}", "yzw"),
    ],
)
def test_variables(text: str, filled: str) -> None:
    assert fill(text, {"A": "1", "P": "a/b/c.d", "E": ""}, "Dockerfile", 1) == filled


def test_pairs() -> None:
    assert read_pairs("""A=1 B="two words" 'C D'=e\\ f""", "D", 1) == {"A": "1", "B": "two words", "C D": "e f"}
    assert read_pairs("PATH /a b", "D", 1) == {"PATH": "/a b"}
    with pytest.raises(Invalid):
        read_pairs("A", "D", 1)


@pytest.mark.parametrize(
    ("rules", "out", "kept"),
    [
        ("*.log", ["a.log"], ["x/a.log"]),
        ("**/*.log\n!keep.log", ["a.log", "x/y/a.log"], ["keep.log"]),
        ("/node_modules/\n# no", ["node_modules", "node_modules/a"], ["x/node_modules", "# no"]),
        ("*\n!src", ["a", "b/c"], ["src", "src/x"]),
        ("a?[0-9]", ["ab1"], ["ab", "abx"]),
    ],
)
def test_what_is_left_out(rules: str, out: list[str], kept: list[str]) -> None:
    ignoring = Ignoring(rules)
    assert [ignoring.leaves_out(path) for path in (*out, *kept)] == [True] * len(out) + [False] * len(kept)


def test_what_is_copied_where(tmp_path: Path) -> None:
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "main").write_text("m")
    (tmp_path / "src" / "sub" / "x.log").write_text("x")
    (tmp_path / "link").symlink_to("src")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / ".dockerignore").write_text("**/*.log")
    (tmp_path / "x" / "D.dockerignore").parent.mkdir()
    (tmp_path / "x" / "D.dockerignore").write_text("x\nsrc")
    context = read_files({"": str(tmp_path), "extra/text": b"t"}, "the context")
    assert {path for path in leave_out(context, "/x/D").nodes if path[:1] in "xse"} == {"", "extra", "extra/text"}
    files = leave_out(context)
    base = read_files({"usr/bin/sh": b""}, "the image")
    base.nodes["bin"] = Node("L", 0o777, link="usr/bin")

    def copied(goal: str, *sources: str) -> list[str]:
        return sorted(list_copied(files, base, Copying(sources, goal)))

    assert copied("/app", "src") == ["app", "app/main", "app/sub"]
    assert copied("/", ".")[:3] == [".dockerignore", "extra", "extra/text"]
    assert copied("/bin", "src/main") == ["usr/bin/main"]
    assert copied("/bin/tool", "link/main") == ["usr/bin/tool"]
    assert copied("/a/", "src/ma*", "extra/text") == ["a", "a/main", "a/text"]
    with pytest.raises(Missing):
        copied("/x", "src/sub/x.log")
    with pytest.raises(Missing):
        copied("/x", "out/passwd")
    with pytest.raises(Invalid, match="several files"):
        copied("/x", "src/main", "extra/text")


@pytest.mark.parametrize(
    ("text", "file", "directory"),
    [
        ("755", 0o755, 0o755),
        ("640", 0o640, 0o750),
        ("+x", 0o755, 0o755),
        ("u=rwX,go=rX", 0o644, 0o755),
        ("go-rwx,u+x", 0o744 & 0o700, 0o700),
        ("g=u", 0o664, 0o775),
    ],
)
def test_modes(text: str, file: int, directory: int) -> None:
    change = read_modes(text)
    assert (change(0o644, False), change(0o755, True)) == (file, directory)


def test_owners() -> None:
    files = read_files({"etc/passwd": b"root:x:0:0::/:\napp:x:7:8::/:\n", "etc/group": b"staff:x:50:\n"}, "the image")
    assert [find_owner(files, text) for text in ("app", "app:staff", "5", "5:6", "0:0")] == [
        (7, 7),
        (7, 50),
        (5, 5),
        (5, 6),
        (0, 0),
    ]
    for text in ("nobody", "app:nobody", str(2**32)):
        with pytest.raises(ValueError):
            find_owner(files, text)
    for text in ("7777777", "x", "u=q"):
        with pytest.raises(ValueError):
            read_modes(text)


def test_mounts_of_a_run() -> None:
    state = State(None, {"WorkingDir": "/w"}, {"X": "y"})

    def read(text: str) -> list[tuple[str, str, str]]:
        one = Instruction("RUN", "true", 3, tuple(("mount", word) for word in text.split()))
        return [(mount.kind, mount.target, mount.id) for mount in read_mounts(one, state, "Dockerfile")]

    secrets = "type=secret,id=a type=secret,target=b/d type=secret,id=e,env=E"
    assert read(f"target=. type=cache,dst=/c/$X {secrets} type=ssh") == [
        ("bind", "/w", "w"),
        ("cache", "/c/y", "/c/y"),
        ("secret", "/run/secrets/a", "a"),
        ("secret", "/w/b/d", "d"),
        ("secret", "", "e"),
        ("ssh", "/run/buildkit/ssh_agent.0", "ssh_agent.0"),
    ]
    for text, why in [
        ("type=tmpfs,target=/a,size=-1", "size"),
        ("type=odd,target=/a", "no kind"),
        ("type=tmpfs", "no target"),
        ("target=/", "root"),
        ("type=cache,target=/a,mode=9", "mode=9"),
        ("type=cache,target=/a,sharing=some", "sharing"),
        ("type=tmpfs,target=/a,from=b", "knows no from"),
    ]:
        with pytest.raises(Invalid, match=why) as caught:
            read(text)
        assert caught.value.details["line"] == "3"
