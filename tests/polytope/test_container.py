"""What the arguments of polytope/container mean."""

from __future__ import annotations

import pytest

from warpforge.errors import Invalid
from warpforge.polytope.calls.container import make_container
from warpforge.polytope.calls.mounts import Facts
from warpforge.polytope.marks import SecretText
from warpforge.polytope.nouns import Value
from warpforge.polytope.spec import (
    ContainerSpec,
    DatasetSource,
    EnvVar,
    HostSource,
    Ports,
    RepoSource,
    Restart,
    Scaling,
    Service,
    Sink,
    StringSource,
    VolumeSource,
)

FACTS = Facts(base="/repo/services/api", cwd="/repo/tools", root="/repo", home="/home/me", step="lint")


def make(facts: Facts = FACTS, /, **args: Value) -> ContainerSpec:
    named = {key.replace("_", "-"): value for key, value in args.items()}
    return make_container({"image": "alpine", **named}, facts)


def fault(**args: Value) -> Invalid:
    with pytest.raises(Invalid) as caught:
        make(**args)
    assert caught.value.code == "warpforge-error-invalid-argument"
    return caught.value


def source(**said: Value) -> object:
    return make(mounts=[{"path": "/x", "source": said}]).mounts[0].source


def test_an_image_is_enough() -> None:
    spec = make()
    assert (spec.id, spec.image, spec.cmd, spec.entrypoint, spec.tty, spec.base) == (
        "lint",
        "alpine",
        None,
        None,
        True,
        "/repo/services/api",
    )
    assert make(Facts(), image="registry.example.org:5000/a/My.Image:1").id == "my-image"


def test_variables_are_text_and_the_last_of_a_name_counts() -> None:
    env: Value = [
        {"name": "A", "value": 1},
        None,
        {"name": "B", "value": True},
        {"name": "C", "value": None},
        {"name": "A", "value": "two"},
    ]
    assert make(env=env).env == (EnvVar("B", "true"), EnvVar("C", ""), EnvVar("A", "two"))


def test_what_holds_a_secret_is_one() -> None:
    facts = Facts(step="x", secrets=frozenset({"s3cret", ""}))
    marked: list[Value] = [{"name": "B", "value": SecretText("c")}, {"name": "URL", "value": "pg://me:s3cret@db"}]
    spec = make(facts, env=[*marked, {"name": "A", "value": "b"}])
    assert [variable.is_secret for variable in spec.env] == [True, True, False]


@pytest.mark.parametrize(
    ("cmd", "words"),
    [
        ("sh -c 'a b; c'", ("sh", "-c", "a b; c")),
        ("echo $HOME && ls", ("echo", "$HOME", "&&", "ls")),
        (["a b", None, 3], ("a b", "3")),
        ("", None),
        ([], None),
    ],
)
def test_text_is_split_as_a_shell_splits_it_without_one(cmd: Value, words: object) -> None:
    assert make(cmd=cmd).cmd == words


def test_an_empty_entrypoint_clears_it() -> None:
    assert make(entrypoint=[]).entrypoint == ()
    assert make(entrypoint="/bin/tini --").entrypoint == ("/bin/tini", "--")


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("src", "/repo/services/api/src"),
        ("", "/repo/services/api"),
        ("../lib", "/repo/services/lib"),
        ("./src", "/repo/tools/src"),
        (".", "/repo/tools"),
        ("/etc/x/", "/etc/x"),
        ("~/.aws", "/home/me/.aws"),
    ],
)
def test_paths_of_the_host(path: str, host: str) -> None:
    assert source(type="host", path=path) == HostSource(host)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({}, ""),
        ({"path": "/"}, ""),
        ({"path": "/web/dist"}, "web/dist"),
        ({"path": "."}, "services/api"),
        ({"path": "conf"}, "services/api/conf"),
        ({"path": "conf", "repo": "/repo"}, "conf"),
        ({"path": "../kong"}, "services/kong"),
    ],
)
def test_paths_of_the_repository(said: dict[str, Value], path: str) -> None:
    assert source(type="repo", **said) == RepoSource(path)


def test_other_sources() -> None:
    assert source(type="repo", repo="o/p", path="conf/", revision="v1") == RepoSource("conf", "o/p", "v1")
    assert source(type="string", data=5) == StringSource("5")
    assert source(type="dataset", dataset="d", path="/a", version="3") == DatasetSource("d", "a", 3)
    inner: Value = {"type": "host", "path": "seed"}
    assert source(type="volume", id="v", scope="project", create="never", source=inner) == VolumeSource(
        "v", "project", "never", HostSource("/repo/services/api/seed")
    )
    assert source(type="volume") == VolumeSource()


