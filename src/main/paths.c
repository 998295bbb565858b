/* Where the store and the control socket are. */
#include "main/main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define ROOT_STORE   "/var/cache/larder"
#define ROOT_CONTROL "/run/larder/control"

static char *join(const char *dir, const char *rest)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, rest) < 0 ? NULL : path;
}

/* An environment variable that holds an absolute path, or NULL. */
static const char *env_dir(const char *name)
{
	const char *dir = getenv(name);

	return dir && dir[0] == '/' ? dir : NULL;
}

char *main_store_dir(const struct main_options *o, bool root, int *err)
{
	const char *dir;
	char *path = NULL;

	*err = 0;
	if (strcmp(o->store, "off") == 0)
		return NULL;
	if (o->store[0])
		path = strdup(o->store);
	else if (root)
		path = strdup(ROOT_STORE);
	else if ((dir = env_dir("XDG_CACHE_HOME")))
		path = join(dir, "larder");
	else if ((dir = env_dir("HOME")))
		path = join(dir, ".cache/larder");
	else
		*err = LARDER_EINVAL;
	if (!path && !*err)
		*err = LARDER_ENOMEM;
	return path;
}

char *main_control_path(const struct main_options *o, const char *store_dir, bool root)
{
	const char *dir;

	if (strcmp(o->control, "off") == 0)
		return NULL;
	if (o->control[0])
		return strdup(o->control);
	/* A store of its own means a daemon of its own: its socket must not meet another's. */
	if (store_dir && o->store[0])
		return join(store_dir, "control");
	if (root)
		return strdup(ROOT_CONTROL);
	dir = env_dir("XDG_RUNTIME_DIR");
	if (dir)
		return join(dir, "larder/control");
	return store_dir ? join(store_dir, "control") : NULL;
}
