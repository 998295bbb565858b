/*
 * What the files of room exchange share.
 *
 * An exchange runs steps (struct step) until it waits for something: the fill it reads from, the client
 * that has to take more, a connection for a tunnel. A fill is driven by the origin's callbacks and tells
 * its readers. Each side may end inside a call into the other: exchanges are freed by exchange_leave,
 * fills by fill_unref.
 */
#ifndef LARDER_EXCHANGE_PRIVATE_H
#define LARDER_EXCHANGE_PRIVATE_H

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "board.h"
#include "exchange/explain.h"
#include "log/log.h"
#include "store/variants.h"

#define EXCHANGE_MAGIC 0x45584348u
#define FILL_MAGIC     0x46494c4cu
#define ENV_MAGIC      0x45454e56u

#define RANGES_MAX   32   /* ranges answered in one response */
#define FIELDS_MAX   4096 /* fields of a head that is parsed again */
#define FIELDS_HALF  (FIELDS_MAX / 2) /* the scratch fields serve two heads at once */
#define HEAD_BYTES   (512 * 1024) /* of any head made here */
#define KEY_BYTES    (256 * 1024)
#define BODY_HELD    (64 * 1024)  /* request body that waits for the origin */
#define ARENA_BLOCK  2048
#define ARENA_BYTES  (2 * 1024 * 1024)

struct decoder;
struct exchange;
struct explainer;
struct fill;
struct purging;
struct part;
struct part_fetch;
struct follow;
struct links;

/* A step of an exchange's life; it returns the next one, or STEP_WAIT. */
struct step {
	struct step (*run)(struct exchange *x);
};
#define STEP(fn)  ((struct step){fn})
#define STEP_WAIT ((struct step){NULL})

TAILQ_HEAD(exchange_queue, exchange);
LIST_HEAD(fill_bucket, fill);

#define FILL_BUCKETS 1024

LIST_HEAD(part_bucket, part);

enum { FINISH_AUTO, FINISH_ALWAYS, FINISH_NEVER }; /* option finish */

/* By which an answer came (RFC 9110 §7.6.3). */
enum { EXCHANGE_HTTP11, EXCHANGE_HTTP10, EXCHANGE_HTTP2, EXCHANGE_PROTOCOLS };

struct exchange_env {
	uint32_t magic;
	struct net_loop *loop;
	const struct exchange_options *options;
	struct store *store;
	struct origin *origin;
	struct exchange_stats *stats;
	struct explainer *explain;        /* nothing is done, but told: explain.h */
	char *pseudonym;
	struct buf via[EXCHANGE_PROTOCOLS], cache_status; /* lines of answers; the latter's beginning */
	struct exchange_queue spare;      /* exchanges to be used again */
	unsigned nspare;
	struct fill_bucket fills[FILL_BUCKETS]; /* those that may be joined, by key */
	LIST_HEAD(, fill) all_fills;
	struct part_bucket parts[FILL_BUCKETS]; /* bodies stored in part that are in use, by key */
	LIST_HEAD(, tunnel) tunnels;
	LIST_HEAD(, recode) recodes;
	uint64_t recode_bytes;            /* what these have taken */
	struct board *board, *own_board;
	struct links *links;                    /* NULL: the only process */
	struct fill_bucket shared[FILL_BUCKETS]; /* those on the board or followed, by the flight's id */
	unsigned nfills, ntunnels;
	unsigned ntransfers;              /* fills whose origin has not ended */
	uint64_t follows;                 /* so many were begun */
	size_t piped;                     /* memory of all windows */
	struct http_field *fields;        /* scratch for heads parsed again */
	struct buf scratch;
	struct buf select;                /* selecting text that is compared */
};

/* Option via, in the order of its words. */
enum { EXCHANGE_VIA_OFF, EXCHANGE_VIA_RESPONSE, EXCHANGE_VIA_BOTH, EXCHANGE_VIA_REMOVE };

enum outcome { OUT_NONE, OUT_HIT, OUT_STALE, OUT_REVALIDATED, OUT_MISS, OUT_PASS, OUT_TUNNEL,
	       OUT_DENIED, OUT_PURGE, OUT_ERROR };

