/* Giving up rights. */
#include "pool.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/num.h"

static int find_user(const char *name, uid_t *uid, gid_t *gid, char **why)
{
	struct passwd *pw = getpwnam(name);
	uint64_t n;

	if (!pw && num_parse_u64(view_of(name), UINT32_MAX - 1, &n) == 0)
		pw = getpwuid((uid_t)n);
	if (!pw)
		return main_why(why, LARDER_ENOENT, "user: there is no user \"%s\"", name);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

static int find_group(const char *name, gid_t *gid, char **why)
{
	struct group *gr = getgrnam(name);
	uint64_t n;

	if (gr) {
		*gid = gr->gr_gid;
		return 0;
	}
	if (num_parse_u64(view_of(name), UINT32_MAX - 1, &n))
		return main_why(why, LARDER_ENOENT, "group: there is no group \"%s\"", name);
	*gid = (gid_t)n;
	return 0;
}

int drop_resolve(const struct main_options *o, bool *drop, uid_t *uid, gid_t *gid, char **why)
{
	const char *user = o->user;
	int err;

	*drop = geteuid() == 0;
	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (!*drop)
		return 0;
	if (!user[0])
		user = getpwnam("larder") ? "larder" : "nobody";
	err = find_user(user, uid, gid, why);
	if (!err && o->group[0])
		err = find_group(o->group, gid, why);
	return err;
}

static int set_capabilities_none(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}}, now[2];

	if (syscall(SYS_capset, &head, none) || syscall(SYS_capget, &head, now))
		return larder_from_errno(errno);
	for (unsigned i = 0; i < 2; i++) {
		if (now[i].effective | now[i].permitted)
			return LARDER_EPERM;
	}
	return 0;
}

int drop_rights(bool drop, uid_t uid, gid_t gid)
{
	int err;

	if (drop && (setgroups(1, &gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))) {
		err = larder_from_errno(errno);
		log_error("cannot become user %u, group %u: %s", (unsigned)uid, (unsigned)gid,
		          strerror(errno));
		return err;
	}
	if (drop && uid != 0 && setresuid(0, 0, 0) == 0) {
		log_error("the rights of root could be taken back");
		return LARDER_EPERM;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		log_debug("cannot clear ambient capabilities: %s", strerror(errno));
	err = set_capabilities_none();
	if (err) {
		log_error("cannot drop capabilities: %s", larder_strerror(err));
		return err;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		err = larder_from_errno(errno);
		log_error("cannot forbid new privileges: %s", strerror(errno));
		return err;
	}
	return 0;
}
