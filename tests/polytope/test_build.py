"""Images built for real: every RUN in a box."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.workshop import Workshop, workshop

from warpforge.engine.events import Event, Reporter, StepFinished, StepOutput
from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.dockerfile.image import Ground, build_image
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

    ground = Ground(Facts(base=str(shop.root)), shop.find_image, name_image, source_path, lambda line: None)
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
    kept = shop.engine.store.images.find(ware)
    assert kept is not None
    assert json.loads(kept.config)["config"] == {
        "Cmd": ["arg"],
        "Entrypoint": ["/usr/main"],
        "Env": ["PATH=/bin", "BASE=1"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"a": "b"},
        "User": "1000",
        "WorkingDir": "/new/dir",
    }
    again, _ = build(shop, labels={"a": "b"}, build_args={"VERSION": "2"})
    assert again == ware
    assert HEARD.hits == [True, True, True]
    target, _ = build(shop, target="build", build_args={"VERSION": "2"}, tags=[])
    assert (shop.engine.supply.tree(target) / "work" / "out.txt").exists()


def test_what_goes_wrong_says_where(shop: Workshop) -> None:
    broken = shop.root / "context" / "Broken"
    broken.write_text("FROM base\nRUN exit 3\n")
    with pytest.raises(WarpforgeError) as failed:
        build(shop, dockerfile="Broken")
    assert failed.value.chain()[-1].details["exitCode"] == "3"
    broken.write_text("FROM elsewhere/other\n")
    with pytest.raises(Missing, match="elsewhere/other"):
        build(shop, dockerfile="Broken")
    broken.write_text("FROM base\nADD https://example.org/x /x\n")
    with pytest.raises(Invalid, match="Broken:2: ADD of an address"):
        build(shop, dockerfile="Broken")
    with pytest.raises(Missing, match="no Nothing"):
        build(shop, dockerfile="Nothing")
    with pytest.raises(Invalid, match=r"sources\[0\].source"):
        build(shop, sources=[{"source": {"type": "disk"}, "path": "/"}])


def test_an_image_of_nothing_but_files(shop: Workshop) -> None:
    (shop.root / "context" / "Plain").write_text("FROM scratch\nCOPY src/main.sh /\nFROM base\nUSER 0\n")
    ware, _ = build(shop, dockerfile="Plain", target="0", tags=["plain"])
    assert [path.name for path in shop.engine.supply.tree(ware).iterdir()] == ["main.sh"]
    on_top, _ = build(shop, dockerfile="Plain", tags=[])
    kept = shop.engine.store.images.find(on_top)
    assert kept is not None and json.loads(kept.config)["config"]["User"] == "0"
    assert Path(shop.engine.supply.tree(on_top), "etc", "passwd").exists()
