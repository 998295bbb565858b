/* Content codings: which a message has, which a request takes. */
#include "http/value.h"

#include "http-private.h"

enum http_coding http_content_coding(const struct http_head *res)
{
	enum http_coding coding = HTTP_CODING_NONE;
	struct view member;
	struct http_list l;

	http_list_init(&l, res, HTTP_CONTENT_ENCODING);
	while (http_list_next(&l, &member)) {
		if (view_ieq(member, V("identity"))) /* not to be sent, and says nothing */
			continue;
		if (coding != HTTP_CODING_NONE)
			return HTTP_CODING_OTHER;
		/* RFC 9110 §8.4.1.3 */
		if (view_ieq(member, V("gzip")) || view_ieq(member, V("x-gzip")))
			coding = HTTP_CODING_GZIP;
		else if (view_ieq(member, V("deflate")))
			coding = HTTP_CODING_DEFLATE;
		else
			coding = HTTP_CODING_OTHER;
	}
	return coding;
}

bool http_weight_parse(struct view v, unsigned *weight)
{
	static const unsigned unit[] = {100, 10, 1};
	unsigned w;

	if (!v.len || v.len > 5 || (v.ptr[0] != '0' && v.ptr[0] != '1') ||
	    (v.len > 1 && v.ptr[1] != '.'))
		return false;
	w = v.ptr[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '9')
			return false;
		w += unit[i - 2] * (unsigned)(v.ptr[i] - '0');
	}
	*weight = w;
	return w <= 1000;
}

/* One that is none counts as 1, which is what leaving it out means. */
static unsigned weight_of(struct view member)
{
	unsigned weight;

	return http_weight_parse(http_param(member, V("q")), &weight) ? weight : 1000;
}

static bool same_coding(struct view name, struct view coding)
{
	if (view_istarts(name, V("x-")))
		name = view_from(name, 2);
	return view_ieq(name, coding);
}

int http_coding_weight(const struct http_head *req, struct view coding)
{
	struct view member, name, rest;
	int any = -1;
	struct http_list l;

	if (!http_find(req, HTTP_ACCEPT_ENCODING, 0))
		return HTTP_CODING_UNSAID;
	http_list_init(&l, req, HTTP_ACCEPT_ENCODING);
	while (http_list_next(&l, &member)) {
		name = view_trim(view_cut(member, ';', &rest));
		if (same_coding(name, coding))
			return (int)weight_of(member);
		if (view_eq(name, V("*")))
			any = (int)weight_of(member);
	}
	if (any >= 0)
		return any;
	/* §12.5.3: identity is taken unless it is named with 0. */
	return view_ieq(coding, V("identity")) ? 1000 : 0;
}
