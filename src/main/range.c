/* What an operator calls a part of the store. */
#include "main/range.h"

#include "base/error.h"

#define URL_MAX 65536

/* "http://host/path", normalised as keys are. */
static int url_range(struct main_range *r, struct view text)
{
	int err = http_uri_parse(text, &r->target);

	if (err)
		return err;
	err = http_target_key(&r->target, &r->url);
	r->range.url = buf_view(&r->url);
	return err;
}

int main_range_url(struct main_range *r, struct view text, bool exact)
{
	*r = (struct main_range){.range.exact = exact};
	buf_init(&r->url, URL_MAX);
	return url_range(r, text);
}

int main_range_host(struct main_range *r, struct view text)
{
	int err;

	*r = (struct main_range){0};
	buf_init(&r->url, URL_MAX);
	if (view_starts(text, V("*.")))
		text = view_from(text, 1);
	if (text.len > 1 && text.ptr[0] == '.') {
		r->range.below = true;
		text = view_from(text, 1);
	}
	err = http_authority_parse(text, HTTP_SCHEME_HTTP, &r->target);
	if (err || !r->target.host.len || (r->range.below && r->target.port_given))
		return err ? err : LARDER_EINVAL;
	/* Addresses stand in their own order: nothing is below them. */
	if (r->range.below &&
	    (r->target.host.ptr[0] == '[' || r->target.host.ptr[r->target.host.len - 1] <= '9'))
		return LARDER_EINVAL;
	r->range.host = r->target.host;
	r->range.port = r->target.port_given ? r->target.port : 0;
	return 0;
}

int main_range_any(struct main_range *r, struct view text)
{
	for (size_t i = 0; i + 2 < text.len; i++) {
		if (view_starts(view_from(text, i), V("://")))
			return main_range_url(r, text, false);
	}
	return main_range_host(r, text);
}

void main_range_fini(struct main_range *r)
{
	buf_fini(&r->url);
}