/* A stretch of an answer's body: literal text, or bytes of the representation. */
struct segment {
	struct view text;
	uint64_t offset, length;
};

struct exchange {
	uint32_t magic;
	struct exchange_env *env;
	const struct exchange_listener *listener;
	struct exchange_request req;
	const struct exchange_client_ops *ops;
	void *client;
	struct exchange **slot, *own_slot;
	TAILQ_ENTRY(exchange) link;  /* a fill's readers, or the spare ones */

	/* What was asked. */
	struct cache_control cc;
	bool conditional, ranged, upgrade;
	enum http_method method;
	struct store_key key;
	struct view selecting_view;  /* all of it: a text for each list of names that the stored ones vary by */
	struct view vary_guess;      /* those lists, as far as known, in the arena; empty: not known */

	/* Where it stands. */
	unsigned depth;              /* calls of ours on the stack */
	bool started;
	bool ended;                  /* exchange_sent came: free on leaving */
	bool replied;
	bool finished;               /* end, abort or a complete reply was given */
	unsigned restarts;           /* lookups begun again */
	bool joins;                  /* HEAD: has the head of a GET that is on its way, but starts none */
	bool alone;                  /* waits for nobody: its key could not be shared */
	enum cache_reason veto;      /* why the answer is not to be stored, if that is known before */
	bool unconditional;          /* validating what is stored was of no use */
	struct fill *fill;
	uint64_t seen;               /* of the store, by the lookup */
	bool collapsed;              /* joined a fill that ran already */
	bool impatient;              /* and left it, since its head did not come */
	uint64_t joined_ms;
	struct view cookies;         /* lines that its answer alone has */

	/* A body that is stored in part (parts.h). */
	struct part *part;           /* that is read; then `link` is among its readers */
	struct view open_range;      /* to be asked for alone, with what comes to be kept */
	bool no_part;                /* it is of no use */
	bool incomplete;             /* something had to be fetched */
	bool part_waits;             /* for more of the body */
	bool part_fetched;           /* by a request of its own */
	unsigned part_tries, part_status;
	const char *part_fwd, *part_proxy_error;
	uint64_t part_needs;         /* the byte that it waits for */
	int part_err;                /* that did not come */

	/* What was found, for validation and for what went wrong with it. */
	enum cache_reason why;

	/* The answer's body. */
	struct segment *segments, one_segment;
	unsigned nsegments, segment;
	uint64_t segment_done;
	struct store_file *file;
	bool other_coding;           /* it was found under another Accept-Encoding */
	struct decoder *decoder;     /* undoes the content coding on the way, or NULL */
	struct store_warm *warm;     /* what is being read for it */
	unsigned warmed;             /* lookups that were read beforehand */
	uint64_t ready_to;           /* the file's bytes up to here need not be looked for */
	bool as_memory;              /* the file is sent out of a mapping, where it can be */

	/* The request's body. */
	bool body_ended, body_held;
	bool body_lost;              /* some of it was dropped: what the origin got is not all */

	struct tunnel *tunnel;
	struct purging *purging;     /* a PURGE that waits for the store */
	struct net_timer pacing;

	/* For the log. */
	enum outcome outcome;
	unsigned status, origin_status;
	const char *reason, *stored, *error;
	const char *fwd;             /* an error of ours: why the origin was to be asked, for Cache-Status */
	struct addr origin;
	struct view content_type;

	/* Memory that is kept for the next request. */
	struct arena arena;
	struct buf key_text;         /* "GET uri"; empty where nothing can be stored */
	struct buf selecting;
	struct buf lines;            /* generated head lines */
	struct buf page;
	struct buf body;             /* of the request, until the origin takes it */
};

/* ---- sharing.c ---- */
/* Is it known that x could not share the answer? */
bool unshareable_known(struct exchange *x);
/* The same by what its siblings were, as option unshareable_siblings has it. */
bool unshareable_likely(struct exchange *x);
/* Notes what an answer was. */
void unshareable_note(struct fill *f);
void shareable_note(struct fill *f);
/* x begins to wait for the head that another asked for. */
void patience_begin(struct fill *f, struct exchange *x);
/* For f->patience. */
void patience_timer(struct net_timer *t);

