#include "conf-private.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

/* One reading of one file. libconfuse hands nothing of ours to its callbacks, so they find it here.
 */
struct reading {
	struct conf *c;
	const char *path;
	int lines;               /* of the file: errors at its end are counted beyond it */
	cfg_opt_t *root, *block; /* libconfuse's tables, made from ours */
	char **why;
	int err;
};
static _Thread_local struct reading *reading;

/* The first error is the one that matters; libconfuse adds others on its way out. */
static void fail(struct reading *r, int line, int err, char *text)
{
	if (!r->err) {
		r->err = err;
		if (r->lines && line > r->lines)
			line = r->lines;
		*r->why = line ? conf_text("%s:%d: %s", r->path, line,
		                           text ? text : larder_strerror(err))
		               : conf_text("%s: %s", r->path, text ? text : larder_strerror(err));
	}
	free(text);
}

/* libconfuse's own "no such option 'NAME'" gets the closest name. */
static char *unknown_option(const struct reading *r, cfg_t *cfg, const char *text)
{
	struct view name = view_of(text), tail;
	bool listener = strcmp(cfg_name(cfg), "listen") == 0;
	char *key, *closest, *out;

	view_cut(name, '\'', &name);
	name = view_cut(name, '\'', &tail);
	key = view_dup(name);
	if (!key)
		return NULL;
	if (strcmp(key, "include") == 0) {
		out = conf_text(
		        "include is not understood: one file holds the whole configuration");
	} else if (listener && conf_slot_find(r->c, key) < r->c->nslots) {
		out = conf_text(
		        "%s stands outside of listen blocks: it is one for the whole daemon", key);
	} else {
		closest = conf_closest(r->c, key, listener);
		out = conf_text("no such option: %s%s", key, closest ? closest : "");
		free(closest);
	}
	free(key);
	return out;
}

