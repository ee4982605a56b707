/* The tolerant Harmony parser: every malformation of harmony.md section 10 [P7], and streams of
 * anything at all [S7, S8]. Numbers in brackets are rows of section 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harmony_transcript.h"

static struct transcript transcript;
static struct transcript other;

static const char *const tools[] = {"f", "functions.get_json", "weather", "g", "gjson"};
#define TOOLS 5

#define START "<|start|>"
#define CHANNEL "<|channel|>"
#define MESSAGE "<|message|>"
#define CONSTRAIN "<|constrain|>"
#define END "<|end|>"
#define RETURN "<|return|>"
#define CALL "<|call|>"
#define ANALYSIS CHANNEL "analysis" MESSAGE "a" END
#define A_LINE "assistant analysis: a\n"
#define CALL_LINE "assistant commentary to=functions.f"
#define JSON_CALL CALL_LINE " <|constrain|>json: {\"a\":1}\nSTOP"

/* Rows: what the model wrote after "<|start|>assistant", and what is made of it. */
static void check_rows(const char *const rows[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t chunk = 1; chunk <= 4; chunk++) { /* [S7] */
            transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", tools, TOOLS);
            transcript_run(&transcript, rows[i][0], strlen(rows[i][0]), chunk == 4 ? 1024 : chunk);
            if (strcmp(transcript.text, rows[i][1]) != 0) {
                print_error("chunks of %u: %s\n", chunk, rows[i][0]);
            }
            assert_string_equal(transcript.text, rows[i][1]);
        }
    }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void channels_are_recovered(void **state) /* [1, 2, 3, 4, 5] */
{
    static const char *const rows[][2] = {
        {CHANNEL "analysis to=functions.f code" MESSAGE "{}" CALL,
         "assistant analysis to=functions.f code: {}\nSTOP"},
        {CHANNEL "final" CHANNEL "final" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "commentary to=assistant" CHANNEL "commentary" MESSAGE "x" END,
         "assistant commentary: x\n"},
        {CHANNEL "commentary to=functions.f" CHANNEL "commentary to=functions.weather" MESSAGE
                 "{}" CALL,
         CALL_LINE ": {}\nSTOP"},
        {CHANNEL "analysis" CHANNEL "nonsense" MESSAGE "x" END, "assistant analysis: x\n"},
        {CHANNEL "commentary?" MESSAGE "x" END, "assistant commentary: x\n"},
        {CHANNEL "final ??" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "commentary 2?" MESSAGE "x" END, "assistant commentary: x\n"},
        {CHANNEL "\xe2\x80\x93\xe2\x80\x93"
                 "commentary" MESSAGE "x" END,
         "assistant commentary: x\n"},
        {CHANNEL "commentary \xe2\x80\x93 to=functions.f ?! " CONSTRAIN "json" MESSAGE
                 "{\"a\":1}" CALL,
         JSON_CALL},
        {CHANNEL "fi" MESSAGE "x" END, "assistant analysis: x\n"},
        {CHANNEL "fina" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "finalx" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "other" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "other" MESSAGE "x" END, "assistant analysis: x\n"},
        {CHANNEL "other" MESSAGE "x" CALL, "assistant commentary: x\nSTOP"},
        {CHANNEL "other to=functions.f" MESSAGE "{}" END, CALL_LINE ": {}\nSTOP"},
        {CHANNEL MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL MESSAGE "x" END, "assistant analysis: x\n"},
        {CHANNEL " final" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL " to=functions.f commentary" MESSAGE "{}" CALL, CALL_LINE ": {}\nSTOP"},
    };
    CHECK(rows);
}

static void broken_labels_stay_hidden_while_they_stream(void **state)
{
    transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", tools, TOOLS);
    transcript_run(&transcript, CHANNEL "other" MESSAGE "x" RETURN, 32, 1024);
    assert_string_equal(transcript.first_channel, "analysis");
    transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", tools, TOOLS);
    transcript_run(&transcript, CHANNEL "final?" MESSAGE "x" RETURN, 33, 1024);
    assert_string_equal(transcript.first_channel, "final");
}

