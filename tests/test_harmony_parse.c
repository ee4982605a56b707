/* The streaming Harmony parser, strict: headers, ends, UTF-8. Names in brackets are rows of
 * harmony.md section 11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harmony_record.h"
#include "harmony_transcript.h"

static struct transcript transcript;

static const char *strict(const char *role, const char *text)
{
    transcript_begin(&transcript, OSL_PARSE_STRICT, role, NULL, 0);
    return transcript_run(&transcript, text, strlen(text), 1024);
}

static const char *tolerant(const char *role, const char *text)
{
    transcript_begin(&transcript, OSL_PARSE_TOLERANT, role, NULL, 0);
    return transcript_run(&transcript, text, strlen(text), 1024);
}

static void two_messages(void **state) /* [P1] */
{
    static const char text[] = "<|channel|>analysis<|message|>Hm.<|return|>"
                               "<|start|>assistant<|channel|>final<|message|>Yes";
    static const char expected[] = "assistant analysis: Hm.\nassistant final: Yes\nSTOP";
    assert_string_equal(strict("assistant", text), expected);
    assert_int_equal(transcript.parser.terminator, OSL_SPECIAL_COUNT);
    assert_string_equal(tolerant("assistant", text), expected);
}

static void every_legal_header(void **state) /* [P2] */
{
#define CALL "assistant commentary to=functions.f "
    static const char *const rows[][2] = {
        {"assistant", "assistant -: x\n"},
        {"assistant<|channel|>final", "assistant final: x\n"},
        {"assistant to=functions.f<|channel|>commentary <|constrain|>json",
         CALL "<|constrain|>json: x\n"},
        {"assistant to=functions.f<|channel|>commentary<|constrain|>json",
         CALL "<|constrain|>json: x\n"},
        {"assistant<|channel|>commentary to=functions.f <|constrain|>json",
         CALL "<|constrain|>json: x\n"},
        {"assistant<|channel|>commentary to=functions.f<|constrain|>json",
         CALL "<|constrain|>json: x\n"},
        {"assistant<|channel|>commentary to=functions.f json", CALL "json: x\n"},
        {"assistant to=functions.f<|channel|>commentary json", CALL "json: x\n"},
        {"assistant<|channel|>analysis to=browser.search code",
         "assistant analysis to=browser.search code: x\n"},
        {"functions.f to=assistant<|channel|>commentary",
         "tool(functions.f) commentary to=assistant: x\n"},
        {"functions.f<|channel|>commentary to=assistant",
         "tool(functions.f) commentary to=assistant: x\n"},
        {"user", "user -: x\n"},
        {"system", "system -: x\n"},
        {"developer", "developer -: x\n"},
    };
    char text[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print(text, sizeof text, "<|start|>%s<|message|>x<|end|>", rows[i][0]);
        assert_string_equal(strict(NULL, text), rows[i][1]);
        assert_string_equal(tolerant(NULL, text), rows[i][1]);
        if (strncmp(rows[i][0], "assistant", 9) == 0) {
            print(text, sizeof text, "%s<|message|>x<|end|>", rows[i][0] + 9);
            assert_string_equal(strict("assistant", text), rows[i][1]);
            transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", NULL, 0);
            transcript_run(&transcript, text, strlen(text), 1);
            bool is_call = strstr(rows[i][0], "to=") != NULL;
            print(text, sizeof text, "%s%s", rows[i][1], is_call ? "STOP" : "");
            assert_string_equal(transcript.text, text);
        }
    }
}

static void tool_without_recipient(void **state) /* [P3] */
{
    static const char text[] = "<|start|>functions.f<|message|>x<|end|>";
    assert_string_equal(strict(NULL, text), "ERROR");
    assert_string_equal(transcript.parser.error.text, "header: unknown role \"functions.f\"");
    assert_string_equal(tolerant(NULL, text), "tool(functions.f) -: x\n");
    assert_string_equal(strict(NULL, "<|start|>x to=assistant<|message|>y<|end|>"),
                        "tool(x) - to=assistant: y\n");
}

