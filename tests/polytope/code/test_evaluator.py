"""Code in workers: what it gives, what it may cost, and what it cannot reach."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.containers import until

from warpforge.errors import Failed, Invalid
from warpforge.polytope.code.evaluator import Bounds, Code, Evaluator, Scope
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Interrupted

GREEDY = '(let [s (nth (iterate #(str % %) "aaaaaaaaaaaaaaaa") 18)] (loop [v []] (recur (conj v (str s "b")))))'

SCOPE = Scope({"some-key": "v", "ports": [{"expose-as": 1}], "env_var": None}, {"module-repo-ref": "R"})


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(Bounds(seconds=60, memory=160 << 20)) as evaluator:
        yield evaluator


@pytest.fixture(scope="module")
def hasty() -> Iterator[Evaluator]:
    """For code that never ends."""
    with Evaluator(Bounds(seconds=0.5)) as evaluator:
        yield evaluator


class Asked:
    """A host that notes what it is asked, and answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Value]]] = []

    def call(self, name: str, args: list[Value]) -> Value:
        self.calls.append((name, args))
        if name == "read-repo-file":
            raise Invalid("invalid-argument", "there is no such file", path="x")
        if name == "fail":
            raise Failed("generator-failed", "as it was told")
        if name == "sleep":
            time.sleep(3.2)
        return {"some-key": [1]}


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("clj", "(str (:some-key params) (:some-key inputs))", "vv"),
        ("clj", "pt/module-repo-ref", "R"),
        ("clj", "(println 1)", None),
        ("js", "params.someKey + inputs['some-key'] + params['some-key']", "vvv"),
        ("js", "Object.keys(params).join()", "someKey,ports,envVar"),
        ("js", "[params.ports[0].exposeAs, inputs.ports[0]['expose-as'], params.envVar]", [1, 1, None]),
        ("js", "const x = 3;\nx * 2", 6),
        ("js", "{ a: 1, b: undefined }", {"a": 1}),
        ("js", "if (params.nothing) 1; else ({b: [1.5, 2.0]})", {"b": [1.5, 2]}),
        ("js", "`${params.someKey}-${pt.moduleRepoRef}`", "v-R"),
        ("js", "params.nothing ? 1 : null", None),
        ("js", "parseInt('5432')", 5432),
        ("js", "'a, b'.replace(/[\\s,]+/g, ' ')", "a b"),
        ("js", "[...[1, 2].map(x => x * 2), 5].filter(x => x > 2)", [4, 5]),
        ("js", "try { null.x } catch (e) { e instanceof TypeError }", True),
        ("js", "0 / 0", None),
        ("js", "typeof require + typeof process + typeof std + typeof os + typeof __ask", "undefined" * 5),
        ("js", "Object.prototype.x = 1; Array.prototype.map = null; JSON.stringify = null; [1]", [1]),
        ("js", "[].x === undefined && [1].map(x => x)[0] === 1", True),  # nothing is left of the one before
        ("js", "new Function('return this')().pt.moduleRepoRef", "R"),
    ],
)  # fmt: skip
def test_values(evaluator: Evaluator, language: str, text: str, value: Value) -> None:
    found = evaluator.evaluate(Code(language, text), SCOPE)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("language", "text", "reason", "message"),
    [
        ("js", "while (true) {}", "time", "does not end"),
        ("clj", "(loop [] (recur))", "time", "does not end"),
        ("clj", "(count (range))", "time", "does not end"),
        ("js", "/(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')", "time", "does not end"),
        ("clj", '(re-find #"(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")', "time", "does not end"),
        ("js", "let a = 'x'; while (true) a += a", "memory", "too much memory"),
        ("js", "const a = []; while (true) a.push(new Uint8Array(10 << 20))", "memory", "too much memory"),
        ("clj", '(loop [s "aaaa"] (recur (str s s)))', "code", "too long"),
        ("clj", GREEDY, "memory", "too much memory"),
        ("js", "function f() { return 1 + f() } f()", "code", "nested too deep"),
        ("clj", "((fn f [n] (+ 1 (f n))) 1)", "code", "nested too deep"),
        ("js", "(".ljust(100_000, "("), "code", "nested too deep"),
        ("clj", "(" * 5000, "syntax", "nested more than"),
        ("js", "import * as os from 'os'; os", "syntax", "line 1: SyntaxError"),
        ("js", "1;\n2;\n  let let = 3", "syntax", "line 3: SyntaxError"),
        ("js", "\nnothing.at.all", "code", "line 2: ReferenceError: 'nothing' is not defined"),
        ("js", "x => x", "code", "is a function"),
        ("js", "let a = []; for (let i = 0; i < 500; i++) a = [a]; a", "code", "nested more than 100 deep"),
        ("clj", "(reduce (fn [a _] [a]) [] (range 5000))", "code", "nested"),
        ("clj", "{:a ##Inf}", "code", "inf, which is no number"),
        ("js", "10n ** 6000n", "code", "larger than 64 bits"),
        ("js", "'\\ud800'", "code", "no Unicode"),
        ("clj", '(str "\\ud800")', "code", "no Unicode"),
        ("js", "pt.spawn({})", "code", "only for the code of a module or a step"),
        ("js", "pt.strange({})", "code", "not a function"),
        ("clj", "(let [x 1]\n (strange x))", "code", "line 2: strange is not known here"),
        ("clj", '(load-file "/etc/passwd")', "code", "out of reach"),
        ("clj", "(pt/spawn {})", "code", "only for the code of a module or a step"),
        ("py", "1 + 1", "python", "only inside of a box"),
    ],
    ids=str,
)  # fmt: skip
def test_what_ends_code(
    evaluator: Evaluator, hasty: Evaluator, language: str, text: str, reason: str, message: str
) -> None:
    with pytest.raises(Failed) as refused:
        (hasty if reason == "time" else evaluator).evaluate(Code(language, text), SCOPE)
    assert refused.value.reason == reason, refused.value.message
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("js", "pt.spawn({image: 'x'}); pt.getJobValue('k').someKey[0] || 7"),
        ("clj", '(pt/spawn {:image "x"}) (first (:some-key (pt/get-job-value :k)))'),
    ],
)
def test_a_host_is_asked(evaluator: Evaluator, language: str, text: str) -> None:
    host = Asked()
    found = evaluator.evaluate(Code(language, text.replace(".someKey[0] || 7", "['some-key'][0]")), SCOPE, host)
    assert found == 1
    assert host.calls == [("spawn", [{"image": "x"}]), ("get-job-value", ["k"])]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("js", "try { pt.readRepoFile('x') } catch (e) { e.message }"),
        ("clj", '(try (pt/read-repo-file "x") (catch Exception e (ex-message e)))'),
    ],
)
def test_code_may_catch_what_the_host_says(evaluator: Evaluator, language: str, text: str) -> None:
    assert evaluator.evaluate(Code(language, text), SCOPE, Asked()) == "there is no such file"


