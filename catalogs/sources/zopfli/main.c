/* zopfli IN OUT: one file, as small a gzip as there is, with no name and no time in it. */

#include <stdio.h>
#include <stdlib.h>

#include "zopfli.h"

int main(int count, char **words)
{
	ZopfliOptions options;
	unsigned char *data = malloc(1 << 24), *made = NULL;
	size_t size, room = 0;
	FILE *file;
	if (count != 3 || !data || !(file = fopen(words[1], "rb"))) {
		fprintf(stderr, "zopfli IN OUT\n");
		return 2;
	}
	size = fread(data, 1, 1 << 24, file);
	if (fgetc(file) != EOF) {
		fprintf(stderr, "zopfli: larger than 16 MiB\n");
		return 1;
	}
	fclose(file);
	ZopfliInitOptions(&options);
	ZopfliCompress(&options, ZOPFLI_FORMAT_GZIP, data, size, &made, &room);
	if (!(file = fopen(words[2], "wb")) || fwrite(made, 1, room, file) != room || fclose(file)) {
		fprintf(stderr, "zopfli: cannot write OUT\n");
		return 1;
	}
	return 0;
}