/* ---- env.c ---- */
/* What a reverse listener puts before the request's path, without the slash at its end. */
struct view origin_prefix(const struct exchange_listener *listener);

/* ---- pace.c ---- */
/* May x be sent more now? Bounds *room. false: it goes on by itself. */
bool pace_client(struct exchange *x, uint64_t *room);
void pace_client_sent(struct exchange *x, uint64_t bytes);
/* May the fetch take more now? false: it is resumed later. */
bool pace_fetch(struct fill *f);
void pace_fetched(struct fill *f, uint64_t bytes);
/* For x->pacing and f->pacing. */
void pace_client_timer(struct net_timer *t);
void pace_fetch_timer(struct net_timer *t);

/* ---- pipe.c: the windows of fills ---- */
/* Appends; 0 or the buffer's error. */
int pipe_add(struct fill *f, struct view data);
/* Its first n bytes are not needed any more. */
void pipe_drop(struct fill *f, size_t n);
/* Must a piece of `more` bytes wait? */
bool pipe_full(struct fill *f, size_t more);
/* May what waits come again? */
bool pipe_goes_on(const struct fill *f);
/* The window is of no use any more. */
void pipe_end(struct fill *f);

/* ---- down.c ---- */
/* May the origin be asked? false: it could not be reached lately, for *err. */
bool down_is_over(struct exchange *x, int *err);
/* Was it out of reach lately, and has not been reached since? */
bool down_doubted(struct exchange *x);
struct hash128 down_whom(const struct exchange *x);
/* RFC 5861 §4: is it an error that something stale may stand in for? */
bool down_is_failure(unsigned status);
/* May that stand in for the origin, which sent an error (`answered`) or nothing (RFC 9111 §4.2.4,
 * RFC 5861 §4)? */
bool down_stale_allowed(struct exchange *x, const struct cache_meta *meta, bool answered);
/* The same of one that can't be reached, with what decides. */
bool down_stale_explain(struct exchange *x, const struct cache_meta *meta, enum cache_clause *rule,
                        int64_t *allowed);
/* How a transfer ended, or that its origin answered. */
void down_note(struct fill *f, const struct origin_result *result);
void down_forget(struct fill *f);

/* ---- exchange.c: the frame around the steps ---- */
void exchange_enter(struct exchange *x);
/* Its first step, unless its connection has to wait. */
void exchange_begin(struct exchange *x);
/* Frees the exchange if it has ended meanwhile; it must not be used afterwards. */
void exchange_leave(struct exchange *x);
/* Runs steps until one waits. Call it between enter and leave. */
void exchange_run(struct exchange *x, struct step first);
/* Copies head and target, which were the client's, and lets go of its slot: a tunnel outlives the session. */
void exchange_keep(struct exchange *x);
/* Begins the lookup anew (a fill that was waited for is of no use). */
void exchange_restart(struct exchange *x);

/* ---- route.c ---- */
struct step step_route(struct exchange *x);
/* May this client have what came from `origin`? false: the 403 has been sent. */
bool route_destination_allowed(struct exchange *x, const struct addr *origin);

/* ---- lookup.c ---- */
struct step step_lookup(struct exchange *x);
/* Does the hit hold something that has to be released? (not of STORE_VARIES) */
static inline bool lookup_found(int found)
{
	return found == STORE_FOUND || found == STORE_PART;
}
/* Nothing that is stored is of use. */
struct step step_miss(struct exchange *x);
/* Is what is fetched for x then to be stored, if the answer allows it? x->veto: why not. */
bool lookup_stores(struct exchange *x);
/* Is there a store for such requests? */
bool lookup_has_store(const struct exchange *x);
/* After a validation: finds the stored response again, under another selecting text than the request's own where one
 * is given; STORE_FOUND or STORE_PART as store_find, if it is still record `id`. */
int lookup_again(struct exchange *x, const struct view *selecting, uint64_t id, struct store_hit *hit);
/* What is stored for it now, without waiting to have it read beforehand: as store_find. */
int lookup_now(struct exchange *x, struct store_hit *hit);
/* The selecting texts of a request under each of the lists of names that STORE_VARIES gives, one behind the other; where
 * each ends. Returns their number; 0: there is no memory. */
