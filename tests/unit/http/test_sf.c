/* Structured fields (RFC 9651). */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/sf.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define K64 A16 A16 A16 A16

/* Items, written anew: the type's letter, what it is, and "|" with the parameters. NULL: refused. */
static const struct {
	const char *clause, *value, *item;
} items[] = {
	/* Integers */
	{"3.3.1", "42", "i42"},
	{"3.3.1", "-42", "i-42"},
	{"3.3.1", "0", "i0"},
	{"3.3.1", "-0", "i0"},
	{"3.3.1", "0042", "i42"},
	{"3.3.1", "999999999999999", "i999999999999999"},
	{"3.3.1", "-999999999999999", "i-999999999999999"},
	{"3.3.1", "000000000000001", "i1"},
	{"4.2.4", "1000000000000000", NULL},
	{"4.2.4", "0000000000000001", NULL},
	{"4.2.4", "-1000000000000000", NULL},
	{"4.2.4", "-", NULL},
	{"4.2.4", "--1", NULL},
	{"4.2.4", "- 1", NULL},
	{"4.2.4", "+1", NULL},
	{"4.2.4", "1,000", NULL},
	{"4.2.4", "0x10", NULL},
	{"4.2", " 42 ", "i42"},
	{"4.2", "42 43", NULL},
	{"4.2", "42,", NULL},
	{"4.2", "\t42", NULL},
	{"4.2", "42\t", NULL},
	{"4.2.3.1", "", NULL},
	{"4.2.3.1", " ", NULL},
	/* Decimals */
	{"3.3.2", "4.5", "d4500"},
	{"3.3.2", "-4.05", "d-4050"},
	{"3.3.2", "4.005", "d4005"},
	{"3.3.2", "0.0", "d0"},
	{"3.3.2", "-0.001", "d-1"},
	{"3.3.2", "999999999999.999", "d999999999999999"},
	{"4.2.4", "9999999999999.9", NULL},
	{"4.2.4", "1.", NULL},
	{"4.2.4", ".5", NULL},
	{"4.2.4", "1.5.4", NULL},
	{"4.2.4", "1.2345", NULL},
	{"4.2.4", "1.-5", NULL},
	{"4.2.4", "1.5e4", NULL},
	/* Strings */
	{"3.3.3", "\"hello world\"", "shello world"},
	{"3.3.3", "\"\"", "s"},
	{"3.3.3", "\"a\\\"b\\\\\"", "sa\"b\\"},
	{"3.3.3", "\"a, b; c=(d)\"", "sa, b; c=(d)"},
	{"4.2.5", "\"a", NULL},
	{"4.2.5", "\"", NULL},
	{"4.2.5", "\"a\\", NULL},
	{"4.2.5", "\"a\\\"", NULL},
	{"4.2.5", "\"a\\b\"", NULL},
	{"4.2.5", "\"a\tb\"", NULL},
	{"4.2.5", "\"a\177b\"", NULL},
	{"4.2.5", "\"a\303\274b\"", NULL},
	{"4.2.5", "\"a\"b", NULL},
	{"4.2.3.1", "'a'", NULL},
	/* Tokens */
	{"3.3.4", "foo123/456", "tfoo123/456"},
	{"3.3.4", "*a:b/C", "t*a:b/C"},
	{"3.3.4", "a!#$%&'*+-.^_`|~", "ta!#$%&'*+-.^_`|~"},
	{"3.3.4", "A", "tA"},
	{"4.2.6", "a b", NULL},
	{"4.2.6", "a\"b\"", NULL},
	{"4.2.6", "a(b", NULL},
	{"4.2.3.1", "/a", NULL},
	{"4.2.3.1", "-a", NULL},
	{"4.2.3.1", "_a", NULL},
	{"4.2.3.1", "\303\274", NULL},
	/* Byte Sequences */
	{"3.3.5", ":aGVsbG8=:", "bhello"},
	{"3.3.5", "::", "b"},
	{"3.3.5", ":Zg==:", "bf"},
	{"3.3.5", ":Zm8=:", "bfo"},
	{"3.3.5", ":Zm9v:", "bfoo"},
	{"3.3.5", ":+/+/:", "b\373\377\277"},
	{"4.2.7", ":Zg:", "bf"},
	{"4.2.7", ":Zg=:", "bf"},
	{"4.2.7", ":Zm8:", "bfo"},
	{"4.2.7", ":Zh==:", "bf"},
	{"4.2.7", ":Zg===:", NULL},
	{"4.2.7", ":Zm8==:", NULL},
	{"4.2.7", ":Zm9v=:", NULL},
	{"4.2.7", ":Z:", NULL},
	{"4.2.7", ":=:", NULL},
	{"4.2.7", ":Zg=a:", NULL},
	{"4.2.7", ":Zg-_:", NULL},
	{"4.2.7", ":Z g=:", NULL},
	{"4.2.7", ":Zg==", NULL},
	{"4.2.7", ":", NULL},
	/* Booleans */
	{"3.3.6", "?1", "?1"},
	{"3.3.6", "?0", "?0"},
	{"4.2.8", "?", NULL},
	{"4.2.8", "?2", NULL},
	{"4.2.8", "?T", NULL},
	{"4.2.8", "?10", NULL},
	/* Dates */
	{"3.3.7", "@1659578233", "@1659578233"},
	{"3.3.7", "@-1", "@-1"},
	{"3.3.7", "@0", "@0"},
	{"4.2.9", "@1659578233.5", NULL},
	{"4.2.9", "@", NULL},
	{"4.2.9", "@a", NULL},
	{"4.2.9", "@1000000000000000", NULL},
	/* Display Strings */
	{"3.3.8", "%\"This is intended for %c3%bcsers.\"", "uThis is intended for \303\274sers."},
	{"3.3.8", "%\"\"", "u"},
	{"3.3.8", "%\"a\\b %25 %22\"", "ua\\b % \""},
	{"3.3.8", "%\"%f0%9f%98%80\"", "u\360\237\230\200"},
	{"4.2.10", "%\"%C3%BC\"", NULL},
	{"4.2.10", "%\"%c3\"", NULL},
	{"4.2.10", "%\"%bc\"", NULL},
	{"4.2.10", "%\"%c0%80\"", NULL},
	{"4.2.10", "%\"%e0%80%80\"", NULL},
	{"4.2.10", "%\"%ed%a0%80\"", NULL},
	{"4.2.10", "%\"%f0%80%80%80\"", NULL},
	{"4.2.10", "%\"%f4%90%80%80\"", NULL},
	{"4.2.10", "%\"%f5%80%80%80\"", NULL},
	{"4.2.10", "%\"%ff\"", NULL},
	{"4.2.10", "%\"%c3a\"", NULL},
	{"4.2.10", "%\"%2\"", NULL},
	{"4.2.10", "%\"%\"", NULL},
	{"4.2.10", "%\"%g0\"", NULL},
	{"4.2.10", "%\"a", NULL},
	{"4.2.10", "%\"\t\"", NULL},
	{"4.2.10", "%\"\303\274\"", NULL},
	{"4.2.10", "%a", NULL},
	{"4.2.10", "%", NULL},
	/* Parameters */
	{"3.1.2", "a;b", "ta|;b"},
	{"3.1.2", "a;b=1", "ta|;b=1"},
	{"3.1.2", "a; b=1;  c=?0", "ta|; b=1;  c=?0"},
	{"3.1.2", "1.5;*a-b_c.d=\"x;y\"", "d1500|;*a-b_c.d=\"x;y\""},
	{"3.1.2", "a;b=1;b=2", "ta|;b=1;b=2"},
	{"4.2.3.2", "a;B=1", NULL},
	{"4.2.3.2", "a;1=1", NULL},
	{"4.2.3.2", "a;-b", NULL},
	{"4.2.3.2", "a;b=", NULL},
	{"4.2.3.2", "a;b= 1", NULL},
	{"4.2.3.2", "a;b =1", NULL},
	{"4.2.3.2", "a;b=(1)", NULL},
	{"4.2.3.2", "a;", NULL},
	{"4.2.3.2", "a;;b", NULL},
	{"4.2.3.2", "a ;b", NULL},
	{"4.2.3.2", "a;\tb", NULL},
	{"4.2.3.3", "a;" K64 K64 "=1", "ta|;" K64 K64 "=1"},
	/* An inner list is no Item. */
	{"3.3", "(1)", NULL},
};

