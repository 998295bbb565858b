/* The service manager: readiness, socket activation. Without libsystemd there is none. */
#include "pool.h"

#include <unistd.h>

#include "base/clock.h"

#ifdef LARDER_SYSTEMD
#include <inttypes.h>
#include <systemd/sd-daemon.h>

void notify_send(enum notify what)
{
	switch (what) {
	case NOTIFY_READY:
		sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
		return;
	case NOTIFY_RELOADING:
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_us());
		return;
	case NOTIFY_STOPPING:
		sd_notify(0, "STOPPING=1");
		return;
	}
}

int notify_sockets(int *first)
{
	int n = sd_listen_fds(1);

	*first = SD_LISTEN_FDS_START;
	return n > 0 ? n : 0;
}

#else

void notify_send(enum notify what)
{
	(void)what;
}

int notify_sockets(int *first)
{
	*first = 3;
	return 0;
}

#endif