unsigned lookup_select(struct view lists, const struct http_head *req, struct buf *out, size_t *ends);
/* The text of the store's key, and the key. false: there is none, so that nothing can be stored. */
bool lookup_key(struct exchange *x);

/* ---- deliver.c: answers from what is stored, and bodies ---- */
struct stored_answer {
	struct view head;                /* as stored (or freshened) */
	const struct cache_meta *meta;
	struct view etag;
	uint64_t length;                 /* HTTP_LENGTH_UNKNOWN while a fill does not know it */
	struct view body;                /* inline body, or */
	struct store_file *file;         /* a reference that passes to deliver_stored, or neither: the fill's */
	bool one_range;                  /* the source cannot go back: several ranges get the whole */
	bool decoded;                    /* head and ETag are those of the content without its coding */
};
/* Sends an answer made from a stored response or a fill's, minding method, preconditions and ranges. */
void deliver_stored(struct exchange *x, struct stored_answer *a);
/* The same without looking at the request's conditions and ranges. */
void deliver_whole(struct exchange *x, const struct stored_answer *a);
/* Goes on with the body as far as client and source allow. */
void deliver_feed(struct exchange *x);

enum fed { FED_SOME, FED_WAIT, FED_END, FED_BROKEN };
/* A readable stretch of the stored body at `offset`, at most `want` bytes of it: FED_SOME; FED_WAIT: the exchange goes on
 * by itself; FED_END: the source has no more; FED_BROKEN. */
enum fed deliver_source(struct exchange *x, uint64_t offset, uint64_t want, struct store_piece *piece);

/* ---- decode.c: content codings undone for clients that do not take them ---- */
/* Will its content be decoded for the client? Then it is read from its beginning. */
bool decode_applies(struct exchange *x, const struct stored_answer *a);
/* Chooses the coding for the client: adds what x->lines have to say of it, and where the content is to be decoded, makes
 * head and ETag of *a those of such an answer. */
void decode_prepare(struct exchange *x, struct stored_answer *a);
/* Adds the field that a 304 does not have. */
void decode_line(struct exchange *x, const struct stored_answer *a);
/* For such an answer: body and length, or x->decoder for decode_feed. 0 or LARDER_ENOMEM. */
int decode_begin(struct exchange *x, struct stored_answer *a);
/* Some of the decoded body. *sent: bytes the client took. */
enum fed decode_feed(struct exchange *x, uint64_t most, uint64_t *sent);
/* How far into the stored body it has come. */
uint64_t decode_needs(const struct decoder *d);
void decode_end(struct exchange *x);

/* ---- lines.c: heads ---- */
struct cache_status {
	bool hit, stored, collapsed, has_ttl;
	const char *fwd;      /* RFC 9211 reason; NULL for hits */
	unsigned fwd_status;  /* 0: none */
	int64_t ttl;
	const char *detail;
	const struct cache_meta *meta; /* of what is sent; NULL: larder made it */
};
/* Appends "Age" (age ≥ 0), Via and Cache-Status lines to x->lines, as the listener wants them. */
void lines_generate(struct exchange *x, int64_t age, const struct cache_status *cs);
/* A head as passed on: status line and all fields that are not marked as hops, byte-true. */
int lines_pass_head(const struct http_head *head, struct buf *out);
/* A stored head's text as that of a 206, without Content-Length, and Content-Type for one that is `multipart`. `lean`: to
 * a request with If-Range. */
int lines_partial(struct view head, bool lean, bool multipart, struct buf *out);
/* The value of the first field of that name in a head's text. */
struct view lines_field(struct view head, struct view name);
/* The field line in the bytes it was parsed from: "Name: value". */
struct view lines_raw(const struct http_field *f);