def test_ranges_of_ports_are_spelled_out() -> None:
    ports: Value = [
        {"port": "80", "protocol": "http", "label": "web", "expose-as": 8080},
        {"range": "9000-9001, 9005", "expose-as": "19000-19002", "internal": True},
        {"port": 53, "protocol": "udp"},
        {"port": 53},
    ]
    (service,) = make(services=[{"id": "s", "ports": ports}]).services
    assert service == Service(
        "s",
        (
            Ports(port=80, protocol="http", label="web", expose_as=8080),
            Ports(port=9000, expose_as=19000, is_internal=True),
            Ports(port=9001, expose_as=19001, is_internal=True),
            Ports(port=9005, expose_as=19002, is_internal=True),
            Ports(port=53, protocol="udp"),
            Ports(port=53),
        ),
    )


def test_the_rest() -> None:
    more: dict[str, Value] = {"await": False, "unconfined": True, "root-log-level": "whatever", "tags": {"a": 1}}
    spec = make(
        restart={"policy": "on-failure", "max-restarts": "3"},
        scaling={"min": 1, "max": 4},
        resources={"cpu": {"request": "250m", "limit": 2}, "memory": {"limit": "1.5GiB"}},
        datasets=[{"path": "/out/", "sink": {"type": "dataset", "dataset": "d"}}],
        user="#pt-host",
        no_stdin=True,
        workdir="/app/./x",
        create="when-missing",
        hermetic=True,
        **more,
    )
    assert spec.restart == Restart("on-failure", 3)
    assert make(restart={"policy": "always", "max-restarts": None}).restart == Restart("always", -1)
    assert (spec.scaling, make(scaling=2).scaling) == (Scaling(1, 4), Scaling(2, 2))
    assert (spec.resources.cpu_request, spec.resources.cpu_limit) == (0.25, 2.0)
    assert spec.resources.memory_limit == 3 << 29
    assert spec.datasets == (Sink("/out", "d"),)
    assert (spec.user, make(user=0).user, spec.workdir, spec.create) == ("#pt-host", "0", "/app/x", "when-missing")
    assert (spec.has_stdin, spec.is_awaited, spec.is_unconfined, spec.is_pure) == (False, False, True, True)
    assert spec.tags == {"a": "1"}


def service(*ports: Value) -> Value:
    return [{"id": "s", "ports": list(ports)}]


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"image": ""}, "image"),
        ({"id": "a/b"}, "id"),
        ({"cmd": "it's"}, "cmd"),
        ({"cmd": ["a", {}]}, "cmd[1]"),
        ({"env": [{"name": "A=B", "value": 1}]}, "env[0].name"),
        ({"env": [None, {"name": "A", "value": []}]}, "env[1].value"),
        ({"env": {}}, "env"),
        ({"mounts": [{"path": "x", "source": {"type": "string"}}]}, "mounts[0].path"),
        ({"mounts": [{"path": "/a/../b", "source": {"type": "string"}}]}, "mounts[0].path"),
        ({"mounts": [{"path": "/a", "source": {"type": "disk"}}]}, "mounts[0].source.type"),
        ({"mounts": [{"path": "/a"}]}, "mounts[0].source"),
        ({"mounts": [{"path": "/a", "source": {"type": "string"}}] * 2}, "mounts[1].path"),
        ({"mounts": [{"path": "/a", "source": {"type": "repo", "path": "../../.."}}]}, "mounts[0].source.path"),
        ({"mounts": [{"path": "/a", "source": {"type": "volume", "scope": "world"}}]}, "mounts[0].source.scope"),
        ({"services": service({"port": 0})}, "services[0].ports[0].port"),
        ({"services": service({"port": "http"})}, "services[0].ports[0].port"),
        ({"services": service({"range": "9-8"})}, "services[0].ports[0].range"),
        ({"services": service({"range": "1-3", "expose-as": "1-2"})}, "services[0].ports[0].expose-as"),
        ({"services": service({"port": 80}, {"port": 80, "protocol": "http"})}, "services[0].ports[1]"),
        ({"services": service({"port": 80, "protocol": "icmp"})}, "services[0].ports[0].protocol"),
        ({"services": [{"ports": []}]}, "services[0].id"),
        ({"restart": {"policy": "maybe"}}, "restart.policy"),
        ({"scaling": 0}, "scaling"),
        ({"resources": {"memory": {"limit": "much"}}}, "resources.memory.limit"),
        ({"tty": "perhaps"}, "tty"),
        ({"workdir": "app"}, "workdir"),
        ({"user": "#root"}, "user"),
        ({"datasets": [{"path": "/x"}]}, "datasets[0].sink"),
    ],
)
def test_faults_name_their_place(args: dict[str, Value], path: str) -> None:
    assert fault(**args).details["path"] == path


def test_all_faults_are_told_at_once() -> None:
    error = fault(image=None, workdir="x", tty=[])
    assert error.details["findings"] == "3"
    assert all(word in error.message for word in ("image: ", "workdir: ", "tty: "))
