/* Build tool: prints the table that finds a field name by one multiplication,
 * made from fields.def. */
#include <stdio.h>
#include <stdlib.h>

#include "http-private.h"

#define TRIES 10000000u

static const struct {
	const char *id, *text;
} names[] = {
#define FIELD(id, text, flags) {"HTTP_" #id, text},
#include "http/fields.def"
#undef FIELD
};

enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* Fills slots[] with 1 + the index of the name; false when two names meet. */
static bool place(uint32_t multiplier, unsigned slots[256])
{
	memset(slots, 0, 256 * sizeof(slots[0]));
	for (unsigned i = 0; i < NAMES; i++) {
		unsigned *slot =
		        &slots[http_name_hash(names[i].text, strlen(names[i].text), multiplier)];

		if (*slot)
			return false;
		*slot = i + 1;
	}
	return true;
}

int main(void)
{
	unsigned slots[256];
	uint32_t multiplier = 1;

	for (unsigned n = 0; !place(multiplier, slots); n++) {
		if (n == TRIES) {
			fprintf(stderr, "gen-names: no multiplier keeps the names apart\n");
			return EXIT_FAILURE;
		}
		multiplier = multiplier * 1664525u + 1013904224u;
	}
	printf("#define NAME_MULTIPLIER %uu\n\nstatic const uint8_t name_slots[256] = {\n",
	       multiplier);
	for (unsigned i = 0; i < 256; i++) {
		if (slots[i])
			printf("\t[%u] = %s,\n", i, names[slots[i] - 1].id);
	}
	printf("};\n");
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