static void call_survives_parse_and_render(void **state) /* [P4] */
{
    static struct record record_of_call;
    static const char call[] = "<|start|>assistant to=functions.f<|channel|>commentary "
                               "<|constrain|>json<|message|>{\"a\":1}<|call|>";
    struct osl_harmony_sink sink = record_sink(&record_of_call);
    assert_string_equal(strict(NULL, call),
                        "assistant commentary to=functions.f <|constrain|>json: {\"a\":1}\nSTOP");
    const struct osl_parser *parser = &transcript.parser;
    assert_true(parser->is_call);
    assert_int_equal(parser->terminator, OSL_SPECIAL_CALL);
    struct osl_harmony_message message = {
        .role = parser->role,
        .recipient = parser->recipient,
        .channel = parser->channel,
        .content_type = parser->content_type,
        .content = transcript.content,
        .content_bytes = transcript.content_bytes,
    };
    assert_int_equal(osl_harmony_message(&sink, &message, NULL), OSL_OK);
    assert_string_equal(record_of_call.text, call);
    assert_int_equal(record_of_call.specials, 5);
}

static void missing_message_token(void **state) /* [P5, P6] */
{
    static const char first[] = "<|channel|>final  Hello   big\n world <|return|>";
    assert_string_equal(strict("assistant", first), "ERROR");
    assert_string_equal(tolerant("assistant", first), "assistant final: Hello   big\n world\nSTOP");
    assert_string_equal(tolerant("assistant", "<|channel|>analysis<|message|>a<|end|><|start|>"
                                              "assistant<|channel|>final Hello<|return|>"),
                        "assistant analysis: a\nassistant final: Hello\nSTOP");
}

static void end_of_stream(void **state) /* [P8] */
{
    assert_string_equal(strict(NULL, ""), "");
    assert_string_equal(strict("assistant", ""), "ERROR");
    assert_string_equal(strict(NULL, "<|start|>assistant<|channel|>fi"), "ERROR");
    assert_string_equal(strict(NULL, "<|start|>user<|message|>hal"), "user -: hal\n");
    assert_string_equal(strict(NULL, "<|start|>user<|message|>"), "user -: \n");
    assert_string_equal(tolerant(NULL, ""), "");
    assert_string_equal(tolerant("assistant", ""), "");
    assert_string_equal(tolerant("assistant", "<|channel|>final"), "");
    assert_string_equal(tolerant("assistant", "<|channel|>final Hi"), "assistant final: Hi\n");
}

