#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "exchange/exchange.h"
#include "pool.h"

#define SLOTS_MIN  64
#define CUT_MS     2000 /* from a second signal to killing */

static struct pool pool;

/* Prints what stops the start, to where the operator looks. */
static int complain(char *why, int err)
{
	fprintf(stderr, "larder: %s\n", why ? why : larder_strerror(err));
	free(why);
	return err;
}

static int raise_limit(struct pool *p)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return larder_from_errno(errno);
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl))
			log_warning("cannot raise the limit of descriptors: %s", strerror(errno));
		if (getrlimit(RLIMIT_NOFILE, &rl))
			return larder_from_errno(errno);
	}
	p->fd_limit = rl.rlim_cur;
	return 0;
}

static int open_signals(struct pool *p)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, &p->mask_before))
		return larder_from_errno(errno);
	p->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return p->signal_fd < 0 ? larder_from_errno(errno) : 0;
}

static int open_shared(struct pool *p, const struct main_plan *plan)
{
	size_t most = plan->workers + 1;
	void *board;

	p->slots = 1 + (4 * most > SLOTS_MIN ? 4 * most : SLOTS_MIN);
	p->stats = stat_map_new(main_stat_rows, main_nstat_rows, sizeof(struct main_block), p->slots);
	if (!p->stats)
		return LARDER_ENOMEM;
	p->block = stat_map_block(p->stats, 0);
	stat_set(&p->block->main.start_time, (uint64_t)clock_wall_s());
	board = mmap(NULL, p->slots * sizeof(*p->board), PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return LARDER_ENOMEM;
	p->board = board;
	return 0;
}

/* A taken path stops the daemon only if somebody asked for that path. */
static int open_control(struct pool *p, const struct main_plan *plan, char **why)
{
	if (!plan->control)
		return 0;
	p->control_fd = admin_socket_open(plan->control, p->uid, p->gid, why);
	if (p->control_fd >= 0) {
		p->control = strdup(plan->control);
		return p->control ? 0 : LARDER_ENOMEM;
	}
	if (plan->main->control[0])
		return p->control_fd;
	log_warning("%s; going on without a control socket", *why ? *why : "no control socket");
	free(*why);
	*why = NULL;
	return 0;
}

static int write_pid_file(struct pool *p, const struct main_plan *plan, char **why)
{
	int fd;

	if (!plan->main->pid_file[0])
		return 0;
	fd = open(plan->main->pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		main_why(why, LARDER_EIO, "pid_file %s: %s", plan->main->pid_file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return LARDER_EIO;
	}
	close(fd);
	p->pid_file = strdup(plan->main->pid_file);
	return p->pid_file ? 0 : LARDER_ENOMEM;
}

static int open_store(struct pool *p, const struct main_plan *plan, char **why)
{
	p->flights = exchange_board_new();
	if (!p->flights)
		return LARDER_ENOMEM;
	if (!plan->store_dir)
		return 0;
	p->store_dir = strdup(plan->store_dir);
	if (!p->store_dir)
		return LARDER_ENOMEM;
	return store_home_open(plan->store_dir, plan->main->size, p->uid, p->gid, &p->home, why);
}

/* All that needs rights or may be refused, before the first child. */
static int prepare(struct pool *p, const struct main_plan *plan, char **why)
{
	int err;

	err = raise_limit(p);
	if (!err)
		err = drop_resolve(plan->main, &p->drop, &p->uid, &p->gid, why);
	if (!err)
		err = sockets_activate(&p->sockets);
	if (!err)
		err = open_store(p, plan, why);
	if (!err)
		err = sockets_open(&p->sockets, plan, why);
	if (err)
		return err;
	sockets_commit(&p->sockets);
	sockets_warn_unused(&p->sockets, plan);
	err = open_control(p, plan, why);
	if (!err)
		err = log_open(plan->log, why);
	if (!err)
		err = write_pid_file(p, plan, why);
	if (!err)
		err = open_signals(p);
	if (!err)
		err = open_shared(p, plan);
	/* No log_start: the master forks, so it must have no threads, and it has little to say. */
	return err;
}

/* ---- Signals ---- */

static void stop(struct pool *p)
{
	struct channel_message cut = {.type = CHANNEL_CUT};
	struct child *c;

	if (p->phase == PHASE_STARTING) {
		p->failed = true;
		return;
	}
	if (p->phase != PHASE_RUNNING) {
		log_info("stopping at once");
		pool_broadcast(p, &cut, NULL, 0);
		LIST_FOREACH(c, &p->children, link)
			c->kill_ms = clock_mono_ms() + CUT_MS;
		return;
	}
	log_info("stopping");
	notify_send(NOTIFY_STOPPING);
	if (p->next)
		reload_abandon(p, "the daemon is being stopped");
	p->phase = PHASE_QUIETING;
	sockets_retire(&p->sockets, NULL);
	reload_quiet_begin(p);
}

static void reopen_logs(struct pool *p)
{
	struct channel_message m = {.type = CHANNEL_LOG};
	int error_fd = -1, access_fd = -1, fds[CHANNEL_FDS_MAX];
	size_t n = 0;
	int err = log_reopen();

	if (err) {
		log_error("cannot reopen the logs: %s", larder_strerror(err));
		return;
	}
	log_reopen_fds(&error_fd, &access_fd);
	if (error_fd >= 0) {
		m.value |= 1;
		fds[n++] = error_fd;
	}
	if (access_fd >= 0) {
		m.value |= 2;
		fds[n++] = access_fd;
	}
	if (n)
		pool_broadcast(p, &m, fds, n);
}

static void read_signals(struct pool *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCHLD:
			pool_reap(p);
			break;
		case SIGHUP:
			if (p->phase <= PHASE_RUNNING)
				reload_begin(p, NULL);
			break;
		case SIGUSR1:
			reopen_logs(p);
			break;
		default:
			stop(p);
			break;
		}
	}
}

