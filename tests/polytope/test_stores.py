"""Stored values and secrets."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from warpforge.errors import Invalid, Missing, Unable
from warpforge.polytope.jobs.stores import Key, Layers, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "own"), Key(str(tmp_path / "config" / "secrets.key")))


def test_what_is_set_is_had_again(store: Store, tmp_path: Path) -> None:
    store.set_value("a", "1")
    store.set_value("a", "2\n")
    store.set_secret("pem", "-----BEGIN\nx\n")
    again = Store(str(tmp_path / "own"), Key(str(tmp_path / "config" / "secrets.key")))
    assert (again.value("a"), again.secret("pem"), again.value("b"), again.secret("b")) == (
        "2\n",
        "-----BEGIN\nx\n",
        None,
        None,
    )
    assert (again.names("values"), again.names("secrets")) == (["a"], ["pem"])
    again.remove("secrets", ["pem"])
    assert store.secret("pem") is None
    with pytest.raises(Missing, match="there is no value b"):
        store.remove("values", ["a", "b"])
    assert store.value("a") == "2\n"


def test_a_secret_lies_encrypted_for_its_owner_alone(store: Store, tmp_path: Path) -> None:
    store.set_secret("pw", "much-too-secret")
    kept, key = tmp_path / "own" / "secrets.json", tmp_path / "config" / "secrets.key"
    assert b"secret-" not in kept.read_bytes() and base64.b64encode(b"much-too-secret")[:12] not in kept.read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (kept, key)] == [0o600, 0o600]
    store.set_secret("pw2", "much-too-secret")
    sealed = json.loads(kept.read_text())["secrets.v1"]
    assert sealed["pw"] != sealed["pw2"]


def test_a_secret_is_bound_to_its_name_and_key(store: Store, tmp_path: Path) -> None:
    store.set_secret("a", "1")
    store.set_secret("b", "2")
    kept = tmp_path / "own" / "secrets.json"
    held = json.loads(kept.read_text())["secrets.v1"]
    kept.write_text(json.dumps({"secrets.v1": {"a": held["b"], "b": held["b"]}}))
    assert store.secret("b") == "2"
    with pytest.raises(Unable, match="the secret a cannot be read"):
        store.secret("a")
    with pytest.raises(Unable, match="cannot be read"):
        other = Key(str(tmp_path / "other"))
        other.seal("x", "y")
        Store(str(tmp_path / "own"), other).secret("b")
    os.chmod(tmp_path / "config" / "secrets.key", 0o644)
    with pytest.raises(Unable, match="others can read"):
        store.secret("b")
    os.unlink(tmp_path / "config" / "secrets.key")
    with pytest.raises(Missing, match="the key of the secrets is gone"):
        store.secret("b")


def test_what_is_damaged_is_said_and_kept(store: Store, tmp_path: Path) -> None:
    store.set_value("a", "1")
    (tmp_path / "own" / "values.json").write_text("{")
    with pytest.raises(Unable, match="is damaged"):
        store.value("a")
    with pytest.raises(Unable, match="is damaged"):
        store.set_value("b", "1")
    assert (tmp_path / "own" / "values.json").read_text() == "{"


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "../x", "a\0"])
def test_names(store: Store, name: str) -> None:
    with pytest.raises(Invalid, match="is no name"):
        store.set_value(name, "x")


def test_the_first_layer_goes_before(store: Store, tmp_path: Path) -> None:
    shared = Store(str(tmp_path / "shared"), Key(str(tmp_path / "config" / "secrets.key")))
    layers = Layers([store, shared])
    shared.set_value("a", "shared")
    shared.set_secret("s", "shared")
    assert (layers.value("a"), layers.secret("s")) == ("shared", "shared")
    layers.set_value("a", "own")
    layers.set_secret("s", "own")
    assert (layers.value("a"), layers.secret("s"), shared.value("a")) == ("own", "own", "shared")
