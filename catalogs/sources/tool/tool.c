/* tool pick FROM INTO ENDING... [-- FROM INTO ENDING...]...
   tool into FILE COMMAND...

   What a box needs that has no cp and no shell. pick copies the files below FROM whose paths end so into INTO, with
   their directories; modes become 0644 or 0755, symlinks and the like are left out. into runs a program and writes
   what it says into FILE. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **endings;
static int copied;

static void stop(const char *what, const char *path)
{
	fprintf(stderr, "tool: cannot %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static int is_meant(const char *path)
{
	for (char **ending = endings; *ending; ending++) {
		size_t all = strlen(path), end = strlen(*ending);
		if (end <= all && strcmp(path + all - end, *ending) == 0)
			return 1;
	}
	return 0;
}

static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			stop("make", path);
		*slash = '/';
	}
}

static void copy(const char *from, char *into, mode_t mode)
{
	static char buffer[1 << 16];
	ssize_t got;
	make_parents(into);
	int in = open(from, O_RDONLY), out = open(into, O_WRONLY | O_CREAT | O_EXCL, mode & 0100 ? 0755 : 0644);
	if (in < 0)
		stop("read", from);
	if (out < 0)
		stop("make", into);
	while ((got = read(in, buffer, sizeof buffer)) > 0)
		if (write(out, buffer, got) != got)
			stop("write", into);
	if (got < 0)
		stop("read", from);
	close(in);
	if (close(out))
		stop("write", into);
	copied++;
}

static void walk(const char *from, const char *into)
{
	DIR *directory = opendir(from);
	if (!directory)
		stop("read", from);
	for (struct dirent *entry; (entry = readdir(directory));) {
		char *source, *goal;
		struct stat status;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&source, "%s/%s", from, entry->d_name) < 0 || asprintf(&goal, "%s/%s", into, entry->d_name) < 0)
			stop("name", from);
		if (lstat(source, &status))
			stop("look at", source);
		if (S_ISDIR(status.st_mode))
			walk(source, goal);
		else if (S_ISREG(status.st_mode) && is_meant(source))
			copy(source, goal, status.st_mode);
		free(source);
		free(goal);
	}
	closedir(directory);
}

static int pick(char **words, char **last)
{
	for (char **group = words, **end; group < last; group = end + 1) {
		for (end = group; *end && strcmp(*end, "--"); end++)
			;
		if (end - group < 3)
			return 2;
		*end = NULL;
		endings = group + 2;
		copied = 0;
		walk(group[0], group[1]);
		printf("%d files from %s\n", copied, group[0]);
		if (copied == 0)
			return 1;
	}
	return 0;
}

static int into(char **words)
{
	int out = open(words[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (out < 0 || dup2(out, 1) < 0)
		stop("write", words[0]);
	execv(words[1], words + 1);
	stop("run", words[1]);
	return 1;
}

int main(int count, char **words)
{
	int result = 2;
	if (count > 4 && !strcmp(words[1], "pick"))
		result = pick(words + 2, words + count);
	else if (count > 3 && !strcmp(words[1], "into"))
		result = into(words + 2);
	if (result == 2)
		fprintf(stderr, "tool pick FROM INTO ENDING... [-- ...]..., or tool into FILE COMMAND...\n");
	return result;
}
