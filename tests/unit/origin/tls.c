#include "tls.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG "1m"

/* ---- The certificate ---- */

static void add_name(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *san =
	        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
	X509_EXTENSION *ca =
	        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
	                           -1, 0);
	X509_set_issuer_name(cert, name);
	X509_add_ext(cert, san, -1);
	X509_add_ext(cert, ca, -1);
	X509_EXTENSION_free(san);
	X509_EXTENSION_free(ca);
}

static void make_certificate(const struct tls_site *site)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *f;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600L * 24);
	X509_set_pubkey(cert, key);
	add_name(cert);
	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	f = fopen(site->cert, "w");
	ck_assert_ptr_nonnull(f);
	PEM_write_X509(f, cert);
	fclose(f);
	f = fopen(site->key, "w");
	ck_assert_ptr_nonnull(f);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void tls_site_open(struct tls_site *site)
{
	memset(site, 0, sizeof(*site));
	snprintf(site->dir, sizeof(site->dir), "/tmp/larder-origin-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(site->dir));
	snprintf(site->cert, sizeof(site->cert), "%s/cert.pem", site->dir);
	snprintf(site->key, sizeof(site->key), "%s/key.pem", site->dir);
	make_certificate(site);
}

/* ---- nginx ---- */

static int listen_anywhere(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static void write_files(const struct tls_site *site, const char *conf)
{
	char path[100], block[1024];
	FILE *f = fopen(conf, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f,
	        "%s daemon off; master_process off; pid %s/pid; error_log %s/error.log;\n"
	        "events { worker_connections 1024; }\n"
	        "http { access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy;\n"
	        "fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
	        "server { listen 127.0.0.1:%u ssl http2; ssl_certificate %s; ssl_certificate_key "
	        "%s;\n"
	        "root %s; client_max_body_size 100m;\n"
	        "location = /hello { add_header X-Up \"$http_x_up\"; return 200 hello; }\n"
	        "location = /none { return 204; }\n"
	        "location = /length { proxy_pass https://127.0.0.1:%u/back; }\n"
	        "location = /back { return 200 \"$request_method $content_length\"; } } }\n",
	        geteuid() == 0 ? "user root;" : "", site->dir, site->dir, site->dir, site->dir,
	        site->dir, site->dir, site->dir, site->port, site->cert, site->key, site->dir,
	        site->port);
	fclose(f);
	snprintf(path, sizeof(path), "%s/" BIG, site->dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 1024; i++)
		fwrite(block, sizeof(block), 1, f);
	fclose(f);
}

/* Polls until somebody listens. False: nginx has ended, its port was taken. */
static bool came_up(const struct tls_site *site)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                         .sin_port = htons(site->port)};

	for (int i = 0; i < 2000 && waitpid(site->nginx, NULL, WNOHANG) == 0; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool up = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;

		close(fd);
		if (up)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

void tls_site_nginx(struct tls_site *site)
{
	char conf[100];

	snprintf(conf, sizeof(conf), "%s/nginx.conf", site->dir);
	for (int try = 0; try < 5; try++) {
		close(listen_anywhere(&site->port));
		write_files(site, conf);
		site->nginx = fork();
		if (site->nginx == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (!freopen("/dev/null", "w", stderr))
				_exit(126);
			execl("/usr/sbin/nginx", "nginx", "-p", site->dir, "-c", conf, NULL);
			_exit(127);
		}
		if (came_up(site))
			return;
	}
	ck_abort_msg("nginx does not start");
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[400];

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(path))
			rmdir(path);
	}
	if (d)
		closedir(d);
	ck_assert_int_eq(rmdir(dir), 0);
}

void tls_site_close(struct tls_site *site)
{
	if (site->nginx) {
		kill(site->nginx, SIGTERM);
		waitpid(site->nginx, NULL, 0);
	}
	remove_folder(site->dir);
}

/* ---- The server that switches ---- */

static void converse(SSL *ssl, const char *answer)
{
	char data[4096];
	size_t len = 0;
	int n = 1;

	while (n > 0 && !(len >= 4 && memcmp(data + len - 4, "\r\n\r\n", 4) == 0)) {
		n = SSL_read(ssl, data + len, (int)(sizeof(data) - len));
		len += n > 0 ? (size_t)n : 0;
	}
	n = SSL_write(ssl, answer, (int)strlen(answer));
	while (n > 0) {
		n = SSL_read(ssl, data, sizeof(data));
		if (n > 0)
			n = SSL_write(ssl, data, n);
	}
}

static void *serve(void *arg)
{
	struct tls_echo *e = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int fd = accept(e->listener, NULL, NULL);
	SSL *ssl;

	SSL_CTX_use_certificate_file(ctx, e->site->cert, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, e->site->key, SSL_FILETYPE_PEM);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		converse(ssl, e->answer);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	close(e->listener);
	return NULL;
}

void tls_echo_start(struct tls_echo *e, const struct tls_site *site, const char *answer)
{
	signal(SIGPIPE, SIG_IGN);
	e->site = site;
	e->answer = answer;
	e->listener = listen_anywhere(&e->port);
	ck_assert_int_eq(pthread_create(&e->thread, NULL, serve, e), 0);
}

void tls_echo_end(struct tls_echo *e)
{
	pthread_join(e->thread, NULL);
}
