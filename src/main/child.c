#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"

static void adopt_logs(const struct channel_message *m, const int *fds, size_t nfds)
{
	bool error = m->value & 1, access = m->value & 2;

	if ((size_t)error + access != nfds)
		return;
	log_adopt_fds(error ? fds[0] : -1, access ? fds[nfds - 1] : -1);
}

static void post_ready(void *arg, int events)
{
	struct post *post = arg;
	struct channel_message m;
	int fds[CHANNEL_FDS_MAX];
	size_t nfds;
	int err;

	(void)events;
	for (;;) {
		err = channel_receive(post->fd, &m, fds, &nfds);
		if (err == LARDER_EAGAIN)
			return;
		/* Without its master a child has no business to be here. */
		if (err == LARDER_ECLOSED)
			_exit(EXIT_FAILURE);
		if (err)
			return;
		if (m.type == CHANNEL_LOG)
			adopt_logs(&m, fds, nfds);
		else
			post->fn(post, &m, fds, nfds);
		if (!post->poll)
			return;
	}
}

int post_open(struct post *post, struct net_loop *loop, int fd,
              void (*fn)(struct post *, const struct channel_message *, const int *, size_t))
{
	*post = (struct post){.loop = loop, .fd = fd, .fn = fn};
	post->poll = net_poll_new(loop, fd, post_ready, post);
	if (!post->poll)
		return LARDER_ENOMEM;
	net_poll_set(post->poll, NET_READ);
	return 0;
}

void post_close(struct post *post)
{
	net_poll_free(post->poll);
	post->poll = NULL;
}

void post_send(const struct post *post, enum channel_type type)
{
	struct channel_message m = {.type = type};
	int err = channel_send(post->fd, &m, NULL, 0);

	if (err)
		log_warning("the master takes no messages: %s", larder_strerror(err));
}

static void close_others(const struct start *s)
{
	struct pool *p = s->pool;
	struct child *c;

	LIST_FOREACH(c, &p->children, link) {
		if (c->channel >= 0)
			close(c->channel);
		c->channel = -1;
	}
	close(p->signal_fd);
	if (s->role == ROLE_WORKER && p->control_fd >= 0)
		close(p->control_fd);
	for (size_t i = 0; i < p->sockets.n; i++) {
		struct endpoint *e = &p->sockets.v[i];
		bool ours = s->role == ROLE_WORKER && main_plan_find(s->generation->plan, &e->addr) >= 0;

		for (size_t k = 0; k < e->n; k++) {
			if (ours && sockets_serves(e, k, s->index, s->generation->plan->workers))
				continue;
			close(e->fds[k]);
			e->fds[k] = -1;
		}
	}
}

/* A terminal's ^C and a hang-up reach the whole group: the master alone acts on them. */
static void reset_signals(const struct pool *p)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &p->mask_before, NULL);
}

/* The death signal is cleared by a change of ids, so it comes after; the master may be gone by then. */
static void die_with_master(const struct pool *p)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != p->master)
		_exit(EXIT_FAILURE);
	/* The change of ids also forbids core dumps, which help and hold no keys here. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

void child_begin(const struct start *s, const char *name)
{
	struct pool *p = s->pool;
	struct main_block *block = stat_map_block(p->stats, s->slot);
	int err;

	close_others(s);
	reset_signals(p);
	prctl(PR_SET_NAME, s->role == ROLE_WORKER ? "larder-worker" : "larder-keeper", 0, 0, 0);
	err = drop_rights(p->drop, p->uid, p->gid);
	if (err)
		exit(CHILD_START_FAILED);
	die_with_master(p);
	err = log_start(name, &block->log);
	if (err)
		child_fail("the log", err);
}

_Noreturn void child_fail(const char *what, int err)
{
	log_error("cannot start: %s: %s", what, larder_strerror(err));
	log_stop();
	exit(CHILD_START_FAILED);
}