/* ---- request.c: what the origin is asked ---- */
struct request_plan {
	bool drop_conditions;       /* If-*: the answer is for the store */
	bool drop_range;
	bool background;            /* nobody waits: only-if-cached has been answered */
	struct view validators;     /* lines to add, CRLF each */
};
/* Makes the request for the origin in the arena. Views of *out live as long as arena and the exchange's head.
 * 0, LARDER_EINVAL for a path that leads out of the listener's, or another error. */
int request_build(struct exchange *x, const struct request_plan *plan, struct arena *arena,
                  struct origin_request *out);

/* ---- fill.c and its siblings ---- */

/* FILL_HELD: the head is there, and waits for invalidations to be in the store. */
enum fill_state { FILL_HEAD, FILL_HELD, FILL_BODY, FILL_COMPLETE, FILL_FAILED };

struct fill {
	uint32_t magic;
	struct exchange_env *env;    /* NULL: gone, and only the store's callbacks are to come */
	const struct exchange_listener *listener;
	LIST_ENTRY(fill) bucket_link, all_link;
	bool in_table;               /* where invalidations look for what is to be stored */
	bool joinable;               /* others may find and join it there */
	unsigned refs;               /* the transfer, each reader, each callback of the store to come */
	enum fill_state state;
	struct exchange_queue readers;
	unsigned nreaders;
	struct exchange *first;      /* whose request was sent; NULL once it left */
	struct origin_transfer *transfer;
	struct arena arena;
	struct hash128 whom;         /* it goes to */
	struct addr client;          /* whose request it is: judged for destinations */
	struct access_refusal refusal;

	struct buf key_text;
	struct store_key key;        /* text in key_text */
	struct http_head req;        /* a copy, in the arena */
	struct buf selecting, vary;
	struct view guess;           /* before its head is there: what it will vary by, in the arena */
	uint64_t guess_hash;         /* fill_selects of it */
	bool want_store;             /* to be stored if the answer allows it; conditions were left out */
	bool background;             /* goes on without readers */
	bool body_open;              /* the request's body has not ended yet */
	bool invalidated;            /* something unsafe happened to its key, or a purge means it: not to be stored */
	uint64_t purges;             /* store_purges() when it began */

	/* Shared with other processes. */
	struct board_flight flight;  /* that it is, or that it follows; id 0: neither */
	uint64_t share_id;           /* the flight's, for messages; 0: not in env->shared */
	LIST_ENTRY(fill) shared_link;
	LIST_HEAD(, follower) followers;
	unsigned nfollowers;
	int shared_fd;               /* the spool's, that followers read from */
	uint32_t shared_turn;        /* how many there were */
	uint32_t mark;               /* share_revoked's value when it began */
	struct follow *follow;       /* what is read is another process's */

	/* Bodies stored in part. */
	struct view asks_range;      /* for that range alone, to be kept; NULL: it does not */
	struct part *opens;          /* that came of it, until its record is there */
	struct part_fetch *pf;       /* it fetches for a part: has no readers and no spool */
	bool keeping;                /* what came before it broke off is being stored */

	/* A stored response that is being validated or replaced. */
	bool has_old, validating, revalidated;
	enum cache_fate fate;        /* of what was confirmed */
	struct view new_vary, new_selecting; /* where a 304 has brought another Vary: what is selected by from now on */
	/* Nothing matches what the request selects by, and the origin was told the tags of the variants that there
	 * are (RFC 9111 §4.3.1): `asked` is the request's selecting text. */
	bool choosing;
	struct view asked;
	bool mismatch;               /* the 304 speaks of something else */
	bool origin_failed;          /* a 5xx that something stale can stand in for */
	struct view old_head, old_vary, old_selecting, old_tags;
	struct cache_meta old_meta;
	uint64_t old_id;

