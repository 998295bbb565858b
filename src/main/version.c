/* Version, features and libraries: the only place of main that asks the libraries anything. */
#include "main/main.h"

#include <curl/curl.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <uv.h>
#include <xxhash.h>
#include <zlib.h>

void main_version(struct buf *out)
{
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	unsigned xxh = XXH_versionNumber();

	buf_printf(out, "larder %s\n", LARDER_VERSION);
	buf_printf(out, "listeners: forward reverse\n");
	buf_printf(out, "features: %ssystemd %sasan\n",
#ifdef LARDER_SYSTEMD
	           "+",
#else
	           "-",
#endif
#ifdef __SANITIZE_ADDRESS__
	           "+"
#else
	           "-"
#endif
	);
	buf_printf(out,
	           "libraries: libcurl %s (%s), libuv %s, %s, %s, zlib %s, PCRE2 %d.%d, xxHash "
	           "%u.%u.%u\n",
	           curl->version, curl->features & CURL_VERSION_HTTP2 ? "HTTP/2" : "no HTTP/2",
	           uv_version_string(), mdb_version(NULL, NULL, NULL),
	           OpenSSL_version(OPENSSL_VERSION), zlibVersion(), PCRE2_MAJOR,
	           PCRE2_MINOR, xxh / 10000, xxh / 100 % 100,
	           xxh % 100);
}
