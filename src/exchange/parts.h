/*
 * Bodies that are stored in part, in this process: who reads them, what is being fetched for them.
 *
 * Vocabulary: *part* = such a body with its stored head, shared by all its readers; *hole fetch* = a fill that asks
 * the origin for one stretch of it; *opening* = the first one, which finds out what the body is.
 *
 * A reader that comes to a byte that is not there waits for whoever fetches it, in this process or another
 * (claims.h), or has it fetched: from there to the next byte that is stored, as far as it wants to read.
 * RFC 9111 §3.3, §3.4; RFC 9110 §14, §15.3.7.
 */
#ifndef LARDER_EXCHANGE_PARTS_H
#define LARDER_EXCHANGE_PARTS_H

#include "claims.h"
#include "share.h"
#include "store/parts.h"

#define PART_MAGIC 0x50415254u
#define PART_POLL_MS 10 /* between two looks at what another process fetches */

/* What a note BOARD_RANGES says: that a 206 could not be kept, or that Range is not heeded at all. */
enum { RANGES_PASS = 1, RANGES_NONE = 2 };

struct part {
	uint32_t magic;
	unsigned refs;            /* readers, fetches, ops of the store */
	struct exchange_env *env; /* NULL: gone, and only the store's callbacks are to come */
	struct store *store;
	LIST_ENTRY(part) link;
	struct buf key_text, selecting, vary, head, tags;
	struct store_key key;
	struct cache_meta meta;
	struct addr origin;
	uint64_t length, id;      /* the record's; id 0: it is not there yet */
	uint64_t seen;            /* of the store, when the record was looked at */
	struct hash128 body;      /* for claims */
	struct store_file *file;
	struct store_extents have;
	struct exchange_queue readers;
	unsigned nreaders;
	LIST_HEAD(, part_fetch) fetches;
	unsigned nfetches, nops;
	struct net_timer poll;    /* while others fetch what readers wait for */
	bool dead;                /* not for newcomers */
	bool changed;             /* it is of a representation that is no more */
	bool finishing;
	bool no_ranges;           /* a hole was answered with everything: nobody gets a byte sooner by asking for it */
};

/* A hole fetch: from before its request is sent until the record says what came. */
struct part_fetch {
	LIST_ENTRY(part_fetch) link;
	struct part *part;
	struct fill *fill;      /* NULL: the transfer is over */
	struct exchange *by;    /* whose request it was; NULL once that left */
	uint64_t first, at, end; /* asked for or promised; what is before `at` is there */
	uint64_t recorded;      /* up to here the store has been told */
	struct store_run run;
	struct claim_ref claim;
	uint64_t waits_since;   /* for room on the disk; 0: it does not */
	unsigned nops;
	bool answered;          /* a head that fits has come */
	bool fresh;             /* the record's head is to be replaced by the part's, unless it is outdated since: */
	uint64_t purges;
	const uint32_t *revoked;
	uint32_t revoked_was;
};

/* ---- parts_open.c ---- */

/* Makes f->head and f->meta what a 200 would have said (RFC 9111 §3.4), where the answer to f->asks_range can be kept as
 * a part. *range, *total: of Content-Range. */
bool part_becomes(struct fill *f, struct http_head *h, uint64_t length, bool dated, struct http_range *range,
                  uint64_t *total);

/* ---- parts.c ---- */

/* The stored part answers x, which may have to wait for what is missing. `fwd`: why the origin was asked
 * before (NULL: it was not), and its status then. */
struct step part_answer(struct exchange *x, struct store_hit *hit, const char *fwd, unsigned status);
/* The same of a part that is being fetched by now. */
void part_join(struct exchange *x, struct part *p, const char *fwd);
/* Is what is fetched for it of use to x (RFC 9111 §4)? */
bool part_fits(struct part *p, struct exchange *x);
void part_detach(struct exchange *x);
/* What x can read at `offset`, of `want` bytes; 0: it has to wait, or negative: nothing will come. */
int64_t part_read(struct exchange *x, uint64_t offset, uint64_t want);
void part_ref(struct part *p);
void part_unref(struct part *p);
/* A part for what a fill is about to receive: key, Vary and selecting text are the fill's. Takes the fill's head and
 * meta over. NULL: out of memory. */
struct part *part_new(struct fill *f, uint64_t length);
/* Takes the reference over. */
void part_take_file(struct part *p, struct store_file *file);
/* There is more to read, or nothing will come: those who wait go on. */
void part_tell(struct part *p);
/* What the part's record is called. */
void part_describe(struct part *p, struct store_record *r, bool head);
/* Nobody finds it any more; `changed`: nor may anybody read on. */
void part_kill(struct part *p, bool changed);
/* Makes it a body like others once all is there. */
void part_finish(struct part *p);
/* Unsafe requests outdate it, and purges. `soft`: its record stays, to be validated. */
void part_invalidate(struct exchange_env *env, const struct store_key *key, bool soft);
/* The environment ends. */
void part_orphan_all(struct exchange_env *env);
/* The strong validator of a response, for If-Range (RFC 9110 §8.8.1, §13.1.5); empty if it has none. */
struct view part_validator(struct view head, const struct cache_meta *meta);

/* ---- parts_fetch.c ---- */

/* Sees to it that the byte at `offset` comes: 0, 1: it is there, or negative. */
/* A fill whose answer begins a new part: bytes first to end − 1 of it. NULL: out of memory. */
struct part_fetch *part_fetch_adopt(struct part *p, struct fill *f, uint64_t first, uint64_t end);
/* The record of a new part is there, or will not be (then the part is dead). */
void part_fetch_created(struct part *p);
int part_fetch_need(struct part *p, struct exchange *x, uint64_t offset, uint64_t end);
/* Do no readers need it, and is it not worth finishing? Then it ends. */
void part_fetch_judge(struct part *p);
/* The handlers of a fill that fetches for a part. */
int part_fetch_head(struct fill *f, const struct http_head *h, uint64_t length);
int part_fetch_data(struct fill *f, struct view data);
void part_fetch_done(struct fill *f, const struct origin_result *result);
/* Ends the transfer; what came is kept. */
void part_fetch_stop(struct fill *f);

/* ---- parts_open.c: how parts come about ---- */

/* What is known of the origin's ranges for the key: RANGES_…, or 0. */
int part_ranges_noted(struct exchange *x);
/* May x ask for its range alone, to be kept? Sets x->open_range. */
bool part_may_open(struct exchange *x);
/* The head of an answer to such a request. 1: it has become a part; 0: it is none, and goes on as any other;
 * negative: nobody wants it, all have begun anew. `dated`: the Date is the origin's. */
int part_open(struct fill *f, struct http_head *h, uint64_t length, bool dated);
/* What came of a body before it broke off becomes a part. */
void part_keep(struct fill *f);
/* Is the byte that x begins with so far away that it does not wait for the fill to get there? */
bool part_is_far(const struct fill *f, struct exchange *x);

#endif