/* ---- Messages from children ---- */

static void read_channel(struct pool *p, struct child *c)
{
	struct channel_message m;
	int fds[CHANNEL_FDS_MAX], err;
	size_t nfds;

	err = channel_receive(c->channel, &m, fds, &nfds);
	for (size_t i = 0; !err && i < nfds; i++)
		close(fds[i]);
	if (err == LARDER_EAGAIN)
		return;
	if (err) {
		/* It is about to be reaped. */
		close(c->channel);
		c->channel = -1;
		return;
	}
	if (m.type == CHANNEL_READY)
		pool_child_ready(p, c);
	else if (m.type == CHANNEL_DRAINING)
		pool_child_draining(p, c);
	else if (m.type == CHANNEL_RELOAD)
		reload_begin(p, c);
}

/* The child behind a channel: it may have been reaped since it was polled. */
static struct child *child_at(struct pool *p, int channel)
{
	struct child *c;

	LIST_FOREACH(c, &p->children, link) {
		if (c->channel == channel)
			return c;
	}
	return NULL;
}

/* One turn: waits for signals and messages, at most until `until_ms`. */
static int turn(struct pool *p, uint64_t until_ms)
{
	uint64_t now = clock_mono_ms(), wait = until_ms > now ? until_ms - now : 0;
	size_t n = 1, count = 1;
	struct pollfd *fds;
	struct child *c;

	LIST_FOREACH(c, &p->children, link)
		count++;
	fds = calloc(count, sizeof(*fds));
	if (!fds)
		return LARDER_ENOMEM;
	fds[0] = (struct pollfd){.fd = p->signal_fd, .events = POLLIN};
	LIST_FOREACH(c, &p->children, link)
		fds[n++] = (struct pollfd){.fd = c->channel, .events = POLLIN};
	if (poll(fds, n, until_ms == UINT64_MAX || wait > 3600000 ? 3600000 : (int)wait) < 0)
		goto out;
	/* Signals first: when all of us are told to end, no worker that ends is replaced. */
	if (fds[0].revents)
		read_signals(p);
	for (size_t i = 1; i < n; i++) {
		c = fds[i].revents ? child_at(p, fds[i].fd) : NULL;
		if (c)
			read_channel(p, c);
	}
out:
	free(fds);
	return 0;
}