static void write_item(const struct http_sf_item *item, struct buf *out)
{
	static const char letters[] = "idstb?@u(";

	buf_addc(out, letters[item->type]);
	if (item->type == HTTP_SF_INTEGER || item->type == HTTP_SF_DECIMAL ||
	    item->type == HTTP_SF_BOOLEAN || item->type == HTTP_SF_DATE)
		buf_printf(out, "%ld", (long)item->number);
	if (item->type == HTTP_SF_INNER_LIST) {
		struct view rest = item->text;
		struct http_sf_item inner;
		bool more = false;

		while (http_sf_inner_next(&rest, &inner) > 0) {
			if (more)
				buf_addc(out, ' ');
			write_item(&inner, out);
			more = true;
		}
		buf_addc(out, ')');
	}
	ck_assert_int_eq(http_sf_decode(item, out), 0);
	if (item->params.len) {
		buf_addc(out, '|');
		buf_addv(out, item->params);
	}
}

START_TEST(item_rows)
{
	struct http_sf_item item;
	struct buf out;
	int err = http_sf_item(view_of(items[_i].value), &item);

	buf_init(&out, 4096);
	ck_assert_msg((err == 0) == (items[_i].item != NULL), "9651 %s: %s gives %d",
		      items[_i].clause, items[_i].value, err);
	if (!err) {
		write_item(&item, &out);
		ck_view_eq(buf_view(&out), items[_i].item);
	}
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *clause, *value, *members;
} lists[] = {
	{"4.2.1", "", ""},
	{"4.2.1", "  ", ""},
	{"4.2.1", "a", "ta,"},
	{"4.2.1", "a, b", "ta,tb,"},
	{"4.2.1", "a,b ,\t c", "ta,tb,tc,"},
	{"4.2.1", "a;x=1, \"b, c\" ", "ta|;x=1,sb, c,"},
	{"4.2.1", "1, 2.5, ?1, :Zg==:, @1, %\"x\"", "i1,d2500,?1,bf,@1,ux,"},
	{"4.2.1", "a,", NULL},
	{"4.2.1", ",a", NULL},
	{"4.2.1", ",", NULL},
	{"4.2.1", "a,,b", NULL},
	{"4.2.1", "a b", NULL},
	{"4.2.1", "a;b c", NULL},
	{"4.2.1.2", "(a b)", "(ta tb),"},
	{"4.2.1.2", "()", "(),"},
	{"4.2.1.2", "( a;x  b )", "(ta|;x tb),"},
	{"4.2.1.2", "(a);q=1, b", "(ta)|;q=1,tb,"},
	{"4.2.1.2", "(\"a) b\" c)", "(sa) b tc),"},
	{"4.2.1.2", "(a,b)", NULL},
	{"4.2.1.2", "(a\tb)", NULL},
	{"4.2.1.2", "(a\"b\")", NULL},
	{"4.2.1.2", "((a))", NULL},
	{"4.2.1.2", "(a", NULL},
	{"4.2.1.2", "(", NULL},
	{"4.2.1.2", ")", NULL},
	{"4.2.1.2", "(a))", NULL},
};

