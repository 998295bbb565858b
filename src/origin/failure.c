/* Errors: libcurl's in our words and those of RFC 9209 §2.3. */
#include <errno.h>

#include "origin-private.h"

void failure_set(struct origin_transfer *t, int err, const char *type, const char *detail)
{
	if (t->failure.err)
		return;
	t->failure = (struct failure){err, type, detail};
}

/* libcurl's sentences hold the origin's address and port, which are nobody's business (RFC 9209 §4). */
static void connect_failure(struct origin_transfer *t)
{
	long os_errno = 0;

	if (t->refused && t->refused == t->offered) {
		failure_set(t, LARDER_EREFUSED, "destination_ip_prohibited",
		            "The origin's address is not allowed as destination.");
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	switch (os_errno) {
	case ENETUNREACH:
	case EHOSTUNREACH:
		failure_set(t, LARDER_ECONNECT, "destination_ip_unroutable",
		            "There is no route to the origin's address.");
		break;
	case ETIMEDOUT:
		failure_set(t, LARDER_ETIMEOUT, "connection_timeout",
		            "Connecting to the origin took too long.");
		break;
	case 0:
	case ECONNREFUSED:
		failure_set(t, LARDER_ECONNECT, "connection_refused",
		            "The origin refused the connection.");
		break;
	default:
		failure_set(t, LARDER_ECONNECT, "destination_unavailable",
		            "The connection to the origin could not be made.");
		break;
	}
}

/* The connection broke, or what came on it is not HTTP to libcurl. */
static void stream_failure(struct origin_transfer *t, const char *detail)
{
	if (t->head_done)
		failure_set(t, LARDER_ECLOSED, "http_response_incomplete", detail);
	else
		failure_set(t, LARDER_ECLOSED, "connection_terminated", detail);
}

void failure_from_curl(struct origin_transfer *t, CURLcode code)
{
	const char *detail = t->error[0] ? t->error : curl_easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		failure_set(t, LARDER_ERESOLVE, "dns_error", detail);
		break;
	case CURLE_COULDNT_CONNECT:
		connect_failure(t);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		failure_timeout(t);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		failure_set(t, LARDER_ETLS, "tls_certificate_error", detail);
		break;
	case CURLE_SSL_CACERT_BADFILE:
		failure_set(t, LARDER_ETLS, "proxy_configuration_error", detail);
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		failure_set(t, LARDER_ETLS, "tls_protocol_error", detail);
		break;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		failure_set(t, LARDER_EPROTO, "http_protocol_error", detail);
		break;
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		if (t->head_done)
			stream_failure(t, detail);
		else
			failure_set(t, LARDER_EPROTO, "http_protocol_error", detail);
		break;
	case CURLE_OUT_OF_MEMORY:
		/* What libcurl also says of a header line above 100 KB. */
		if (t->head_bytes || t->head.len)
			failure_set(t, LARDER_EPROTO, "http_response_header_section_size",
			            "A line of the response head is too long.");
		else
			failure_set(t, LARDER_ENOMEM, "proxy_internal_error", detail);
		break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	default:
		stream_failure(t, detail);
		break;
	}
}

void failure_timeout(struct origin_transfer *t)
{
	static const struct {
		const char *type, *detail;
	} by_phase[] = {
	        [PHASE_WAIT] = {"connection_limit_reached",
	                        "No connection to the origin became free in time."},
	        [PHASE_RESOLVE] = {"dns_timeout", "Resolving the origin's name took too long."},
	        [PHASE_CONNECT] = {"connection_timeout", "Connecting to the origin took too long."},
	        [PHASE_SEND] = {"connection_write_timeout",
	                        "The origin stopped taking the request body."},
	        [PHASE_HEAD] = {"http_response_timeout",
	                        "The origin sent no response head in time."},
	        [PHASE_BODY] = {"connection_read_timeout",
	                        "The origin stopped in the middle of its answer."},
	};

	/* RFC 9209 §2.3.12 recommends 503 for a limit of our own. */
	failure_set(t, t->phase == PHASE_WAIT ? LARDER_ELIMIT : LARDER_ETIMEOUT,
	            by_phase[t->phase].type, by_phase[t->phase].detail);
}

void failure_count(struct origin_stats *stats, int err)
{
	switch (err) {
	case LARDER_ERESOLVE:
		stat_add(&stats->errors_resolve, 1);
		break;
	case LARDER_ECONNECT:
		stat_add(&stats->errors_connect, 1);
		break;
	case LARDER_ETLS:
		stat_add(&stats->errors_tls, 1);
		break;
	case LARDER_ETIMEOUT:
		stat_add(&stats->errors_timeout, 1);
		break;
	case LARDER_EPROTO:
		stat_add(&stats->errors_protocol, 1);
		break;
	case LARDER_ELIMIT:
		stat_add(&stats->errors_queue, 1);
		break;
	case LARDER_EREFUSED:
		stat_add(&stats->errors_refused, 1);
		break;
	default:
		stat_add(&stats->errors_other, 1);
		break;
	}
}
