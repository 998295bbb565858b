/*
 * What would become of a request, and why: an exchange that is run through its steps, but asks no origin and
 * writes nothing.
 *
 * Vocabulary: *verdict* = what becomes of it; *variant* = a response stored under the request's key; *selected* = the
 * one among them that is for this request (RFC 9111 §4.1).
 */
#ifndef LARDER_EXCHANGE_EXPLAIN_H
#define LARDER_EXCHANGE_EXPLAIN_H

#include "base/arena.h"
#include "cache/explain.h"
#include "exchange/exchange.h"
#include "store/parts.h"

enum exchange_verdict {
	EXCHANGE_HIT,      /* what is stored is the answer */
	EXCHANGE_STALE,    /* the same, and it is stale */
	EXCHANGE_VALIDATE, /* what is stored is validated first */
	EXCHANGE_PARTIAL,  /* only a part of it is stored: the rest is fetched */
	EXCHANGE_MISS,     /* it is fetched, and stored if the answer allows that */
	EXCHANGE_PASS,     /* it is passed on, and nothing is stored */
	EXCHANGE_OWN,      /* larder answers by itself: refusals, errors, OPTIONS */
};

#define EXCHANGE_VARIANTS_MAX 64 /* that an explanation lists */

struct exchange_variant {
	struct store_record record; /* key, head and tags are left empty */
	struct view asked;          /* what the request selects by under its Vary */
	struct view coding;         /* its Content-Encoding */
	unsigned number;            /* as larderctl ls has it; 0: a response without Vary */
	bool matches;               /* the request selects by the same */
	bool blob, part;
	uint64_t present;           /* bytes of a part */
};

/* A response head that was given, judged as if it had come. */
struct exchange_judged {
	enum cache_reason storable;
	bool part;                  /* it is stored as a part of a body */
	bool confirms;              /* it is a 304 that updates what is stored */
	bool replaced;              /* it is an error that what is stored stands in for */
	struct cache_meta meta;
	struct cache_lifetime lifetime;
	struct view vary, selecting, tags;
	struct view head;           /* as it would be stored; empty where it would not */
	struct {
		struct view name;
		enum cache_clause why;
	} *left_out;                /* fields that are not stored */
	unsigned nleft_out;
};

/* Its memory is its own; views of it live as long. */
struct exchange_explanation {
	struct arena arena;
	int64_t now;
	struct view key;            /* empty: there is none */
	bool caches;                /* the listener stores and serves, and there is a store */
	struct cache_control cc;    /* of the request */

	struct exchange_variant *variants;
	unsigned nvariants, more;   /* and so many more */

	/* Of the selected one. */
	bool selected, part;
	bool other_coding, other_language; /* than what the request selects by (share_codings, share_languages) */
	struct store_record record;
	struct store_extents extents;
	struct cache_age age;
	struct cache_lifetime lifetime;
	bool judged;                /* it was found by the request, rather than for this explanation alone */
	enum cache_use use;
	enum cache_clause rule;
	bool stale_allowed;         /* now, if the origin fails */
	enum cache_clause stale_rule;
	int64_t stale_seconds;

	enum exchange_verdict verdict;
	enum cache_reason why;
	const char *fwd;            /* RFC 9211 §2.2, where the origin is asked */
	struct view validators;     /* conditional and Range lines that the origin is sent, CRLF each */
	bool background;            /* it is validated while what is stored is served; validators are of that */
	bool collapsed;             /* a fetch that it would share is under way */
	bool confirmable;           /* the origin is told what is stored: it may say 304 */
	struct http_range missing;  /* the first stretch that is to be fetched */
	enum cache_reason veto;     /* why its answer will not be stored, whatever it is; CACHE_STORE_OK: that depends */

	unsigned status;            /* of the answer; 0: the origin's */
	struct view reply;          /* its head */
	struct view cache_status;   /* the value that larder gives that field */
	struct view detail;         /* of larder's own answer: a sentence */
	bool denied;                /* by an option of access: */
	struct view option;

	/* What the whole daemon knows. */
	bool offline, unshareable, siblings_unshareable, origin_down;

	bool has_response;
	struct exchange_judged response;
};

/* As exchange_env_new, but for exchange_explain alone: there is no origin, and the board is only read. */
struct exchange_env *exchange_env_for_explaining(struct net_loop *l, const struct exchange_options *options,
                                                 struct store *store, struct board *board,
                                                 struct exchange_stats *stats);

/* Explains the request; `req` as for exchange_new. `response`: a head to be judged as if the origin had sent it, `length`
 * its body's; or NULL. 0, LARDER_EINVAL for CONNECT and PURGE, or another error; *out is to be ended by exchange_explanation_fini either way. */
int exchange_explain(struct exchange_env *env, const struct exchange_listener *listener,
                     const struct exchange_request *req, const struct http_head *response, uint64_t length,
                     struct exchange_explanation *out);
void exchange_explanation_fini(struct exchange_explanation *e);

#endif
