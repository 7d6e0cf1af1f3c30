"""Clojure, as files use it. What each form gives is what Clojure gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpforge.polytope.code.clojure.data import ClojureError, Keyword, Map, SyntaxFault, Vector
from warpforge.polytope.code.clojure.evaluate import run
from warpforge.polytope.code.clojure.printing import write
from warpforge.polytope.code.clojure.reader import read_forms
from warpforge.polytope.code.clojure.values import to_clojure, to_plain

PARAMS = to_clojure(
    {"a": 1, "name": "My Api/x!!", "env": [{"name": "X", "value": "y"}], "file": None, "mounts": [{"path": "/m"}]}
)


def shown(code: str) -> str:
    return write(run(code, {"params": PARAMS}))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("(+ 1 2) (* 2 3)", "6"),
        ('(str "a" nil :k \\b 1 1.0 1e10 1.5e-7 true)', '"a:kb11.01.0E101.5E-7true"'),
        ('(str [1 "x" nil] {:a "b"} #{:c} (list 1 \\a))', '"[1 \\"x\\" nil]{:a \\"b\\"}#{:c}(1 \\\\a)"'),
        ("(/ 6 3)", "2"),
        ("[(quot -7 2) (rem -7 2) (mod -7 2)]", "[-3 -1 1]"),
        ("[(= 1 1.0) (== 1 1.0) (= 1 true) (= [1] '(1)) (= {:a 1} {:a 1})]", "[false true false true true]"),
        ("(let [{:keys [a b] :or {b 7} e :env} params [x & r :as all] [1 2 3]] [a b (:name (first e)) x r all])",
         '[1 7 "X" 1 (2 3) [1 2 3]]'),
        ("((fn [{p :package {:keys [v]} :in}] [p v]) {:package 1 :in {:v 2}})", "[1 2]"),
        ("(for [[i f] (map-indexed vector [:x :y :z]) :when (odd? i) :let [g (name f)]] (str i g))", '("1y")'),
        ("(for [x [1 2] y [3 4] :while (< y 4)] [x y])", "([1 3] [2 3])"),
        ("(loop [[x & xs] [1 2 3] s 0] (if x (recur xs (+ s x)) s))", "6"),
        ("((fn f [n] (if (zero? n) 1 (* n (f (dec n))))) 5)", "120"),
        ("((fn ([] 0) ([a & more] (+ a (count more)))) 5 6 7)", "7"),
        ("(try (throw (ex-info \"no\" {:a 1})) (catch Exception e [(ex-message e) (ex-data e)]) (finally 3))",
         '["no" {:a 1}]'),
        ('(try (throw (Exception. "bad")) (catch Throwable t (.getMessage t)))', '"bad"'),
        ("(try (/ 1 0) (catch ArithmeticException e (ex-message e)))", '"Divide by zero"'),
        ("(->> [(when-let [f (:file params)] {:path f}) 3] (concat (:mounts params)) (remove nil?))",
         '({:path "/m"} 3)'),
        ('(-> (clojure.string/replace (:name params) #"[^A-Za-z0-9-]*$" "") (clojure.string/replace #".*/" ""))',
         '"x"'),
        ('(str/split "a,b,,c,," #",")', '["a" "b" "" "c"]'),
        ('(clojure.string/join \\, (map :name (:env params)))', '"X"'),
        ('(clojure.string/replace "foo-bar" #"(o+)-(\\w)" "$2-$1")', '"fb-ooar"'),
        ('(clojure.string/replace "a1b2" #"\\d" #(str (inc (Integer/parseInt %))))', '"a2b3"'),
        ('(re-find #"(?<n>\\d+)(?=px)" "12px")', '["12" "12"]'),
        ('(re-matches #"\\p{Alpha}+" "abc1")', "nil"),
        ('(re-seq #"[a-c]" "xaybz")', '("a" "b")'),
        ('(format "%5.2f|%s|%-4d|%03d|%%" 3.14159 nil 3 7)', '" 3.14|null|3   |007|%"'),
        ('(case "b" ("a" "b") :ab :else)', ":ab"),
        ("(cond (= 1 2) 3 :else 4)", "4"),
        ('(condp = 2 1 "one" 2 "two" "many")', '"two"'),
        ("(cond-> {} true (assoc :a 1) false (assoc :b 2))", "{:a 1}"),
        ("(some-> params :file str)", "nil"),
        ("(as-> 1 x (inc x) [x x])", "[2 2]"),
        ("[(#{:a} :a) (:a {:a 1}) ({:a 2} :a) (:b {} 3) ('a {'a 4})]", "[:a 1 2 3 4]"),
        ("(filter #{1 2} [1 2 3])", "(1 2)"),
        ("(take 3 (iterate inc 5))", "(5 6 7)"),
        ("(take 2 (cycle [1 2 3]))", "(1 2)"),
        ("(into {} (map (fn [[k v]] [k (inc v)]) {:a 1}))", "{:a 2}"),
        ("(reduce (fn [m [k v]] (assoc m v k)) {} {:a 1})", "{1 :a}"),
        ("(reduce + [])", "0"),
        ("(sort-by :n > [{:n 1} {:n 3}])", "({:n 3} {:n 1})"),
        ("(group-by odd? [1 2 3])", "{true [1 3], false [2]}"),
        ("(update-in {:a {:b 1}} [:a :b] + 2)", "{:a {:b 3}}"),
        ("(get-in params [:env 0 :value])", '"y"'),
        ("(merge {:a 1} nil {:b 2})", "{:a 1, :b 2}"),
        ("[(dissoc {:a 1 :b 2} :a) (select-keys {:a 1 :b 2} [:b]) (keys {:a 1}) (vals {})]",
         "[{:b 2} {:b 2} (:a) nil]"),
        ("[(conj [1] 2) (conj '(1) 2) (conj #{1} 1) (vec nil) (flatten [1 [2 [3]]])]", "[[1 2] (2 1) #{1} [] (1 2 3)]"),
        ('[(empty? "") (not-empty []) (seq [1]) (count "abc") (first "ab") (last [1 2]) (nth [1 2] 1)]',
         "[true nil (1) 3 \\a 2 2]"),
        ("(partition-all 2 [1 2 3])", "((1 2) (3))"),
        ("(apply max 1 [5 3])", "5"),
        ("((comp inc #(* 2 %)) 5)", "11"),
        ("(mapv + [1 2] [10 20])", "[11 22]"),
        ("(let [a (atom 0)] (dotimes [i 4] (swap! a + i)) @a)", "6"),
        ("(defn twice [x] (* 2 x)) (twice 4)", "8"),
        ("(letfn [(even [n] (or (zero? n) (odd (dec n)))) (odd [n] (and (pos? n) (even (dec n))))] (even 10))", "true"),
        ("(if-let [x nil] 1 2)", "2"),
        ("(when-some [x false] [x])", "[false]"),
        ("[(Integer/parseInt \"42\") (parse-long \"x\") (Math/floor 1.5)]", "[42 nil 1.0]"),
        ("(str/capitalize \"hELLO\")", '"Hello"'),
        ("(= (hash {:deps [1]}) (hash {:deps [1]}))", "true"),
        ("(quote (a \"b\" :c))", '(a "b" :c)'),
        ("#_ (ignored) 1 ; said", "1"),
        ("(name :a/b)", '"b"'),
        ('(pr-str "a\\n" :b)', '"\\"a\\\\n\\" :b"'),
        ("(+ 1 1))", "2"),
        ("[(dissoc nil :a) (replace {:a 1} [:a :b]) (clojure.walk/keywordize-keys {\"a\" [{\"b\" 1}]})]",
         "[nil [1 :b] {:a [{:b 1}]}]"),
        ("[(get \"abc\" 1) (seq \"ab\") (clojure.string/split \"abc\" #\"\")]", '[\\b (\\a \\b) ["a" "b" "c"]]'),
    ],
)  # fmt: skip
def test_a_form(code: str, value: str) -> None:
    assert shown(code) == value


@pytest.mark.parametrize(
    ("code", "message", "at"),
    [
        ("(let [x 1]\n  (strange x))", "strange is not known here", (2, 4)),
        ("(1 2)", "a number cannot be called", (1, 1)),
        ("(+ 1 :a)", "a keyword is no number", (1, 1)),
        ("(* 9223372036854775807 2)", "integer overflow", (1, 1)),
        ("(map", "the ( here is never closed", (1, 1)),
        ("(let [x 1)", "a ) where a ] was expected", (1, 10)),
        ('(str "abc)', "the text here is never closed", (1, 6)),
        ("{:a}", "a map with a key and no value", (1, 1)),
        ("(if)", "if takes a test, a value, and another", (1, 1)),
        ("(let [x] x)", "names and values in pairs, in [ ], were expected", (1, 1)),
        ("(throw 3)", 'throw takes an exception, as (ex-info "..." {}), not 3', (1, 1)),
        ('(re-find #"(" "x")', "the pattern '(' is wrong", (1, 1)),
        ("((fn [a] a))", "a function does not take 0 values", (1, 1)),
        ("(nth [1] 5)", "there is no item 5", (1, 1)),
        ("`(a ~b)", "` belongs to macros, which cannot be written here", (1, 1)),
        ("#foo 3", "#foo is not known here", (0, 0)),
        ('(slurp "/etc/passwd")', "slurp is out of reach", (1, 1)),
        ("(java.io.File. \"/\")", "File is out of reach", (1, 1)),
        ('(System/getenv "HOME")', "System/getenv is not known here", (1, 2)),
        ("(.exec (Runtime/getRuntime) 1)", "the method .exec is not known here", (1, 1)),
        ("(eval '(+ 1 1))", "eval is out of reach", (1, 1)),
        ("(.__class__ \"\")", "the method .__class__ is not known here", (1, 1)),
    ],
)  # fmt: skip
def test_what_is_wrong_says_where(code: str, message: str, at: tuple[int, int]) -> None:
    with pytest.raises(ClojureError) as refused:
        shown(code)
    assert refused.value.message.startswith(message)
    assert refused.value.at == at


def test_what_is_laziness() -> None:
    assert shown("(let [n (atom 0) s (map (fn [x] (swap! n inc) x) (range))] [(take 2 s) (first s) @n])") in (
        "[(0 1) 0 1]",  # the first is made for `first`; printing makes the others
        "[(0 1) 0 2]",
    )


def test_keys_are_keywords_inside_and_text_outside() -> None:
    assert to_clojure({"a": [{"b": None}]}) == Map({Keyword("a"): Vector([Map({Keyword("b"): None})])})
    assert to_plain(run('{:a #{1} "b" \'c 3 [\\d]}', {})) == {"a": [1], "b": "c", "3": ["d"]}
    with pytest.raises(ClojureError, match="a function"):
        to_plain(run("[inc]", {}))


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b-c"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(DATA)
def test_what_is_written_is_read_back(value: object) -> None:
    form = to_clojure(value)  # type: ignore[arg-type]
    (back,) = read_forms(write(form))
    assert write(back) == write(form)


@given(st.text(alphabet="()[]{}\"\\#;:a1 ,'@^`~%-+.\n", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_forms(text)
    except SyntaxFault as fault:
        assert fault.at >= (1, 1)
