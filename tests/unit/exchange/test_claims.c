/* Who fetches which bytes of a body that is stored in part. */
#include "../../../src/exchange/claims.h"
#include "unit.h"

static struct board *board;
static const struct board_member me = {0, 1}, other = {1, 1};
static const struct hash128 body = {7, 9}, another = {7, 10};

static void open_board(void)
{
	board = board_new();
	ck_assert_ptr_nonnull(board);
}

static void close_board(void)
{
	board_free(board);
}

/* With 100 to 199 claimed, and come to 150: who is to fetch the byte at `offset`, as far as `end`? */
START_TEST(takes)
{
	static const struct {
		uint64_t near, offset, end;
		int ret;
		uint64_t upto; /* ours; or theirs has come so far */
		uint64_t first_end; /* of the first claim, afterwards */
	} rows[] = {
		{1000, 0, 50, CLAIM_OURS, 50, 200},
		{1000, 0, 500, CLAIM_OURS, 100, 200},
		{1000, 100, 200, CLAIM_THEIRS, 150, 200},
		{1000, 149, 150, CLAIM_THEIRS, 150, 200},
		{1000, 199, 300, CLAIM_THEIRS, 150, 200},
		{1000, 200, 300, CLAIM_OURS, 300, 200},
		{49, 199, 300, CLAIM_THEIRS, 150, 200},
		{48, 199, 300, CLAIM_OURS, 200, 199},
		{10, 161, 180, CLAIM_OURS, 180, 161},
		{10, 160, 180, CLAIM_THEIRS, 150, 200},
	};
	struct claims *c = board_claims(board);
	struct claim_ref first, ref;
	uint64_t end = 200, at = 0;

	ck_assert_int_eq(claims_take(c, me, body, 0, 100, &end, &at, &first), CLAIM_OURS);
	ck_assert_uint_eq(claims_grow(c, &first, 150), 200);
	end = rows[_i].end;
	ck_assert_int_eq(claims_take(c, other, body, rows[_i].near, rows[_i].offset, &end, &at, &ref), rows[_i].ret);
	ck_assert_uint_eq(rows[_i].ret == CLAIM_OURS ? end : at, rows[_i].upto);
	ck_assert_uint_eq(claims_grow(c, &first, 150), rows[_i].first_end);
	/* Other bodies have nothing to do with it. */
	end = 1000;
	ck_assert_int_eq(claims_take(c, other, another, 0, 120, &end, &at, &ref), CLAIM_OURS);
	ck_assert_uint_eq(end, 1000);
}
END_TEST

START_TEST(dropped)
{
	struct claims *c = board_claims(board);
	struct claim_ref ref;
	uint64_t end = 20, at;

	ck_assert_int_eq(claims_take(c, me, body, 0, 10, &end, &at, &ref), CLAIM_OURS);
	ck_assert(claims_look(c, body, 15, &at) && at == 10);
	ck_assert(!claims_look(c, body, 20, &at) && !claims_look(c, body, 9, &at));
	claims_move(c, &ref, 12, 18);
	ck_assert(!claims_look(c, body, 18, &at) && claims_look(c, body, 17, &at));
	ck_assert_uint_eq(at, 12);
	if (_i)
		claims_drop_all(c, me); /* its owner has died */
	else
		claims_drop(c, &ref);
	ck_assert(!claims_look(c, body, 15, &at));
	ck_assert_uint_eq(claims_grow(c, &ref, 16), UINT64_MAX);
	claims_drop(c, &ref);
}
END_TEST

/* Where there is no place the caller fetches without a claim. */
START_TEST(full)
{
	struct claims *c = board_claims(board);
	struct claim_ref ref;
	uint64_t end, at;

	for (uint64_t i = 0; i < CLAIMS_PER; i++) {
		end = i * 10 + 5;
		ck_assert_int_eq(claims_take(c, me, body, 0, i * 10, &end, &at, &ref), CLAIM_OURS);
	}
	end = 8;
	ck_assert_int_eq(claims_take(c, me, body, 0, 6, &end, &at, &ref), CLAIM_NONE);
	ck_assert_uint_eq(ref.id, 0);
	ck_assert_uint_eq(claims_grow(c, &ref, 7), UINT64_MAX);
}
END_TEST

UNIT_MAIN("exchange/claims", tcase_add_checked_fixture(tc, open_board, close_board);
          tcase_add_loop_test(tc, takes, 0, 10); tcase_add_loop_test(tc, dropped, 0, 2);
          tcase_add_test(tc, full);)
