"""A small Clojure: the reader (also of EDN), the evaluator, and the functions that polytope files use.

Values are Python's, never changed once made: nil None, numbers, str, ``Keyword``, ``Symbol``, ``Char``, ``Vector`` and
``List`` (tuples), ``Map`` (a dict), ``Set`` (a frozenset), ``Lazy`` (a sequence that is made as it is read).
"""
