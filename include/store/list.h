/*
 * What the store holds, for tools and the keeper: lists in the order of the table urls, bodies, removal
 * of many, free pages given back.
 *
 * Vocabulary: *range* = the URLs that a list is about; *entry* = one stored response, or one key with all
 * its variants; *place* = where an entry stands in the order of URLs.
 *
 * Lists read in short transactions of their own and hold none between two calls.
 */
#ifndef LARDER_STORE_LIST_H
#define LARDER_STORE_LIST_H

#include "store/store.h"

/* All of the store, or by URL, or by host; whatever the listener that it was stored by. */
struct store_range {
	struct view url;   /* URLs that start so ("http://host/path", as http_target_key writes it) */
	bool exact;        /* that URL alone */
	struct view host;  /* or: those of this host, as http_target has it */
	uint16_t port;     /* of that port alone; 0: all */
	bool below;        /* and of all hosts below it */
	struct view after; /* only what stands behind this place; empty: from the start */
};

enum store_list_what {
	STORE_LIST_RESPONSES,
	STORE_LIST_KEYS,
	/* What urls itself knows, without a look at the entries: of each key the sums of `responses`, `charge` and
	 * `record.length`; as `url` the authority alone. For all of the store or hosts on any port. */
	STORE_LIST_SUMS,
};

struct store_entry {
	struct store_record record; /* of a key: only `key` */
	struct view method, url;    /* the parts of record.key: "GET" or "GET@origin:port/prefix"; the URL */
	struct view place;
	struct hash128 hash; /* of its row: of a key, the store_key's */
	unsigned variant;    /* from 1 on; 0: a response without Vary */
	unsigned responses;  /* of a key: how many stand under it */
	unsigned queue;      /* 0: the small one, 1: the main one, 2: unknown */
	bool blob;           /* the body is a file */
	bool part;           /* only some of it is there: */
	uint64_t present;    /* so many bytes, */
	unsigned extents;    /* in so many stretches */
	char digest[65];     /* its SHA-256 */
	uint64_t references; /* responses that share it */
	uint64_t charge;     /* bytes that it is accounted for with */
};

struct store_list;

/* NULL: out of memory. */
struct store_list *store_list_new(struct store *s, const struct store_range *range,
                                  enum store_list_what what);
/* The next entry: valid until the next call. 1, 0 at the end, or negative. */
int store_list_next(struct store_list *l, struct store_entry *out);
/* The same, but LARDER_EAGAIN after a stretch of rows, some 20 ms, that were all out of the range. */
int store_list_step(struct store_list *l, struct store_entry *out);
/* Where a list would go on behind the last entry that it gave, for `after`; valid until the next call. */
struct view store_list_place(const struct store_list *l);
void store_list_free(struct store_list *l);

/* An entry's body: appended to *inlined (*fd is -1), or an open file to be closed by the caller.
 * LARDER_ENOENT: replaced or removed meanwhile; LARDER_EAGAIN: not all of it is there. */
int store_entry_body(struct store *s, const struct store_entry *e, struct buf *inlined, int *fd);
/* How often the row was used lately, 0 to 3; only in the daemon's processes. */
unsigned store_uses(const struct store *s, struct hash128 row);
/* While `on` this process's lookups are neither counted nor noted as uses, and what they find damaged is left as it is. */
void store_leave_no_trace(struct store *s, bool on);

/* For tools that write: removes keys in one transaction, up to `n` or what finds room under the cap. How
 * many keys were dealt with (at least one of any), or negative. With n = 0 it removes the files that
 * are left over. */
int64_t store_remove_some(struct store *s, const struct hash128 *keys, size_t n);

/* Free pages of the index are given back to the file system, for a second or so at a time. */
enum { STORE_TRIMMED = 0, STORE_TRIM_MORE = 1 };
/* For tools that write. Either of the above, or negative. */
int store_trim_now(struct store *s);
/* In the daemon: by the writer thread; `done` gets the same. 0, or LARDER_EBUSY when one is under way. */
int store_trim(struct store *s, store_done_fn *done, void *arg);

#endif
