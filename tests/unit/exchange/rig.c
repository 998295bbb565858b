/* The clock, the access rules, tunnels, and the environment of the tests. */
#include "rig.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

struct rig rig;
volatile unsigned rig_quiet = 1;

int64_t __wrap_net_loop_wall_s(const struct net_loop *l);
int64_t __wrap_net_loop_wall_s(const struct net_loop *l)
{
	(void)l;
	return rig.now;
}

/* ---- Access ---- */

struct access {
	int unused;
};
static struct access access_rules;

int access_client(const struct access *a, const struct addr *client, struct access_refusal *why)
{
	(void)a, (void)client, (void)why;
	return 0;
}

bool access_purges(const struct access *a)
{
	return a == &access_rules;
}

int access_purge(const struct access *a, const struct addr *client, struct access_refusal *why)
{
	(void)a, (void)client, (void)why;
	return 0;
}

int access_port(const struct access *a, bool tunnel, uint16_t port, struct access_refusal *why)
{
	(void)a, (void)tunnel, (void)port, (void)why;
	return 0;
}

int access_destination(const struct access *a, const struct addr *client, const struct addr *dest,
                       struct access_refusal *why)
{
	(void)a;
	*why = (struct access_refusal){"reach_private", "The address is private."};
	return !rig.may_reach || rig.may_reach(client, dest) ? 0 : LARDER_EREFUSED;
}

/* ---- Tunnels ---- */

struct net_connect {
	struct addr at;
	int (*allow)(void *arg, const struct addr *a);
	void (*done)(void *arg, const struct net_connect_result *r);
	void *arg;
};
struct net_relay {
	struct net_stream a, b;
	void (*done)(void *arg, const struct net_relay_result *r);
	void *arg;
};
static struct net_connect *connecting;
static struct net_relay *relaying;

struct net_connect *net_connect_new(struct net_loop *l, struct view host, uint16_t port,
                                    uint64_t timeout_ms, int (*allow)(void *arg, const struct addr *a),
                                    void (*done)(void *arg, const struct net_connect_result *r),
                                    void *arg)
{
	(void)l, (void)host, (void)timeout_ms;
	ck_assert_ptr_null(connecting);
	connecting = calloc(1, sizeof(*connecting));
	*connecting = (struct net_connect){.allow = allow, .done = done, .arg = arg};
	ck_assert_int_eq(addr_parse_ip(V("192.0.2.1"), port, &connecting->at), 0);
	return connecting;
}

void net_connect_cancel(struct net_connect *c)
{
	ck_assert_ptr_eq(c, connecting);
	free(c);
	connecting = NULL;
}

bool connect_waits(void)
{
	return connecting != NULL;
}

void connect_done(int err, int fd)
{
	struct net_connect c = *connecting;
	struct net_connect_result r = {.err = err, .fd = fd, .addr = c.at};

	free(connecting);
	connecting = NULL;
	if (!err)
		r.err = c.allow(c.arg, &c.at);
	if (r.err && fd >= 0) {
		close(fd);
		r.fd = -1;
	}
	c.done(c.arg, &r);
}

struct net_relay *__wrap_net_relay_new(struct net_loop *l, struct net_stream a, struct net_stream b,
                                       struct view first, uint64_t idle_ms,
                                       void (*done)(void *arg, const struct net_relay_result *r),
                                       void *arg);
struct net_relay *__wrap_net_relay_new(struct net_loop *l, struct net_stream a, struct net_stream b,
                                       struct view first, uint64_t idle_ms,
                                       void (*done)(void *arg, const struct net_relay_result *r),
                                       void *arg)
{
	(void)l, (void)first, (void)idle_ms;
	ck_assert_ptr_null(relaying);
	relaying = calloc(1, sizeof(*relaying));
	*relaying = (struct net_relay){a, b, done, arg};
	return relaying;
}

bool relay_runs(void)
{
	return relaying != NULL;
}

