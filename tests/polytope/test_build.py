"""Images built for real: every RUN in a box."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import struct
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.hostile_http import Hostile, body
from support.probes import compile_probe
from support.workshop import Workshop, workshop

from warpforge.engine.events import Event, Reporter, StepFinished, StepOutput
from warpforge.errors import Failed, Invalid, Missing, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.containers.image import list_owned
from warpforge.polytope.dockerfile.adding import Pins
from warpforge.polytope.dockerfile.image import Ground, build_image
from warpforge.polytope.dockerfile.layering import read_image
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import HostSource, Source

FILE = """\
FROM base AS build
ARG VERSION=1.0
ENV NAME="a b"
WORKDIR /work
COPY src/ .
RUN ./main.sh > out.txt && echo "$NAME $VERSION $BASE" | tee -a out.txt
RUN chown 7:8 out.txt && su -s /bin/sh -c true root
RUN <<EOF
pwd >> out.txt
EOF
FROM base AS final
COPY --from=build /work/out.txt /opt/
COPY --chmod=700 src/main.sh /bin/../usr/main
COPY <<A /etc/inline
$BASE
A
WORKDIR /new/dir
EXPOSE 80
USER 1000
ENTRYPOINT ["/usr/main"]
CMD ["arg"]
"""


PINNED: dict[str, str] = {}
PINS = Pins(PINNED.get, PINNED.__setitem__)


class Heard(Reporter):
    def __init__(self) -> None:
        self.hits: list[bool] = []
        self.output = b""

    def tell(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.hits.append(event.hit)
        elif isinstance(event, StepOutput):
            self.output += event.data


HEARD = Heard()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop") / "w", HEARD) as made:
        context = made.root / "context"
        (context / "src").mkdir(parents=True)
        (context / "src" / "main.sh").write_text("#!/bin/sh\necho main\n")
        (context / "src" / "main.sh").chmod(0o755)
        (context / "Dockerfile").write_text(FILE)
        (context / ".dockerignore").write_text("Dockerfile\n")
        yield made


def build(shop: Workshop, **more: Value) -> tuple[WareId, dict[str, Value]]:
    def name_image(tag: str, ware: WareId) -> None:
        shop.known[tag] = ware

    def source_path(source: Source) -> str:
        assert isinstance(source, HostSource)
        return source.path

    ground = Ground(Facts(base=str(shop.root)), shop.find_image, name_image, source_path, lambda line: None, PINS)
    named = {key.replace("_", "-"): value for key, value in more.items()}
    sources: Value = [{"source": {"type": "host", "path": "context"}, "path": "/"}]
    HEARD.hits.clear()
    result = build_image(shop.engine, {"tags": ["mine:1"], "sources": sources, **named}, ground)
    return WareId("oci", str(result["digest"]).removeprefix("sha256:")), result


def test_an_image_of_two_stages(shop: Workshop) -> None:
    ware, result = build(shop, labels={"a": "b"}, build_args={"VERSION": "2"})
    assert HEARD.hits == [False, False, False]
    assert b"a b 2 1\n" in HEARD.output
    assert shop.known["mine:1"] == ware
    assert result["metadata"] == {"ware": str(ware), "tags": ["mine:1"]}
    tree = shop.engine.supply.tree(ware)
    assert (tree / "opt" / "out.txt").read_text() == "main\na b 2 1\n/work\n"
    assert (tree / "usr" / "main").stat().st_mode & 0o777 == 0o700
    assert (tree / "etc" / "inline").read_text() == "1\n"
    assert (tree / "new" / "dir").is_dir() and (tree / "bin" / "busybox").exists()
    assert not (tree / "work").exists()
    assert owners(shop, ware)["opt/out.txt"] == (7, 8)
    assert config(shop, ware) == {
        "Cmd": ["arg"],
        "Entrypoint": ["/usr/main"],
        "Env": ["PATH=/bin", "BASE=1"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"a": "b"},
        "User": "1000",
        "WorkingDir": "/new/dir",
    }
    digests = [layers(shop, image) for image in (shop.known["base"], ware)]
    assert digests[1][:-1] == digests[0] and len(digests[1]) == 2
    again, _ = build(shop, labels={"a": "b"}, build_args={"VERSION": "2"})
    assert again == ware
    assert HEARD.hits == [True, True, True]
    target, _ = build(shop, target="build", build_args={"VERSION": "2"}, tags=[])
    assert (shop.engine.supply.tree(target) / "work" / "out.txt").exists()


def config(shop: Workshop, ware: WareId) -> dict[str, Value]:
    kept = shop.engine.store.images.find(ware)
    assert kept is not None
    found: dict[str, Value] = json.loads(kept.config)["config"]
    return found


def layers(shop: Workshop, ware: WareId) -> list[str]:
    image = read_image(shop.engine, ware)
    assert image is not None
    return [layer.digest for layer in image.layers]


def owners(shop: Workshop, ware: WareId) -> dict[str, tuple[int, int]]:
    with shop.engine.store.use():
        return {one.path.decode(): (one.uid, one.gid) for one in list_owned(shop.engine, ware)}


ADDED = """\
FROM base AS parent
ONBUILD ARG WHO=app
ONBUILD COPY --chown=$WHO:50 src/main.sh /child/
RUN echo app:x:7:8::/home:/bin/sh >> /etc/passwd && mkdir -p /data && chown app /data && chmod 700 /data
HEALTHCHECK --interval=1m30s --retries=2 CMD test -e /x
SHELL ["/bin/sh", "-e", "-c"]
CMD ["old"]
FROM parent AS child
ENTRYPOINT echo x
ADD tree.tar.gz plain.gz /unpacked/
ADD --unpack=false --chmod=u=rw,go= tree.tar.gz /packed
ADD @URL@/some/file.txt /web/
ADD --checksum=@SUM@ --unpack @URL@/tree.tar /web/tree
ADD @GIT@#main:sub /git
COPY --parents --exclude=*.sh src/./deep/**/*.txt src/deep /kept/
RUN --mount=type=bind,source=src,target=/in --mount=type=cache,target=/cache --mount=type=tmpfs,target=/tmp/t \\
    --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN,uid=7 \\
    --mount=type=bind,from=parent,target=/p,rw \\
    cp /in/main.sh /from-bind && echo once >> /cache/log && wc -l < /cache/log > /count && touch /p/gone && \\
    test "$(cat /run/secrets/token)" = "$TOKEN" && echo "it is $TOKEN" && echo $HTTP_PROXY > /proxy && rm /etc/hello
