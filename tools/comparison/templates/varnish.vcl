vcl 4.1;

# The built-in VCL, and what clients may ask of a cache.
backend default {
	.host = "127.0.0.1";
	.port = "${origin}";
	.first_byte_timeout = 8s;
}

sub vcl_recv {
	if (req.http.Cache-Control ~ "(?i)no-cache|max-age=0") {
		set req.hash_always_miss = true;
	}
	if (req.http.Cache-Control ~ "(?i)no-store") {
		return (pass);
	}
}
