#include "conf-private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

#define CONF_MAGIC   0xc0f19a7eU
#define NAME_MAX_LEN 64

char *conf_text(const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	char *text;

	buf_init(&b, CONF_WHY_MAX);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	text = buf_cstr(&b);
	if (text)
		return text;
	buf_fini(&b);
	return view_dup(view_of(fmt));
}

static void setting_fini(struct conf_setting *s)
{
	conf_list_free(s->items, s->n);
	free(s->where);
	*s = (struct conf_setting){0};
}

static void settings_free(struct conf_setting *settings, size_t n)
{
	for (size_t i = 0; settings && i < n; i++)
		setting_fini(&settings[i]);
	free(settings);
}

int conf_setting_put(struct conf_setting *s, enum conf_from from, const char *where,
                     const char *const *items, size_t n)
{
	struct conf_setting fresh = {.from = from};

	if (n > CONF_LIST_MAX)
		return LARDER_ELIMIT;
	fresh.items = calloc(n ? n : 1, sizeof(*fresh.items));
	if (!fresh.items)
		return LARDER_ENOMEM;
	for (fresh.n = 0; fresh.n < n; fresh.n++) {
		fresh.items[fresh.n] = view_dup(view_of(items[fresh.n]));
		if (!fresh.items[fresh.n])
			goto nomem;
	}
	if (where) {
		fresh.where = view_dup(view_of(where));
		if (!fresh.where)
			goto nomem;
	}
	setting_fini(s);
	*s = fresh;
	return 0;
nomem:
	setting_fini(&fresh);
	return LARDER_ENOMEM;
}

/* The tables' defaults are ours: a wrong one is a programming error. */
static int default_put(struct conf_setting *s, const struct option_row *row)
{
	char **items = NULL, *why = NULL;
	size_t n = 0;
	int err;

	if (row->type == OPTION_LIST) {
		err = conf_list_split(row->def, &items, &n);
		if (!err)
			err = conf_setting_put(s, CONF_UNSET, NULL, (const char *const *)items, n);
		conf_list_free(items, n);
		return err;
	}
	check(conf_value_check(row, row->def, &why) == 0);
	return conf_setting_put(s, CONF_UNSET, NULL, &row->def, 1);
}

static int slots_fill(struct conf *c)
{
	size_t at = 0;
	int err = 0;

	for (size_t t = 0; t < c->ntables; t++) {
		for (size_t r = 0; r < c->tables[t].nrows && !err; r++) {
			check(conf_slot_find(c, c->tables[t].rows[r].name) == c->nslots);
			c->slots[at] = (struct conf_slot){&c->tables[t].rows[r], t};
			err = default_put(&c->defaults[at], c->slots[at].row);
			at++;
		}
	}
	return err;
}

struct conf *conf_new(const struct conf_table *tables, size_t ntables)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->magic = CONF_MAGIC;
	c->tables = tables;
	c->ntables = ntables;
	for (size_t t = 0; t < ntables; t++)
		c->nslots += tables[t].nrows;
	c->slots = calloc(c->nslots + 1, sizeof(*c->slots));
	c->defaults = calloc(c->nslots + 1, sizeof(*c->defaults));
	c->globals = calloc(c->nslots + 1, sizeof(*c->globals));
	c->options = calloc(ntables + 1, sizeof(*c->options));
	if (!c->slots || !c->defaults || !c->globals || !c->options || slots_fill(c)) {
		conf_free(c);
		return NULL;
	}
	return c;
}

static void options_free(void **options, size_t n)
{
	for (size_t i = 0; options && i < n; i++)
		free(options[i]);
	free(options);
}

static void block_fini(const struct conf *c, struct conf_block *b)
{
	free(b->address);
	free(b->kind);
	free(b->origin);
	free(b->where);
	settings_free(b->settings, c->nslots);
	options_free(b->options, c->ntables);
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	check_magic(c, CONF_MAGIC);
	for (size_t i = 0; i < c->nblocks; i++)
		block_fini(c, &c->blocks[i]);
	free(c->blocks);
	settings_free(c->defaults, c->nslots);
	settings_free(c->globals, c->nslots);
	options_free(c->options, c->ntables);
	free(c->slots);
	c->magic = 0;
	free(c);
}

