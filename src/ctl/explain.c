/* explain: the keeper tells, or without a daemon the same functions do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/error.h"
#include "ctl.h"
#include "main/explain.h"

#define HEAD_MAX (ADMIN_REQUEST_MAX / 2)

static int read_response(const char *name, struct buf *out)
{
	bool standard = strcmp(name, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC), ret = CTL_OK;
	char piece[4096];
	ssize_t n = -1;

	while (fd >= 0 && ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR))) {
		if (n > 0)
			buf_add(out, piece, (size_t)n);
	}
	if (n < 0)
		ret = ctl_fail("%s: %s", name, strerror(errno));
	else if (out->err)
		ret = ctl_fail("%s: more than a response's head", name);
	else if (!out->len)
		ret = ctl_fail("%s: there is no response", name);
	if (fd >= 0 && !standard)
		close(fd);
	return ret;
}

static int write_fields(const struct ctl *c, struct buf *out)
{
	for (size_t i = 0; i < c->nheaders; i++) {
		struct view field = view_of(c->headers[i]);

		if (view_find(field, ':') == field.len || view_find(field, '\n') < field.len)
			return ctl_fail("--header: \"%s\" is not a field like 'Name: value'", c->headers[i]);
		buf_addv(out, field);
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err ? ctl_fail("too many fields") : CTL_OK;
}

/* ---- Without a daemon ---- */

static int with_listeners(const struct ctl *c, struct main_explainer *m, const struct main_question *q)
{
	struct exchange_listener *listeners = calloc(m->plan->nlisteners, sizeof(*listeners));
	size_t n = 0;
	struct buf out;
	char *why = NULL;
	int err = listeners ? 0 : LARDER_ENOMEM;

	buf_init(&out, ADMIN_ANSWER_MAX);
	for (; !err && n < m->plan->nlisteners; n++)
		err = main_exchange_listener(&m->plan->listeners[n], &listeners[n], &why);
	m->listeners = listeners;
	if (err)
		err = ctl_fail("%s", why ? why : larder_strerror(err));
	else if (main_explain(m, q, &out))
		err = ctl_fail("%.*s", VFMT(buf_view(&out)));
	else
		fwrite(out.data, 1, out.len, stdout);
	for (size_t i = 0; i < n; i++)
		main_exchange_listener_fini(&listeners[i]);
	free(why);
	free(listeners);
	buf_fini(&out);
	return err ? err : ctl_flush();
}

static int explain_offline(const struct ctl *c, const struct main_question *q)
{
	struct main_explainer m = {0};
	struct main_plan *plan = NULL;
	char *why = NULL;
	int ret = CTL_FAILED, ignored;

	if (main_plan_load(&c->args, &plan, &why, &ignored)) {
		ctl_fail("%s", why ? why : "out of memory");
		free(why);
		return CTL_FAILED;
	}
	m.plan = plan;
	m.loop = net_loop_new(1);
	if (c->store_dir)
		m.store = ctl_open_store(c, false);
	if (!m.loop)
		ctl_fail("out of memory");
	else if (m.store || !c->store_dir)
		ret = with_listeners(c, &m, q);
	if (m.store)
		store_close(m.store);
	if (m.loop)
		net_loop_free(m.loop);
	main_plan_free(plan);
	return ret;
}

/* ---- Beside one ---- */

/* CTL_OK, CTL_FAILED, or LARDER_ECONNECT. */
static int explain_online(const struct ctl *c, const struct main_question *q)
{
	struct buf request, answer;
	int ret;

	buf_init(&request, ADMIN_REQUEST_MAX - 1);
	buf_init(&answer, ADMIN_ANSWER_MAX);
	BUF_ADD_LIT(&request, "explain ");
	main_question_write(q, &request);
	ret = buf_cstr(&request) ? ctl_ask(c, request.data, &answer) : ctl_fail("too much to ask at once");
	if (!ret) {
		fwrite(answer.data, 1, answer.len, stdout);
		ret = ctl_flush();
	}
	buf_fini(&request);
	buf_fini(&answer);
	return ret;
}

int explain_command(const struct ctl *c)
{
	struct buf fields, response;
	struct main_question q = {
		.json = c->given & CTL_JSON,
		.listener = view_of(c->listener),
		.client = view_of(c->client),
		.method = c->method ? view_of(c->method) : V("GET"),
		.url = view_of(c->operands[0]),
	};
	int ret;

	buf_init(&fields, HEAD_MAX);
	buf_init(&response, HEAD_MAX);
	ret = write_fields(c, &fields);
	if (!ret && c->response)
		ret = read_response(c->response, &response);
	q.fields = buf_view(&fields);
	q.response = buf_view(&response);
	if (!ret)
		ret = explain_online(c, &q);
	if (ret == LARDER_ECONNECT)
		ret = explain_offline(c, &q);
	buf_fini(&fields);
	buf_fini(&response);
	return ret;
}
