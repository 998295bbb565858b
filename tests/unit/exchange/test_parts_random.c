/* Clients ask for ranges of a body that changes now and then, in two processes; origin, store and clock act in random
 * orders (the same for each seed): nothing crashes or leaks, nobody waits for ever, and all bytes of an answer are of the
 * version that its ETag names, at their places. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "rig.h"

#define PEERS 12
#define STEPS 900
#define PIECE 700

static uint64_t state;
static unsigned version;
static struct peer peers[PEERS];
static struct exchange_env *of[PEERS];

static struct {
	unsigned version, at, end, paused;
	bool begun;
} sends[256];

static unsigned draw(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static unsigned length_of(unsigned v)
{
	return 6000 + v % 3 * 1000;
}

static char byte_of(unsigned v, unsigned at)
{
	return (char)('A' + (at / 7 + at * 5 + v * 11) % 58);
}

/* ---- Clients ---- */

static void begin(unsigned n)
{
	static const char *const more[] = {
		"", "", "", "", "", "Cache-Control: no-cache\r\n", "If-None-Match: \"v1\"\r\n", "If-Range: \"v1\"\r\n",
		"Cache-Control: only-if-cached\r\n", "Cache-Control: no-store\r\n",
	};
	struct peer *p = &peers[n];
	unsigned first = draw(7000), last = first + draw(3000);
	char text[400], range[64];
	bool swap = draw(2);

	if (nfars > 230 || p->x)
		return;
	peer_fini(p);
	*p = (struct peer){.room = draw(2) ? SIZE_MAX : 1 + draw(2000), .leave = draw(4) ? LEAVE_NEVER : (enum leave)draw(8)};
	snprintf(range, sizeof(range), draw(8) ? "%u-%u" : draw(2) ? "%u-" : "%u-%u,-20", first, last);
	snprintf(text, sizeof(text), "%s http://a.example/x HTTP/1.1\r\nHost: a.example\r\n%s%s%s%s",
	         draw(30) ? draw(20) ? "GET" : "HEAD" : "DELETE", draw(4) ? "Range: bytes=" : "X-No: ", range, "\r\n",
	         more[draw(10)]);
	if (swap)
		rig_swap();
	of[n] = rig.env;
	peer_ask(p, &rig.forward, text);
	if (swap)
		rig_swap();
}

static void judge(struct peer *p)
{
	const char *tag, *range;
	unsigned v, first = 0, last = 0, total;

	if ((p->status != 200 && p->status != 206) || !p->reply.len || !p->body.len)
		return;
	tag = strstr(buf_cstr(&p->reply), "ETag: \"v");
	range = strstr(buf_cstr(&p->reply), "Content-Range: bytes ");
	if (!tag || strstr(buf_cstr(&p->reply), "multipart"))
		return;
	ck_assert_int_eq(sscanf(tag, "ETag: \"v%u", &v), 1);
	ck_assert_int_eq(p->status == 206, range != NULL);
	/* What was passed on is the origin's to answer for. */
	if (range && !strstr(buf_cstr(&p->reply), "; stored") && !strstr(buf_cstr(&p->reply), "; hit"))
		return;
	if (range)
		ck_assert_int_eq(sscanf(range, "Content-Range: bytes %u-%u/%u", &first, &last, &total), 3);
	else
		last = length_of(v) - 1;
	ck_assert_uint_lt(last, length_of(v));
	ck_assert_uint_le(p->body.len, last - first + 1);
	for (unsigned i = 0; i < p->body.len; i++) {
		if (p->body.data[i] != byte_of(v, first + i))
			ck_abort_msg("version %u: byte %u is wrong", v, first + i);
	}
	if (p->ended)
		ck_assert_uint_eq(p->body.len, last - first + 1);
}

/* ---- The origin ---- */