START_TEST(list_rows)
{
	struct http_sf_item item;
	struct http_sf sf;
	struct buf out;
	int more;

	buf_init(&out, 4096);
	http_sf_init(&sf, view_of(lists[_i].value));
	while ((more = http_sf_list_next(&sf, &item)) > 0) {
		write_item(&item, &out);
		buf_addc(&out, ',');
	}
	ck_assert_msg((more == 0) == (lists[_i].members != NULL), "9651 %s: %s gives %d",
		      lists[_i].clause, lists[_i].value, more);
	if (!more)
		ck_view_eq(buf_view(&out), lists[_i].members);
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *clause, *value, *members;
} dicts[] = {
	{"4.2.2", "", ""},
	{"4.2.2", "a=1", "a=i1,"},
	{"4.2.2", "a", "a=?1,"},
	{"4.2.2", "a;x=2", "a=?1|;x=2,"},
	{"4.2.2", "a=?0, b, c;x", "a=?0,b=?1,c=?1|;x,"},
	{"4.2.2", "max-age=60,no-store", "max-age=i60,no-store=?1,"},
	{"4.2.2", "a=(1 2);p, b=\"x, y\"", "a=(i1 i2)|;p,b=sx, y,"},
	{"4.2.2", "a=1, a=2", "a=i1,a=i2,"},
	{"4.2.2", "*=1", "*=i1,"},
	{"4.2.2", K64 "=1", K64 "=i1,"},
	{"4.2.2", "a=", NULL},
	{"4.2.2", "a= 1", NULL},
	{"4.2.2", "a =1", NULL},
	{"4.2.2", "a=1,", NULL},
	{"4.2.2", ",a=1", NULL},
	{"4.2.2", "a=1 b=2", NULL},
	{"4.2.2", "A=1", NULL},
	{"4.2.2", "1=1", NULL},
	{"4.2.2", "\"a\"=1", NULL},
	{"4.2.2", "max-age=10000, &&&&&", NULL},
	{"4.2.2", "a=1.", NULL},
};

