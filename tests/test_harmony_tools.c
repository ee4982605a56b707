/* Harmony rendering: tools and schemas. Names in brackets are rows of harmony.md section 11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "harmony_record.h"
#include "model/harmony_render.h"

/* The tools section's part between the namespace's opening and its end. */
static void expect_function(const char *function, const char *expected)
{
    static char tools[65536];
    static char all[65536];
    print(tools, sizeof tools, "[{\"type\":\"function\",\"function\":%s}]", function);
    open_error.text[0] = '\0';
    enum osl_status status = open_system((struct osl_harmony_system){.tools_json = tools});
    assert_string_equal(open_error.text, "");
    assert_int_equal(status, OSL_OK);
    print(all, sizeof all,
          DEFAULT_SYSTEM SYSTEM_TAIL TOOLS_LINE
          "<|end|><|start|>developer<|message|># Tools\n\n## functions\n\n"
          "namespace functions {\n\n%s\n\n} // namespace functions<|end|>",
          expected);
    assert_string_equal(record.text, all);
}

/* The type that a schema renders to, as the parameters of a function f. */
static void expect_type(const char *schema, const char *type)
{
    static char function[65536];
    static char expected[65536];
    print(function, sizeof function, "{\"name\":\"f\",\"parameters\":%s}", schema);
    print(expected, sizeof expected, "type f = (_: %s) => any;", type);
    expect_function(function, expected);
}

/* The lines of one property p, not required. */
static void expect_property(const char *schema, const char *lines)
{
    static char object[65536];
    static char type[65536];
    print(object, sizeof object, "{\"type\":\"object\",\"properties\":{\"p\":%s}}", schema);
    print(type, sizeof type, "{\n%s}", lines);
    expect_type(object, type);
}

static void tool_parameters_have_three_forms(void **state) /* [R6] */
{
    expect_function("{\"name\":\"f\"}", "type f = () => any;");
    expect_function("{\"name\":\"f\",\"parameters\":null}", "type f = () => any;");
    expect_type("{}", "any");
    expect_type("{\"type\":\"object\"}", "{\n}");
    expect_type("{\"type\":\"object\",\"properties\":{}}", "{\n}");
}

static void defaults(void **state) /* [R7] */
{
    expect_property("{\"type\":\"string\",\"enum\":[\"a\",\"b\"],\"default\":\"a\"}",
                    "p?: \"a\" | \"b\", // default: a\n");
    expect_property("{\"type\":\"string\",\"default\":\"x\\\"y\"}",
                    "p?: string, // default: \"x\"y\"\n");
    expect_property("{\"type\":\"number\",\"default\":6}", "p?: number, // default: 6\n");
    expect_property("{\"type\":\"string\",\"default\":null}", "p?: string, // default: null\n");
    expect_property("{\"default\":[1, 2,{\"a\" : \"\\u00e9\\n\"}]}",
                    "p?: any, // default: [1,2,{\"a\":\"\xc3\xa9\\n\"}]\n");
    expect_property("{\"type\":\"boolean\",\"default\":false}", "p?: boolean, // default: false\n");
    expect_property("{\"enum\":[],\"default\":\"a\"}", "p?: any, // default: \"a\"\n");
    expect_property("{\"oneOf\":3,\"description\":\"d\",\"default\":\"a\"}", "p?: any,\n");
}

static void default_numbers_keep_their_form(void **state)
{
    static const char *const pairs[][2] = {
        {"1", "1"},
        {"1.0", "1.0"},
        {"0.10", "0.1"},
        {"1e3", "1000.0"},
        {"-7", "-7"},
        {"9007199254740993", "9007199254740993"},
        {"18446744073709551615", "18446744073709551615"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"-0", "-0.0"},
        {"0.0", "0.0"},
        {"-0.0", "-0.0"},
        {"1e15", "1000000000000000.0"},
        {"1E16", "1e16"},
        {"1.5e300", "1.5e300"},
        {"1e-5", "0.00001"},
        {"0.000001", "1e-6"},
        {"12.5e-1", "1.25"},
        {"0.1e1", "1.0"},
        {"3.141592653589793", "3.141592653589793"},
        {"1e-400", "0.0"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e308"},
        {"123456.789e3", "123456789.0"},
    };
    char schema[256];
    char lines[256];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        print(schema, sizeof schema, "{\"type\":\"number\",\"default\":%s}", pairs[i][0]);
        print(lines, sizeof lines, "p?: number, // default: %s\n", pairs[i][1]);
        expect_property(schema, lines);
    }
}

