vcl 4.1;

# The built-in VCL alone.
backend default {
	.host = "127.0.0.1";
	.port = "${origin}";
	.first_byte_timeout = 8s;
}
