/*
 * What is stored ended early, much of it at once: by the beginning of URLs, host, tag or pattern.
 *
 * Vocabulary: *tag* = a name that a response is stored under besides its URL: a *group* (RFC 9875) or a
 * *key* (Surrogate-Key, xkey); *scope* = who shares tags: nobody removes by the same name what was
 * stored under another one; *soft* = marked stale rather than removed.
 *
 * A purge takes effect at one moment in all processes: from then on nobody is given what it means, and what
 * was being fetched until then is not stored. What it means is then removed, in steps.
 */
#ifndef LARDER_STORE_PURGE_H
#define LARDER_STORE_PURGE_H

#include "store/store.h"

#define STORE_TAGS_MAX    256   /* of one response */
#define STORE_TAG_MAX     1024  /* bytes of a name */
#define STORE_TAGS_BYTES  32768 /* of a response's text of tags */
#define STORE_PATTERN_MAX 1024

enum store_tag { STORE_TAG_GROUP = 'g', STORE_TAG_KEY = 'k' };

/* The text of store_record.tags: the scope of the keys and a newline, then for each tag a letter (enum store_tag),
 * its name, and a newline. Groups have the origin in the response's own key for a scope. */

/* Takes the next tag off; *rest begins as store_tags_first left it. False at the end. */
struct view store_tags_first(struct view tags);
bool store_tags_next(struct view *rest, enum store_tag *kind, struct view *name);
/* The part of a key's text that is the same for all of an origin: "GET http://host:port". */
struct view store_key_origin(struct view text);

enum store_purge_kind { STORE_PURGE_URL, STORE_PURGE_HOST, STORE_PURGE_TAG, STORE_PURGE_PATTERN };

struct store_purge {
	enum store_purge_kind kind;
	bool soft;
	bool early;        /* `done` once it is in effect, not when all has been removed */
	struct view text;  /* the beginning of a URL, a host, a name, or a PCRE2 pattern for the URL */
	uint16_t port;     /* of a host: that one alone; 0: all */
	bool below;        /* and all hosts below it */
	enum store_tag tag; /* 0: of either kind */
	struct view scope; /* ptr NULL: all */
};

struct store_purged {
	uint64_t urls; /* 0 for tags */
	uint64_t responses;
};

/* *n: how much was removed or marked so far. err: LARDER_ECLOSED when the store was closed before all was done. */
typedef void store_purged_fn(void *arg, int err, const struct store_purged *n);

/* 0; LARDER_EINVAL with *why (static) for a pattern that is none; LARDER_ELIMIT. */
int store_purge_check(const struct store_purge *what, const char **why);
/* Begins a purge. `done` is called once, never from inside the call. 0; LARDER_EINVAL; LARDER_ELIMIT: too many
 * are under way; … */
int store_purge(struct store *s, const struct store_purge *what, store_purged_fn *done, void *arg);
/* All variants under the key, as one op of the writer; flights are the caller's to mark. */
int store_purge_key(struct store *s, const struct store_key *key, bool soft, store_purged_fn *done, void *arg);
/* How much one has done that may still be under way: by the argument of its callback. False: it is not. */
bool store_purge_progress(struct store *s, const void *arg, struct store_purged *n);

/* For tools: without a daemon, before it returns. `step` (may be NULL) is called now and then. */
int store_purge_now(struct store *s, const struct store_purge *what, struct store_purged *n,
                    void (*step)(void *arg, const struct store_purged *n), void *arg);
int store_purge_key_now(struct store *s, const struct store_key *key, bool soft, struct store_purged *n);
/* For tools: only counts. */
int store_purge_count(struct store *s, const struct store_purge *what, struct store_purged *n);
int store_purge_key_count(struct store *s, const struct store_key *key, struct store_purged *n);

/* How many purges have taken effect: to be noted when a fetch begins (store_record.purges). */
uint64_t store_purges(const struct store *s);
/* Has one since then that means a response of that key with those tags? */
bool store_purged_since(struct store *s, uint64_t since, struct view key, struct view tags);
/* Appends the names of the groups of all that is stored under the key, a line each. */
int store_groups(struct store *s, const struct store_key *key, struct buf *out);

#endif
