/* Structured fields: the input as an Item, a List and a Dictionary, against the ABNF. */
#include "reference.h"

#include "http/sf.h"

/* RFC 9651 §3 and appendix C. */
#define INTEGER "-?[0-9]{1,15}"
#define DECIMAL "-?[0-9]{1,12}[.][0-9]{1,3}"
#define STRING  "\"([] !#-[^-~]|\\\\[\\\\\"])*\""
#define TCHAR   "[-A-Za-z0-9!#$%&'*+.^_`|~:/]"
#define TOKEN   "[A-Za-z*]" TCHAR "*"
#define B64     "[A-Za-z0-9+/]"
#define BYTES   ":(" B64 "{4})*(" B64 "{2}={0,2}|" B64 "{3}=?)?:"
#define BOOLEAN "[?][01]"
#define DATE    "@-?[0-9]{1,15}"
#define CONT    "%[89ab][0-9a-f]"
#define UTF8                                                                                       \
	"[] !#$&-[\\^-~]|%[0-7][0-9a-f]|%(c[2-9a-f]|d[0-9a-f])" CONT                               \
	"|%e0%[ab][0-9a-f]" CONT "|%e[1-9a-cef]" CONT CONT "|%ed%[89][0-9a-f]" CONT                \
	"|%f0%[9ab][0-9a-f]" CONT CONT "|%f[1-3]" CONT CONT CONT "|%f4%8[0-9a-f]" CONT CONT
#define DISPLAY "%\"(" UTF8 ")*\""
#define BARE                                                                                       \
	"(" INTEGER "|" DECIMAL "|" STRING "|" TOKEN "|" BYTES "|" BOOLEAN "|" DATE "|" DISPLAY ")"
#define KEY    "[a-z*][-a-z0-9_.*]*"
#define PARAMS "(; *" KEY "(=" BARE ")?)*"
#define ITEM   BARE PARAMS
#define INNER  "[(] *(" ITEM "( +" ITEM ")*)? *[)]" PARAMS
#define MEMBER "(" ITEM "|" INNER ")"
#define ENTRY  "(" KEY "(=" MEMBER "|" PARAMS "))"
#define COMMA  "[ \t]*,[ \t]*"

static void item_holds(const struct http_sf_item *item, struct view in)
{
	struct http_sf_item inner;
	struct view rest = item->text;
	struct buf out;

	check(item->number > -1000000000000000 && item->number < 1000000000000000);
	check(!item->text.len || fuzz_inside(item->text, in));
	check(!item->params.len || fuzz_inside(item->params, in));
	buf_init(&out, in.len);
	check(http_sf_decode(item, &out) == 0);
	buf_fini(&out);
	while (item->type == HTTP_SF_INNER_LIST) {
		int more = http_sf_inner_next(&rest, &inner);

		check(more >= 0);
		if (!more)
			break;
		check(inner.type != HTTP_SF_INNER_LIST);
		item_holds(&inner, in);
	}
}

static bool is_list(struct view in)
{
	struct http_sf_item item;
	struct http_sf sf;
	int more;

	http_sf_init(&sf, in);
	while ((more = http_sf_list_next(&sf, &item)) > 0)
		item_holds(&item, in);
	return more == 0;
}

static bool is_dict(struct view in)
{
	struct http_sf_item item, param;
	struct http_sf sf;
	struct view key;
	int more;

	http_sf_init(&sf, in);
	while ((more = http_sf_dict_next(&sf, &key, &item)) > 0) {
		check(key.len && fuzz_inside(key, in));
		http_sf_param(&item, key, &param);
		item_holds(&item, in);
	}
	return more == 0;
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct http_sf_item item;
	bool one = http_sf_item(in, &item) == 0, list = is_list(in), dict = is_dict(in);

	if (one)
		item_holds(&item, in);
	check(!one || list);
	if (!reference_fits(in))
		return 0;
	check(one == REFERENCE(" *" ITEM " *", in));
	check(list == REFERENCE(" *(" MEMBER "(" COMMA MEMBER ")*)? *", in));
	check(dict == REFERENCE(" *(" ENTRY "(" COMMA ENTRY ")*)? *", in));
	return 0;
}
