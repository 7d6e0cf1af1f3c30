#!/usr/bin/env bash
# The whole suite in a scratch directory of its own; as root, then the part marked `both` as an ordinary user.
# Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
umask 022 # what tests make, other users of theirs must reach
# Tests wait for servers, kills and clocks as much as they compute: twice as many as there are cores keep these busy.
export WORKERS=${WORKERS:-$(($(nproc) * 2))}
scripts/compile.sh

scratch=$(mktemp -d "${TMPDIR:-/tmp}/warpforge-test.XXXXXX") || exit 1
clean() {
	chmod -R u+rwX "$scratch" 2>/dev/null # tests make trees that nobody can enter
	rm -rf "$scratch"
}
trap clean EXIT

is_closed() { # some file of the checkout cannot be read by others
	[ -n "$(find . \( -path ./.venv -o -path ./build -o -path ./.git \) -prune -o ! -type l ! -perm -o=r -print -quit)" ]
}

# Root's tests also act as other users, who import what root imports: in a mount namespace of its own, a copy of the
# checkout that all can read takes the checkout's place.
in_readable_copy() {
	mkdir "$scratch/checkout"
	tar -c --exclude=./.venv --exclude=./build --exclude=./.git . | tar -x -C "$scratch/checkout"
	chmod -R a+rX "$scratch" && mkdir "$scratch/checkout/.venv" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private bash -euc '
		mount --rbind .venv "$1/.venv"
		mount --rbind "$1" "$PWD"
		cd "$PWD"
		shift
		exec scripts/test.sh "$@"' - "$scratch/checkout" "$@"
}

if [ "$(id -u)" = 0 ] && is_closed; then
	in_readable_copy "$@"
	exit
fi

# Runs a command that runs pytest. UNSTEADY, 0 unless given: so many tests may fail beside others, when each then passes
# three times alone; they are named at the end, and are defects. What was lost in a kill or a power cut stays lost.
steadily() {
	export WARPFORGE_TEST_FAILED=$scratch/failed
	local failed code _
	: >"$WARPFORGE_TEST_FAILED"
	"$@" && return
	code=$?
	mapfile -t failed < <(sort -u "$WARPFORGE_TEST_FAILED")
	if [ "$code" -ne 1 ] || [ "${#failed[@]}" -eq 0 ] || [ "${#failed[@]}" -gt "${UNSTEADY:-0}" ]; then return 1; fi
	if printf '%s\n' "${failed[@]}" | grep -qE '/torture/|_kill|power'; then return 1; fi
	for _ in 1 2 3; do
		"$@" -n 0 "${failed[@]}" || return 1
	done
	printf 'UNSTEADY (failed beside others, passed three times alone): %s\n' "${failed[@]}" >>"$scratch/unsteady"
}

status=0
steadily .venv/bin/python -m pytest -n "$WORKERS" --basetemp "$scratch/pytest" "$@" || status=1
if [ "$(id -u)" = 0 ]; then
	steadily scripts/test-as-user.sh "$@" || status=1
fi
[ ! -e "$scratch/unsteady" ] || cat "$scratch/unsteady"
exit "$status"
