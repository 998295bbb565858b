/* What the operator can ask of the running daemon: the keeper answers. */
#ifndef LARDER_MAIN_COMMANDS_H
#define LARDER_MAIN_COMMANDS_H

#include "admin/admin.h"
#include "base/queue.h"
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
	LIST_HEAD(, keeper_purge) purges; /* of many */
	unsigned npurges;
	uint64_t purge_id;
};

extern const struct admin_command commands_table[];
extern const size_t commands_count;

/* Forgets purges whose callers never came back, once the store is closed. */
void commands_purge_fini(struct keeper *k);
/* The master's answer to the oldest reload that was asked for. */
void commands_reloaded(struct keeper *k, int err, const char *text);

#endif
