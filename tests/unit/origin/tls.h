/* What TLS tests need: a certificate of their own, an nginx, a server that switches protocols. */
#ifndef LARDER_TESTS_ORIGIN_TLS_H
#define LARDER_TESTS_ORIGIN_TLS_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_site {
	char dir[64]; /* temporary: cert.pem, key.pem, nginx's files */
	char cert[80], key[80];
	pid_t nginx;
	uint16_t port;
};
/* Makes the folder and a certificate for localhost (not for 127.0.0.1). */
void tls_site_open(struct tls_site *site);
/* nginx with HTTP/1.1 and HTTP/2 on a free port of 127.0.0.1. */
void tls_site_nginx(struct tls_site *site);
/* Ends nginx, removes the folder. */
void tls_site_close(struct tls_site *site);

/* A server for one connection: reads a head, sends `answer`, then sends back what comes. */
struct tls_echo {
	pthread_t thread;
	int listener;
	uint16_t port;
	const struct tls_site *site;
	const char *answer;
};
void tls_echo_start(struct tls_echo *e, const struct tls_site *site, const char *answer);
void tls_echo_end(struct tls_echo *e);

#endif
