"""Attestations as values: what is written can be read strictly, and nothing that does not fit itself is believed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.attested import read_spdx, read_statement

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.attestation import Build, Facts, StepRun, Taken, digest_of
from warpforge.model.attested import read_attested
from warpforge.model.catalog import Release
from warpforge.model.ident import plot_id
from warpforge.model.layout import layout
from warpforge.model.run import RunRecord
from warpforge.model.serial import load_replay
from warpforge.model.slsa import provenance
from warpforge.model.spdx import bill, bill_statement

ZTAR = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
FROZEN = WareId.parse("ztar:DirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
TAR = WareId.parse("tar:6k2fLQ7RVwyE61k1wjAnwTRVYARpk68dNtMDf4bWzW4rv6nT6JPh7ewuUDTLH6ocQn")
GIT = WareId.parse("git:8e76b8d1d8673bca32c5c634578dc01d60166002")
OCI = WareId.parse("oci:" + "ab" * 32)
PLOT = load_replay(b'{"plot.v1": {"inputs": {"x": "catalog:a.org/lib:v1:lib"}, "steps": {}, "outputs": {}}}', "p").noun
RECORD = RunRecord("guid", 1_700_000_000, "zM5K3formula", 0, {"o": ZTAR})


def make_facts() -> Facts:
    """An item of each packtype, made from a library whose origin nobody tells."""
    items = {"ztar": ZTAR, "tar": TAR, "git": GIT, "oci": OCI}
    release = Release("v1", items, {"replay": plot_id(PLOT), "license": "MIT"})
    library = Release("v1", {"lib": TAR}, {"license": "not a licence; at all", "purl": "pkg:generic/lib@1"})
    step = StepRun("make", "zM5K3formula", RECORD)
    takes = (Taken("catalog:a.org/lib:v1:lib", TAR), Taken(f"ware:{FROZEN}", FROZEN))
    own = Build("a.org/app", release, PLOT, (step, StepRun("later", "")), takes)
    return Facts((own, Build("a.org/lib", library)), items, "0.0", {"ztar": "cd" * 32})


@pytest.fixture
def facts() -> Facts:
    return make_facts()


def test_it_is_what_the_specifications_say(facts: Facts) -> None:
    read_statement(json.loads(layout(provenance(facts))))
    read_statement(json.loads(layout(bill_statement(facts))))
    read_spdx(json.loads(layout(bill(facts))))
    assert bill(facts)["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("MIT", True),
        ("(BSD-3-Clause OR GPL-2.0-only) AND LicenseRef-x", True),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", True),
        ("see the file", False),
        ("MIT OR", False),
        ("(MIT", False),
        ("", False),
    ],
)
def test_a_licence_is_an_expression_or_nothing(facts: Facts, said: str, *, told: bool) -> None:
    release = Release("v1", facts.own.release.items, {"license": said})
    document = bill(facts._replace(builds=(Build("a.org/app", release),)))
    assert document["packages"][0]["licenseDeclared"] == (said if told else "NOASSERTION")


def test_without_a_record_no_time_is_made_up(facts: Facts) -> None:
    own = facts.own._replace(steps=())
    assert "metadata" not in provenance(facts._replace(builds=(own,)))["predicate"]["runDetails"]
    assert bill(facts._replace(builds=(own,)))["creationInfo"]["created"] == "2010-01-01T00:00:00Z"


def test_the_digests_of_wares() -> None:
    assert digest_of(OCI) == {"sha256": "ab" * 32} and digest_of(GIT) == {"gitCommit": GIT.hash}
    assert len(digest_of(ZTAR)["warpforgeZtar"]) == 64 and len(digest_of(TAR)["warpforgeTar"]) == 96
    with pytest.raises(WarpforgeError):
        digest_of(WareId.parse("ztar:0OIl"))


def definition(value: Any) -> Any:
    return value["predicate"]["buildDefinition"]


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda v: v.update(more=1), "form"),
        (lambda v: v.pop("subject"), "form"),
        (lambda v: v.update(subject=[]), "subject"),
        (lambda v: v.update(predicateType="https://example.org/x"), "type"),
        (lambda v: definition(v).update(buildType="urn:x:y"), "type"),
        (lambda v: v["subject"][0].update(uri=f"ware:{TAR}"), "subject"),
        (lambda v: v["subject"][0].update(name="a.org/app:v1:other"), "subject"),
        (lambda v: definition(v)["externalParameters"]["release"]["metadata"].update(x="y"), "hash"),
        (lambda v: definition(v)["externalParameters"]["replay"]["plot.v1"]["inputs"].update(x="literal:"), "hash"),
        (lambda v: definition(v)["externalParameters"].update(replayId="zM5K3"), "hash"),
    ],
)
def test_what_does_not_fit_itself_is_refused(facts: Facts, deed: Callable[[Any], object], reason: str) -> None:
    """Also when somebody signed it: a signature says who, not that it is so."""
    value = json.loads(layout(provenance(facts)))
    said = read_attested(layout(value), "it")
    assert [*said.subjects.values()] == [ZTAR, TAR, GIT, OCI] and [*said.packed.values()] == ["cd" * 32]
    deed(value)
    with pytest.raises(WarpforgeError) as caught:
        read_attested(layout(value), "it")
    assert caught.value.code == "warpforge-error-attestation-invalid" and caught.value.reason == reason


def test_a_bill_of_other_wares_is_refused(facts: Facts) -> None:
    value = json.loads(layout(bill_statement(facts)))
    read_attested(layout(value), "it")
    del value["subject"][0]
    with pytest.raises(WarpforgeError) as caught:
        read_attested(layout(value), "it")
    assert caught.value.reason == "subject"


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
)


@settings(max_examples=150, derandomize=True)
@given(VALUES, st.randoms(use_true_random=False), st.sampled_from([provenance, bill_statement]))
def test_one_wrong_value_is_refused_properly(
    value: Any, rng: random.Random, form: Callable[[Facts], dict[str, Any]]
) -> None:
    document = json.loads(layout(form(make_facts())))
    container, key = rng.choice([*places(document)])
    container[key] = value
    try:
        read_attested(layout(document), "it")
    except WarpforgeError as error:
        assert error.code in ("warpforge-error-attestation-invalid", "warpforge-error-serialization")


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])