def test_what_the_host_says_is_the_cause(evaluator: Evaluator) -> None:
    with pytest.raises(Failed) as refused:
        evaluator.evaluate(Code("js", "1;\n\npt.readRepoFile('x')"), SCOPE, Asked())
    assert "line 3: there is no such file" in refused.value.message
    assert [error.code for error in refused.value.chain()][-1] == "warpforge-error-invalid-argument"


@pytest.mark.parametrize(
    ("language", "text"),
    [("js", "try { pt.fail('x') } catch (e) { 1 }"), ("clj", '(try (pt/fail "x") (catch Exception e 1))')],
)
def test_code_cannot_catch_its_own_end(evaluator: Evaluator, language: str, text: str) -> None:
    with pytest.raises(Failed, match="as it was told"):
        evaluator.evaluate(Code(language, text), SCOPE, Asked())


def test_waiting_for_the_host_costs_nothing() -> None:
    with Evaluator(Bounds(seconds=3)) as patient:  # a process begins slowly on a busy machine
        assert patient.evaluate(Code("js", "pt.sleep('1s'); 1"), SCOPE, Asked()) == 1


def test_looking_up_buys_nothing(hasty: Evaluator) -> None:
    with pytest.raises(Failed, match="does not end"):
        hasty.evaluate(Code("js", "while (true) pt.param('x')"), SCOPE, Asked())


def test_who_waits_for_code_that_is_ended_hears_of_it() -> None:
    closed = Evaluator(Bounds(60))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(closed.evaluate, Code("js", "while (true) {}"), SCOPE)
        until(lambda: closed._busy)
        closed.close()
        with pytest.raises(Failed, match="process ended"):
            waiting.result()


@pytest.mark.parametrize("code", [Code("js", "while (true) {}"), Code("clj", "(loop [] (recur))")])
def test_code_that_computes_is_ended_when_it_is_not_to_go_on(code: Code) -> None:
    asked: list[int] = []

    def go_on() -> None:
        (worker,) = mine._busy
        asked.append(worker._process.pid)
        if len(asked) > 1:
            raise Interrupted

    with Evaluator(Bounds(seconds=600)) as mine:
        with pytest.raises(Interrupted):
            mine.evaluate(code, SCOPE, go_on=go_on)
        assert not mine._busy and not mine._idle
        assert not os.path.exists(f"/proc/{asked[0]}")


def test_a_worker_ends_with_whoever_started_it() -> None:
    """Killed, an evaluator leaves nothing behind: not even code that never ends."""
    program = (
        "import os, threading, time\nfrom warpforge.polytope.code.evaluator import *\ne = Evaluator(Bounds(60))\n"
        "threading.Thread(target=e.evaluate, args=(Code('js', 'while (true) {}'), Scope({})), daemon=True).start()\n"
        "while not e._busy: time.sleep(0.01)\n"
        "time.sleep(0.3); print(*[w._process.pid for w in e._busy], flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{int(done.stdout)}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.both
def test_a_worker_has_nothing_to_reach_the_host_with(evaluator: Evaluator) -> None:
    evaluator.evaluate(Code("clj", "1"), SCOPE)
    (worker,) = evaluator._idle[:1]
    with open(f"/proc/{worker._process.pid}/limits") as limits:
        held = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert held["Max open files"] == ["1", "1"]
    assert held["Max file size"] == ["0", "0"]
    assert held["Max address space"][0] != "unlimited"
    with open(f"/proc/{worker._process.pid}/status") as status:
        said = {line.partition(":")[0]: line.partition(":")[2].strip() for line in status}
    assert (said["Seccomp"], said["NoNewPrivs"]) == ("2", "1")
    with open(f"/proc/{worker._process.pid}/environ") as environ:
        assert environ.read().strip("\0").split("\0") == ["LANG=C.UTF-8"]
    assert os.readlink(f"/proc/{worker._process.pid}/cwd") == "/"