RUN <<EOF
#!/bin/sh -x
echo "$0" > /script
EOF
USER app:@GROUP@
RUN { id -u; id -g; } > /data/id
"""


def test_what_dockerfiles_add(shop: Workshop) -> None:
    context, repository = shop.root / "context", shop.root / "repository"
    (context / "src" / "deep" / "er").mkdir(parents=True)
    for name in ("deep/a.txt", "deep/b.sh", "deep/er/c.txt"):
        (context / "src" / name).write_text(name)
    tree = make_tar()
    (context / "tree.tar.gz").write_bytes(gzip.compress(tree))
    (context / "plain.gz").write_bytes(gzip.compress(b"no tar"))
    (repository / "sub").mkdir(parents=True)
    git(repository, "init", "-q", "--initial-branch=main")
    commit(repository, "git")
    with Hostile() as server:
        server.on("/some/file.txt", body(b"web"))
        server.on("/tree.tar", body(tree))
        text = ADDED.replace("@URL@", server.url).replace("@GIT@", f"file://{repository}").replace("@GROUP@", "8")
        text = text.replace("@SUM@", f"sha256:{hashlib.sha256(tree).hexdigest()}")
        (context / "Added").write_text(text)
        more: dict[str, Value] = {
            "secrets": {"token": "very-secret-value"},
            "build_args": {"HTTP_PROXY": "http://p"},
            "dockerfile": "Added",
            "tags": [],
        }
        ware, _ = build(shop, **more)
        commit(repository, "changed")
        (context / "src" / "main.sh").write_text("changed")
        other, _ = build(shop, **more)
        assert server.paths() == ["/some/file.txt", "/tree.tar"]
        assert sorted(what.partition(":")[0] for what in PINNED.values()) == ["git", "sha256"]
        PINNED[f"{server.url}/some/file.txt"] = f"sha256:{'0' * 64}"
        with pytest.raises(Failed, match=r"polytope\.lock"):
            build(shop, **more)
    top, owned, said = Path(shop.engine.supply.tree(ware)), owners(shop, ware), config(shop, ware)
    assert owned["child/main.sh"] == owned["child"] == (7, 50)
    assert owned["data"] == (7, 0) and owned["unpacked/a"] == owned["unpacked/a/f"] == owned["web/tree/a"] == (5, 6)
    assert said["Healthcheck"] == {"Test": ["CMD-SHELL", "test -e /x"], "Interval": 90 * 10**9, "Retries": 2}
    assert said["Shell"] == ["/bin/sh", "-e", "-c"] and said["Entrypoint"] == ["/bin/sh", "-e", "-c", "echo x"]
    assert "Cmd" not in said and "OnBuild" not in said
    assert (top / "unpacked" / "link").readlink() == Path("a/f") and (top / "unpacked" / "plain.gz").is_file()
    assert (top / "packed").stat().st_mode & 0o777 == 0o600
    kept = sorted(str(path.relative_to(top / "kept")) for path in (top / "kept").rglob("*.*"))
    assert kept == [f"{place}deep/{name}.txt" for place in ("", "src/") for name in ("a", "er/c")]
    texts = {name: (top / name).read_text() for name in ("web/file.txt", "git/file", "proxy", "count")}
    assert texts == {"web/file.txt": "web", "git/file": "git", "proxy": "http://p\n", "count": "1\n"}
    assert (top / "script").read_text().startswith("/.warpforge")
    assert (top / "data" / "id").read_text() == "7\n8\n"
    later = Path(shop.engine.supply.tree(other))
    assert ((later / "count").read_text(), (later / "from-bind").read_text()) == ("2\n", "changed")
    assert (top / "bin" / "busybox").stat().st_mtime == Path(
        shop.engine.supply.tree(shop.known["base"]), "bin", "busybox"
    ).stat().st_mtime
    assert not (top / "etc" / "hello").exists() and not any(
        (top / name).exists() for name in ("p", "in", "cache", "run", "tmp/t", ".warpforge.here-document")
    )
    secret = b"very-secret-value"
    assert b"it is ***" in HEARD.output and secret not in HEARD.output
    for path in (shop.root / ".warpforge").rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()


def make_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, mode, link in (
            ("a", tarfile.DIRTYPE, 0o750, ""),
            ("a/f", tarfile.REGTYPE, 0o640, ""),
            ("link", tarfile.SYMTYPE, 0o777, "a/f"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname, member.uid, member.gid = kind, mode, link, 5, 6
            archive.addfile(member)
    return packed.getvalue()


def git(repository: Path, *words: str) -> None:
    command = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    subprocess.run(command, check=True)


def commit(repository: Path, text: str) -> None:
    (repository / "sub" / "file").write_text(text)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", text)


def test_what_goes_wrong_says_where(shop: Workshop) -> None:
    broken = shop.root / "context" / "Broken"
    broken.write_text("FROM base\nRUN exit 3\n")
    with pytest.raises(WarpforgeError) as failed:
        build(shop, dockerfile="Broken")
    assert failed.value.chain()[-1].details["exitCode"] == "3"
    broken.write_text("FROM elsewhere/other\n")
    with pytest.raises(Missing, match="elsewhere/other"):
        build(shop, dockerfile="Broken")
    for line, why in [
        ("RUN --mount=type=tmpfs,target=/t,size=much true", "Broken:2: .*size"),
        ("COPY --chown=nobody src /x", "Broken:2: COPY: /etc/passwd"),
        ("ADD --checksum=sha256:0 src /x", "Broken:2: ADD --checksum"),
        ("HEALTHCHECK --interval=soon CMD true", "Broken:2: HEALTHCHECK --interval"),
    ]:
        broken.write_text(f"FROM base\n{line}\n")
        with pytest.raises(Invalid, match=why):
            build(shop, dockerfile="Broken")
    broken.write_text("FROM base\nRUN --mount=type=secret,id=a,required=true true\n")
    with pytest.raises(Missing, match="no secret 'a'"):
        build(shop, dockerfile="Broken")
    broken.write_text("FROM base\nRUN --mount=type=ssh,required true\n")
    with pytest.raises(Missing, match="no ssh agent, for SSH_AUTH_SOCK names none"):
        build(shop, dockerfile="Broken")
    with pytest.raises(Missing, match="no Nothing"):
        build(shop, dockerfile="Nothing")
    with pytest.raises(Invalid, match=r"sources\[0\].source"):
        build(shop, sources=[{"source": {"type": "disk"}, "path": "/"}])


LENT = """\
FROM base
COPY ask /
RUN --mount=type=tmpfs,target=/t,size=64k --mount=type=ssh,required --mount=type=ssh,target=/s \\
    ! head -c 100000 /dev/zero > /t/f && ls -s /t/f && /ask $SSH_AUTH_SOCK one > /said && /ask /s two >> /said
