#!/usr/bin/env bash
# The part of the suite marked `both`, run by root as an ordinary user who owns nothing here.
#
# That user may be unable to enter the directories above the checkout or above the Python that made the .venv
# (a root's home is closed). So in a mount namespace of its own every such path is laid open where it was:
# the closed directory is covered by an empty one, and only what the tests need is put back below it.
# The user gets a copy of the checkout at the checkout's own path, and writes only to a scratch directory.
set -euo pipefail
umask 022
WORKERS=${WORKERS:-$(($(nproc) * 2))} # as in test.sh
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "test-as-user: needs root (an ordinary user runs the whole suite anyway)" >&2; exit 2; }

readonly TESTER=61234 # a uid that nobody has; not 65534, which daemons share
CHECKOUT=$(pwd -P)
readonly CHECKOUT

# --- inside the namespace ---------------------------------------------------------------------------

as_tester() { setpriv --reuid "$TESTER" --regid "$TESTER" --clear-groups -- "$@"; }

# The topmost directory on the way to $1 that the tester cannot enter.
closed_above() {
	local part path=
	local IFS=/
	for part in ${1#/}; do
		path="$path/$part"
		[ "$path" != "$1" ] && [ -e "$path" ] || return 1
		as_tester test -x "$path" || { echo "$path" && return; }
	done
}

lay_open() {
	local scratch=$1 number=0 path closed
	shift
	for path in "$@"; do # first out of reach of what will be covered
		mkdir -p "$scratch/held/$((++number))"
		mount --rbind "$path" "$scratch/held/$number"
	done
	mount --rbind "$CHECKOUT/.venv" "$scratch/checkout/.venv"
	for path in "$CHECKOUT" "$@"; do
		if closed=$(closed_above "$path"); then
			mount -t tmpfs -o mode=0755 none "$closed"
		fi
	done
	number=0
	for path in "$@"; do
		mkdir -p "$path"
		mount --rbind "$scratch/held/$((++number))" "$path"
	done
	mkdir -p "$CHECKOUT"
	mount --rbind "$scratch/checkout" "$CHECKOUT"
}

inside() {
	local scratch=$1 needed=()
	shift
	needed+=("$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')")
	[ -d ../shared ] && needed+=("$(realpath ../shared)")
	lay_open "$scratch" "${needed[@]}"
	cd "$CHECKOUT"
	exec setpriv --reuid "$TESTER" --regid "$TESTER" --clear-groups -- \
		env -i HOME="$scratch/home" TMPDIR="$scratch/home/tmp" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
		PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY="$scratch/home/hypothesis" ${CI:+CI="$CI"} \
		WARPFORGE_TEST_FAILED="$scratch/home/failed" \
		.venv/bin/python -m pytest -n "$WORKERS" -m both "$@"
}

# --- outside ----------------------------------------------------------------------------------------

if [ "${1:-}" = --inside ]; then
	shift
	inside "$@"
fi

scratch=$(mktemp -d /var/tmp/warpforge-test.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
chmod 0755 "$scratch"
scripts/compile.sh
mkdir "$scratch/checkout" "$scratch/home" "$scratch/home/tmp"
tar -c --exclude=./.venv --exclude=./build --exclude=./.git --exclude='./.*_cache' . |
	tar -x -C "$scratch/checkout"
chmod -R a+rX "$scratch/checkout"
mkdir "$scratch/checkout/.venv"
chown -R "$TESTER:$TESTER" "$scratch/home"
echo "the tests marked both, as uid $TESTER:"
status=0
unshare --mount --propagation private "$CHECKOUT/scripts/test-as-user.sh" --inside "$scratch" "$@" || status=$?
if [ -n "${WARPFORGE_TEST_FAILED:-}" ] && [ -e "$scratch/home/failed" ]; then
	cat "$scratch/home/failed" >>"$WARPFORGE_TEST_FAILED"
fi
exit "$status"
