#!/usr/bin/env bash
# The whole suite in a scratch directory of its own; as root, then the part marked `both` as an ordinary user.
# Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d "${TMPDIR:-/tmp}/warpforge-test.XXXXXX") || exit 1
clean() {
	chmod -R u+rwX "$scratch" 2>/dev/null # tests make trees that nobody can enter
	rm -rf "$scratch"
}
trap clean EXIT

status=0
.venv/bin/python -m pytest -n auto --basetemp "$scratch/pytest" "$@" || status=1
if [ "$(id -u)" = 0 ]; then
	scripts/test-as-user.sh "$@" || status=1
fi
exit "$status"
