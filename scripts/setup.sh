#!/usr/bin/env bash
# Everything that `make demo` and `make test` need: system packages, a .venv, the Python packages.
# Nothing is done twice: a second run only looks.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022 # an ordinary user must be able to read the .venv that root made
PATH=$PATH:/usr/sbin:/sbin # mkfs.ext4 lies there, where an ordinary user does not look

say() { printf 'setup: %s\n' "$*" >&2; }
stop() {
	say "$@"
	exit 1
}

# Networks fail now and then.
retry() {
	local try
	for try in 1 2 3; do
		"$@" && return
		say "that failed (try $try of 3)"
		sleep $((try * 3))
	done
	return 1
}

# --- what is needed -----------------------------------------------------------------------------------

# A command and the Debian package that brings it. busybox must be the static one: it runs in an empty root.
readonly TOOLS="bwrap:bubblewrap runc:runc git:git strace:strace busybox:busybox-static gcc:gcc zstd:zstd tar:tar ps:procps setfacl:acl flock:util-linux openssl:openssl chromium:chromium umoci:umoci skopeo:skopeo curl:curl xz:xz-utils bzip2:bzip2 ip:iproute2 slirp4netns:slirp4netns newuidmap:uidmap mkfs.ext4:e2fsprogs"

is_static() { ! LC_ALL=C ldd "$1" >/dev/null 2>&1; }

missing_packages() {
	local pair tool package
	for pair in $TOOLS; do
		tool=${pair%%:*} package=${pair#*:}
		if ! command -v "$tool" >/dev/null; then
			echo "$package"
		elif [ "$tool" = busybox ] && ! is_static "$(command -v busybox)"; then
			echo "$package"
		fi
	done
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || echo libfaketime # for `reproduce`: another date
}

readonly GOOD_PYTHON='import sys; assert (3, 11) <= sys.version_info < (3, 14)'

# The first Python that is new enough and able to make a .venv. PYTHON chooses another.
find_python() {
	local python
	for python in ${PYTHON:-python3.11 python3.12 python3.13 python3 /usr/bin/python3}; do
		if "$python" -c "$GOOD_PYTHON; import venv, ensurepip" >/dev/null 2>&1; then
			command -v "$python"
			return
		fi
	done
	return 1
}

# --- system packages ----------------------------------------------------------------------------------

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

install() {
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
	command -v apt-get >/dev/null || stop "please install what these Debian packages bring, then try again: $*"
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || stop "please run as root: apt-get install $*"
	say "installing $*"
	retry as_root "${apt[@]}" update >&2 || say "apt-get could not update its lists: trying with the old ones"
	retry as_root "${apt[@]}" install -y --no-install-recommends "$@" >&2 ||
		stop "apt-get could not install $*: see its words above"
}

set_up_system() {
	local packages
	packages=$(missing_packages)
	has_venv || find_python >/dev/null || packages="$packages python3 python3-venv"
	# shellcheck disable=SC2086 # one word a package
	[ -z "$packages" ] || install $packages
}

# --- Python -------------------------------------------------------------------------------------------

# What the .venv was made from: when this text changes, the packages are installed again.
recipe() {
	pwd -P
	sha256sum pyproject.toml
}

# A .venv that still has its Python and was made at this place (its scripts hold the place).
has_venv() { [ -x .venv/bin/python ] && [ "$(head -n 1 .venv/.recipe 2>/dev/null)" = "$(pwd -P)" ]; }

is_ready() { has_venv && [ "$(recipe)" = "$(cat .venv/.recipe)" ]; }

set_up_python() {
	local python
	if ! has_venv; then
		python=$(find_python) || stop "no Python 3.11, 3.12 or 3.13 with venv found (PYTHON=... chooses one)"
		say "making .venv with $("$python" -V)"
		rm -rf .venv
		"$python" -m venv .venv
	fi
	say "installing the Python packages"
	export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
	retry .venv/bin/python -m pip install -q --retries 5 -e '.[dev]' </dev/null >&2 ||
		stop "pip could not install the Python packages: see its words above"
	recipe >.venv/.recipe
}

# --- servers for tests --------------------------------------------------------------------------------

# Debian's packages of servers start and enable them when they are installed. These are only unpacked, below
# .venv/servers: nothing starts, and nobody need be root. A test that misses one is skipped.
readonly SERVERS="nginx:usr/sbin/nginx docker-registry:usr/bin/docker-registry"

missing_servers() {
	local pair
	for pair in $SERVERS; do
		command -v "${pair##*/}" >/dev/null || [ -x "/${pair#*:}" ] || [ -x ".venv/servers/${pair#*:}" ] ||
			echo "${pair%%:*}"
	done
}

unpack_server() {
	local work
	work=$(mktemp -d) || return 1
	chmod 755 "$work" # for apt's own user
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2) && mkdir -p .venv/servers &&
		dpkg-deb -x "$work"/*.deb .venv/servers
	local status=$?
	rm -rf "$work"
	return $status
}

set_up_servers() {
	local package
	command -v apt-get >/dev/null || return 0
	for package in $(missing_servers); do
		say "unpacking $package (for tests; it is not installed)"
		unpack_server "$package" || { as_root apt-get -q update >&2 && unpack_server "$package"; } ||
			say "$package could not be had: the tests that start it will be skipped"
	done
}

# --- images for tests ---------------------------------------------------------------------------------

# Made by scripts/images.py from Debian packages, again when that file changes.
has_images() { [ "$(sha256sum <scripts/images.py)" = "$(cat .venv/images/recipe 2>/dev/null)" ]; }

set_up_images() {
	command -v apt-get >/dev/null || return 0
	say "making images from Debian packages (for tests; nothing is installed)"
	.venv/bin/python scripts/images.py .venv/images || {
		as_root apt-get -q update >&2 && .venv/bin/python scripts/images.py .venv/images
	} || {
		say "the images could not be made: the tests that start them will be skipped"
		return 0
	}
	sha256sum <scripts/images.py >.venv/images/recipe
}

set_up_system
if ! is_ready || [ -n "$(missing_servers)" ] || ! has_images; then
	mkdir -p build
	exec 9>build/setup.lock
	flock 9 # two makes at once: the second finds it done
	is_ready || set_up_python
	set_up_servers
	has_images || set_up_images
fi
