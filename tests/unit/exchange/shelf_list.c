/* The list of what is on the shelf, for explanations, and its uses, which nobody counts. */
#include "shelf.h"

#include <stdlib.h>
#include <string.h>

#include "store/list.h"

struct store_list {
	struct buf url;
	struct row *next;
	unsigned n;
};

struct store_list *store_list_new(struct store *s, const struct store_range *range,
                                  enum store_list_what what)
{
	struct store_list *l;

	(void)s;
	rig_quiet++;
	ck_assert(range->exact && what == STORE_LIST_RESPONSES);
	l = calloc(1, sizeof(*l));
	buf_init(&l->url, 1 << 16);
	buf_addv(&l->url, range->url);
	rig_quiet--;
	l->next = shelf_older(NULL);
	return l;
}

int store_list_next(struct store_list *l, struct store_entry *out)
{
	for (struct row *row; (row = l->next) != NULL;) {
		struct view key = buf_view(&row->key), url;

		l->next = shelf_older(row);
		*out = (struct store_entry){.method = view_cut(key, ' ', &url), .record = row->r};
		if (!view_eq(url, buf_view(&l->url)))
			continue;
		out->url = url;
		out->record.key = key;
		out->record.selecting = buf_view(&row->selecting);
		out->record.vary = buf_view(&row->vary);
		out->record.head = buf_view(&row->head);
		out->record.id = row->id;
		out->variant = row->vary.len ? ++l->n : 0;
		out->part = row->part;
		out->present = row->part ? store_extents_bytes(&row->have) : 0;
		return 1;
	}
	return 0;
}

void store_list_free(struct store_list *l)
{
	if (!l)
		return;
	buf_fini(&l->url);
	free(l);
}

unsigned store_uses(const struct store *s, struct hash128 row)
{
	(void)s, (void)row;
	return 0;
}

void store_leave_no_trace(struct store *s, bool on)
{
	(void)s, (void)on;
}