static void missing_message_tokens_are_recovered(void **state) /* [6, 7, 8] */
{
    static const char *const rows[][2] = {
        {CHANNEL "final Hello" RETURN, "assistant final: Hello\nSTOP"},
        {CHANNEL "final \n a  b\tc \n" RETURN, "assistant final: a  b\tc\nSTOP"},
        {CHANNEL "finalHello" RETURN, "assistant final: Hello\nSTOP"},
        {CHANNEL "analysis json is nice" END, "assistant analysis: json is nice\n"},
        {CHANNEL "final", ""},
        {ANALYSIS START "assistant" CHANNEL "final Hello" RETURN,
         A_LINE "assistant final: Hello\nSTOP"},
        {ANALYSIS START "assistant" CHANNEL "final Hello", A_LINE "assistant final: Hello\n"},
        {CHANNEL "analysis Hm" START "assistant" CHANNEL "final" MESSAGE "Yes" RETURN,
         "assistant analysis: Hm\nassistant final: Yes\nSTOP"},
        {"Hello" RETURN, "assistant final: Hello\nSTOP"},
        {"Hello" END, "assistant analysis: Hello\n"},
        {"Hello", "assistant analysis: Hello\n"},
        {"assistants are nice" RETURN, "assistant final: assistants are nice\nSTOP"},
        {CHANNEL "Hello you" RETURN, "assistant final: Hello you\nSTOP"},
        {"Hm" CHANNEL "final Hello" RETURN, "assistant final: Hello\nSTOP"},
        {CHANNEL "commentary to=functions.f {\"a\":1}" CALL, CALL_LINE ": {\"a\":1}\nSTOP"},
        {CHANNEL "commentary to=functions.f{\"a\":1}" CALL, CALL_LINE ": {\"a\":1}\nSTOP"},
        {CHANNEL "commentary to=functions.f json{\"a\":1}" CALL,
         CALL_LINE " json: {\"a\":1}\nSTOP"},
        {CHANNEL "commentary to=functions.f " CONSTRAIN "json {\"a\":1}" CALL, JSON_CALL},
        {CHANNEL "commentary to=functions.f" CONSTRAIN "json{\"a\":1}" CALL, JSON_CALL},
        {" to=functions.f" CHANNEL "commentary " CONSTRAIN "json{\"a\":1}" CALL, JSON_CALL},
        {" to= functions.f" CHANNEL "commentary {}" CALL, CALL_LINE ": {}\nSTOP"},
    };
    CHECK(rows);
}

static void types_and_recipients_are_recovered(void **state) /* [9 .. 14] */
{
    static const char *const rows[][2] = {
        {CHANNEL "commentary to=functions.f" CONSTRAIN "json" MESSAGE "{\"a\":1}" CALL, JSON_CALL},
        {CHANNEL "commentary to=functions.f " CONSTRAIN " json" MESSAGE "{\"a\":1}" CALL,
         JSON_CALL},
        {CHANNEL "commentary" CONSTRAIN "json" MESSAGE "plan" END,
         "assistant commentary <|constrain|>json: plan\n"},
        {CHANNEL "commentary to=functions.fjson" MESSAGE "{}" CALL, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=functions.weathercode" MESSAGE "{}" CALL,
         "assistant commentary to=functions.weather: {}\nSTOP"},
        {CHANNEL "commentary to=functions.get_json" MESSAGE "{}" CALL,
         "assistant commentary to=functions.get_json: {}\nSTOP"},
        {CHANNEL "commentary to=functions.gjson" MESSAGE "{}" CALL,
         "assistant commentary to=functions.gjson: {}\nSTOP"},
        {CHANNEL "commentary to=functions.unknownjson" MESSAGE "{}" CALL,
         "assistant commentary to=functions.unknownjson: {}\nSTOP"},
        {CHANNEL "commentary to=f" MESSAGE "{}" CALL, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=functions.f<|cons" MESSAGE "{}" CALL, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=assistant<|chan" MESSAGE "x" END, "assistant commentary: x\n"},
        {CHANNEL "commentary to=assistant" MESSAGE "x" END, "assistant commentary: x\n"},
        {CHANNEL "final to=user" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "commentary to=all to=f" MESSAGE "{}" CALL, CALL_LINE ": {}\nSTOP"},
        {" to=python" CHANNEL "analysis" MESSAGE "1+1" END,
         "assistant analysis to=python: 1+1\nSTOP"},
    };
    CHECK(rows);
}

