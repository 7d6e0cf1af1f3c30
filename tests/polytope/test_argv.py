"""What is to be run, as people say it on the command line."""

from __future__ import annotations

import pytest

from warpforge.errors import Invalid
from warpforge.polytope.calls.argv import parse_calls
from warpforge.polytope.nouns import Value


def said(*words: str) -> list[list[tuple[str, dict[str, Value]]]]:
    return [[(call.reference, call.args) for call in group] for group in parse_calls(words)]


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (["stack"], [[("stack", {})]]),
        (["polytope/jupyter"], [[("polytope/jupyter", {})]]),
        (
            ["polytope/postgres{port: 5433, database: mydb}"],
            [[("polytope/postgres", {"port": 5433, "database": "mydb"})]],
        ),
        (
            ["add-package-npm{packages: 'react react-dom', module-code-path: 'web-app'}"],
            [[("add-package-npm", {"packages": "react react-dom", "module-code-path": "web-app"})]],
        ),
        (["b{path: https://github.com/x/y, t: m/api}"], [[("b", {"path": "https://github.com/x/y", "t": "m/api"})]]),
        (["a", "b{c: {d: [1, '}']}}", "e"], [[("a", {}), ("b", {"c": {"d": [1, "}"]}}), ("e", {})]]),
        (["build,", "run-built"], [[("build", {})], [("run-built", {})]]),
        (["a,b,", "c", "d"], [[("a", {})], [("b", {})], [("c", {}), ("d", {})]]),
        (["a{x: 1},", "b"], [[("a", {"x": 1})], [("b", {})]]),
        (["!sub", "polytope/kafka!kcat"], [[("!sub", {}), ("polytope/kafka!kcat", {})]]),
        (["modules/ngrok/ngrok"], [[("modules/ngrok/ngrok", {})]]),
        (["o/p@21f9ea12:my/path!m{a: it's}"], [[("o/p@21f9ea12:my/path!m", {"a": "it's"})]]),
        (['a{b: "x\\"}y"}'], [[("a", {"b": 'x"}y'})]]),
        (["a{b: 'it''s'}"], [[("a", {"b": "it's"})]]),
        (["postgres{port:", "5433,", "database:", "mydb}"], [[("postgres", {"port": 5433, "database": "mydb"})]]),
        (["a{:port 5433 :env [{:name \"x\"}]}"], [[("a", {"port": 5433, "env": [{"name": "x"}]})]]),
        (["a{}"], [[("a", {})]]),
        ([], []),
    ],
)  # fmt: skip
def test_calls(words: list[str], groups: list[list[tuple[str, dict[str, Value]]]]) -> None:
    assert said(*words) == groups


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["a{b: 1"], "never closed"),
        (["a{b: 'x}"], "never closed"),
        (["a{b: [1}"], "closes nothing"),
        ([", a"], "before the comma"),
        (["a,"], "behind the comma"),
        (["{a: 1}"], "name of a module"),
        (["a{b: 1}}"], "name of a module"),
        (["a{b: *c}"], "stands for nothing"),
        (["a{[1]}"], "arguments of a"),
    ],
)
def test_what_is_no_call(words: list[str], about: str) -> None:
    with pytest.raises(Invalid, match=about) as refused:
        parse_calls(words)
    assert refused.value.code == "warpforge-error-invalid-argument"