static void property_comments(void **state) /* [R8] */
{
    expect_property("{\"type\":\"string\",\"title\":\"T\",\"description\":\"D\","
                    "\"examples\":[\"e1\",3,\"e2\"],\"nullable\":true}",
                    "// T\n//\n// D\n// Examples:\n// - \"e1\"\n// - \"e2\"\np?: string | null,\n");
    expect_property("{\"type\":\"string\",\"examples\":[]}", "p?: string,\n");
    expect_property("{\"examples\":[1]}", "// Examples:\np?: any,\n");
    expect_property("{\"type\":[\"string\",\"null\"],\"nullable\":true}", "p?: string | null,\n");
    expect_property("{\"type\":\"string\",\"enum\":[\"annulled\"],\"nullable\":true}",
                    "p?: \"annulled\",\n");
}

static void property_one_of(void **state) /* [R9] */
{
    expect_property("{\"description\":\"How\",\"default\":\"x\",\"oneOf\":["
                    "{\"type\":\"string\",\"description\":\"first\"},"
                    "{\"type\":\"integer\",\"description\":\"second\",\"default\":4},"
                    "{\"type\":\"boolean\",\"description\":\"How\",\"nullable\":true}]}",
                    "// How\n// default: \"x\"\np?:\n | string\n | number // second default: 4\n"
                    " | boolean | null\n,\n");
    expect_property("{\"description\":\"same\",\"oneOf\":["
                    "{\"type\":\"string\",\"enum\":[\"e\"],\"default\":\"e\","
                    "\"description\":\"same\"}]}",
                    "p?:\n | \"e\" // default: e\n,\n");
    expect_property("{\"oneOf\":[]}", "p?:\n,\n");
}

static void nested_types(void **state) /* [R10] */
{
    expect_type("{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{}}}", "any[][]");
    expect_type("{\"type\":\"array\"}", "Array<any>");
    expect_type("{\"type\":\"array\",\"items\":null}", "any[]");
    expect_type("{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\"],\"type\":\"string\"}}",
                "\"a\" | \"b\"[]");
    expect_type("{\"type\":[\"array\",\"null\"],\"items\":{}}", "array | null");
    expect_type("{\"type\":[\"integer\",3,\"string\"]}", "number | string");
    expect_type("{\"type\":[3]}", "any");
    expect_type("{\"type\":[]}", "any");
    expect_type("{\"type\":\"integer\",\"enum\":[1,2]}", "number");
    expect_type("{\"type\":\"string\",\"enum\":[1,\"a\\\"b\"]}", "\"a\"b\"");
    expect_type("{\"type\":\"null\"}", "any");
    expect_type("{\"anyOf\":[{\"type\":\"string\"}]}", "any");
    expect_type("true", "any");
    expect_type("\"string\"", "any");
    expect_type("{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"string\",\"description\":\"id\","
                "\"default\":\"z\"}]}",
                "\n | number\n | string // id default: \"z\"");
    expect_type("{\"oneOf\":[{\"type\":\"string\",\"enum\":[\"q\"],\"default\":\"q\","
                "\"nullable\":true}]}",
                "\n | \"q\" | null // default: \"q\"");
    expect_type("{\"oneOf\":[{\"oneOf\":[{\"type\":\"number\"}]}]}", "\n | \n    | number");
}