static void advance(struct pool *p)
{
	if (p->phase == PHASE_STARTING && pool_generation_ready(p->now)) {
		p->phase = PHASE_RUNNING;
		log_info("ready: %u workers, %zu listeners, %s%s", p->now->plan->workers,
		         p->now->plan->nlisteners, p->store_dir ? "store " : "no store",
		         p->store_dir ? p->store_dir : "");
		dprintf(STDOUT_FILENO, "larder: ready\n");
		notify_send(NOTIFY_READY);
		if (p->reload_again)
			reload_begin(p, NULL);
	}
	if (p->phase == PHASE_STOPPING && pool_count(p, ROLE_WORKER) == 0) {
		p->phase = PHASE_LAST;
		pool_generation_drain(p, p->now);
	}
}

static bool ended(const struct pool *p)
{
	return p->failed || (p->phase == PHASE_LAST && LIST_EMPTY(&p->children));
}

static void run(struct pool *p)
{
	int err = pool_generation_start(p, p->now);

	if (err) {
		log_error("cannot start children: %s", larder_strerror(err));
		p->failed = true;
	}
	while (!ended(p)) {
		uint64_t now = clock_mono_ms(), until = pool_next_ms(p);

		if (p->quiet_deadline_ms && now + QUIET_STEP_MS < until)
			until = now + QUIET_STEP_MS;
		if (turn(p, until)) {
			p->failed = true;
			break;
		}
		now = clock_mono_ms();
		if (p->quiet_deadline_ms)
			reload_quiet_step(p, now);
		pool_timers(p, now);
		advance(p);
	}
}

/* After a failed start: nobody is left behind. */
static void kill_rest(struct pool *p)
{
	struct child *c;

	LIST_FOREACH(c, &p->children, link) {
		c->seat = NULL;
		kill(c->pid, SIGKILL);
	}
	while (!LIST_EMPTY(&p->children)) {
		struct pollfd fd = {.fd = p->signal_fd, .events = POLLIN};
		struct signalfd_siginfo si;

		pool_reap(p);
		if (LIST_EMPTY(&p->children))
			return;
		poll(&fd, 1, 1000);
		while (read(p->signal_fd, &si, sizeof(si)) > 0)
			;
	}
}

static void clean_up(struct pool *p)
{
	if (p->control)
		unlink(p->control);
	if (p->pid_file)
		unlink(p->pid_file);
	if (p->control_fd >= 0)
		close(p->control_fd);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	sockets_fini(&p->sockets);
	pool_generation_free(p->now);
	if (p->home)
		store_home_free(p->home);
	exchange_board_free(p->flights);
	if (p->board)
		munmap(p->board, p->slots * sizeof(*p->board));
	stat_map_free(p->stats);
	free(p->store_dir);
	free(p->control);
	free(p->pid_file);
	p->magic = 0;
}

int master_run(const struct main_args *args, struct main_plan *plan)
{
	struct pool *p = &pool;
	char *why = NULL;
	int err;

	*p = (struct pool){
		.magic = POOL_MAGIC,
		.args = args,
		.master = getpid(),
		.control_fd = -1,
		.signal_fd = -1,
	};
	LIST_INIT(&p->children);
	err = prepare(p, plan, &why);
	if (!err) {
		p->now = pool_generation_new(p, plan);
		err = p->now ? 0 : LARDER_ENOMEM;
	}
	if (err) {
		complain(why, err);
		main_plan_free(plan);
		clean_up(p);
		return EXIT_FAILURE;
	}
	run(p);
	if (p->failed)
		kill_rest(p);
	err = p->failed ? EXIT_FAILURE : EXIT_SUCCESS;
	clean_up(p);
	return err;
}
