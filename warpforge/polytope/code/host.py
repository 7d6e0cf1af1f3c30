"""What code may call: the names, and who answers them."""

from __future__ import annotations

import re
from typing import Final, Protocol

from warpforge.errors import Invalid
from warpforge.polytope.nouns import Value

# in Clojure pt/NAME; in JavaScript pt.name, in camelCase
CALLS: Final = frozenset(
    (
        "await-container-exited", "await-container-started", "await-done", "await-exec-exit", "await-image-build",
        "await-service", "await-started", "await-user-input", "call-module", "call-tool", "close-service",
        "container-exec", "container-ls", "eval", "fail", "get-job-value", "get-project-value", "get-step-value",
        "get-value", "http-request", "input", "log", "log-chunk", "module-project-ref", "module-repo-ref",
        "open-service", "output", "param", "params", "read-container-file", "read-edn", "read-json", "read-repo-file",
        "read-yaml", "request-user-input", "secret", "service-address", "set-job-value", "set-project-value",
        "set-secret", "set-step-value", "set-value", "sleep", "spawn", "spawn-container", "spawn-image-build",
        "spawn-step", "stop", "stop-service", "store-dataset", "value", "values", "write-container-file", "write-edn",
        "write-json", "write-yaml",
    )
)  # fmt: skip
VARIABLES: Final = frozenset(("module-project-ref", "module-repo-ref"))  # values, not calls
# answered at once and without end: they buy code no more time
LOOKUPS: Final = frozenset(("param", "params", "input", "inputs", "value", "values", "secret", "output", "log"))
ENDS: Final = frozenset(("fail",))  # what these raise, code cannot catch


class Host(Protocol):
    """Answers the calls of one piece of code."""

    def call(self, name: str, args: list[Value]) -> Value:
        """One call; ``name`` is in kebab-case, one of ``CALLS``.

        A WarpforgeError becomes an exception that the code may catch, but for ``ENDS``; anything else ends the code.
        """


class NoHost:
    """For code that only computes."""

    def call(self, name: str, args: list[Value]) -> Value:
        if name == "log":
            return None
        raise Invalid("invalid", f"pt/{name} is there only for the code of a module or a step", reason="code")


def kebab(name: str) -> str:
    """``someName`` -> ``some-name``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower()


def camel(name: str) -> str:
    """``some-name`` and ``some_name`` -> ``someName``; whatever else stays as it is."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)+", name):
        return name
    head, *rest = re.split("[-_]", name)
    return head + "".join(part.capitalize() for part in rest)