	/* The answer. */
	struct buf pass_head, head;  /* as received, for the first reader; as stored, for the others */
	struct buf tags;             /* as store/purge.h has them */
	struct cache_meta meta;
	enum cache_reason storable;
	unsigned status;
	struct origin_info info;
	uint64_t length;             /* HTTP_LENGTH_UNKNOWN until it is known */
	struct store_spool *spool;
	bool spool_ended;            /* it takes no more: what follows is in the window */
	struct buf window;           /* from window_base on */
	uint64_t window_base;
	size_t refused;              /* the largest piece that the origin's side had to keep */
	size_t piped;                /* what the budget counts of it */
	bool paused;
	bool waiting;                /* until the store has room */
	struct net_timer pacing;
	struct net_timer telling;    /* many readers are told now and then */
	struct net_timer patience;   /* of those who wait for its head */
	uint64_t told;               /* how much had come then */
	struct view cookies;         /* of a 304, for who asked */
	uint64_t pace_ms;
	unsigned removing;           /* invalidations that the answer waits for */
	struct buf trailers;
	bool ended;                  /* the origin is done */
	int err;
	const char *proxy_error;
	char detail[256];
};

/* NULL: out of memory. */
struct fill *fill_new(struct exchange *x, bool want_store);
/* Sends its request. 0 or negative. */
int fill_start(struct fill *f, struct exchange *x, const struct request_plan *plan);
/* Where invalidations find it, and those who may join it. */
void fill_enter_table(struct fill *f, bool joinable);
/* A copy of a request head; 0 or LARDER_ENOMEM. */
int fill_copy_head(struct arena *arena, const struct http_head *src, struct http_head *dst);
/* Starts a fill for x (or joins one) and attaches it. Returns the next step. */
struct step fill_begin(struct exchange *x, bool want_store, const struct store_hit *validate);
/* Do as many run as may (option fills_max)? */
bool fill_too_many(const struct exchange_env *env);
/* Validates in the background; the answer goes to the store only. */
void fill_background(struct exchange *x, const struct store_hit *validate);
void fill_attach(struct fill *f, struct exchange *x);
/* The exchange leaves: the fill goes on or stops, as the options say. */
void fill_detach(struct exchange *x);
/* The origin's part is over: done, cancelled or handed to a tunnel. */
void fill_transfer_ended(struct fill *f);
void fill_ref(struct fill *f);
/* What only waits to be written needs nothing of its request any more: lets go of it. */
void fill_shed(struct fill *f);
void fill_unref(struct fill *f);
/* The environment ends before the store has called back. */
void fill_orphan(struct fill *f);
/* A reader or follower left: the fill stops if it is not worth going on. */
void fill_left(struct fill *f);
/* The reader looks again; what it waited for is not for it. */
void fill_send_back(struct exchange *x, bool alone);
/* From now on invalidations of its key find it. `joinable`: so do those who ask for the same. */
void fill_enter_table(struct fill *f, bool joinable);
/* Marks running fills of a key as outdated. `soft`: what is stored of it becomes stale, and stays. */
void fill_invalidate(struct exchange_env *env, const struct store_key *key, bool soft);

/* fill_body.c: the body between the origin and its readers */
extern const struct origin_handlers fill_handlers;
/* Readers went on: make room, let the origin go on. */
void fill_consumed(struct fill *f);
/* The store need not call back any more. */
void fill_stop_waiting(struct fill *f);
/* A stretch of body at `offset`: memory or file; len 0: not there yet. false: gone for good. */
bool fill_read(struct fill *f, uint64_t offset, struct store_piece *piece);
/* Everything that came so far. */
uint64_t fill_received(const struct fill *f);

unsigned fill_error_status(int err);
void fill_forget_date(struct fill *f);
/* What the connection says of the answer, into its meta. `content`: it has brought that as well. */
void fill_note_transport(const struct fill *f, struct cache_meta *meta, bool content);
/* Keeps a 304's cookies that are not stored. 0 or LARDER_ENOMEM. */
int fill_take_cookies(struct fill *f, const struct http_head *res304);
/* Why the origin is asked, for Cache-Status (RFC 9211 §2.2). */
const char *fill_fwd_token(enum cache_reason why);

/* fill_answer.c: what a response head means, and telling the readers */
int fill_on_head(void *arg, const struct http_head *head, uint64_t length, const struct origin_info *info);
/* Judges a head by the same rules, with f->info filled, and does nothing: f->storable, and what would be stored. *own: the
 * head as it is judged, in the scratch. true: as a part of a body. */
