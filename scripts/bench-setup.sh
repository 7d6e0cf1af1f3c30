#!/usr/bin/env bash
# The peers that benches compare with: of graphs ninja, nix-build and make from the distribution, and BuildStream from its
# wheel in a .venv of its own below build/bench; of wares b3sum, ostree, borg, nix-store and casync, and Django as a tree
# of files. What cannot be had is left out, and its rows say so. Nothing is started: no service, no daemon.
set -u
cd "$(dirname "$0")/.." || exit 1

say() { echo "bench-setup: $*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

missing=""
for pair in ninja:ninja-build nix-build:nix-bin make:make b3sum:b3sum ostree:ostree borg:borgbackup casync:casync; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
	if command -v apt-get >/dev/null; then
		# without a policy a package may start what it brings
		policy=/usr/sbin/policy-rc.d
		[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy" &&
			trap 'as_root rm -f "$policy"' EXIT; }
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

if [ ! -d build/bench/django ]; then
	say "fetching Django"
	.venv/bin/python -m pip install -q --no-deps --no-compile --target build/bench/django "Django==5.2.*" >&2 ||
		{ rm -rf build/bench/django && say "left out: Django"; }
fi
exit 0
