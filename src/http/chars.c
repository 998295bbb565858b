#include "http-private.h"
#include "http/value.h"

#define T  HTTP_TCHAR
#define X  HTTP_TEXT
#define U  HTTP_URI
#define N  HTTP_UNRESERVED
#define E  HTTP_ETAGC
#define V_ (X | U | E) /* any visible character but '"' and '#' */
#define TV (V_ | T)    /* those of tokens */
#define TN (TV | N)    /* "-", ".", "_", "~" */
#define DI (TN | HTTP_HEX | HTTP_DIGIT)
#define AL (TN | HTTP_ALPHA)
#define AH (AL | HTTP_HEX)

const uint8_t http_chars[256] = {
	['\t'] = X,           [' '] = X,          ['!'] = TV,         ['"'] = X | U,
	['#'] = X | E | T,    ['$'] = TV,         ['%'] = TV,         ['&'] = TV,
	['\''] = TV,          ['(' ... ')'] = V_, ['*' ... '+'] = TV, [','] = V_,
	['-' ... '.'] = TN,   ['/'] = V_,         ['0' ... '9'] = DI, [':' ... '@'] = V_,
	['A' ... 'F'] = AH,   ['G' ... 'Z'] = AL, ['[' ... ']'] = V_, ['^'] = TV,
	['_'] = TN,           ['`'] = TV,         ['a' ... 'f'] = AH, ['g' ... 'z'] = AL,
	['{'] = V_,           ['|'] = TV,         ['}'] = V_,         ['~'] = TN,
	[0x80 ... 0xff] = V_,
};

#define EACH(byte) (0x0101010101010101ULL * (byte))

/* Do the eight bytes hold a control? True also for HTAB, which the caller looks at again. */
static bool has_control(uint64_t x)
{
	uint64_t low = (x - EACH(0x20)) & ~x;
	uint64_t del = x ^ EACH(0x7f);

	return ((low | ((del - EACH(1)) & ~del)) & EACH(0x80)) != 0;
}

bool http_is_text(struct view v)
{
	size_t i = 0;

	for (; v.len - i >= 8; i += 8) {
		uint64_t x;

		memcpy(&x, v.ptr + i, 8);
		if (has_control(x) && http_span(view_make(v.ptr + i, 8), HTTP_TEXT) != 8)
			return false;
	}
	return http_span(view_from(v, i), HTTP_TEXT) == v.len - i;
}

bool http_is_token(struct view v)
{
	return v.len && http_span(v, HTTP_TCHAR) == v.len;
}