bool fill_examine(struct fill *f, const struct http_head *head, uint64_t length, struct http_head *own);
/* A hash of what x's request selects under those names; 0: it can't be told. */
uint64_t fill_selects(struct exchange *x, struct view names);
/* Is it the request of who asked, not the answer, that keeps it from others? */
bool fill_is_personal(const struct fill *f);
/* Can the answer be used for x? `waited`: x was there before the head was. */
bool fill_fits(struct fill *f, struct exchange *x, bool waited);
void fill_publish(struct fill *f);
void fill_tell(struct fill *f);
/* The same of more body. Many readers hear of it soon. */
void fill_tell_more(struct fill *f);
/* For f->telling. */
void fill_tell_timer(struct net_timer *t);
/* The same for one reader that joined late. */
void fill_tell_one(struct fill *f, struct exchange *x);

/* fill_store.c: what the answer does to the store */
void fill_commit(struct fill *f);
/* The same with another body and head than what came. `spool` and `head` are borrowed. */
void fill_commit_as(struct fill *f, struct store_spool *spool, struct view head, uint32_t flags);

/* recode.c: compressing what is stored */
/* Is it to be compressed first? Then it is committed once that is done. */
bool recode_begin(struct fill *f);
/* The fill's part in it ends: what came is committed as it is. */
void recode_abandon(struct exchange_env *env);
void fill_describe(struct fill *f, struct store_record *r);
void fill_commit_update(struct fill *f);

/* invalidate.c: removes what an answer to an unsafe request ends, which it waits for */
void fill_remove_invalidated(struct fill *f, const struct http_head *head);
/* For what the store does while the head is held: counted in f->removing, with a reference on the fill. */
void fill_on_settled(void *arg, int err);

/* fill_others.c: what an answer says of other responses that are stored */

/* Notes a stored response: it may be confirmed, or stand in for the origin. 0 or LARDER_ENOMEM. */
int fill_note_old(struct fill *f, const struct store_record *r);
/* Nothing stored matches the request's selecting fields: appends a condition with the tags of the variants that would
 * do for it. 1 if there are any, 0, or negative. */
int fill_nominate(struct fill *f, struct exchange *x, struct buf *out);
/* The names that an updated head varies by, if it is not those of `old` (RFC 9111 §4.1): 1, with *vary filled; 0: they are the
 * same; LARDER_EPROTO: nothing can be selected by them; or negative. */
int fill_varies_anew(struct fill *f, struct view head, struct view old, struct buf *vary);
/* Which of them a 304 means, the latest of several: it becomes the fill's old one. */
bool fill_choose(struct fill *f, const struct http_head *res304);
/* Freshens the other variants that a 304 selects (RFC 9111 §4.3.4). */
void fill_freshen_others(struct fill *f, const struct http_head *res304);
/* Updates what is stored for GET by a HEAD's answer, or makes it stale (RFC 9111 §4.3.5). */
void fill_update_by_head(struct fill *f, const struct http_head *res);
/* The same by a 304 to conditions of the client's own, or to a HEAD, which is passed on (RFC 9111 §4.3.4). */
void fill_update_by_304(struct fill *f, const struct http_head *res304);
/* What was to be validated, and has been replaced by an answer that is not stored, goes (RFC 9111 §4.3.3). */
void fill_remove_outdated(struct fill *f);
/* Is it an answer to POST that later GETs may have (RFC 9110 §9.3.3)? */
bool fill_answers_get(struct fill *f, const struct http_head *res);

/* ---- purge.c ---- */
struct step step_purge(struct exchange *x);
/* The exchange ends before the store has called back. */
void purge_forget(struct exchange *x);

/* ---- page.c ---- */
/* Nothing is fetched: the page that says so. */
struct step reply_offline(struct exchange *x);
bool is_offline(const struct exchange *x);
/* Answers with a page of larder's own. `proxy_error`: RFC 9209 type or NULL. */
struct step reply_error(struct exchange *x, unsigned status, const char *proxy_error, const char *detail);
struct step reply_refused(struct exchange *x, const struct access_refusal *why);
/* A complete small answer: head lines in x->lines already begun, body text. */
struct step reply_simple(struct exchange *x, unsigned status, struct view fields, struct view body);
bool wants_html(const struct http_head *head);

#endif
