/* Replays a corpus: fuzz-TARGET FILE-OR-DIRECTORY… Small files also by all their prefixes. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_FILE     (1024 * 1024)
#define ALL_PREFIXES 512

#ifdef LARDER_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_one(data, len);
}

#else

static void run(const char *data, size_t len)
{
	char *copy = fuzz_copy(view_make(data, len));

	fuzz_one((const uint8_t *)copy, len);
	free(copy);
}

static bool replay_file(const char *path)
{
	static char data[MAX_FILE];
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file) {
		perror(path);
		return false;
	}
	len = fread(data, 1, sizeof(data), file);
	if (ferror(file) || !feof(file)) {
		fprintf(stderr, "%s: unreadable, or larger than %d bytes\n", path, MAX_FILE);
		fclose(file);
		return false;
	}
	fclose(file);
	for (size_t n = 0; len <= ALL_PREFIXES && n < len; n++)
		run(data, n);
	run(data, len);
	return true;
}

/* The number of files replayed, negative if one could not be. */
static int replay(const char *path)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int files = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path) ? 1 : -1;
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return -1;
	}
	while (files >= 0 && (entry = readdir(dir))) {
		char name[4096];
		int n = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		files = n < (int)sizeof(name) && replay_file(name) ? files + 1 : -1;
	}
	closedir(dir);
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0)
			return EXIT_FAILURE;
		files += n;
	}
	if (!files) {
		fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...  (nothing was replayed)\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%d files replayed\n", files);
	return EXIT_SUCCESS;
}

#endif
