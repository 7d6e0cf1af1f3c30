#!/usr/bin/env bash
# The peers that benches of graphs compare with: ninja, nix-build and make from the distribution, BuildStream from its
# wheel in a .venv of its own below build/bench. What cannot be had is left out, and its rows say so.
set -u
cd "$(dirname "$0")/.." || exit 1

say() { echo "bench-setup: $*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

missing=""
for pair in ninja:ninja-build nix-build:nix-bin make:make; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
	if command -v apt-get >/dev/null; then
		# shellcheck disable=SC2086
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y \
			--no-install-recommends $missing >&2 || say "left out:$missing"
	else
		say "left out, for there is no apt-get:$missing"
	fi
fi

if [ ! -x build/bench/bst/bin/bst ]; then
	say "installing BuildStream"
	rm -rf build/bench/bst
	mkdir -p build/bench
	{ .venv/bin/python -m venv build/bench/bst && build/bench/bst/bin/pip install -q "BuildStream>=2.4,<3" >&2; } ||
		{ rm -rf build/bench/bst && say "left out: BuildStream"; }
fi
exit 0
