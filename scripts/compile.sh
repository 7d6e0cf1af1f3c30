#!/usr/bin/env bash
# Compile the product and the tests once, before many processes of a test run would each do it again: every worker of
# pytest rewrites every test file, every command that a test starts compiles what it imports. Where it is compiled
# already, this only looks.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
umask 022 # other users load it too
unset PYTHONDONTWRITEBYTECODE

.venv/bin/python -m compileall -q warpforge scripts tests/support
[ -z "$(find tests -name '*-pytest-*.pyc' -print -quit)" ] || exit 0
# Only pytest can say how it rewrites a file; what cannot be collected is said by the run itself.
find tests -name 'test_*.py' -print0 | xargs -0 -P "$(nproc)" -n 50 .venv/bin/python -m pytest --collect-only -q >/dev/null 2>&1
exit 0