static void worked_example(void **state) /* harmony.md 6.4, byte for byte */
{
    expect_function(
        "{\"name\":\"book\",\"description\":\"Reserve a table.\\nReturns an id.\",\"parameters\":{"
        "\"type\":\"object\",\"required\":[\"guest\",\"days\"],\"properties\":{"
        "\"guest\":{\"type\":\"object\",\"description\":\"Who is coming\",\"properties\":{"
        "\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"default\":18}},"
        "\"required\":[\"name\"]},"
        "\"seats\":{\"type\":\"integer\",\"default\":2},"
        "\"days\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"mon\",\"tue\"]}},"
        "\"stops\":{\"type\":\"array\",\"description\":\"Route\",\"items\":{\"type\":\"object\","
        "\"properties\":{\"lat\":{\"type\":\"number\"}}}},"
        "\"note\":{\"type\":[\"string\",\"null\"]},"
        "\"when\":{\"anyOf\":[{\"type\":\"string\"}],\"title\":\"When\",\"default\":null},"
        "\"tags\":{\"type\":\"array\"},\"meta\":{\"type\":\"object\"},"
        "\"pay\":{\"oneOf\":[{\"type\":\"string\",\"enum\":[\"cash\"],\"default\":\"cash\"},"
        "{\"type\":\"object\",\"description\":\"card\",\"properties\":{"
        "\"no\":{\"type\":\"string\"}}}]}}}}",
        "// Reserve a table.\n"
        "// Returns an id.\n"
        "type book = (_: {\n"
        "// Who is coming\n"
        "guest:     // Who is coming\n"
        "{\n"
        "    name: string,\n"
        "    age?: number, // default: 18\n"
        "    },\n"
        "seats?: number, // default: 2\n"
        "days: \"mon\" | \"tue\"[],\n"
        "// Route\n"
        "stops?: {\n"
        "    lat?: number,\n"
        "    }[],\n"
        "note?: string | null,\n"
        "// When\n"
        "//\n"
        "when?: any, // default: null\n"
        "tags?: Array<any>,\n"
        "meta?: {\n"
        "    },\n"
        "pay?:\n"
        " | \"cash\" // default: cash\n"
        " |    // card\n"
        "{\n"
        "   no?: string,\n"
        "   } // card\n"
        ",\n"
        "}) => any;");
}

static void descriptions_split_on_tools_only(void **state) /* [R11] */
{
    expect_function(
        "{\"name\":\"f\",\"description\":\"one\\r\\n\\nthree\\n\",\"parameters\":{"
        "\"type\":\"object\",\"properties\":{\"p\":{\"description\":\"a\\n\\nb\\n\"}}}}",
        "// one\n// \n// three\ntype f = (_: {\n// a\n\nb\n\np?: any,\n}) => any;");
    expect_function("{\"name\":\"f\",\"description\":\"\"}", "type f = () => any;");
    expect_function("{\"name\":\"f\",\"description\":\"\\n\"}", "// \ntype f = () => any;");
}

static void properties_keep_their_order(void **state) /* [R12] */
{
    expect_type("{\"type\":\"object\",\"properties\":{\"z\":{},\"a\":{},\"m\":{}},"
                "\"required\":[\"m\",7]}",
                "{\nz?: any,\na?: any,\nm: any,\n}");
}

static void two_functions_keep_their_order(void **state)
{
    expect_function("{\"name\":\"z\"}},{\"function\":{\"name\":\"a\",\"description\":\"d\"}",
                    "type z = () => any;\n\n// d\ntype a = () => any;");
}

static void schema_deep(void **state)
{
    static char schema[32768];
    static char type[32768];
    schema[0] = '\0';
    type[0] = '\0';
    for (int i = 0; i < OSL_SCHEMA_DEPTH_MAX; i++) {
        strcat(schema, "{\"type\":\"array\",\"items\":");
        strcat(type, "[]");
    }
    memmove(type + 3, type, strlen(type) + 1);
    memcpy(type, "any", 3);
    strcat(schema, "{}");
    for (int i = 0; i < OSL_SCHEMA_DEPTH_MAX; i++) {
        strcat(schema, "}");
    }
    expect_type(schema, type);
    static char tools[65536];
    print(tools, sizeof tools,
          "[\n{\"function\":{\"name\":\"f\",\"parameters\":\n{\"type\":\"array\",\"items\":%s}}}]",
          schema);
    assert_int_equal(open_system((struct osl_harmony_system){.tools_json = tools}), OSL_FORMAT);
    assert_string_equal(open_error.text, "tools: line 3: tools[0].function.parameters is nested "
                                         "deeper than 64; flatten it");
    assert_int_equal(record.bytes, 0);
}

