/*
 * The flights of the whole pool, in memory that its processes share.
 *
 * Vocabulary: *flight* = a fill that other processes may join; *member* = a process of the pool;
 * *owner* = the member that fetches. A flight is on the board from before its request is sent until
 * what it stored is visible.
 *
 * The locks survive the death of whoever holds them. All functions are quick and never wait for I/O.
 */
#ifndef LARDER_EXCHANGE_BOARD_H
#define LARDER_EXCHANGE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/view.h"

#define BOARD_MEMBERS  256
#define BOARD_SHARDS   256
#define BOARD_PER      64 /* flights a shard */
#define BOARD_VARY_MAX 96
#define BOARD_NAME_MAX 64

struct board;

/* Shared with children to be forked. NULL: out of memory. */
struct board *board_new(void);
void board_free(struct board *b);

/* ---- Members ---- */

/* Who: the place in the table and how often it was given out before. */
struct board_member {
	uint32_t index, turn;
};

static inline bool board_same(struct board_member a, struct board_member b)
{
	return a.index == b.index && a.turn == b.turn;
}

/* A place for this process. 0, or LARDER_ELIMIT when all are taken. */
int board_enter(struct board *b, struct board_member *me);
/* Gives the place back, unless flights of it are still there: their marks are read until the process
 * has ended, and board_reap takes them. */
void board_leave(struct board *b, struct board_member me);
/* Takes its flights off and gives the place back. */
void board_exit(struct board *b, struct board_member me);
/* Does the member still run? The flights of one that does not are taken off. */
bool board_alive(struct board *b, struct board_member m);
/* Takes off what all dead members left; their number. */
unsigned board_reap(struct board *b);
/* The name of the member's socket, in the abstract namespace; unknown to others than the pool. */
void board_name(const struct board *b, struct board_member m, char name[BOARD_NAME_MAX]);

/* ---- Flights ---- */

struct board_flight {
	uint32_t slot;
	uint64_t id; /* differs for every flight of the board's life; 0: none */
	struct board_member owner;
};

/* What a flight's answer is selected by, as its owner guesses until its head is there. */
struct board_vary {
	bool answered;      /* the head is there */
	bool known;         /* the list is not too long to be kept here */
	struct view names;  /* "" if the response has no Vary, or nothing is guessed */
	uint64_t selecting; /* a hash of the selecting text under those names */
	uint64_t id;        /* the flight's */
};

/* Could one with that Vary be for the caller? Called under the lock. */
typedef bool board_fits_fn(void *arg, const struct board_vary *v);

enum { BOARD_OURS = 0, BOARD_THEIRS = 1, BOARD_FULL = 2 };
/* A joinable flight of the key that another member owns and that fits, or else a new one that is ours, with
 * names and selecting of `guess`; guess NULL: none is begun (BOARD_FULL). */
int board_claim(struct board *b, struct board_member me, struct hash128 key, board_fits_fn *fits,
                void *arg, const struct board_vary *guess, struct board_flight *out);
/* The owner's: the head is there. */
void board_describe(struct board *b, const struct board_flight *f, struct view names,
                    uint64_t selecting);
/* Nobody else may join it. */
void board_shut(struct board *b, const struct board_flight *f);
/* The owner's: off the board. */
void board_drop(struct board *b, struct board_flight *f);
/* Outdated by an unsafe request: marks all flights of the key, whoever owns them. */
void board_invalidate(struct board *b, struct hash128 key);
/* Changes whenever the key, or another one that shares the place, is invalidated: for fetches that are
 * not on the board. Any thread; valid as long as the board. */
const uint32_t *board_times_invalid(const struct board *b, struct hash128 key);
/* Set once the flight was marked; valid until the owner drops it. Any thread. */
const uint32_t *board_invalid(const struct board *b, const struct board_flight *f);

/* The owner's: so many bytes can be read. true: some member wants to be woken. */
bool board_grow(struct board *b, const struct board_flight *f, uint64_t received);
/* A follower's: the bytes so far. With `wake` the owner is to tell when there are more than `have`.
 * LARDER_ENOENT: off the board. */
int board_received(struct board *b, const struct board_flight *f, bool wake, uint64_t have,
                   uint64_t *received);

/* ---- Stretches of bodies that are being fetched: claims.h ---- */

struct claims *board_claims(struct board *b);

/* ---- What is remembered for a while ---- */

enum board_note {
	BOARD_UNSHAREABLE, /* of a key: its answers can't be shared */
	BOARD_FOLDER,      /* of a folder: so many of its keys in a row were such; the value is the number */
	BOARD_DOWN,        /* of an origin: it can't be reached; the value is the error */
	BOARD_RANGES,      /* of a key: its origin's ranges are of no use; the value says why (parts.h) */
};
/* A newer note may take the place of an older one. */
void board_note(struct board *b, enum board_note what, struct hash128 of, uint64_t until_ms, int value);
/* *value may be NULL. */
bool board_noted(struct board *b, enum board_note what, struct hash128 of, uint64_t now_ms, int *value);
/* Once a note is over, one caller is told so and all others not before `until_ms`. True for what was
 * never noted. */
bool board_turn(struct board *b, enum board_note what, struct hash128 of, uint64_t now_ms,
                uint64_t until_ms, int *value);
void board_forget(struct board *b, enum board_note what, struct hash128 of);

/* Nothing is fetched. */
void board_set_offline(struct board *b, bool offline);
bool board_offline(const struct board *b);

/* Flights on the board. */
unsigned board_flights(struct board *b);

#endif