size_t conf_slot_find(const struct conf *c, const char *name)
{
	size_t i = 0;

	while (i < c->nslots && !(c->slots[i].row && strcmp(c->slots[i].row->name, name) == 0))
		i++;
	return i;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* Levenshtein's distance, in one row. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1], la = strlen(a), lb = strlen(b);

	if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

char *conf_closest(const struct conf *c, const char *name, bool listener)
{
	static const char *const own[] = {"kind", "origin"};
	size_t best = strlen(name) / 3 + 2, d;
	const char *closest = NULL;

	for (size_t i = 0; i < c->nslots; i++) {
		if (listener && c->tables[c->slots[i].table].scope != OPTION_LISTENER)
			continue;
		d = distance(name, c->slots[i].row->name);
		if (d < best) {
			best = d;
			closest = c->slots[i].row->name;
		}
	}
	for (size_t i = 0; listener && i < ARRAY_LEN(own); i++) {
		if (distance(name, own[i]) < best)
			closest = own[i];
	}
	return closest ? conf_text("; did you mean %s?", closest) : view_dup(V(""));
}

int conf_set(struct conf *c, const char *assignment, char **why)
{
	struct view value, name = view_trim(view_cut(view_of(assignment), '=', &value));
	char key[NAME_MAX_LEN + 1], *closest, *text = NULL, **items = NULL;
	size_t slot, n = 0;
	int err;

	check_magic(c, CONF_MAGIC);
	*why = NULL;
	if (!value.ptr || !name.len || !view_copy(name, key, sizeof(key))) {
		*why = conf_text("-o %s: must be NAME=VALUE", assignment);
		return LARDER_EINVAL;
	}
	slot = conf_slot_find(c, key);
	if (slot == c->nslots) {
		closest = conf_closest(c, key, false);
		*why = conf_text("-o %s: no such option%s", key, closest ? closest : "");
		free(closest);
		return LARDER_ENOENT;
	}
	text = view_dup(view_trim(value));
	if (!text)
		return LARDER_ENOMEM;
	if (c->slots[slot].row->type == OPTION_LIST) {
		err = conf_list_split(text, &items, &n);
		if (err == LARDER_ELIMIT)
			*why = conf_text("-o %s: more than %d items", key, CONF_LIST_MAX);
	} else {
		err = conf_value_check(c->slots[slot].row, text, why);
	}
	if (err && *why) {
		char *inner = *why;

		*why = conf_text("-o %s", inner);
		free(inner);
	}
	if (!err && c->slots[slot].row->type == OPTION_LIST)
		err = conf_setting_put(&c->globals[slot], CONF_FROM_ARGUMENT, "-o",
		                       (const char *const *)items, n);
	else if (!err)
		err = conf_setting_put(&c->globals[slot], CONF_FROM_ARGUMENT, "-o",
		                       (const char *const *)&text, 1);
	conf_list_free(items, n);
	free(text);
	return err;
}

struct conf_block *conf_block_find(const struct conf *c, const char *address)
{
	for (size_t i = 0; i < c->nblocks; i++) {
		if (strcmp(c->blocks[i].address, address) == 0)
			return &c->blocks[i];
	}
	return NULL;
}

struct conf_block *conf_block_new(struct conf *c, const char *address, const char *where)
{
	struct conf_block *more, *b;

	if (c->nblocks == CONF_LISTENERS_MAX)
		return NULL;
	more = realloc(c->blocks, (c->nblocks + 1) * sizeof(*more));
	if (!more)
		return NULL;
	c->blocks = more;
	b = &more[c->nblocks];
	*b = (struct conf_block){
	        .address = view_dup(view_of(address)),
	        .kind = view_dup(V("")),
	        .origin = view_dup(V("")),
	        .where = view_dup(view_of(where)),
	        .settings = calloc(c->nslots + 1, sizeof(*b->settings)),
	        .options = calloc(c->ntables + 1, sizeof(*b->options)),
	};
	if (!b->address || !b->kind || !b->origin || !b->where || !b->settings || !b->options) {
		block_fini(c, b);
		return NULL;
	}
	c->nblocks++;
	return b;
}

static int listener_put(struct conf *c, struct view kind, struct view address, struct view origin,
                        const char *text, char **why)
{
	char *where = conf_text("-l %s", text), *name = view_dup(address);
	struct conf_block *old = name ? conf_block_find(c, name) : NULL, *b;
	int err = LARDER_EINVAL;

	if (old) {
		*why = conf_text("-l %s: there is a listener on this address already (%s)", text,
		                 old->where);
		goto out;
	}
	b = name && where ? conf_block_new(c, name, where) : NULL;
	if (!b) {
		*why = conf_text("-l %s: too many listeners (at most %d)", text,
		                 CONF_LISTENERS_MAX);
		err = LARDER_ELIMIT;
		goto out;
	}
	free(b->kind);
	free(b->origin);
	b->kind = view_dup(kind);
	b->origin = view_dup(origin);
	err = b->kind && b->origin ? 0 : LARDER_ENOMEM;
out:
	free(where);
	free(name);
	return err;
}

int conf_add_listener(struct conf *c, const char *text, char **why)
{
	struct view rest, origin, kind = view_cut(view_of(text), '=', &rest), address;

	check_magic(c, CONF_MAGIC);
	*why = NULL;
	address = view_cut(rest, ',', &origin);
	if (!kind.len || !address.len || (origin.ptr && !origin.len)) {
		*why = conf_text("-l %s: must be KIND=ADDR:PORT or KIND=ADDR:PORT,ORIGIN-URL",
		                 text);
		return LARDER_EINVAL;
	}
	return listener_put(c, kind, address, origin, text, why);
}

static const struct conf_setting *effective(const struct conf *c, const struct conf_block *b,
                                            size_t i)
{
	if (b && b->settings[i].from != CONF_UNSET)
		return &b->settings[i];
	return c->globals[i].from != CONF_UNSET ? &c->globals[i] : &c->defaults[i];
}

static int fill(const struct conf *c, const struct conf_block *b, void **options)
{
	enum option_scope scope = b ? OPTION_LISTENER : OPTION_GLOBAL;

	for (size_t t = 0; t < c->ntables; t++) {
		if (c->tables[t].scope != scope)
			continue;
		free(options[t]);
		options[t] = calloc(1, c->tables[t].size);
		if (!options[t])
			return LARDER_ENOMEM;
	}
	for (size_t i = 0; i < c->nslots; i++) {
		if (options[c->slots[i].table])
			conf_value_fill(c->slots[i].row, effective(c, b, i),
			                options[c->slots[i].table]);
	}
	return 0;
}

int conf_finish(struct conf *c, char **why)
{
	int err;

	check_magic(c, CONF_MAGIC);
	*why = NULL;
	for (size_t i = 0; i < c->nblocks; i++) {
		if (!c->blocks[i].kind[0]) {
			*why = conf_text("%s: listen \"%s\" has no kind; write kind = forward or "
			                 "kind = reverse",
			                 c->blocks[i].where, c->blocks[i].address);
			return LARDER_EINVAL;
		}
	}
	err = fill(c, NULL, c->options);
	for (size_t i = 0; i < c->nblocks && !err; i++)
		err = fill(c, &c->blocks[i], c->blocks[i].options);
	return err;
}

static size_t table_find(const struct conf *c, const char *room, enum option_scope scope)
{
	size_t t = 0;

	while (t < c->ntables &&
	       (c->tables[t].scope != scope || strcmp(c->tables[t].room, room) != 0))
		t++;
	return t;
}

const void *conf_global(const struct conf *c, const char *room)
{
	size_t t;

	check_magic(c, CONF_MAGIC);
	t = table_find(c, room, OPTION_GLOBAL);
	return t < c->ntables ? c->options[t] : NULL;
}

size_t conf_listeners(const struct conf *c)
{
	check_magic(c, CONF_MAGIC);
	return c->nblocks;
}

void conf_listener(const struct conf *c, size_t i, struct conf_listener *out)
{
	check_magic(c, CONF_MAGIC);
	check(i < c->nblocks);
	*out = (struct conf_listener){.address = c->blocks[i].address,
	                              .kind = c->blocks[i].kind,
	                              .origin = c->blocks[i].origin,
	                              .where = c->blocks[i].where};
}

const void *conf_listener_options(const struct conf *c, size_t i, const char *room)
{
	size_t t;

	check_magic(c, CONF_MAGIC);
	check(i < c->nblocks);
	t = table_find(c, room, OPTION_LISTENER);
	return t < c->ntables ? c->blocks[i].options[t] : NULL;
}

const char *conf_where(const struct conf *c, const char *option)
{
	size_t i = conf_slot_find(c, option);

	check_magic(c, CONF_MAGIC);
	return i < c->nslots ? c->globals[i].where : NULL;
}