static void schema_with_many_required_names(void **state)
{
    static char schema[32768];
    static char tools[65536];
    for (uint32_t names = 1023; names <= 1025; names += 2) {
        strcpy(schema, "{\"type\":\"object\",\"properties\":{\"p\":{}},\"required\":[");
        for (uint32_t i = 0; i < names; i++) {
            strcat(schema, "\"q\",");
        }
        strcat(schema, "\"p\"]}");
        if (names == 1023) {
            expect_type(schema, "{\np: any,\n}");
        }
    }
    print(tools, sizeof tools, "[{\"function\":{\"name\":\"f\",\"parameters\":%s}}]", schema);
    assert_int_equal(open_system((struct osl_harmony_system){.tools_json = tools}), OSL_FORMAT);
    assert_string_equal(open_error.text, "tools: line 1: tools[0].function.parameters has a list "
                                         "of more than 1024 required names; shorten it");
}

static void tools_wrong(void **state)
{
    static const char *const cases[][2] = {
        {"{}", "tools: line 1: tools must be an array"},
        {"[\n3]", "tools: line 2: tools[0] must be an object whose type is \"function\", "
                  "\"browser\" or \"python\""},
        {"[{\"type\":\"function\"}]",
         "tools: line 1: tools[0].function.name must be a string of 1 to 149 bytes without spaces"},
        {"[{\"function\":{\"name\":\"a b\"}}]",
         "tools: line 1: tools[0].function.name must be a string of 1 to 149 bytes without spaces"},
        {"[{\"function\":{\"name\":\"a\\u0000b\"}}]",
         "tools: line 1: tools[0].function.name must be a string of 1 to 149 bytes without spaces"},
        {"[{\"function\":{\"name\":\"a\",\n\"description\":4}}]",
         "tools: line 2: tools[0].function.description must be a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct osl_harmony_system system = {.tools_json = cases[i][0]};
        assert_int_equal(open_system(system), OSL_FORMAT);
        assert_string_equal(open_error.text, cases[i][1]);
        assert_int_equal(record.bytes, 0);
    }
}

static void small_scratch_is_refused(void **state)
{
    const char *tools = "[{\"function\":{\"name\":\"f\",\"description\":\"words and words\"}}]";
    struct osl_harmony_system system = {.tools_json = tools, .tools_json_bytes = strlen(tools)};
    bool fitted = false;
    for (uint64_t bytes = 0; bytes < 4096 && !fitted; bytes += 7) {
        struct osl_arena arena = {.base = scratch, .bytes = bytes};
        struct osl_harmony_sink sink = record_sink(&record);
        enum osl_status status = osl_harmony_open(&sink, &system, &arena, &open_error);
        fitted = status == OSL_OK;
        assert_true(fitted || status == OSL_MEMORY);
        assert_true(fitted || record.bytes == 0);
        assert_int_equal(arena.used, 0);
    }
    assert_true(fitted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tool_parameters_have_three_forms),
        cmocka_unit_test(defaults),
        cmocka_unit_test(default_numbers_keep_their_form),
        cmocka_unit_test(property_comments),
        cmocka_unit_test(property_one_of),
        cmocka_unit_test(nested_types),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(descriptions_split_on_tools_only),
        cmocka_unit_test(properties_keep_their_order),
        cmocka_unit_test(two_functions_keep_their_order),
        cmocka_unit_test(schema_deep),
        cmocka_unit_test(schema_with_many_required_names),
        cmocka_unit_test(tools_wrong),
        cmocka_unit_test(small_scratch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
