/* What the operator can ask of the running daemon: the keeper answers. */
#ifndef LARDER_MAIN_COMMANDS_H
#define LARDER_MAIN_COMMANDS_H

#include "admin/admin.h"
#include "child.h"

#define KEEPER_MAGIC 0x4eebe001U

struct keeper {
	uint32_t magic;
	const struct start *start;
	const struct main_plan *plan;
	struct main_block *block;
	struct net_loop *loop;
	struct post post;
	struct store *store; /* NULL: without a store */
	struct admin *admin; /* NULL: without a control socket */
	struct exchange_listener *listeners;
	struct net_timer maintain, drain;
	uint64_t drain_until_ms; /* 0: not draining */
	struct {
		struct admin_call *call;
		struct buf *out;
	} reloads[POOL_RELOADS_MAX]; /* oldest first */
	size_t nreloads;
};

extern const struct admin_command commands_table[];
extern const size_t commands_count;

/* The master's answer to the oldest reload that was asked for. */
void commands_reloaded(struct keeper *k, int err, const char *text);

#endif
