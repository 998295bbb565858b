#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "pool.h"

static struct endpoint *find(struct sockets *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].addr.len == a->len && memcmp(&s->v[i].addr.sa, &a->sa, a->len) == 0)
			return &s->v[i];
	}
	return NULL;
}

static struct endpoint *add(struct sockets *s, const struct addr *a)
{
	struct endpoint *v = reallocarray(s->v, s->n + 1, sizeof(*v));
	int *fds;

	if (!v)
		return NULL;
	s->v = v;
	fds = calloc(SOCKETS_MAX, sizeof(*fds));
	if (!fds)
		return NULL;
	v[s->n] = (struct endpoint){.addr = *a, .fds = fds, .id = s->next_id};
	s->next_id += SOCKETS_MAX;
	return &v[s->n++];
}

static void drop(struct sockets *s, size_t i)
{
	struct endpoint *e = &s->v[i];

	for (size_t k = 0; k < e->n; k++)
		close(e->fds[k]);
	free(e->fds);
	s->v[i] = s->v[--s->n];
}

int sockets_activate(struct sockets *s)
{
	int first, n = notify_sockets(&first);
	struct sockaddr_storage sa;
	char text[ADDR_TEXT_MAX];
	struct endpoint *e;
	struct addr a;

	for (int fd = first; fd < first + n; fd++) {
		socklen_t len = sizeof(sa);

		if (getsockname(fd, (struct sockaddr *)&sa, &len) ||
		    !addr_from_sa((const struct sockaddr *)&sa, len, &a)) {
			log_warning("socket %d of the service manager is no TCP socket: not used", fd);
			close(fd);
			continue;
		}
		if (find(s, &a)) {
			log_warning("the service manager gave %s twice", addr_format(&a, text));
			close(fd);
			continue;
		}
		e = add(s, &a);
		if (!e)
			return LARDER_ENOMEM;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		e->fds[e->n++] = fd;
		e->activated = true;
	}
	return 0;
}

/* Is a port ours already, at whatever address? Then a probing bind could only meet ourselves. */
static bool port_ours(const struct sockets *s, uint16_t port)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].n && addr_port(&s->v[i].addr) == port)
			return true;
	}
	return false;
}

static int open_more(struct sockets *s, struct endpoint *e, size_t want, int backlog)
{
	while (e->n < want) {
		int fd;

		if (e->n >= SOCKETS_MAX)
			return LARDER_ELIMIT;
		fd = net_listen(&e->addr, backlog, port_ours(s, addr_port(&e->addr)));
		if (fd < 0)
			return fd;
		e->fds[e->n++] = fd;
		e->fresh++;
	}
	return 0;
}

static int open_listener(struct sockets *s, const struct main_plan *plan,
                         const struct main_listener *l, char **why)
{
	char text[ADDR_TEXT_MAX];
	struct endpoint *e;
	int err;

	for (size_t i = 0; i < l->naddrs; i++) {
		e = find(s, &l->addrs[i]);
		if (!e)
			e = add(s, &l->addrs[i]);
		if (!e)
			return main_why(why, LARDER_ENOMEM, "out of memory");
		if (e->activated)
			continue;
		err = open_more(s, e, plan->workers, (int)plan->client->backlog);
		if (err == LARDER_EBUSY)
			return main_why(why, err, "%s: %s: the address is in use by another process",
			                l->where, addr_format(&e->addr, text));
		if (err)
			return main_why(why, err, "%s: cannot listen on %s: %s", l->where,
			                addr_format(&e->addr, text),
			                errno ? strerror(errno) : larder_strerror(err));
	}
	return 0;
}

int sockets_open(struct sockets *s, const struct main_plan *plan, char **why)
{
	int err = 0;

	sockets_commit(s);
	for (size_t i = 0; i < plan->nlisteners && !err; i++)
		err = open_listener(s, plan, &plan->listeners[i], why);
	if (err) {
		for (size_t i = 0; i < s->n; i++) {
			struct endpoint *e = &s->v[i];

			/* Opened this instant: nobody can be queued for long, and the kernel moves none. */
			while (e->fresh) {
				close(e->fds[--e->n]);
				e->fresh--;
			}
		}
		sockets_rollback(s, NULL);
	}
	return err;
}

void sockets_commit(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->v[i].fresh = 0;
}

void sockets_warn_unused(const struct sockets *s, const struct main_plan *plan)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].activated && main_plan_find(plan, &s->v[i].addr) < 0)
			log_warning("the service manager gave a socket for %s, but no listener has that "
			            "address",
			            addr_format(&s->v[i].addr, text));
	}
}

void sockets_rollback(struct sockets *s, const struct main_plan *keep)
{
	for (size_t i = s->n; i-- > 0;) {
		struct endpoint *e = &s->v[i];

		if (e->fresh == e->n && !e->activated && !(keep && main_plan_find(keep, &e->addr) >= 0))
			drop(s, i);
	}
}

bool sockets_serves(const struct endpoint *e, size_t i, unsigned index, unsigned workers)
{
	return e->activated || i % workers == index;
}

/* Lets the kernel drop every SYN that arrives at a listening socket, so that its accept queue only shrinks;
 * handshakes under way complete. Newer kernels want CAP_NET_ADMIN for it; without it, who connects between the last
 * accept and the close is reset. TCP header: the flags are byte 13, SYN is bit 1. */
static void refuse_new(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		log_debug("cannot filter a listening socket: %s", strerror(errno));
}

size_t sockets_retire(struct sockets *s, const struct main_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct endpoint *e = &s->v[i];

		/* A socket of the service manager waits for a plan that wants it. */
		if (plan && (e->activated || main_plan_find(plan, &e->addr) >= 0))
			continue;
		n++;
		if (e->retiring)
			continue;
		e->retiring = true;
		/* The service manager keeps its sockets for our successor. */
		for (size_t k = 0; k < e->n && !e->activated; k++)
			refuse_new(e->fds[k]);
	}
	return n;
}

/* Connections that wait to be accepted. */
static unsigned queued(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_unacked;
}

bool sockets_quiet(const struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct endpoint *e = &s->v[i];

		for (size_t k = 0; e->retiring && !e->activated && k < e->n; k++) {
			if (queued(e->fds[k]))
				return false;
		}
	}
	return true;
}

void sockets_close_retired(struct sockets *s)
{
	for (size_t i = s->n; i-- > 0;) {
		if (s->v[i].retiring)
			drop(s, i);
	}
}

size_t sockets_count(const struct sockets *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->v[i].n;
	return n;
}

void sockets_fini(struct sockets *s)
{
	while (s->n)
		drop(s, s->n - 1);
	free(s->v);
	*s = (struct sockets){0};
}