"""


def test_what_a_command_is_lent_only_while_it_runs(shop: Workshop) -> None:
    context, address = shop.root / "context", shop.root / "agent"
    compile_probe("ask.c", context / "ask", "-static")
    (context / "Lent").write_text(LENT)
    reach = shop.engine.reach
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        threading.Thread(target=_answer, args=(listener,), daemon=True).start()
        reach.access = reach.access._replace(ssh_agent=str(address))
        try:
            ware, _ = build(shop, dockerfile="Lent", tags=[])
        finally:
            del reach.access
            listener.shutdown(socket.SHUT_RDWR)
    top = Path(shop.engine.supply.tree(ware))
    assert (top / "said").read_text() == "<one><two>"
    assert not any((top / name).exists() for name in ("t", "s", "run/buildkit"))


def _answer(listener: socket.socket) -> None:
    """An agent: it speaks with its own user alone, as ssh's does."""
    with suppress(OSError):  # closed
        while True:
            asker, _ = listener.accept()
            with asker:
                _, uid, _ = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if uid == os.getuid() and (said := asker.recv(100)):
                    asker.sendall(b"<%s>" % said)


def test_an_image_of_nothing_but_files(shop: Workshop) -> None:
    (shop.root / "context" / "Plain").write_text("FROM scratch\nCOPY src/main.sh /\nFROM base\nUSER 0\n")
    ware, _ = build(shop, dockerfile="Plain", target="0", tags=["plain"])
    assert [path.name for path in shop.engine.supply.tree(ware).iterdir()] == ["main.sh"]
    on_top, _ = build(shop, dockerfile="Plain", tags=[])
    kept = shop.engine.store.images.find(on_top)
    assert kept is not None and json.loads(kept.config)["config"]["User"] == "0"
    assert Path(shop.engine.supply.tree(on_top), "etc", "passwd").exists()