/* libconfuse's other messages say what was wrong; this says what would be right. */
static char *advise(const char *text)
{
	static const struct {
		struct view begins;
		const char *advice;
	} rows[] = {
	        {V("unexpected token"), "write NAME = VALUE, or NAME = { VALUE, VALUE } for a "
	                                "list; a value with blanks or any of = , { } "
	                                "( ) # goes in quotes"},
	        {V("missing equal sign"), "write NAME = VALUE"},
	        {V("missing title"), "write listen \"ADDRESS:PORT\" { ... }"},
	        {V("found duplicate title"), "there is a listen block for this address already"},
	        {V("premature end of file"), "the last option has no value"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (view_starts(view_of(text), rows[i].begins))
			return conf_text("%s; %s", text, rows[i].advice);
	}
	return conf_text("%s", text);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct reading *r = reading;
	char *text, *better = NULL;
	struct buf b;

	buf_init(&b, CONF_WHY_MAX);
	buf_vprintf(&b, fmt, ap);
	text = buf_cstr(&b);
	if (text && view_starts(view_of(text), V("no such option")))
		better = unknown_option(r, cfg, text);
	else if (text)
		better = advise(text);
	buf_fini(&b);
	fail(r, cfg ? cfg->line : 0, LARDER_EINVAL, better);
}

static char *place(const struct reading *r, const cfg_t *cfg)
{
	return conf_text("%s:%d", r->path, cfg->line);
}

static struct conf_block *block_of(struct reading *r, cfg_t *cfg)
{
	struct conf_block *b = conf_block_find(r->c, cfg_title(cfg));
	char *where;

	if (b)
		return b;
	where = place(r, cfg);
	b = where ? conf_block_new(r->c, cfg_title(cfg), where) : NULL;
	free(where);
	if (!b)
		fail(r, cfg->line, LARDER_ELIMIT,
		     conf_text("too many listeners (at most %d)", CONF_LISTENERS_MAX));
	return b;
}

static int put_own(struct reading *r, cfg_t *cfg, cfg_opt_t *opt)
{
	struct conf_block *b = block_of(r, cfg);
	char **member, *copy;

	if (!b)
		return -1;
	member = strcmp(opt->name, "kind") == 0 ? &b->kind : &b->origin;
	copy = view_dup(view_of(cfg_opt_getnstr(opt, 0)));
	if (!copy) {
		fail(r, cfg->line, LARDER_ENOMEM, NULL);
		return -1;
	}
	free(*member);
	*member = copy;
	return 0;
}

/* Copies what libconfuse holds for the option now. */
static int put_values(struct reading *r, cfg_t *cfg, cfg_opt_t *opt, struct conf_setting *s)
{
	const char *items[CONF_LIST_MAX];
	size_t n = cfg_opt_size(opt);
	char *where;
	int err;

	if (n > CONF_LIST_MAX) {
		fail(r, cfg->line, LARDER_ELIMIT,
		     conf_text("%s: more than %d items", opt->name, CONF_LIST_MAX));
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		items[i] = cfg_opt_getnstr(opt, (unsigned)i);
	where = place(r, cfg);
	err = where ? conf_setting_put(s, CONF_FROM_FILE, where, items, n) : LARDER_ENOMEM;
	free(where);
	if (err)
		fail(r, cfg->line, err, NULL);
	return err ? -1 : 0;
}

/* After each value, and after the end of a list. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reading *r = reading;
	bool listener = strcmp(cfg_name(cfg), "listen") == 0;
	size_t slot = conf_slot_find(r->c, opt->name), n = cfg_opt_size(opt);
	struct conf_block *b = NULL;
	char *why = NULL;

	if (slot == r->c->nslots)
		return put_own(r, cfg, opt);
	if (listener) {
		b = block_of(r, cfg);
		if (!b)
			return -1;
	}
	if (n &&
	    conf_value_check(r->c->slots[slot].row, cfg_opt_getnstr(opt, (unsigned)n - 1), &why)) {
		fail(r, cfg->line, LARDER_EINVAL, why);
		return -1;
	}
	if (!b && r->c->globals[slot].from == CONF_FROM_ARGUMENT)
		return 0;
	return put_values(r, cfg, opt, b ? &b->settings[slot] : &r->c->globals[slot]);
}

/* At the end of a listen block, which may have been empty. */
static int on_block(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *block = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	return block_of(reading, block) ? 0 : -1;
}

/* "NAME = {}" calls nobody back: libconfuse leaves the option reset and empty. */
static int take_empty(struct reading *r, cfg_t *cfg, bool listener)
{
	for (size_t i = 0; i < r->c->nslots; i++) {
		const struct conf_slot *slot = &r->c->slots[i];
		cfg_opt_t *opt;

		if (slot->row->type != OPTION_LIST ||
		    (listener && r->c->tables[slot->table].scope != OPTION_LISTENER))
			continue;
		opt = cfg_getopt(cfg, slot->row->name);
		if (opt && (opt->flags & CFGF_MODIFIED) && cfg_opt_size(opt) == 0 &&
		    on_value(cfg, opt))
			return -1;
	}
	return 0;
}

static void take_all_empty(struct reading *r, cfg_t *cfg)
{
	unsigned n = cfg_size(cfg, "listen");

	if (take_empty(r, cfg, false))
		return;
	for (unsigned i = 0; i < n; i++) {
		if (take_empty(r, cfg_getnsec(cfg, "listen", i), true))
			return;
	}
}

static void row_option(cfg_opt_t *o, const char *name, bool list)
{
	*o = list ? (cfg_opt_t)CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)
	          : (cfg_opt_t)CFG_STR(name, NULL, CFGF_NODEFAULT);
	o->validcb = on_value;
}

/* Our tables as libconfuse's: all values are strings to it. */
static int make_options(struct reading *r)
{
	size_t nroot = 0, nblock = 0;

	r->root = calloc(r->c->nslots + 3, sizeof(*r->root));
	r->block = calloc(r->c->nslots + 3, sizeof(*r->block));
	if (!r->root || !r->block)
		return LARDER_ENOMEM;
	row_option(&r->block[nblock++], "kind", false);
	row_option(&r->block[nblock++], "origin", false);
	for (size_t i = 0; i < r->c->nslots; i++) {
		const struct conf_slot *slot = &r->c->slots[i];
		bool list = slot->row->type == OPTION_LIST;

		row_option(&r->root[nroot++], slot->row->name, list);
		if (r->c->tables[slot->table].scope == OPTION_LISTENER)
			row_option(&r->block[nblock++], slot->row->name, list);
	}
	r->block[nblock] = (cfg_opt_t)CFG_END();
	r->root[nroot] = (cfg_opt_t)CFG_SEC("listen", r->block,
	                                    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	r->root[nroot++].validcb = on_block;
	r->root[nroot] = (cfg_opt_t)CFG_END();
	return 0;
}

static int parse(struct reading *r, struct buf *text)
{
	char *bytes;
	cfg_t *cfg = NULL;
	FILE *f = NULL;
	int err;

	/* fmemopen refuses a length of 0. */
	buf_addc(text, '\n');
	bytes = text->data;
	err = text->err ? text->err : make_options(r);
	if (err)
		goto out;
	err = LARDER_ENOMEM;
	cfg = cfg_init(r->root, CFGF_NONE);
	f = fmemopen(bytes, text->len, "r");
	if (!cfg || !f)
		goto out;
	cfg_set_error_function(cfg, on_error);
	cfg->filename = view_dup(view_of(r->path)); /* cfg_free frees it */
	reading = r;
	if (cfg_parse_fp(cfg, f) != CFG_SUCCESS)
		fail(r, cfg->line, LARDER_EINVAL, view_dup(V("syntax error")));
	else
		take_all_empty(r, cfg);
	reading = NULL;
	err = r->err;
out:
	if (f)
		fclose(f);
	if (cfg)
		cfg_free(cfg);
	free(r->root);
	free(r->block);
	return err;
}

static int read_all(int fd, struct buf *out)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(out, 4096))
			return out->err;
		n = read(fd, out->data + out->len, out->cap - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return larder_from_errno(errno);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
}

/* The file's bytes; only files and pipes, for opening or reading other things may hang or surprise.
 */
static int load(struct reading *r, struct buf *out)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err = larder_from_errno(errno);
		fail(r, 0, err, conf_text("cannot be opened: %s", strerror(errno)));
	} else if (S_ISDIR(st.st_mode)) {
		err = LARDER_EINVAL;
		fail(r, 0, err, conf_text("is a directory, not a configuration file"));
	} else {
		err = read_all(fd, out);
		if (err == LARDER_ELIMIT)
			fail(r, 0, err,
			     conf_text("is too large: at most %zu KiB", CONF_FILE_MAX >> 10));
		else if (err)
			fail(r, 0, err, conf_text("cannot be read: %s", larder_strerror(err)));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int count_lines(struct view v)
{
	int n = 1;

	for (size_t at; (at = view_find(v, '\n')) < v.len && at + 1 < v.len;
	     v = view_from(v, at + 1))
		n++;
	return n;
}

int conf_read_file(struct conf *c, const char *path, char **why)
{
	struct reading r = {.c = c, .path = path, .why = why};
	struct buf raw, clean;
	char *text = NULL;
	int err, line = 0;

	*why = NULL;
	buf_init(&raw, CONF_FILE_MAX + 4096);
	buf_init(&clean, 4 * CONF_FILE_MAX);
	err = load(&r, &raw);
	if (err)
		goto out;
	r.lines = count_lines(buf_view(&raw));
	err = conf_scan(buf_view(&raw), &clean, &line, &text);
	if (err) {
		fail(&r, line, err, text);
		goto out;
	}
	err = parse(&r, &clean);
out:
	buf_fini(&raw);
	buf_fini(&clean);
	return err;
}
