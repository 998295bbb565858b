#include "main/purge.h"

#include "base/error.h"
#include "main/main.h"

static int parse_url(struct main_purge *p, struct view text, char **why)
{
	int err = main_range_url(&p->range, text, false);

	p->what.kind = STORE_PURGE_URL;
	p->what.text = p->range.range.url;
	return err ? main_why(why, err, "\"%.*s\" is not the beginning of a URL like http://example.com/dir/",
	                      VFMT(text))
	           : 0;
}

static int parse_host(struct main_purge *p, struct view text, char **why)
{
	int err = main_range_host(&p->range, text);

	p->what.kind = STORE_PURGE_HOST;
	p->what.text = p->range.range.host;
	p->what.port = p->range.range.port;
	p->what.below = p->range.range.below;
	return err ? main_why(why, err, "\"%.*s\" is not a host like example.com or *.example.com",
	                      VFMT(text))
	           : 0;
}

int main_purge_parse(struct main_purge *p, struct view kind, struct view text, bool soft, char **why)
{
	const char *what = NULL;
	int err = 0;

	*p = (struct main_purge){0};
	*why = NULL;
	if (view_eq(kind, V("url")))
		err = parse_url(p, text, why);
	else if (view_eq(kind, V("host")))
		err = parse_host(p, text, why);
	else if (view_eq(kind, V("tag")))
		p->what = (struct store_purge){.kind = STORE_PURGE_TAG, .text = text};
	else if (view_eq(kind, V("pattern")))
		p->what = (struct store_purge){.kind = STORE_PURGE_PATTERN, .text = text};
	else
		err = main_why(why, LARDER_EINVAL, "there is url, host, tag and pattern, no \"%.*s\"",
		               VFMT(kind));
	if (err)
		return err;
	p->what.soft = soft;
	err = store_purge_check(&p->what, &what);
	if (err == LARDER_ELIMIT)
		return main_why(why, err, "\"%.*s\" is longer than %d bytes", VFMT(text), STORE_PATTERN_MAX);
	if (err)
		return main_why(why, err, "\"%.*s\" is not a %.*s%s%s", VFMT(text), VFMT(kind),
		                what ? ": " : "", what ? what : "");
	return 0;
}

void main_purge_fini(struct main_purge *p)
{
	main_range_fini(&p->range);
}
