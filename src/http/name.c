#include "http-private.h"

#include "base/check.h"
#include "names-table.h"

static const struct view name_texts[HTTP_NAME_COUNT] = {
#define FIELD(id, text, flags) [HTTP_##id] = {text, sizeof(text) - 1},
#include "http/fields.def"
#undef FIELD
};

_Static_assert(HTTP_NAME_COUNT <= 256, "name_slots holds bytes");

enum http_name http_name_lookup(struct view name)
{
	enum http_name id;

	if (!name.len)
		return HTTP_OTHER;
	id = name_slots[http_name_hash(name.ptr, name.len, NAME_MULTIPLIER)];
	return id && view_ieq(name, name_texts[id]) ? id : HTTP_OTHER;
}

static const struct {
	struct view token;
	bool safe, idempotent;
} methods[] = {
	[HTTP_METHOD_OTHER] = {{NULL, 0}, false, false},
#define METHOD(id, safe, idempotent)                                                               \
	[HTTP_METHOD_##id] = {{#id, sizeof(#id) - 1}, safe, idempotent},
#include "http/methods.def"
#undef METHOD
};

enum http_method http_method_lookup(struct view token)
{
	for (unsigned i = 1; i < ARRAY_LEN(methods); i++) {
		if (view_eq(token, methods[i].token))
			return (enum http_method)i;
	}
	return HTTP_METHOD_OTHER;
}

bool http_method_safe(enum http_method m)
{
	check(m < ARRAY_LEN(methods));
	return methods[m].safe;
}

bool http_method_idempotent(enum http_method m)
{
	check(m < ARRAY_LEN(methods));
	return methods[m].idempotent;
}

/* RFC 9110 §15, and 425 (RFC 8470), 428, 429, 431, 511 (RFC 6585). */
static const struct {
	uint16_t status;
	const char *text;
} reasons[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{103, "Early Hints"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{203, "Non-Authoritative Information"},
	{204, "No Content"},
	{205, "Reset Content"},
	{206, "Partial Content"},
	{207, "Multi-Status"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{305, "Use Proxy"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{425, "Too Early"},
	{426, "Upgrade Required"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{451, "Unavailable For Legal Reasons"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
	{508, "Loop Detected"},
	{511, "Network Authentication Required"},
};

const char *http_reason(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return "";
}
