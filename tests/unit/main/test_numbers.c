/* Back-off and the connection cap. */
#include "main/main.h"
#include "unit.h"

static const struct {
	unsigned failures;
	uint64_t ms;
} BACKOFF[] = {
	{0, 0},     {1, 0},     {2, 0},     {3, 100},   {4, 200},        {5, 400},
	{6, 800},   {7, 1600},  {8, 3200},  {9, 6400},  {10, 10000},     {11, 10000},
	{1000, 10000}, {4294967295U, 10000},
};

START_TEST(backoff)
{
	ck_assert_uint_eq(main_backoff_ms(BACKOFF[_i].failures), BACKOFF[_i].ms);
}
END_TEST

static const struct {
	uint64_t limit, max;
	unsigned workers;
	uint64_t files, origins, sockets, cap;
	bool capped;
} CAPS[] = {
	/* No wish: three quarters of what the reserves leave. */
	{65536, 0, 4, 512, 512, 8, 48330, false},
	/* A wish that fits is shared out, rounded up. */
	{65536, 1000, 4, 512, 512, 8, 250, false},
	{65536, 1001, 4, 512, 512, 8, 251, false},
	{65536, 1, 4, 512, 512, 8, 1, false},
	/* A wish that does not. */
	{65536, 1000000, 4, 512, 512, 8, 48330, true},
	/* A small limit: reserves take a quarter each at most. */
	{1024, 0, 2, 512, 512, 4, 333, false},
	{1024, 666, 2, 512, 512, 4, 333, false},
	{1024, 667, 2, 512, 512, 4, 333, true},
	/* Never none at all. */
	{64, 0, 1, 512, 512, 1000, 16, false},
	{0, 100, 1, 512, 512, 1, 16, true},
};

START_TEST(connections_cap)
{
	bool capped;
	uint64_t cap = main_connections_cap(CAPS[_i].limit, CAPS[_i].max, CAPS[_i].workers, CAPS[_i].files,
	                                    CAPS[_i].origins, CAPS[_i].sockets, &capped);

	ck_assert_uint_eq(cap, CAPS[_i].cap);
	ck_assert(capped == CAPS[_i].capped);
}
END_TEST

UNIT_MAIN("main/numbers",
	tcase_add_loop_test(tc, backoff, 0, sizeof(BACKOFF) / sizeof(BACKOFF[0]));
	tcase_add_loop_test(tc, connections_cap, 0, sizeof(CAPS) / sizeof(CAPS[0]));)
