"""Containers that are pure functions: which are, what they become, and that they run once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from support.recording import Recording, StepFailed
from support.workshop import Workshop, workshop

from warpforge.engine.events import Reporter, StepOutput
from warpforge.errors import Invalid, Missing
from warpforge.model.atoms import Ingest, Literal, WareId
from warpforge.model.formula import Exec, Userinfo
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.containers.datasets import Datasets
from warpforge.polytope.containers.image import ImageConfig, parse_config
from warpforge.polytope.hermetic.formulas import Formulas
from warpforge.polytope.hermetic.purity import list_impurities, make_protoformula
from warpforge.polytope.hermetic.relay import Voice
from warpforge.polytope.hermetic.sources import find_bases
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Interrupted
from warpforge.polytope.spec import ContainerSpec

IMAGE = WareId("oci", "a" * 64)
SCRIPT = """
echo hello; printf end
cat /src/a /etc/conf > /out/all
echo $BASE $A >> /out/all
touch /src/gone
"""


def make(root: str = "/p", /, **args: Value) -> ContainerSpec:
    named = {key.replace("_", "-"): value for key, value in args.items()}
    return make_container({"image": "base", "hermetic": True, **named}, Facts(base=root, cwd=root, root=root, step="s"))


def mounted(**source: Value) -> Value:
    return [{"path": "/x", "source": source}]


@pytest.mark.parametrize(
    ("args", "reasons"),
    [
        ({}, []),
        ({"hermetic": None}, ["unsaid"]),
        ({"hermetic": False}, ["denied"]),
        ({"services": [{"id": "s", "ports": [{"port": 1}]}]}, ["service"]),
        ({"mounts": mounted(type="volume", id="v")}, ["volume"]),
        ({"mounts": mounted(type="host", path=".")}, []),
        ({"mounts": mounted(type="repo")}, []),
        ({"mounts": mounted(type="repo", revision="main")}, ["repo"]),
        ({"mounts": mounted(type="repo", revision="b" * 40)}, []),
        ({"mounts": mounted(type="repo", repo="o/p")}, ["repo"]),
        ({"mounts": mounted(type="string", data="x")}, []),
        ({"user": "#pt-host"}, ["user"]),
        ({"user": "me:us"}, ["user"]),
        ({"user": "me"}, []),
        ({"restart": {"policy": "always"}, "scaling": 2, "await": False}, ["restart", "scaling", "await"]),
        ({"update-image": True, "unconfined": True}, ["image", "unconfined"]),
    ],
)
def test_what_keeps_a_container_from_being_a_formula(args: dict[str, Value], reasons: list[str]) -> None:
    assert [impurity.reason for impurity in list_impurities(make(**args), IMAGE)] == reasons


def test_tags_and_secrets_do_too() -> None:
    facts = Facts(step="s", secrets=frozenset({"s3cret"}))
    args: dict[str, Value] = {"image": "base", "hermetic": True, "env": [{"name": "P", "value": "s3cret"}]}
    found = list_impurities(make_container(args, facts), None)
    assert [impurity.reason for impurity in found] == ["image", "secret"]
    assert "s3cret" not in " ".join(impurity.text for impurity in found)


def test_a_formula_says_all_that_the_container_did() -> None:
    config = ImageConfig({"PATH": "/bin", "A": "0"}, ("/init",), ("sh",), "daemon", "/srv")
    spec = make(
        cmd="run it",
        env=[{"name": "A", "value": 1}],
        mounts=[*mounted(type="string", data="x")],  # type: ignore[misc]
        datasets=[{"path": "/out", "sink": "d"}],
        user="7:8",
        workdir="/w",
    )
    body = make_protoformula(spec, IMAGE, config, {"/x": Literal("x")})
    assert {str(port): item.text for port, item in body.inputs.items()} == {
        "/": f"ware:{IMAGE}",
        "/x": "literal:x",
        "$A": "literal:1",
        "$PATH": "literal:/bin",
    }
    assert body.action == Exec(("/init", "run", "it"), cwd="/w", userinfo=Userinfo(uid=7, gid=8))
    assert {label: str(one.source) for label, one in body.outputs.items()} == {"d": "/out"}
    own = make_protoformula(make(), IMAGE, config, {})
    assert own.action == Exec(("/init", "sh"), cwd="/srv", userinfo=Userinfo(username="daemon"))
    plain = make_protoformula(make(user=0), IMAGE, config._replace(workdir="/"), {})
    assert plain.action == Exec(("/init", "sh"), cwd=UNSET, userinfo=UNSET)
    with pytest.raises(Invalid, match="what to run"):
        make_protoformula(make(), IMAGE, ImageConfig(), {})


def test_sources_as_a_plot_says_them(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "conf").write_text("a=1\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "binary").write_bytes(b"\xff\0")

    def find(**source: Value) -> object:
        spec = make(str(tmp_path), mounts=mounted(**source))
        found = find_bases(spec, str(tmp_path), str(tmp_path), lambda one: IMAGE if one.dataset == "d" else None)
        return found.bases.get("/x") or found.impurities[0].reason

    assert find(type="host", path="src") == Ingest("dir", "src")
    assert find(type="repo") == Ingest("dir", ".")
    assert find(type="repo", revision="b" * 40) == Ingest("git", ".", "b" * 40)
    assert find(type="host", path="conf") == Literal("a=1\n")
    assert find(type="dataset", dataset="d") == IMAGE
    assert [find(type="host", path=name) for name in ("run.sh", "binary")] == ["file", "file"]
    assert find(type="dataset", dataset="e") == "dataset"
    assert find(type="dataset", dataset="d", path="a") == "dataset"
    with pytest.raises(Missing):
        find(type="host", path="nothing")


class Known:
    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    def name(self, image: str) -> WareId | None:
        return self._shop.known.get(image)

    find = name

    def config(self, ware: WareId) -> ImageConfig:
        kept = self._shop.engine.store.images.find(ware)
        assert kept is not None
        return parse_config(kept.config)

    def spell(self, image: str, ware: WareId) -> WareId:
        return ware


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop") / "w", Reporter()) as made:
        yield made


def test_a_formula_runs_once(shop: Workshop) -> None:
    datasets = Datasets(shop.root, shop.engine.store)
    formulas = Formulas(shop.engine, Known(shop), datasets, str(shop.root))
    (shop.root / "src").mkdir()
    (shop.root / "src" / "a").write_text("one\n")
    mounts: list[Value] = [
        {"path": "/src", "source": {"type": "host", "path": "src"}},
        {"path": "/etc/conf", "source": {"type": "string", "data": "conf\n"}},
    ]
    spec = make(
        str(shop.root),
        cmd=["sh", "-c", SCRIPT],
        env=[{"name": "A", "value": 2}],
        mounts=mounts,
        datasets=[{"path": "/out", "sink": "result"}],
    )
    spec = replace(spec, entrypoint=("sh", "-c", 'mkdir /out; exec "$@"', "--"))
    runner = Recording()
    output = formulas.run(spec, runner)
    assert isinstance(output, dict) and output["datasets"] == {"result": 1}
    assert [text for _, text in runner.logs] == ["hello", "end"]
    ware = datasets.find("result").ware
    assert (shop.engine.supply.tree(ware) / "all").read_text() == "one\nconf\n1 2\n"
    assert not (shop.root / "src" / "gone").exists()

    again = Recording()
    assert formulas.run(spec, again) == output
    assert [text for _, text in again.logs] == ["remembered: nothing ran"]
    (shop.root / "src" / "a").write_text("changed\n")
    changed = formulas.run(spec, Recording())
    assert isinstance(changed, dict) and changed["datasets"] == {"result": 2}

    after = make(
        str(shop.root),
        cmd=["cat", "/in/all"],
        mounts=[{"path": "/in", "source": {"type": "dataset", "dataset": "result", "version": 1}}],
    )
    runner = Recording()
    formulas.run(after, runner)
    assert [text for _, text in runner.logs] == ["one", "conf", "1 2"]


def test_what_nobody_said_anything_of_can_be_one_if_it_changes_nothing(shop: Workshop) -> None:
    formulas = Formulas(shop.engine, Known(shop), Datasets(shop.root, shop.engine.store), str(shop.root))

    def can_be(**args: Value) -> bool:
        return formulas.can_be(make(str(shop.root), **{"hermetic": None, **args}))

    assert can_be() and can_be(mounts=mounted(type="string", data="x"))
    assert not can_be(mounts=mounted(type="host", path=".")) and not can_be(mounts=mounted(type="repo"))
    assert not can_be(mounts=mounted(type="dataset", dataset="nothing")) and not can_be(hermetic=False)
    assert not can_be(image="other") and not can_be(services=[{"id": "s", "ports": [{"port": 1}]}])


def test_a_formula_that_fails_and_one_that_is_none(shop: Workshop) -> None:
    formulas = Formulas(shop.engine, Known(shop), Datasets(shop.root, shop.engine.store), str(shop.root))
    with pytest.raises(StepFailed, match="nonzero exit code") as failed:
        formulas.run(make(str(shop.root), cmd="sh -c 'exit 7'"), Recording())
    assert failed.value.data == {"exit-code": 7}
    with pytest.raises(Invalid, match="said to be hermetic, but the image other is not pinned") as caught:
        formulas.run(make(image="other", mounts=mounted(type="volume")), Recording())
    assert caught.value.reason == "hermetic"
    with pytest.raises(Missing, match="no dataset nothing"):
        formulas.run(make(mounts=mounted(type="dataset", dataset="nothing")), Recording())


class ToldToStop(Recording):
    """A step that is told to stop as soon as it has said something."""

    def sleep(self, seconds: float) -> None:
        if self.logs:
            raise Interrupted


class ToldLater(Recording):
    """A step that is told to stop when the test says so; ``begun``, once it has said something."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.told = threading.Event(), threading.Event()

    def log(self, level: str, text: str) -> None:
        super().log(level, text)
        self.begun.set()

    def sleep(self, seconds: float) -> None:
        if self.told.is_set():
            raise Interrupted


def test_formulas_run_side_by_side_and_each_is_stopped_on_its_own(shop: Workshop) -> None:
    formulas = Formulas(shop.engine, Known(shop), Datasets(shop.root, shop.engine.store), str(shop.root))
    long = ToldLater()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(formulas.run, make(str(shop.root), cmd="sh -c 'echo long; sleep 1000'"), long)
        assert long.begun.wait(60)
        brief = Recording()
        formulas.run(make(str(shop.root), cmd="echo brief"), brief)
        with pytest.raises(Interrupted):
            formulas.run(make(str(shop.root), cmd="sh -c 'echo begin; sleep 999'"), ToldToStop())
        assert not running.done()
        long.told.set()
        with pytest.raises(Interrupted):
            running.result()
    assert (long.logs, brief.logs) == ([("info", "long")], [("info", "brief")])


def test_lines_of_two_streams_do_not_run_into_each_other() -> None:
    runner = Recording()
    voice = Voice(runner)
    for stream, data in (("out", b"a"), ("err", b"x\n"), ("out", b"b\nend")):
        voice.tell(StepOutput((), stream, data))
    voice.flush()
    assert [text for _, text in runner.logs] == ["x", "ab", "end"]