static void ends_and_starts_are_recovered(void **state) /* [15 .. 20] */
{
    static const char *const rows[][2] = {
        {ANALYSIS RETURN START "assistant" CHANNEL "final" MESSAGE "x" END RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS END END, A_LINE},
        {ANALYSIS CHANNEL "final" MESSAGE "x" RETURN, A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS "noise" START "assistant" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS "noise" CHANNEL "final" MESSAGE "x" RETURN, A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS "the answer", A_LINE "assistant final: the answer\n"},
        {ANALYSIS "the answer" RETURN, A_LINE "assistant final: the answer\nSTOP"},
        {ANALYSIS " \n", A_LINE},
        {CHANNEL "final" MESSAGE "x" END "more" RETURN, "assistant final: x\nSTOP"},
        {ANALYSIS "final" MESSAGE "x" RETURN, A_LINE "assistant final: x\nSTOP"},
        {START START "assistant" CHANNEL "final" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {"assistant" CHANNEL "final" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {ANALYSIS START "assistantassistant" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS START START START "assistant" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS START "assistantfinal" MESSAGE "x" RETURN, A_LINE "assistant final: x\nSTOP"},
        {CHANNEL "analysis" MESSAGE "a" START "assistant" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {CHANNEL "analysis" MESSAGE "a" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {CHANNEL "final" MESSAGE "x" MESSAGE "y" CONSTRAIN "z" RETURN,
         "assistant final: xyz\nSTOP"},
        {MESSAGE "x" RETURN, "assistant -: x\nSTOP"},
    };
    CHECK(rows);
}

static void ends_of_turns_are_recovered(void **state) /* [21 .. 25] */
{
    static const char *const rows[][2] = {
        {CHANNEL "commentary to=functions.f" MESSAGE "{}" END, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=functions.f" MESSAGE "{}" RETURN, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=functions.nobody" MESSAGE "{}" END,
         "assistant commentary to=functions.nobody: {}\n"},
        {CHANNEL "final" MESSAGE "x" CALL, "assistant final: x\nSTOP"},
        {ANALYSIS START "functions.f to=assistant" CHANNEL "commentary" MESSAGE "made up" END START
                        "assistant" CHANNEL "final" MESSAGE "x" RETURN,
         A_LINE "assistant final: x\nSTOP"},
        {ANALYSIS START "functions.f to=assistant" CHANNEL "commentary" MESSAGE "made up",
         A_LINE "STOP"},
        {ANALYSIS START "functions.f to=assistant" CHANNEL "commentary made up" END, A_LINE "STOP"},
        {CHANNEL "final" MESSAGE "x" END START "user" MESSAGE "more!" END,
         "assistant final: x\nSTOP"},
        {CHANNEL "final" MESSAGE "x<|endoftext|>", "assistant final: x\nSTOP"},
        {CHANNEL "fi<|endoftext|>", "STOP"},
        {CHANNEL "final" MESSAGE "x<|reserved_200013|>y" RETURN, "assistant final: xy\nSTOP"},
        {CHANNEL "fi<|startoftext|>nal" MESSAGE "x" RETURN, "assistant final: x\nSTOP"},
        {CHANNEL "commentary to=functions.f" MESSAGE CALL, CALL_LINE ": {}\nSTOP"},
        {CHANNEL "commentary to=functions.f" MESSAGE "not json" CALL, CALL_LINE ": not json\nSTOP"},
        {ANALYSIS START "assistant" CHANNEL "f", A_LINE},
        {ANALYSIS START "assistant" CHANNEL "comment", A_LINE},
        {ANALYSIS START "assistant" CHANNEL "commentary t", A_LINE},
        {ANALYSIS START "assi", A_LINE},
        {ANALYSIS START "functions.f", A_LINE},
        {CHANNEL "commentary to=functions.f js", ""},
        {CHANNEL "commentary to=functions.f " CONSTRAIN "js", ""},
        {ANALYSIS START "assistant to=functions.f", A_LINE},
    };
    CHECK(rows);
}

/* A lost <|message|> does not hold up the stream for longer than a header may be. */
static void long_headers_are_bounded(void **state)
{
    static char text[6000];
    static char expected[6000];
    for (uint32_t chunk = 1; chunk < 1024; chunk += 341) {
        memset(text, '\0', sizeof text);
        memset(expected, '\0', sizeof expected);
        strcpy(text, CHANNEL "final ");
        memset(text + strlen(text), 'w', 3000);
        strcat(text, RETURN);
        transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", NULL, 0);
        transcript_run(&transcript, text, strlen(text), chunk);
        strcpy(expected, "assistant final: ");
        memset(expected + strlen(expected), 'w', 3000);
        strcat(expected, "\nSTOP");
        assert_string_equal(transcript.text, expected);
        assert_true(chunk == 1 ? transcript.deltas > 1900 : transcript.deltas > 1);
    }
    /* The same between messages. */
    memset(text, '\0', sizeof text);
    strcpy(text, ANALYSIS);
    for (int i = 0; i < 1000; i++) {
        strcat(text, "\xe2\x82\xac");
    }
    transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", NULL, 0);
    transcript_run(&transcript, text, strlen(text), 7);
    assert_int_equal(transcript.messages, 2);
    assert_int_equal(transcript.content_bytes, 3000);
    /* After an answer it is dropped, however long, and however it is cut. */
    memset(text, '\0', sizeof text);
    strcpy(text, CHANNEL "final" MESSAGE "x" END);
    for (int i = 0; i < 1000; i++) {
        strcat(text, "\xe2\x82\xac");
    }
    strcat(text, START "assistant" CHANNEL "final" MESSAGE "y" RETURN);
    for (uint32_t chunk = 1; chunk < 1024; chunk += 341) {
        transcript_begin(&transcript, OSL_PARSE_TOLERANT, "assistant", NULL, 0);
        transcript_run(&transcript, text, strlen(text), chunk);
        assert_string_equal(transcript.text, "assistant final: x\nassistant final: y\nSTOP");
    }
}

/* ---- Anything at all --------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

/* A stream of labels, specials, characters and bytes, as text with specials spelled out. */
static uint64_t random_text(char *text, uint64_t capacity, uint32_t pieces)
{
    static const char *const parts[] = {
        START,
        START,
        CHANNEL,
        CHANNEL,
        MESSAGE,
        MESSAGE,
        END,
        RETURN,
        CALL,
        CONSTRAIN,
        "<|endoftext|>",
        "<|reserved_200013|>",
        "assistant",
        "analysis",
        "commentary",
        "final",
        " to=",
        "functions.f",
        "json",
        " ",
        "\n",
        "user",
        "tool",
        "code",
        "{\"a\":1}",
        "\xf0\x9f",
        "\x98\x80",
        "\xe2\x82\xac",
        "\xff",
        "<|",
        "?",
        "functions.",
        "python",
        "Hello, you",
        "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
    };
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < pieces; i++) {
        const char *part = parts[draw(sizeof parts / sizeof *parts)];
        uint32_t times = draw(40) == 0 ? 30 : 1;
        for (uint32_t j = 0; j < times && bytes + strlen(part) < capacity; j++) {
            memcpy(text + bytes, part, strlen(part));
            bytes += strlen(part);
        }
    }
    return bytes;
}

static void any_cut_gives_the_same_messages(void **state) /* [S7] */
{
    static char text[8192];
    static const char *const roles[] = {NULL, "assistant"};
    for (uint64_t seed = 1; seed <= 6000; seed++) {
        random_state = seed;
        uint64_t bytes = random_text(text, sizeof text, 1 + draw(80));
        const char *role = roles[draw(2)];
        enum osl_parse_mode mode = draw(3) == 0 ? OSL_PARSE_STRICT : OSL_PARSE_TOLERANT;
        transcript_begin(&transcript, mode, role, tools, TOOLS);
        transcript_run(&transcript, text, bytes, 1024);
        transcript_begin(&other, mode, role, tools, TOOLS);
        transcript_run(&other, text, bytes, 1 + draw(3));
        if (strcmp(transcript.text, other.text) != 0) {
            print_error("seed %llu\n", (unsigned long long)seed);
        }
        assert_string_equal(transcript.text, other.text);
        assert_null(strstr(transcript.text, "CONTRADICTION"));
        assert_true(mode == OSL_PARSE_STRICT || transcript.errors == 0);
    }
}

static void random_ids_never_fail(void **state) /* [S8] */
{
    static const char *const texts[] = {
        "a",     " the",     "\n\n",     "assistant", "commentary", "analysis",
        "final", "\xf0\x9f", " to",      "=",         "functions",  ".f",
        "json",  "\x80",     "\xed\xa0", "user",      "12",         "\xe2\x82\xac",
    };
    random_state = 8;
    for (uint32_t role = 0; role < 2; role++) {
        transcript_begin(&transcript, OSL_PARSE_TOLERANT, role ? "assistant" : NULL, tools, TOOLS);
        for (uint32_t i = 0; i < 1000000; i++) {
            struct osl_parser *parser = &transcript.parser;
            transcript.bytes = 0; /* only the events are of interest */
            uint32_t specials_in = i < 500000 ? 12 : 2000;
            if (draw(specials_in) == 0) {
                enum osl_special special = (enum osl_special)draw(OSL_SPECIAL_COUNT);
                transcript_take(&transcript, osl_parser_feed(parser, special, NULL, 0));
            } else if (draw(500) == 0) {
                transcript_take(&transcript, osl_parser_feed(parser, OSL_SPECIAL_COUNT, NULL, 0));
            } else {
                const char *text = texts[draw(sizeof texts / sizeof *texts)];
                transcript_take(&transcript,
                                osl_parser_feed(parser, OSL_SPECIAL_COUNT, text, strlen(text)));
            }
            if (transcript.content_bytes > TRANSCRIPT_BYTES / 2) {
                transcript.content_bytes = 0;
            }
        }
        transcript_take(&transcript, osl_parser_end(&transcript.parser));
        assert_int_equal(transcript.errors, 0);
        assert_false(transcript.is_contradictory);
        assert_true(transcript.messages > 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_recovered),
        cmocka_unit_test(broken_labels_stay_hidden_while_they_stream),
        cmocka_unit_test(missing_message_tokens_are_recovered),
        cmocka_unit_test(types_and_recipients_are_recovered),
        cmocka_unit_test(ends_and_starts_are_recovered),
        cmocka_unit_test(ends_of_turns_are_recovered),
        cmocka_unit_test(long_headers_are_bounded),
        cmocka_unit_test(any_cut_gives_the_same_messages),
        cmocka_unit_test(random_ids_never_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
