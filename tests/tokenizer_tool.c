/* The tokenizer as a filter, for tests/tokenizer_tiktoken.js to compare with tiktoken.
 *   tokenizer_tool FILE.gguf [--specials]   stdin: texts, each a u32 length and its bytes
 *                                           stdout: for each a u32 count and that many i32 ids
 *                                           stderr: processor time used, milliseconds
 *   tokenizer_tool FILE.gguf --build N      builds N times, prints the shortest in milliseconds
 *   tokenizer_tool --classes                one class byte for each code point (model/unicode.h)
 * Numbers are little-endian. Exit 1 with a line on stderr if anything fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/tokenizer.h"
#include "model/unicode.h"

#define TEXT_BYTES_MAX (4u << 20)
#define CODE_POINTS 0x110000u

static struct osl_gguf gguf;
static char text[TEXT_BYTES_MAX];
static int32_t ids[TEXT_BYTES_MAX];

static int print_classes(void)
{
    for (uint32_t code = 0; code < CODE_POINTS; code++) {
        putchar((int)osl_unicode_classify(code));
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

static int encode_all(struct osl_tokenizer *tokenizer, bool with_specials)
{
    struct osl_error error;
    uint32_t length;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        if (length > sizeof text || fread(text, 1, length, stdin) != length) {
            fprintf(stderr, "tokenizer_tool: stdin is cut short or a text is over 4 MiB\n");
            return 1;
        }
        uint64_t count = 0;
        if (osl_tokenizer_encode(tokenizer, text, length, with_specials, ids, TEXT_BYTES_MAX,
                                 &count, &error) != OSL_OK) {
            fprintf(stderr, "tokenizer_tool: %s\n", error.text);
            return 1;
        }
        uint32_t written = (uint32_t)count;
        fwrite(&written, sizeof written, 1, stdout);
        fwrite(ids, sizeof ids[0], written, stdout);
    }
    fprintf(stderr, "%.1f\n", (double)clock() * 1e3 / CLOCKS_PER_SEC);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--classes") == 0) {
        return print_classes();
    }
    if (argc < 2) {
        fprintf(stderr, "usage: tokenizer_tool FILE.gguf [--specials | --build N] | --classes\n");
        return 2;
    }
    struct osl_error error;
    uint64_t bytes = 0;
    struct osl_tokenizer *tokenizer = NULL;
    if (osl_gguf_open(&gguf, argv[1], &error) != OSL_OK ||
        osl_tokenizer_need(&gguf, TEXT_BYTES_MAX, &bytes, &error) != OSL_OK) {
        fprintf(stderr, "tokenizer_tool: %s\n", error.text);
        return 1;
    }
    void *memory = aligned_alloc(64, bytes);
    bool timing = argc == 4 && strcmp(argv[2], "--build") == 0;
    int rounds = timing ? atoi(argv[3]) : 1;
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; memory != NULL && i < rounds; i++) {
        uint64_t start_ns = osl_clock_ns();
        if (osl_tokenizer_build(&gguf, TEXT_BYTES_MAX, memory, bytes, &tokenizer, &error) !=
            OSL_OK) {
            fprintf(stderr, "tokenizer_tool: %s\n", error.text);
            return 1;
        }
        uint64_t took_ns = osl_clock_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    if (tokenizer == NULL) {
        fprintf(stderr, "tokenizer_tool: no memory or no rounds\n");
        return 1;
    }
    int result = 0;
    if (timing) {
        printf("%.1f ms, %.1f MB\n", (double)best_ns / 1e6, (double)bytes / 1e6);
    } else {
        result = encode_all(tokenizer, argc > 2 && strcmp(argv[2], "--specials") == 0);
    }
    free(memory);
    osl_gguf_close(&gguf);
    return result;
}
