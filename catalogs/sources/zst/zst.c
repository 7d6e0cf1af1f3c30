/* zst pack|unpack IN OUT: one file through zstd, at level 19, with a checksum. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zstd.h"

static void stop(const char *what)
{
	fprintf(stderr, "zst: %s\n", what);
	exit(1);
}

static char *load(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	size_t room = 0, got;
	if (!file)
		stop("cannot read IN");
	*size = 0;
	do {
		if (room < *size + (1 << 20) && !(data = realloc(data, room = 2 * room + (1 << 20))))
			stop("no memory");
		*size += got = fread(data + *size, 1, room - *size, file);
	} while (got);
	fclose(file);
	return data;
}

int main(int count, char **words)
{
	size_t size, room, made;
	char *data, *result;
	FILE *file;
	if (count != 4 || (strcmp(words[1], "pack") && strcmp(words[1], "unpack")))
		stop("pack|unpack IN OUT");
	data = load(words[2], &size);
	if (words[1][0] == 'p') {
		ZSTD_CCtx *context = ZSTD_createCCtx();
		result = malloc(room = ZSTD_compressBound(size));
		ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 19);
		ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
		made = ZSTD_compress2(context, result, room, data, size);
	} else {
		unsigned long long whole = ZSTD_getFrameContentSize(data, size);
		if (whole == ZSTD_CONTENTSIZE_ERROR || whole == ZSTD_CONTENTSIZE_UNKNOWN)
			stop("not one of mine");
		result = malloc(whole + 1);
		made = ZSTD_decompress(result, whole, data, size);
	}
	if (ZSTD_isError(made))
		stop(ZSTD_getErrorName(made));
	if (!(file = fopen(words[3], "wb")) || fwrite(result, 1, made, file) != made || fclose(file))
		stop("cannot write OUT");
	return 0;
}
