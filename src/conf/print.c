#include "conf-private.h"

#define COMMENT_WIDTH 90

/* A comment, wrapped between words. */
static void print_comment(struct view text, struct buf *out)
{
	size_t column = 0;
	struct view word;

	while (text.len) {
		word = view_cut(text, ' ', &text);
		if (!word.len)
			continue;
		if (!column || column + 1 + word.len > COMMENT_WIDTH) {
			buf_addv(out, column ? V("\n# ") : V("# "));
			column = 2;
		} else {
			buf_addc(out, ' ');
			column++;
		}
		buf_addv(out, word);
		column += word.len;
	}
	buf_addc(out, '\n');
}

static void print_facts(const struct conf_slot *slot, const struct conf_setting *def, bool listener,
                        struct buf *out)
{
	const struct option_row *row = slot->row;

	BUF_ADD_LIT(out, "# Default: ");
	conf_value_print(row, def, out);
	if (row->type == OPTION_ENUM)
		buf_printf(out, "; one of %s", row->min);
	else if (row->min && row->max)
		buf_printf(out, "; from %s to %s", row->min, row->max);
	else if (row->min && row->min[0] != '0')
		buf_printf(out, "; at least %s", row->min);
	buf_addv(out, listener ? V(". Also in listen blocks.\n") : V(".\n"));
}

static void print_block(const struct conf *c, const struct conf_block *b, struct buf *out)
{
	BUF_ADD_LIT(out, "\nlisten ");
	conf_string_print(b->address, out);
	BUF_ADD_LIT(out, " {\n\tkind = ");
	conf_string_print(b->kind, out);
	buf_addc(out, '\n');
	if (b->origin[0]) {
		BUF_ADD_LIT(out, "\torigin = ");
		conf_string_print(b->origin, out);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < c->nslots; i++) {
		if (b->settings[i].from == CONF_UNSET)
			continue;
		buf_printf(out, "\t%s = ", c->slots[i].row->name);
		conf_value_print(c->slots[i].row, &b->settings[i], out);
		buf_addc(out, '\n');
	}
	BUF_ADD_LIT(out, "}\n");
}

int conf_print(const struct conf *c, struct buf *out)
{
	size_t table = SIZE_MAX;

	for (size_t i = 0; i < c->nslots; i++) {
		const struct conf_slot *slot = &c->slots[i];
		bool listener = c->tables[slot->table].scope == OPTION_LISTENER;

		if (slot->table != table)
			buf_printf(out, "%s## %s\n", i ? "\n" : "", c->tables[slot->table].room);
		table = slot->table;
		buf_addc(out, '\n');
		print_comment(view_of(slot->row->text), out);
		print_facts(slot, &c->defaults[i], listener, out);
		buf_printf(out, "%s = ", slot->row->name);
		conf_value_print(
		        slot->row,
		        c->globals[i].from != CONF_UNSET ? &c->globals[i] : &c->defaults[i], out);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < c->nblocks; i++)
		print_block(c, &c->blocks[i], out);
	return out->err;
}
