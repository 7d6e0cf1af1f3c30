"""Atoms: what each spelling means, and that it is given back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import module_names, paths, release_names, wareids, words

from warpforge.errors import Invalid
from warpforge.model.atoms import (
    Candidate,
    CatalogRef,
    FilterMap,
    Ingest,
    Literal,
    Mount,
    Pipe,
    SandboxPort,
    Secret,
    WarehouseAddr,
    WareId,
)
from warpforge.model.formula import FormulaInput
from warpforge.model.names import is_catalog_name, is_module_name, is_release_name, parse_module_name
from warpforge.model.plot import PlotInput, spell
from warpforge.model.read_plot import parse_plot_basis

SPELLINGS: list[tuple[str, Any]] = [
    ("ware:tar:abc", WareId("tar", "abc")),
    ("ware:literal:abc", WareId("literal", "abc")),
    ("mount:ro:.", Mount("ro", ".")),
    ("mount:overlay:a:b", Mount("overlay", "a:b")),
    ("literal:", Literal("")),
    ("literal:literal:x:y", Literal("literal:x:y")),
    ("pipe:step:label", Pipe("step", "label")),
    ("pipe::label", Pipe("", "label")),
    ("catalog:example.org/x:v1.0:amd64", CatalogRef("example.org/x", "v1.0", "amd64")),
    ("ingest:git:.:HEAD", Ingest("git", ".", "HEAD")),
    ("ingest:git:a:b:c", Ingest("git", "a:b", "c")),
    ("ingest:dir:a:b", Ingest("dir", "a:b")),
    ("ingest:tar:../x.tgz", Ingest("tar", "../x.tgz")),
    ("ingest:oci:docker.io/library/busybox:1.36", Ingest("oci", "docker.io/library/busybox:1.36")),
    ("ingest:literal:a:b", Ingest("literal", "a:b")),
    ("ingest:literal:", Ingest("literal", "")),
    ("candidate:example.org/x:next:src", Candidate("example.org/x", "next", "src")),
    ("secret:A_1", Secret("A_1")),
]


@pytest.mark.parametrize("text, atom", SPELLINGS, ids=[text for text, _ in SPELLINGS])
def test_each_spelling_is_one_atom(text: str, atom: Any) -> None:
    assert parse_plot_basis(text) == atom
    assert type(parse_plot_basis(text)) is type(atom)
    assert spell(atom) == text
    assert PlotInput.of(atom).text == text
    assert PlotInput.of(atom).to_serial() == text


def test_atoms_of_different_kinds_are_never_equal() -> None:
    atoms: list[Any] = [kind("ro", "x") for kind in (Pipe, Mount, Ingest, WareId)] + [Literal("x"), Secret("x")]
    assert len({spell(atom): atom for atom in atoms}) == len(atoms)
    assert all(left != right for left in atoms for right in atoms if left is not right)


@given(wareids)
def test_wareids_are_kept(text: str) -> None:
    assert str(WareId.parse(text)) == text


@given(words, words)
def test_a_git_ingest_is_split_at_the_last_colon(path: str, ref: str) -> None:
    text = f"ingest:git:{path}:{ref}"
    try:
        ingest = Ingest.parse(text)
    except Invalid:
        assert not path or ":" in ref or not ref or ref.startswith("-") or "\0" in text
        return
    assert str(ingest) == text
    assert ":" not in ingest.ref


@given(module_names, release_names, release_names)
def test_catalog_references_are_kept(module: str, release: str, item: str) -> None:
    text = f"{module}:{release}:{item}"
    assert str(CatalogRef.parse(text)) == text
    assert CatalogRef.parse(f" {module} :{release}:{item}").module == module


@given(paths, st.integers(0, 3), st.booleans())
def test_spellings_of_one_path_are_one_path(path: str, extra: int, is_closed: bool) -> None:
    other = path.replace("/", "/" * (1 + extra)).replace("/", "/./", 1) + ("/." if is_closed else "")
    port = SandboxPort.parse(other)
    assert port == other
    assert port.path == path.rstrip("/") or port.path == path
    assert not port.is_variable


def test_a_port_may_be_a_variable() -> None:
    port = SandboxPort.parse("$HOME")
    assert (port.is_variable, port.variable, port.path, str(port)) == (True, "HOME", "", "$HOME")
    assert SandboxPort.parse("/x").variable == ""


@pytest.mark.parametrize(
    "text, scheme, is_content_addressed",
    [
        ("https://example.org/x.tgz", "https", False),
        ("ca+https://example.org", "https", True),
        ("ca+file:///srv/wares", "file", True),
        ("git@example.org:a/b", "", False),
    ],
)
def test_addresses(text: str, scheme: str, is_content_addressed: bool) -> None:
    address = WarehouseAddr.parse(text)
    assert (address.scheme, address.is_content_addressed) == (scheme, is_content_addressed)
    assert address.url == text.removeprefix("ca+")


@pytest.mark.parametrize("text", ["", " ", "https://a b", "https://a\n", "x\x1b[0m"])
def test_addresses_have_no_blanks_or_control_characters(text: str) -> None:
    with pytest.raises(Invalid):
        WarehouseAddr.parse(text)


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a/b", "a b", "a:b", "a" * 128, "é", "a\n"])
def test_names_of_releases_and_catalogs(name: str) -> None:
    assert not is_release_name(name)
    assert not is_catalog_name(name)


@pytest.mark.parametrize("name", ["a", "v1.0", "1.0-rc.1+build~2", "A_b", "a" * 127])
def test_good_names_of_releases(name: str) -> None:
    assert is_release_name(name)


@pytest.mark.parametrize("name", ["", "/", "a//b", "a..b", "a/" + "b" * 256, "a\n", "é.org", "a/b\0"])
def test_names_that_would_be_odd_paths_are_no_modules(name: str) -> None:
    assert not is_module_name(name)


def test_blanks_around_a_modules_name_are_stripped_first() -> None:
    assert parse_module_name("  example.org/x ") == "example.org/x"
    with pytest.raises(Invalid) as caught:
        parse_module_name("  Example.org")
    assert caught.value.code == "warpforge-error-catalog-name"


def test_filters_keep_order_and_presence() -> None:
    filters = FilterMap.of({"uid": "0", "gid": "1"})
    assert list(filters.to_serial()) == ["uid", "gid"]
    assert filters and not FilterMap()
    assert FormulaInput.of(WareId("tar", "x")).to_serial() == "ware:tar:x"
    assert FormulaInput.of(WareId("tar", "x"), FilterMap()).to_serial() == {"basis": "ware:tar:x", "filters": {}}
