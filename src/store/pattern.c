#include "pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/error.h"

#define MATCH_LIMIT 200000 /* steps for one URL */
#define HEAP_LIMIT  4096   /* KiB */

struct pattern {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

int pattern_new(struct view text, struct pattern **out, const char **why)
{
	static char message[160];
	struct pattern *p = calloc(1, sizeof(*p));
	size_t at;
	int rc;

	if (!p)
		return LARDER_ENOMEM;
	p->code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
	                        PCRE2_NO_AUTO_CAPTURE | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF, &rc,
	                        &at, NULL);
	if (!p->code) {
		if (why) {
			pcre2_get_error_message(rc, (PCRE2_UCHAR *)message, sizeof(message));
			*why = message;
		}
		pattern_free(p);
		return LARDER_EINVAL;
	}
	p->data = pcre2_match_data_create(1, NULL);
	p->context = pcre2_match_context_create(NULL);
	if (!p->data || !p->context) {
		pattern_free(p);
		return LARDER_ENOMEM;
	}
	pcre2_set_match_limit(p->context, MATCH_LIMIT);
	pcre2_set_heap_limit(p->context, HEAP_LIMIT);
	*out = p;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	pcre2_match_context_free(p->context);
	pcre2_match_data_free(p->data);
	pcre2_code_free(p->code);
	free(p);
}

int pattern_match(struct pattern *p, struct view text)
{
	int rc = pcre2_match(p->code, (PCRE2_SPTR)text.ptr, text.len, 0, 0, p->data, p->context);

	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	return rc < 0 ? LARDER_ELIMIT : 1;
}