void relay_end(int err)
{
	struct net_relay r = *relaying;
	struct net_relay_result result = {.err = err};

	free(relaying);
	relaying = NULL;
	close(r.a.fd);
	close(r.b.fd);
	r.done(r.arg, &result);
}

void __wrap_net_relay_abort(struct net_relay *r);
void __wrap_net_relay_abort(struct net_relay *r)
{
	ck_assert_ptr_eq(r, relaying);
	relay_end(LARDER_ECLOSED);
}

/* ---- The environment ---- */

static char no_text[] = "", pseudonym[] = "tester";

void rig_open(void)
{
	rig = (struct rig){
		.now = EPOCH,
		.options = {.pseudonym = pseudonym,
	                    .pipe_bytes = 64 << 10,
	                    .range_fill = 1 << 20,
	                    .finish_percent = 50,
	                    .finish_bytes = 1000,
	                    .unshareable_time = 120000,
	                    .fills_max = 64,
	                    .tunnels_max = 8},
	};
	rig.forward = (struct exchange_listener){
		.kind = EXCHANGE_FORWARD,
		.name = V("forward"),
		.access = &access_rules,
		.cache = {.heuristic_percent = 10, .heuristic_max = 86400000, .request_directives = true,
	                  .keep_stale = 86400000},
		.options = {.via = 2, .cache = true, .cache_status = true, .origin_host = no_text},
	};
	rig.reverse = rig.forward;
	rig.reverse.kind = EXCHANGE_REVERSE;
	rig.reverse.name = V("reverse");
	ck_assert_int_eq(http_uri_parse(V("http://10.0.0.1:8000/"), &rig.reverse.origin), 0);
	rig.loop = net_loop_new(1);
	ck_assert_ptr_nonnull(rig.loop);
	fake_store = (struct fake_store){.spool_max = UINT64_MAX, .accepts_max = UINT64_MAX};
	rig.env = exchange_env_new(rig.loop, &rig.options, rig_store(), rig_origin(), NULL, &rig.stats);
	ck_assert_ptr_nonnull(rig.env);
}

void rig_open_pool(void)
{
	rig_open();
	exchange_env_free(rig.env);
	rig.board = exchange_board_new();
	ck_assert_ptr_nonnull(rig.board);
	rig.env = exchange_env_new(rig.loop, &rig.options, rig_store(), rig_origin(), rig.board, &rig.stats);
	rig.other = exchange_env_new(rig.loop, &rig.options, rig_store(), rig_origin(), rig.board, &rig.stats);
	ck_assert(rig.env && rig.other);
}

void rig_swap(void)
{
	struct exchange_env *env = rig.env;

	rig.env = rig.other;
	rig.other = env;
}

static void stop_settling(struct net_timer *t)
{
	net_loop_stop(rig.loop);
}

/* Is a message on its way between the processes, or the end of one? */
static bool something_comes(void)
{
	for (int fd = 0; fd < 256; fd++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		socklen_t len = sizeof(int);
		int type;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET &&
		    poll(&p, 1, 0) == 1)
			return true;
	}
	return false;
}

void rig_settle(void)
{
	struct net_timer t;
	bool more = true;

	net_timer_init(&t, rig.loop, stop_settling);
	while (more) {
		more = something_comes();
		net_timer_set(&t, 0);
		INTO(net_loop_run(rig.loop));
	}
}

void rig_close(void)
{
	exchange_env_free(rig.env);
	exchange_env_free(rig.other);
	/* As when the store is closed: what was queued is done, and told. */
	store_settle();
	rig_store_free();
	rig_origin_free();
	net_loop_free(rig.loop);
	if (rig.board)
		exchange_board_free(rig.board);
	ck_assert_uint_eq(rig.stats.active, 0);
	ck_assert_uint_eq(rig.stats.fills, 0);
	ck_assert_uint_eq(rig.stats.tunnels_open, 0);
	ck_assert_uint_eq(fake_store.spools, 0);
	ck_assert_uint_eq(fake_store.hits, 0);
	ck_assert_ptr_null(connecting);
	ck_assert_ptr_null(relaying);
}