START_TEST(dict_rows)
{
	struct http_sf_item item;
	struct view key;
	struct http_sf sf;
	struct buf out;
	int more;

	buf_init(&out, 4096);
	http_sf_init(&sf, view_of(dicts[_i].value));
	while ((more = http_sf_dict_next(&sf, &key, &item)) > 0) {
		buf_addv(&out, key);
		buf_addc(&out, '=');
		write_item(&item, &out);
		buf_addc(&out, ',');
	}
	ck_assert_msg((more == 0) == (dicts[_i].members != NULL), "9651 %s: %s gives %d",
		      dicts[_i].clause, dicts[_i].value, more);
	if (!more)
		ck_view_eq(buf_view(&out), dicts[_i].members);
	buf_fini(&out);
}
END_TEST

START_TEST(parameters)
{
	struct http_sf_item item, p;

	ck_assert_int_eq(http_sf_item(V("x;a=1;b;a=\"c;d=2\";e=?0"), &item), 0);
	ck_assert_int_eq(http_sf_param(&item, V("a"), &p), 1);
	ck_assert_int_eq(p.type, HTTP_SF_STRING);
	ck_view_eq(p.text, "c;d=2");
	ck_assert_int_eq(http_sf_param(&item, V("b"), &p), 1);
	ck_assert(p.type == HTTP_SF_BOOLEAN && p.number == 1);
	ck_assert_int_eq(http_sf_param(&item, V("e"), &p), 1);
	ck_assert(p.type == HTTP_SF_BOOLEAN && p.number == 0);
	ck_assert_int_eq(http_sf_param(&item, V("d"), &p), 0);
	ck_assert_int_eq(http_sf_param(&item, V("A"), &p), 0);
}
END_TEST

/* RFC 9651 §3: at least so many members, parameters and bytes have to be taken. */
START_TEST(many)
{
	struct http_sf_item item, p;
	struct http_sf sf;
	struct buf text;
	unsigned n = 0;
	struct view key;

	buf_init(&text, 1024 * 1024);
	for (unsigned i = 0; i < 1024; i++)
		buf_printf(&text, "%sk%u=%u", i ? ", " : "", i, i);
	http_sf_init(&sf, buf_view(&text));
	while (http_sf_dict_next(&sf, &key, &item) > 0)
		ck_assert_int_eq(item.number, n++);
	ck_assert_uint_eq(n, 1024);
	buf_reset(&text);
	buf_addc(&text, 'x');
	for (unsigned i = 0; i < 256; i++)
		buf_printf(&text, ";k%u=%u", i, i);
	ck_assert_int_eq(http_sf_item(buf_view(&text), &item), 0);
	ck_assert_int_eq(http_sf_param(&item, V("k255"), &p), 1);
	ck_assert_int_eq(p.number, 255);
	buf_reset(&text);
	buf_addc(&text, '"');
	for (unsigned i = 0; i < 65536; i++)
		buf_addc(&text, 'a');
	buf_addc(&text, '"');
	ck_assert_int_eq(http_sf_item(buf_view(&text), &item), 0);
	ck_assert_uint_eq(item.text.len, 65536);
	buf_fini(&text);
}
END_TEST

UNIT_MAIN("http/sf", tcase_add_loop_test(tc, item_rows, 0, ARRAY_LEN(items));
	  tcase_add_loop_test(tc, list_rows, 0, ARRAY_LEN(lists));
	  tcase_add_loop_test(tc, dict_rows, 0, ARRAY_LEN(dicts));
	  tcase_add_test(tc, parameters); tcase_add_test(tc, many);)
