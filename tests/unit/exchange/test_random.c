/* Clients, origin, store and clock act in random orders (the same for each seed): nothing crashes or leaks, and
 * no body is made of two answers. */
#include "rig.h"

#include <string.h>

#include "base/check.h"
#include "base/error.h"

#define PEERS 12
#define STEPS 600

static uint64_t state;

static unsigned draw(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static const char *const asks[] = {
	"", "", "", "Cache-Control: no-cache\r\n", "Cache-Control: no-store\r\n", "Range: bytes=100-30000\r\n",
	"Range: bytes=5-9,20000-20010\r\n", "If-None-Match: \"a\"\r\n", "Accept: b\r\n",
	"Connection: upgrade\r\nUpgrade: websocket\r\n", "Cache-Control: only-if-cached\r\n", "Authorization: Basic eDp5\r\n",
};
static const char *const heads[] = {
	OK_HEAD "Cache-Control: max-age=20, stale-while-revalidate=20, stale-if-error=50\r\nETag: \"a\"\r\nContent-Length: 40000\r\n",
	OK_HEAD "Cache-Control: max-age=20\r\nETag: \"a\"\r\n",
	OK_HEAD "Cache-Control: max-age=20\r\nVary: Accept\r\nContent-Length: 40000\r\n",
	OK_HEAD "Cache-Control: private\r\nContent-Length: 40000\r\n",
	"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n",
	"HTTP/1.1 304 Not Modified\r\nETag: \"z\"\r\n",
	"HTTP/1.1 503 Service Unavailable\r\n",
	"HTTP/1.1 204 No Content\r\n",
	/* Variants that may be confirmed, answers to POST that answer GET, and what ends them. */
	OK_HEAD "Cache-Control: max-age=20\r\nVary: Accept\r\nETag: \"v\"\r\nContent-Length: 40000\r\n",
	OK_HEAD "Cache-Control: max-age=20\r\nVary: Range\r\nETag: \"w\"\r\nContent-Length: 40000\r\n",
	OK_HEAD "Cache-Control: max-age=20\r\nContent-Location: 0\r\nContent-Length: 40000\r\n",
	"HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n",
	"HTTP/1.1 304 Not Modified\r\nCache-Control: no-store\r\n",
};
static struct peer peers[PEERS];
static unsigned sent[256]; /* of each transfer: 0 before its head, then 1 + bytes */
static uint64_t promised[256];
static unsigned paused[256]; /* 1 + how often it had been resumed when it was paused; 0: never */

static void begin(struct peer *p)
{
	static const char *const methods[] = {"GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "DELETE", "POST"};
	const char *method = methods[draw(9)];
	struct buf b;

	peer_fini(p);
	*p = (struct peer){.room = draw(2) ? SIZE_MAX : 1 + draw(30000), .leave = draw(3) ? LEAVE_NEVER : (enum leave)draw(8)};
	if (nfars > 200)
		return;
	buf_init(&b, 4096);
	buf_printf(&b, "%s http://a.example/%u HTTP/1.1\r\nHost: a.example\r\n%s%s", method, draw(2),
	           asks[draw(12)], strcmp(method, "POST") ? "" : "Transfer-Encoding: chunked\r\n");
	peer_ask(p, &rig.forward, buf_cstr(&b));
	buf_fini(&b);
}

static void upload(struct peer *p)
{
	static const char block[30000];

	if (!p->x || !p->head.nfields || p->head.method != HTTP_METHOD_POST || p->ended || p->aborted)
		return;
	switch (draw(4)) {
	case 0:
		exchange_body_end(p->x);
		p->head.method = HTTP_METHOD_OTHER; /* has given all */
		return;
	case 1:
		exchange_body_abort(p->x);
		peer_leave(p);
		return;
	default:
		exchange_body(p->x, view_make(block, sizeof(block)));
	}
}

static bool fill_more(unsigned n)
{
	int ret = far_fill(n, (char)('A' + n % 58), 10000);

	if (ret == ORIGIN_PAUSE)
		paused[n] = far(n)->resumes + 1;
	return ret == 0;
}

static void origin_acts(unsigned n)
{
	char dst[20000];
	struct far *f = far(n);

	if (f->done || f->cancelled || paused[n] == f->resumes + 1)
		return;
	if (view_starts(buf_view(&f->request), V("POST")) && draw(2)) {
		far_body(n, dst, sizeof(dst));
	} else if (draw(15) == 0) {
		far_done(n, LARDER_ECLOSED);
	} else if (!sent[n]) {
		const char *head = heads[draw(ARRAY_LEN(heads))];

		sent[n] = 1;
		promised[n] = strstr(head, "40000") ? 40000 : strstr(head, "204") || strstr(head, "304") ? 0 : UINT64_MAX;
		far_head(n, head);
	} else if (!view_starts(buf_view(&f->request), V("HEAD")) && sent[n] <= promised[n] &&
	           (promised[n] != UINT64_MAX || sent[n] < 60000) && fill_more(n)) {
		sent[n] += 10000;
	} else if (!f->done && !f->cancelled &&
	           (promised[n] == UINT64_MAX || sent[n] > promised[n] || view_starts(buf_view(&f->request), V("HEAD")))) {
		far_done(n, 0);
	}
}

/* One answer's letters; pages of larder's own and several ranges are other things. */
static void judge(const struct peer *p)
{
	if (p->status != 200 && p->status != 206)
		return;
	if (p->body.len && p->body.data[0] == '\r')
		return;
	if (p->ended && !p->no_body && p->length != HTTP_LENGTH_UNKNOWN)
		ck_assert_uint_eq(p->body.len, p->length);
	if (p->body.len > 1)
		ck_assert_msg(memcmp(p->body.data, p->body.data + 1, p->body.len - 1) == 0, "two answers in one body");
}

static void choose_options(unsigned n)
{
	rig.options.pipe_total = n % 5 == 4 ? 30000 : 32 << 20;
	rig.options.finish = n % 7 == 6; /* always */
	rig.options.origin_retry = n % 4 == 1 ? 1 : 0;
}

START_TEST(any_order)
{
	state = 0x9e3779b97f4a7c15u * ((unsigned)_i + 1);
	memset(sent, 0, sizeof(sent));
	memset(paused, 0, sizeof(paused));
	fake_store.files = _i % 2;
	fake_store.spool_max = _i % 3 ? UINT64_MAX : 25000;
	choose_options((unsigned)_i);
	for (unsigned i = 0; i < STEPS; i++) {
		struct peer *p = &peers[draw(PEERS)];

		switch (draw(12)) {
		case 0:
		case 1:
			begin(p);
			break;
		case 2:
			if (draw(3) == 0 || p->ended || p->aborted)
				peer_leave(p);
			break;
		case 3:
			if (p->x)
				peer_more(p, draw(2) ? SIZE_MAX : draw(20000));
			break;
		case 4:
			upload(p);
			break;
		case 5:
			if (draw(2))
				store_settle();
			rig.now += draw(10);
			break;
		default:
			if (nfars)
				origin_acts(nfars - 1 - draw(nfars < 12 ? nfars : 12));
		}
		if (i % 16 == 0)
			judge(p);
	}
	for (unsigned i = 0; i < PEERS; i++) {
		judge(&peers[i]);
		peer_fini(&peers[i]);
	}
	memset(peers, 0, sizeof(peers));
	exchange_env_abandon(rig.env);
}
END_TEST

/* ---- Two processes ---- */

static struct exchange_env *of[PEERS]; /* whose client it is */
static struct store *store;
static struct origin *origin;

static void settle_store(void)
{
	uint64_t lag = fake_store.lag;

	/* What is written is in the file. */
	fake_store.lag = 0;
	store_settle();
	fake_store.lag = lag;
}

static void begin_in_pool(unsigned n)
{
	bool other = draw(2);

	if (other)
		rig_swap();
	begin(&peers[n]);
	of[n] = rig.env;
	if (other)
		rig_swap();
}

/* One of the processes ends, and another takes its place. */
static void replace(void)
{
	if (draw(2))
		rig_swap();
	for (unsigned i = 0; i < PEERS; i++) {
		if (of[i] == rig.env)
			peer_leave(&peers[i]);
	}
	exchange_env_free(rig.env);
	rig.env = exchange_env_new(rig.loop, &rig.options, store, origin, rig.board, &rig.stats);
	ck_assert_ptr_nonnull(rig.env);
}

static void troubles(void)
{
	switch (draw(5)) {
	case 0:
		fake_store.full = true;
		break;
	case 1:
		fake_store.full = false;
		store_make_room();
		break;
	case 2:
		fake_store.no_sharing = draw(4) == 0;
		break;
	case 3:
		fake_store.fail = draw(3) == 0;
		break;
	default:
		if (draw(4) == 0)
			replace();
	}
}

static void act_in_pool(void)
{
	unsigned n = draw(PEERS);
	struct peer *p = &peers[n];

	switch (draw(14)) {
	case 0:
	case 1:
		begin_in_pool(n);
		break;
	case 2:
		if (draw(3) == 0 || p->ended || p->aborted)
			peer_leave(p);
		break;
	case 3:
		if (p->x)
			peer_more(p, draw(2) ? SIZE_MAX : draw(20000));
		break;
	case 4:
		upload(p);
		break;
	case 5:
		if (draw(2))
			settle_store();
		rig.now += draw(10);
		break;
	case 6:
		if (draw(3) == 0)
			troubles();
		break;
	case 7:
	case 8:
		rig_settle();
		break;
	default:
		if (nfars)
			origin_acts(nfars - 1 - draw(nfars < 12 ? nfars : 12));
	}
}

/* Everything that runs ends, one way or the other. */
static void end_all(void)
{
	bool more = true;

	fake_store.full = false;
	for (unsigned i = 0; i < PEERS; i++) {
		peers[i].leave = LEAVE_NEVER;
		if (peers[i].x)
			peer_more(&peers[i], SIZE_MAX);
	}
	while (more) {
		more = false;
		store_make_room();
		for (unsigned i = 0; i < nfars; i++) {
			if (far(i)->done || far(i)->cancelled)
				continue;
			far_done(i, LARDER_ECLOSED);
			more = true;
		}
		rig_settle();
		settle_store();
		rig_settle();
	}
}

/* Nobody is left waiting, whatever the processes told each other. */
START_TEST(any_order_in_a_pool)
{
	state = 0x9e3779b97f4a7c15u * ((unsigned)_i + 1);
	memset(sent, 0, sizeof(sent));
	memset(paused, 0, sizeof(paused));
	memset(of, 0, sizeof(of));
	store = rig_store();
	origin = rig_origin();
	fake_store.files = _i % 2;
	fake_store.spool_max = _i % 3 ? UINT64_MAX : 25000;
	fake_store.lag = _i % 4 == 3 ? 5000 : 0;
	choose_options((unsigned)_i);
	for (unsigned i = 0; i < STEPS; i++) {
		act_in_pool();
		for (unsigned k = 0; i % 16 == 0 && k < PEERS; k++)
			judge(&peers[k]);
	}
	end_all();
	for (unsigned i = 0; i < PEERS; i++) {
		struct peer *p = &peers[i];

		judge(p);
		ck_assert_msg(!p->x || p->ended || p->aborted, "client %u waits: %s", i, p->text.data);
		peer_fini(p);
	}
	memset(peers, 0, sizeof(peers));
	rig_settle();
}
END_TEST

UNIT_MAIN("exchange/random", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, any_order, 0, 60);
          suite_add_tcase(suite, tc); tc = tcase_create("pool"); tcase_set_timeout(tc, 60);
          tcase_add_checked_fixture(tc, rig_open_pool, rig_close);
          tcase_add_loop_test(tc, any_order_in_a_pool, 0, 60);)
