# What larder needs from Debian 12, and how to get it. Sourced by quickstart and check.

PACKAGES_BUILD="gcc libc6-dev meson ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev liblmdb-dev
zlib1g-dev libxxhash-dev libpcre2-dev libconfuse-dev libsystemd-dev"

# program:package, or package alone
PACKAGES_TEST="check clang mandoc python3-pytest python3-pytest-xdist openssl:openssl nginx:nginx-light curl:curl wget:wget
ip:iproute2 wrk:wrk git:git ccache:ccache apt-ftparchive:apt-utils dpkg-deb:dpkg npm:npm chromium:chromium ca-certificates"

packages_missing() {
	for entry; do
		program=${entry%%:*} package=${entry##*:}
		if [ "$program" != "$package" ] || [ "$entry" != "$program" ]; then
			command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || echo "$package"
		else
			dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
		fi
	done
}

# Installs what is missing of the packages given, quietly; says what it does.
packages_install() {
	missing=$(packages_missing "$@" | sort -u | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	root=
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null 2>&1; then
			echo "Not installed, and neither root nor sudo to change that: $missing" >&2
			return 1
		fi
		root="sudo"
	fi
	echo "installing $missing"
	log=$(mktemp)
	if $root apt-get -q update >"$log" 2>&1 &&
		$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing >>"$log" 2>&1; then
		rm -f "$log"
		return 0
	fi
	tail -n 30 "$log" >&2
	rm -f "$log"
	return 1
}