static void send_head(unsigned n)
{
	static const char *const fields = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nCache-Control: max-age=40\r\n";
	const char *request = buf_cstr(&far(n)->request), *range = strstr(request, "Range: bytes="), *cond;
	unsigned first, last, shift = draw(25) == 0;
	char head[512], tag[16];

	snprintf(tag, sizeof(tag), "\"v%u\"", version);
	cond = strstr(request, "If-Range: ");
	if (range && cond && range > cond && !strncmp(range - 3, "If-", 3))
		range = strstr(range + 1, "Range: bytes=");
	sends[n].begun = true;
	sends[n].version = version;
	if (draw(20) == 0 || !strncmp(request, "DELETE", 6)) {
		sends[n].at = sends[n].end = 0;
		far_head(n, draw(2) ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
		return;
	}
	if (strstr(request, "If-None-Match: ") && strstr(request, tag)) {
		snprintf(head, sizeof(head), "HTTP/1.1 304 Not Modified\r\n%sETag: %s\r\n", fields, tag);
		far_head(n, head);
		return;
	}
	sends[n].end = length_of(version);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%sETag: %s\r\nContent-Length: %u\r\n", fields, tag, sends[n].end);
	if (range && (!cond || strstr(cond, tag)) && draw(15) &&
	    sscanf(range, "Range: bytes=%u-%u", &first, &last) == 2 && first < sends[n].end && !strchr(range, ',')) {
		sends[n].at = first;
		sends[n].end = last + 1 < sends[n].end ? last + 1 : sends[n].end;
		snprintf(head, sizeof(head), "HTTP/1.1 206 Partial Content\r\n%sETag: %s\r\nContent-Range: bytes %u-%u/%u\r\n"
		         "Content-Length: %u\r\n", fields, tag, first + shift, sends[n].end - 1 + shift, length_of(version) + shift,
		         sends[n].end - first);
	}
	far_head(n, head);
}

static void act(unsigned n)
{
	struct far *f = far(n);
	char piece[PIECE + 1];
	unsigned len, max;
	int ret;

	if (f->done || f->cancelled || sends[n].paused == f->resumes + 1)
		return;
	if (draw(40) == 0) {
		far_done(n, LARDER_ECLOSED);
	} else if (!sends[n].begun) {
		send_head(n);
	} else if (sends[n].at == sends[n].end || !strncmp(buf_cstr(&f->request), "HEAD", 4)) {
		far_done(n, 0);
	} else {
		max = sends[n].end - sends[n].at;
		len = 1 + draw(PIECE);
		len = len < max ? len : max;
		for (unsigned i = 0; i < len; i++)
			piece[i] = byte_of(sends[n].version, sends[n].at + i);
		piece[len] = '\0';
		ret = far_data(n, piece);
		if (ret == ORIGIN_PAUSE)
			sends[n].paused = f->resumes + 1;
		else if (ret == 0)
			sends[n].at += len;
	}
}

/* ---- Everything ---- */

static void stop_loop(struct net_timer *t)
{
	(void)t;
	net_loop_stop(rig.loop);
}

/* What others fetch is looked for now and then. */
static void pass(uint64_t ms)
{
	struct net_timer t;

	net_timer_init(&t, rig.loop, stop_loop);
	net_timer_set(&t, ms);
	INTO(net_loop_run(rig.loop));
}

static void step(void)
{
	struct peer *p = &peers[draw(PEERS)];

	switch (draw(12)) {
	case 0:
	case 1:
		begin((unsigned)(p - peers));
		break;
	case 2:
		if (draw(3) == 0 && p->x)
			peer_leave(p);
		break;
	case 3:
		if (p->x)
			peer_more(p, draw(2) ? SIZE_MAX : draw(2000));
		break;
	case 4:
		if (draw(3) == 0) {
			fake_store.fail = draw(6) == 0;
			fake_store.broken = draw(8) == 0;
			fake_store.full = draw(8) == 0;
		}
		INTO(store_settle());
		break;
	case 5:
		rig.now += draw(10);
		version += draw(25) == 0;
		break;
	case 6:
		rig_settle();
		break;
	case 7:
		if (draw(4) == 0)
			pass(11);
		break;
	default:
		if (nfars)
			act(nfars - 1 - draw(nfars < 12 ? nfars : 12));
	}
}

static bool waits(void)
{
	for (unsigned i = 0; i < PEERS; i++) {
		if (peers[i].x && !peers[i].ended && !peers[i].aborted)
			return true;
	}
	return false;
}

/* Everything that runs ends, one way or the other. */
static void end_all(void)
{
	fake_store.full = fake_store.broken = fake_store.fail = false;
	for (unsigned i = 0; i < PEERS; i++) {
		peers[i].leave = LEAVE_NEVER;
		if (peers[i].x)
			peer_more(&peers[i], SIZE_MAX);
	}
	for (unsigned turn = 0; turn < 300 && (turn < 3 || waits()); turn++) {
		store_make_room();
		for (unsigned i = 0; i < nfars; i++) {
			if (!far(i)->done && !far(i)->cancelled)
				far_done(i, LARDER_ECLOSED);
		}
		rig_settle();
		INTO(store_settle());
		pass(12);
	}
}

START_TEST(any_order)
{
	state = 0x9e3779b97f4a7c15u * ((unsigned)_i + 1);
	version = 1;
	memset(sends, 0, sizeof(sends));
	rig.options.range_fill = _i % 2 ? 900 : 50;
	rig.options.range_fetches = _i % 3 ? 16 : 1;
	rig.options.finish_bytes = _i % 5 * 500;
	fake_store.parts = true;
	fake_store.inline_max = 100;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		for (unsigned k = 0; i % 32 == 0 && k < PEERS; k++)
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
	for (unsigned i = 0; i < nfars; i++) {
		if (!far(i)->done && !far(i)->cancelled)
			far_done(i, LARDER_ECLOSED);
	}
	INTO(store_settle());
	rig_settle();
}
END_TEST

UNIT_MAIN("exchange/parts_random", tcase_add_checked_fixture(tc, rig_open_pool, rig_close);
          tcase_add_loop_test(tc, any_order, 0, 60);)
