#include "base/error.h"

#include <errno.h>

const char *larder_strerror(int err)
{
	switch (err) {
#define ERR(name, value, text)                                                                     \
	case LARDER_##name:                                                                        \
		return text;
#include "base/error.def"
#undef ERR
	default:
		return err < 0 ? "unknown error" : "no error";
	}
}

int larder_from_errno(int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return LARDER_ENOMEM;
	case EINVAL:
		return LARDER_EINVAL;
	case EAGAIN:
	case EINTR:
		return LARDER_EAGAIN;
	case EIO:
		return LARDER_EIO;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return LARDER_ENOSPC;
	case EMFILE:
	case ENFILE:
		return LARDER_EFILES;
	case EBUSY:
	case EADDRINUSE:
		return LARDER_EBUSY;
	case EPERM:
	case EACCES:
	case EROFS:
		return LARDER_EPERM;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return LARDER_ECONNECT;
	case ETIMEDOUT:
		return LARDER_ETIMEOUT;
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
		return LARDER_ECLOSED;
	case ENOENT:
		return LARDER_ENOENT;
	default:
		return LARDER_ESYSTEM;
	}
}