static void strict_headers(void **state)
{
    static const char *const rows[][2] = {
        {"<|start|>assistant assistant<|message|>x", "assistant - to=assistant: x\n"},
        {"<|start|>assistant<|channel|><|message|>x", "ERROR"},
        {"<|start|>assistant<|channel|> final<|message|>x", "ERROR"},
        {"<|start|><|message|>x", "ERROR"},
        {"<|start|>robot<|message|>x", "ERROR"},
        {"<|start|>assistant a b c<|message|>x", "ERROR"},
        {"<|start|>assistant a b c d e f g h i j<|message|>x", "ERROR"},
        {"<|start|>assistant<|channel|>commentary json<|message|>x",
         "assistant commentary to=json: x\n"},
        {"<|start|>assistant<|channel|>commentary f json<|message|>x",
         "assistant commentary to=f json: x\n"},
        {"<|start|>assistant<|channel|>commentary<|constrain|>json<|message|>x",
         "assistant commentary to=<|constrain|>json: x\n"},
        {"<|start|>assistant<|channel|>final<|channel|>final<|message|>x", "ERROR"},
        {"<|start|>\xc2\xa0user\xe2\x80\x83<|message|>x", "user -: x\n"},
        {"<|start|>user a\vb<|message|>x", "user - to=a\vb: x\n"},
        {"<|start|>tool to=x<|message|>y", "tool(tool) - to=x: y\n"},
        {"junk<|start|>user<|message|>x", "ERROR"},
        {"<|start|>user<|message|>x<|end|><|end|>", "user -: x\nERROR"},
        {"<|start|>user<|message|>a<|start|>b<|endoftext|><|message|><|reserved_200013|><|end|>",
         "user -: a<|start|>b<|endoftext|><|message|><|reserved_200013|>\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(strict(NULL, rows[i][0]), rows[i][1]);
    }
    assert_string_equal(strict("assistant", "assistant<|channel|>final<|message|>x"),
                        "assistant final: x\n");
    assert_string_equal(strict("assistant", "<|channel|>final<|channel|>final<|message|>x"),
                        "assistant final to=<|channel|>final: x\n");
    assert_string_equal(strict("assistant", "<|channel|>final<|end|>y<|message|>x<|end|>"),
                        "assistant final to=<|end|>y: x\n");
}

static void strict_goes_on_after_an_error(void **state)
{
    struct osl_parser *parser = &transcript.parser;
    osl_parser_init(parser, OSL_PARSE_STRICT, "assistant");
    assert_int_equal(osl_parser_feed(parser, OSL_SPECIAL_COUNT, "a b c", 5), OSL_PARSE_NOTHING);
    assert_int_equal(osl_parser_feed(parser, OSL_SPECIAL_MESSAGE, NULL, 0), OSL_PARSE_ERROR);
    assert_int_equal(parser->state, OSL_PARSE_EXPECT_START);
    assert_int_equal(osl_parser_feed(parser, OSL_SPECIAL_START, NULL, 0), OSL_PARSE_NOTHING);
    assert_int_equal(osl_parser_feed(parser, OSL_SPECIAL_MESSAGE, NULL, 0), OSL_PARSE_BEGIN);
    assert_string_equal(parser->role, "assistant"); /* the known role is kept */
}

static void long_headers(void **state)
{
    static char text[4096];
    memset(text, 'w', 2000);
    strcpy(text + 2000, "<|message|>x");
    assert_string_equal(strict("assistant", text), "ERROR");
    memcpy(text, "<|start|>user<|channel|>", 24);
    strcpy(text + 400, "<|message|>x");
    assert_string_equal(strict(NULL, text), "ERROR"); /* one word of 376 bytes */
    assert_non_null(strstr(transcript.parser.error.text, "more than 159 bytes"));
}

/* ---- UTF-8 (harmony.md 9.3) -------------------------------------------------------------- */

/* Feeds pieces of content, a "" between them is a token of no text; returns the content so far. */
static void feed_content(const char *const *pieces, size_t count)
{
    transcript_begin(&transcript, OSL_PARSE_STRICT, NULL, NULL, 0);
    transcript_run(&transcript, "<|start|>user<|message|>", 24, 1024);
    transcript_begin(&transcript, OSL_PARSE_STRICT, "user", NULL, 0);
    transcript_take(&transcript, osl_parser_feed(&transcript.parser, OSL_SPECIAL_MESSAGE, NULL, 0));
    for (size_t i = 0; i < count; i++) {
        transcript_take(&transcript, osl_parser_feed(&transcript.parser, OSL_SPECIAL_COUNT,
                                                     pieces[i], strlen(pieces[i])));
    }
    transcript.content[transcript.content_bytes] = '\0';
}

static void character_in_pieces(void **state) /* [S1] */
{
    static const char *const cuts[][4] = {{"\xf0", "\x9f", "\x98", "\x80"},
                                          {"\xf0\x9f", "\x98", "\x80", ""},
                                          {"\xf0", "\x9f\x98\x80", "", ""},
                                          {"\xf0\x9f\x98", "\x80", "", ""}};
    for (size_t i = 0; i < 4; i++) {
        feed_content(cuts[i], 4);
        assert_string_equal(transcript.content, "\xf0\x9f\x98\x80");
        assert_int_equal(transcript.deltas, 1);
    }
}

static void broken_characters(void **state) /* [S2, S3, S4] */
{
    static const char *const twice[] = {" \xf0\x9f", " \xf0\x9f", "worked"};
    feed_content(twice, 3);
    assert_string_equal(transcript.content, " \xef\xbf\xbd \xef\xbf\xbdworked");

    static const char *const cut[] = {" \xf0\x9f"};
    feed_content(cut, 1);
    transcript_run(&transcript, "<|end|><|start|>user<|message|>Hi", 33, 1024);
    assert_string_equal(transcript.text, "user -:  \xef\xbf\xbd\nuser -: Hi\n");

    static const char *const late[] = {" \xf0\x9f", "Hi"};
    feed_content(late, 2);
    assert_string_equal(transcript.content, " \xef\xbf\xbdHi");
    assert_int_equal(osl_parser_end(&transcript.parser), OSL_PARSE_FINISH);
    assert_int_equal(transcript.parser.delta_bytes, 0);
}

static void ill_formed_parts(void **state)
{
    static const char *const rows[][2] = {
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf5x", "\xef\xbf\xbdx"},
        {"\xe2\x82"
         "A",
         "\xef\xbf\xbd"
         "A"}, /* one for the maximal part */
        {"\xf0\x9f\x98\xf0\x9f\x98\x80", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\x80\x80x", "\xef\xbf\xbd\xef\xbf\xbdx"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *piece = rows[i][0];
        feed_content(&piece, 1);
        assert_string_equal(transcript.content, rows[i][1]);
    }
}

static void mixed_scripts_in_pieces(void **state) /* [S5] */
{
    static const char text[] =
        "<|start|>user<|message|>👩‍👩‍👧‍👦 🇩🇪🇫🇷 العربية "
        "हिन्दी "
        "e\u0301 "
        "o\u0308 日本語 \u00a0ok<|end|>";
    static const char expected[] =
        "user -: 👩‍👩‍👧‍👦 🇩🇪🇫🇷 العربية हिन्दी "
        "e\u0301 "
        "o\u0308 "
        "日本語 \u00a0ok\n";
    for (uint32_t chunk = 1; chunk < 9; chunk++) {
        transcript_begin(&transcript, OSL_PARSE_STRICT, NULL, NULL, 0);
        assert_string_equal(transcript_run(&transcript, text, strlen(text), chunk), expected);
    }
}

static void unknown_ids(void **state) /* [S6] */
{
    static const char *const open[] = {"a"};
    feed_content(open, 1);
    transcript_take(&transcript, osl_parser_feed(&transcript.parser, OSL_SPECIAL_COUNT, NULL, 0));
    transcript_take(&transcript, osl_parser_feed(&transcript.parser, OSL_SPECIAL_END, NULL, 0));
    assert_string_equal(transcript.text, "user -: a\xef\xbf\xbd\n");
    osl_parser_init(&transcript.parser, OSL_PARSE_STRICT, "user");
    osl_parser_feed(&transcript.parser, OSL_SPECIAL_COUNT, NULL, 0);
    assert_int_equal(osl_parser_feed(&transcript.parser, OSL_SPECIAL_MESSAGE, NULL, 0),
                     OSL_PARSE_ERROR); /* no header with it */
    assert_string_equal(transcript.parser.error.text, "header: not valid UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_messages),
        cmocka_unit_test(every_legal_header),
        cmocka_unit_test(tool_without_recipient),
        cmocka_unit_test(call_survives_parse_and_render),
        cmocka_unit_test(missing_message_token),
        cmocka_unit_test(end_of_stream),
        cmocka_unit_test(strict_headers),
        cmocka_unit_test(strict_goes_on_after_an_error),
        cmocka_unit_test(long_headers),
        cmocka_unit_test(character_in_pieces),
        cmocka_unit_test(broken_characters),
        cmocka_unit_test(ill_formed_parts),
        cmocka_unit_test(mixed_scripts_in_pieces),
        cmocka_unit_test(unknown_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
