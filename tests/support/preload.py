"""Another clock, or another file system, for a real command: a library of a few lines, preloaded.

``make_shim(directory)`` gives its path; in the environment of a command ``LD_PRELOAD`` is that, ``SHIM_TIME`` seconds
that the wall clock is ahead, and ``SHIM_FS`` what statfs calls every file system.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>

static long ahead(void) { const char *text = getenv("SHIM_TIME"); return text ? atol(text) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
	static int (*real)(clockid_t, struct timespec *);
	if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
	int done = real(clock, now);
	if (!done && clock == CLOCK_REALTIME) now->tv_sec += ahead();
	return done;
}

int gettimeofday(struct timeval *now, void *zone) {
	static int (*real)(struct timeval *, void *);
	if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
	int done = real(now, zone);
	if (!done) now->tv_sec += ahead();
	return done;
}

time_t time(time_t *out) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out) *out = now.tv_sec;
	return now.tv_sec;
}

int statfs(const char *path, struct statfs *found) {
	static int (*real)(const char *, struct statfs *);
	if (!real) real = dlsym(RTLD_NEXT, "statfs");
	int done = real(path, found);
	const char *kind = getenv("SHIM_FS");
	if (!done && kind) found->f_type = strtol(kind, 0, 0);
	return done;
}
"""


def make_shim(directory: Path) -> Path:
    """Compile it."""
    source, shim = directory / "shim.c", directory / "shim.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    return shim
