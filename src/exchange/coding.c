#include "coding.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/error.h"

#define EITHER (15 + 32) /* gzip or zlib, as the stream says */
#define BARE   (-15)
#define GZIP   (15 + 16)
#define CHUNK  (64u * 1024)

enum inflate_state {
	FIRST,  /* nothing has been read: the format is open */
	WITHIN,
	AFTER,  /* a gzip member has ended: another may follow */
	ENDED,
};

struct inflater {
	z_stream z;
	enum inflate_state state;
	bool gzip;
};

struct inflater *inflater_new(void)
{
	struct inflater *z = calloc(1, sizeof(*z));

	if (z && inflateInit2(&z->z, EITHER) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

void inflater_free(struct inflater *z)
{
	if (!z)
		return;
	inflateEnd(&z->z);
	free(z);
}

static bool is_gzip(unsigned char first)
{
	return first == 0x1f;
}

/* RFC 1950 §2.2: the low four bits are the method, 8. A bare stream would begin so only with a stored block behind
 * whose type the padding is not zero. */
static bool is_zlib(unsigned char first)
{
	return (first & 0x0f) == 8;
}

/* Which of the formats? false: memory. */
static bool choose(struct inflater *z, unsigned char first)
{
	z->state = WITHIN;
	z->gzip = is_gzip(first);
	return z->gzip || is_zlib(first) || inflateReset2(&z->z, BARE) == Z_OK;
}

static int step(struct inflater *z)
{
	switch (inflate(&z->z, Z_NO_FLUSH)) {
	case Z_OK:
	case Z_BUF_ERROR:
		return INFLATE_MORE;
	case Z_STREAM_END:
		/* RFC 1952 §2.2: members follow one another. */
		z->state = z->gzip ? AFTER : ENDED;
		return z->gzip ? INFLATE_MORE : INFLATE_END;
	case Z_MEM_ERROR:
		return LARDER_ENOMEM;
	default:
		return LARDER_EPROTO;
	}
}

int inflater_run(struct inflater *z, struct view *in, char *dst, size_t room, size_t *made)
{
	size_t given = in->len < UINT_MAX ? in->len : UINT_MAX;
	size_t space = room < UINT_MAX ? room : UINT_MAX;
	int ret = INFLATE_MORE;

	*made = 0;
	if (z->state == ENDED)
		return INFLATE_END;
	if (z->state == FIRST && given && !choose(z, (unsigned char)in->ptr[0]))
		return LARDER_ENOMEM;
	z->z.next_in = (unsigned char *)(uintptr_t)in->ptr;
	z->z.avail_in = (unsigned)given;
	z->z.next_out = (unsigned char *)dst;
	z->z.avail_out = (unsigned)space;
	while (ret == INFLATE_MORE && z->z.avail_in && z->z.avail_out) {
		if (z->state == AFTER && !is_gzip(z->z.next_in[0])) {
			z->state = ENDED; /* padding */
			ret = INFLATE_END;
			break;
		}
		if (z->state == AFTER && inflateReset(&z->z) != Z_OK)
			return LARDER_EPROTO;
		z->state = WITHIN;
		ret = step(z);
	}
	/* What it holds back for want of room comes without more input. */
	if (ret == INFLATE_MORE && z->state == WITHIN && !z->z.avail_in && z->z.avail_out)
		ret = step(z);
	*in = view_from(*in, given - z->z.avail_in);
	*made = space - z->z.avail_out;
	return ret;
}

bool inflater_complete(const struct inflater *z)
{
	return z->state != WITHIN;
}

int gzip_write(struct view data, int level, struct buf *out)
{
	z_stream z = {0};
	int ret = Z_OK;

	if (data.len > UINT_MAX)
		return LARDER_ELIMIT;
	if (deflateInit2(&z, level, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return LARDER_ENOMEM;
	z.next_in = (unsigned char *)(uintptr_t)data.ptr;
	z.avail_in = (unsigned)data.len;
	while (ret == Z_OK && !out->err) {
		size_t room = out->max - out->len < CHUNK ? out->max - out->len : CHUNK;

		if (!room || buf_reserve(out, room)) {
			out->err = out->err ? out->err : LARDER_ELIMIT;
			break;
		}
		z.next_out = (unsigned char *)out->data + out->len;
		z.avail_out = (unsigned)room;
		ret = deflate(&z, Z_FINISH);
		out->len += room - z.avail_out;
	}
	deflateEnd(&z);
	return out->err;
}
