/*
 * The layouts on disk: rows of the tables entries, queues, blobs and meta. Host byte order but for
 * keys; DIR/format names the layout.
 *
 * Vocabulary: *row* = what stands in the table entries under a hash: a response, or a *marker* that
 * names the selecting fields and lists the hashes of its *variants*.
 */
#ifndef LARDER_STORE_RECORD_H
#define LARDER_STORE_RECORD_H

#include "base/hash.h"
#include "store/store.h"

#define RECORD_DIGEST       32
#define RECORD_VARIANTS_MAX 64         /* under one key; the oldest gives way */
#define RECORD_TEXT_MAX     (1u << 20) /* of each text */

enum record_kind { RECORD_RESPONSE = 1, RECORD_MARKER = 2 };

struct record_head {
	uint32_t magic;
	uint8_t kind;
	uint8_t blob; /* the body is a file named by `digest` */
	uint16_t reserved;
	uint64_t sum; /* XXH3 of all of the row, with this field 0 */
	uint64_t id;
	uint64_t birth;  /* sequence number when it entered; kept when replaced */
	uint64_t length; /* of the body */
	uint64_t charge; /* bytes it counts for in its queue */
	uint32_t key_len, selecting_len, vary_len, head_len, inline_len;
	uint32_t etag_off, etag_len; /* in the head */
	uint16_t origin_port, tags_len;
	uint8_t origin_ip[16];
	uint8_t digest[RECORD_DIGEST];
	struct cache_meta meta;
};

/* A row in parts: views into wherever the row is. */
struct record {
	struct record_head h;
	struct view key, selecting, vary, head, tags, body;
	struct view variants; /* of a marker: hashes of 16 bytes */
};

/* Reads a row. 0, or LARDER_ECORRUPT when its lengths do not add up. */
int record_parse(struct view row, struct record *out);
/* Does the checksum hold? For walks: a hit does not pay for it. */
bool record_intact(struct view row);
size_t record_size(const struct record *r);
/* Writes a row of record_size bytes; the lengths in r->h are taken from the views. */
void record_write(struct record *r, void *row);
/* The place of the ETag's value in a head written by cache_head_write; length 0 if none. */
void record_find_etag(struct view head, uint32_t *off, uint32_t *len);
/* What a caller of the store sees of it. */
void record_export(const struct record *r, struct store_record *out);

/* ---- Keys ---- */

struct record_key {
	unsigned char bytes[16];
};
struct record_key record_key(struct hash128 hash);
struct hash128 record_hash(struct view key);
/* The row's hash of the variant under `primary` with that selecting text. */
struct hash128 record_variant(struct hash128 primary, struct view selecting, uint64_t seed);

enum record_queue { RECORD_SMALL = 0, RECORD_MAIN = 1, RECORD_DOOMED = 2 };
/* Queue rows come in the order of queue and sequence number. */
struct record_queue_key {
	unsigned char bytes[9];
};
struct record_queue_key record_queue_key(enum record_queue q, uint64_t seq);
uint64_t record_queue_seq(struct view key);

struct record_queue_row { /* of the small and the main queue; the doomed one holds a digest */
	unsigned char hash[16];
	uint64_t birth;
};

/* The row of a key's text in the table urls: "com.example.www:8080/path GET http" and the hash, so
 * that a host with all under it, or a prefix of its paths, is one range. */
/* Addresses are not read from their end. */
bool record_host_is_name(struct view host);
#define RECORD_URL_MAX 510 /* one less than a key may have: walks append a byte */
size_t record_url_key(struct view text, struct hash128 hash, char out[RECORD_URL_MAX]);
/* The host, with its port if the URL says one, of such a row's key. False: it has none. */
bool record_url_authority(struct view place, char out[RECORD_URL_MAX], size_t *len);

struct record_url_row { /* table urls: of all responses under the key */
	unsigned char hash[16];
	uint64_t responses, charge, length; /* how many; bytes accounted for; of bodies */
};

struct record_blob {   /* table blobs, under the digest */
	uint64_t refs; /* 0: doomed */
	uint64_t length;
	uint64_t charge; /* bytes allocated */
	uint64_t txn;    /* the transaction that changed it last */
};

struct record_state { /* table meta, "state": changed by every commit */
	uint64_t next_id, next_seq;
	uint64_t records;
	uint64_t blobs, blob_bytes; /* doomed ones too */
	uint64_t doomed, doomed_bytes;
	uint64_t dirs; /* under blobs/ */
	uint64_t small_bytes, main_bytes;
	uint64_t small_rows, main_rows;
	uint64_t last_seq; /* next_seq when the last transaction began */
};

#endif
