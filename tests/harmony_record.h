/* A sink for Harmony tests: keeps the text with specials spelled out, and counts the specials. */
#ifndef OSL_HARMONY_RECORD_H
#define OSL_HARMONY_RECORD_H

#include <stdio.h>
#include <string.h>

#include "model/harmony.h"

#define RECORD_BYTES (1u << 20)

struct record {
    char text[RECORD_BYTES];
    uint64_t bytes;
    uint32_t specials;
    uint32_t special_at[64]; /* where in text the first ones stand */
};

static inline enum osl_status record_text(void *context, const char *text, uint64_t bytes)
{
    struct record *record = context;
    if (bytes >= RECORD_BYTES - record->bytes) {
        return OSL_CAPACITY;
    }
    memcpy(record->text + record->bytes, text, bytes);
    record->bytes += bytes;
    record->text[record->bytes] = '\0';
    return OSL_OK;
}

static inline enum osl_status record_special(void *context, enum osl_special special)
{
    struct record *record = context;
    if (record->specials < 64) {
        record->special_at[record->specials] = (uint32_t)record->bytes;
    }
    record->specials++;
    return record_text(context, osl_special_text(special), strlen(osl_special_text(special)));
}

static inline struct osl_harmony_sink record_sink(struct record *record)
{
    record->bytes = 0;
    record->text[0] = '\0';
    record->specials = 0;
    return (struct osl_harmony_sink){record, record_text, record_special};
}

/* snprintf that must fit. */
static inline void OSL_PRINTF(3, 4) print(char *out, size_t capacity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(out, capacity, format, args);
    va_end(args);
    assert_in_range(bytes, 0, capacity - 1);
}

/* ---- osl_harmony_open ---------------------------------------------------------------------- */

#define SYSTEM_TAIL                                                                                \
    "# Valid channels: analysis, commentary, final. Channel must be included for every message."
#define TOOLS_LINE "\nCalls to these tools must go to the commentary channel: 'functions'."
#define IDENTITY "You are ChatGPT, a large language model trained by OpenAI.\n"
#define DEFAULT_SYSTEM                                                                             \
    "<|start|>system<|message|>" IDENTITY "Knowledge cutoff: 2024-06\n\nReasoning: medium\n\n"

static struct record record;
static _Alignas(16) uint8_t scratch[1 << 20];

static struct osl_error open_error;

static inline enum osl_status open_system(struct osl_harmony_system system)
{
    struct osl_arena arena = {.base = scratch, .bytes = sizeof scratch};
    struct osl_harmony_sink sink = record_sink(&record);
    if (system.tools_json != NULL && system.tools_json_bytes == 0) {
        system.tools_json_bytes = strlen(system.tools_json);
    }
    enum osl_status status = osl_harmony_open(&sink, &system, &arena, &open_error);
    assert_int_equal(arena.used, 0);
    return status;
}

#endif
