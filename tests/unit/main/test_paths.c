/* Where the store and the control socket are, by options and environment. */
#include "base/error.h"
#include "main/main.h"
#include "unit.h"

static const struct {
	const char *store, *control; /* options */
	const char *cache, *home, *runtime; /* XDG_CACHE_HOME, HOME, XDG_RUNTIME_DIR */
	bool root;
	int err;
	const char *dir, *socket; /* expected */
} ROWS[] = {
	{"/s", "", NULL, NULL, NULL, false, 0, "/s", "/s/control"},
	{"/s", "", NULL, NULL, "/r", true, 0, "/s", "/s/control"},
	{"/s", "/c", NULL, NULL, NULL, true, 0, "/s", "/c"},
	{"/s", "off", NULL, NULL, NULL, true, 0, "/s", NULL},
	{"", "", "/x", "/h", "/r", true, 0, "/var/cache/larder", "/run/larder/control"},
	{"", "", "/x", "/h", "/r", false, 0, "/x/larder", "/r/larder/control"},
	{"", "", "relative", "/h", NULL, false, 0, "/h/.cache/larder", "/h/.cache/larder/control"},
	{"", "", NULL, "/h", NULL, false, 0, "/h/.cache/larder", "/h/.cache/larder/control"},
	{"", "", NULL, NULL, NULL, false, LARDER_EINVAL, NULL, NULL},
	{"off", "", "/x", "/h", "/r", false, 0, NULL, "/r/larder/control"},
	{"off", "", "/x", "/h", NULL, false, 0, NULL, NULL},
	{"off", "", "/x", "/h", NULL, true, 0, NULL, "/run/larder/control"},
	{"off", "/c", "/x", "/h", NULL, true, 0, NULL, "/c"},
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

START_TEST(paths)
{
	struct main_options o = {
		.store = (char *)(uintptr_t)ROWS[_i].store,
		.control = (char *)(uintptr_t)ROWS[_i].control,
	};
	char *dir, *socket;
	int err;

	set("XDG_CACHE_HOME", ROWS[_i].cache);
	set("HOME", ROWS[_i].home);
	set("XDG_RUNTIME_DIR", ROWS[_i].runtime);
	dir = main_store_dir(&o, ROWS[_i].root, &err);
	ck_assert_int_eq(err, ROWS[_i].err);
	ck_assert_pstr_eq(dir, ROWS[_i].dir);
	socket = main_control_path(&o, dir, ROWS[_i].root);
	ck_assert_pstr_eq(socket, ROWS[_i].socket);
	free(dir);
	free(socket);
}
END_TEST

UNIT_MAIN("main/paths", tcase_add_loop_test(tc, paths, 0, sizeof(ROWS) / sizeof(ROWS[0]));)
