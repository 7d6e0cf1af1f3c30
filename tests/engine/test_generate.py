"""Plots that programs compute: what they may do, and what ends them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from warpforge.engine.generate import generate
from warpforge.errors import WarpforgeError

EMPTY = 'result = {"steps": {}, "outputs": {}, "inputs": inputs}'


def plot_of(tmp_path: Path, program: str) -> Any:
    path = tmp_path / "plot.star"
    path.write_text(program)
    return json.loads(generate(path).read_text())["plot.v1"]


def test_maps_are_sorted_and_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    program = 'inputs = {x: "literal:" + x for x in ["b", "c", "a"]}\n' + EMPTY
    found = plot_of(tmp_path, program)
    assert [*found] == ["inputs", "steps", "outputs"] and [*found["inputs"]] == ["a", "b", "c"]
    before = (tmp_path / "plot.wf").read_bytes()
    plot_of(tmp_path, program)
    assert (tmp_path / "plot.wf").read_bytes() == before


def test_files_beside_and_below_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "names.star").write_text('load("more.star", "more")\nnames = ["a"] + more\n')
    (tmp_path / "lib" / "more.star").write_text('more = ["z"]\n')
    found = plot_of(tmp_path, 'load("lib/names.star", "names")\ninputs = {x: "literal:" for x in names}\n' + EMPTY)
    assert [*found["inputs"]] == ["a", "z"]


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("x = 1", "sets no"),
        ("result = {", "Parse error"),
        ("fail('on purpose')", "on purpose"),
        ("result = 7", "computes no plot"),
        ('result = {"inputs": {"a": "nonsense"}, "steps": {}, "outputs": {}}', "computes no plot"),
        ('load("../outside.star", "x")\nresult = x', "only what lies beside"),
        ('load("/etc/passwd", "x")\nresult = x', "only what lies beside"),
        ('load("link.star", "x")\nresult = x', "only what lies beside"),
        ('load("ring.star", "x")\nresult = x', "in a ring"),
        ("open('/etc/passwd')", "open"),
        ("result = 'x' * (1 << 40)", ""),
        ("def f(): f()\nf()", ""),
    ],
)
def test_what_programs_may_not_do(tmp_path: Path, program: str, says: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside.star").write_text("x = {}")
    os.symlink("../outside.star", inside / "link.star")
    (inside / "ring.star").write_text('load("ring.star", "x")')
    with pytest.raises(WarpforgeError) as caught:
        plot_of(inside, program)
    assert caught.value.code == "warpforge-error-generator-failed"
    assert says in str(caught.value)
    assert not (inside / "plot.wf").exists()
