/* JSON schema to the TypeScript-like types the model was trained on (harmony.md 6.2, 6.3), odd
 * where the reference is odd. Walks the schema with a stack of frames, so that its nesting is a
 * limit and not a crash. */
#include <string.h>

#include "harmony_render.h"

#define OBJECT_INDENT 4
#define VARIANT_INDENT 3

enum step {
    STEP_ARRAY,             /* "[]" after the items */
    STEP_VARIANTS,          /* a oneOf that stands as a type */
    STEP_OBJECT,            /* properties */
    STEP_PROPERTY_VARIANTS, /* a oneOf that is a property's type */
};

struct frame {
    enum step step;
    const cJSON *schema; /* of the object, or of the property with the variants */
    const cJSON *cursor; /* the property or variant under way, NULL at the end */
    uint32_t indent;
    bool is_open;         /* the type of cursor is being written ... */
    uint64_t type_start;  /* ... from here on */
    bool described_above; /* STEP_PROPERTY_VARIANTS: the property's description was written */
};

struct walk {
    struct osl_writer_text *out;
    struct frame frames[OSL_SCHEMA_DEPTH_MAX];
    uint32_t depth;
    const char *problem; /* NULL: none so far */
};

static void push(struct walk *walk, struct frame frame)
{
    if (walk->depth == OSL_SCHEMA_DEPTH_MAX) {
        walk->problem = "is nested deeper than 64; flatten it";
        return;
    }
    walk->frames[walk->depth++] = frame;
}

static bool is_enum(const cJSON *schema)
{
    const cJSON *values = osl_json_get(schema, "enum");
    return cJSON_IsArray(values) && values->child != NULL;
}

static const cJSON *variants_of(const cJSON *schema)
{
    const cJSON *variants = osl_json_get(schema, "oneOf");
    return cJSON_IsArray(variants) ? variants : NULL;
}

static void put_bare_quotes(struct osl_writer_text *out, const cJSON *text)
{
    osl_put(out, "\"");
    osl_put_text(out, osl_json_text(text)); /* not escaped: so does the reference */
    osl_put(out, "\"");
}

/* "default: X" of harmony.md 6.3. In a oneOf that stands as a type a string is always quoted. */
static void put_default(struct osl_writer_text *out, const cJSON *schema, bool quote_enum)
{
    const cJSON *value = osl_json_get(schema, "default");
    osl_put(out, "default: ");
    if (cJSON_IsString(value) && !is_enum(schema)) {
        put_bare_quotes(out, value);
    } else if (cJSON_IsString(value) && !quote_enum) {
        osl_put_text(out, osl_json_text(value));
    } else {
        osl_put_json(out, value);
    }
}

/* indent, "// ", text, newline; nothing if it is no string. */
static void put_comment(struct osl_writer_text *out, uint32_t indent, const cJSON *text)
{
    if (cJSON_IsString(text)) {
        osl_put_spaces(out, indent);
        osl_put(out, "// ");
        osl_put_text(out, osl_json_text(text));
        osl_put(out, "\n");
    }
}

/* " | null", unless the type written since start already says null somewhere. */
static void put_nullable(struct osl_writer_text *out, const cJSON *schema, uint64_t start)
{
    if (out->full || !cJSON_IsTrue(osl_json_get(schema, "nullable"))) {
        return;
    }
    const char *type = osl_put_data(out) + start;
    if (memmem(type, osl_put_bytes(out) - start, "null", 4) == NULL) {
        osl_put(out, " | null");
    }
}

/* " // DESCRIPTION default: X" behind a variant, each part only if it is there. */
static void put_variant_comment(struct osl_writer_text *out, const cJSON *variant,
                                bool with_description, bool quote_enum)
{
    const cJSON *description = osl_json_get(variant, "description");
    bool has_default = osl_json_get(variant, "default") != NULL;
    with_description = with_description && cJSON_IsString(description);
    if (!with_description && !has_default) {
        return;
    }
    osl_put(out, " // ");
    if (with_description) {
        osl_put_text(out, osl_json_text(description));
        osl_put(out, has_default ? " " : "");
    }
    if (has_default) {
        put_default(out, variant, quote_enum);
    }
}

/* The strings of an array, each by put, joined by " | "; false if there are none. */
static bool put_alternatives(struct osl_writer_text *out, const cJSON *values, bool quoted)
{
    bool any = false;
    for (const cJSON *value = values->child; value != NULL; value = value->next) {
        if (!cJSON_IsString(value)) {
            continue;
        }
        osl_put(out, any ? " | " : "");
        if (quoted) {
            put_bare_quotes(out, value);
        } else if (osl_json_is(value, "integer")) {
            osl_put(out, "number");
        } else {
            osl_put_text(out, osl_json_text(value));
        }
        any = true;
    }
    return any;
}

/* The rules of 6.2 for a type that is one word, arrays aside. */
static void open_word(struct walk *walk, const cJSON *schema, const cJSON *type, uint32_t indent)
{
    if (osl_json_is(type, "object")) {
        const cJSON *properties = osl_json_get(schema, "properties");
        put_comment(walk->out, indent, osl_json_get(schema, "description"));
        osl_put(walk->out, "{\n");
        push(walk, (struct frame){.step = STEP_OBJECT,
                                  .schema = schema,
                                  .indent = indent,
                                  .cursor = cJSON_IsObject(properties) ? properties->child : NULL});
    } else if (osl_json_is(type, "string")) {
        if (!is_enum(schema) || !put_alternatives(walk->out, osl_json_get(schema, "enum"), true)) {
            osl_put(walk->out, "string");
        }
    } else if (osl_json_is(type, "number") || osl_json_is(type, "integer")) {
        osl_put(walk->out, "number");
    } else {
        osl_put(walk->out, osl_json_is(type, "boolean") ? "boolean" : "any");
    }
}

/* Begins a type: writes it if it has no parts, else pushes the frame that will go on. */
static void open_type(struct walk *walk, const cJSON *schema, uint32_t indent)
{
    for (uint32_t i = 0; i < OSL_JSON_DEPTH_MAX && walk->problem == NULL; i++) {
        const cJSON *variants = variants_of(schema);
        if (variants != NULL) {
            push(walk, (struct frame){.step = STEP_VARIANTS,
                                      .schema = schema,
                                      .indent = indent,
                                      .cursor = variants->child});
            return;
        }
        const cJSON *type = osl_json_get(schema, "type");
        if (cJSON_IsArray(type) && put_alternatives(walk->out, type, false)) {
            return;
        }
        if (!osl_json_is(type, "array")) {
            open_word(walk, schema, type, indent);
            return;
        }
        schema = osl_json_get(schema, "items");
        if (schema == NULL) {
            osl_put(walk->out, "Array<any>");
            return;
        }
        push(walk, (struct frame){.step = STEP_ARRAY});
    }
}

static void step_variants(struct walk *walk, struct frame *frame)
{
    if (frame->is_open) {
        put_nullable(walk->out, frame->cursor, frame->type_start);
        put_variant_comment(walk->out, frame->cursor, true, true);
        frame->cursor = frame->cursor->next;
    }
    if (frame->cursor == NULL) {
        walk->depth--;
        return;
    }
    osl_put(walk->out, "\n");
    osl_put_spaces(walk->out, frame->indent);
    osl_put(walk->out, " | ");
    frame->is_open = true;
    frame->type_start = osl_put_bytes(walk->out);
    open_type(walk, frame->cursor, frame->indent + VARIANT_INDENT);
}

static void put_property_name(struct walk *walk, const cJSON *object, const cJSON *property,
                              uint32_t indent)
{
    struct osl_writer_text *out = walk->out;
    const cJSON *required = osl_json_get(object, "required");
    bool is_required = false;
    uint32_t looked_at = 0;
    if (cJSON_IsArray(required)) {
        for (const cJSON *name = required->child; name != NULL && !is_required; name = name->next) {
            is_required = osl_json_is(name, property->string);
            if (++looked_at > OSL_JSON_KEYS_MAX) { /* each property looks again: bound the work */
                walk->problem = "has a list of more than 1024 required names; shorten it";
                return;
            }
        }
    }
    osl_put_spaces(out, indent);
    osl_put_key(out, property->string);
    osl_put(out, is_required ? "" : "?");
}

/* Title, description and examples above a property. */
static void put_property_comments(struct osl_writer_text *out, const cJSON *property,
                                  uint32_t indent)
{
    const cJSON *title = osl_json_get(property, "title");
    const cJSON *examples = osl_json_get(property, "examples");
    put_comment(out, indent, title);
    if (cJSON_IsString(title)) {
        osl_put_spaces(out, indent);
        osl_put(out, "//\n");
    }
    if (osl_json_get(property, "oneOf") == NULL) {
        put_comment(out, indent, osl_json_get(property, "description"));
    }
    if (!cJSON_IsArray(examples) || examples->child == NULL) {
        return;
    }
    osl_put_spaces(out, indent);
    osl_put(out, "// Examples:\n");
    for (const cJSON *example = examples->child; example != NULL; example = example->next) {
        if (cJSON_IsString(example)) {
            osl_put_spaces(out, indent);
            osl_put(out, "// - ");
            put_bare_quotes(out, example);
            osl_put(out, "\n");
        }
    }
}

static bool same_text(const cJSON *a, const cJSON *b)
{
    struct osl_text left = osl_json_text(a);
    struct osl_text right = osl_json_text(b);
    return left.data != NULL && right.data != NULL && left.bytes == right.bytes &&
           memcmp(left.data, right.data, left.bytes) == 0;
}

static void open_property_variants(struct walk *walk, const struct frame *object,
                                   const cJSON *property, const cJSON *variants)
{
    struct osl_writer_text *out = walk->out;
    const cJSON *description = osl_json_get(property, "description");
    bool is_above = cJSON_IsString(description) &&
                    !same_text(description, osl_json_get(variants->child, "description"));
    if (is_above) {
        put_comment(out, object->indent, description);
    }
    if (osl_json_get(property, "default") != NULL) {
        osl_put_spaces(out, object->indent);
        osl_put(out, "// ");
        put_default(out, property, false);
        osl_put(out, "\n");
    }
    put_property_name(walk, object->schema, property, object->indent);
    osl_put(out, ":\n");
    push(walk, (struct frame){.step = STEP_PROPERTY_VARIANTS,
                              .schema = property,
                              .indent = object->indent,
                              .cursor = variants->child,
                              .described_above = is_above});
}

static void step_property_variants(struct walk *walk, struct frame *frame)
{
    struct osl_writer_text *out = walk->out;
    if (frame->is_open) {
        const cJSON *variant = frame->cursor;
        const cJSON *variants = variants_of(frame->schema);
        bool describe = !(variant == variants->child && frame->described_above) &&
                        !same_text(osl_json_get(variant, "description"),
                                   osl_json_get(frame->schema, "description"));
        put_nullable(out, variant, frame->type_start);
        put_variant_comment(out, variant, describe, false);
        osl_put(out, "\n");
        frame->cursor = variant->next;
    }
    osl_put_spaces(out, frame->indent);
    if (frame->cursor == NULL) {
        osl_put(out, ",\n");
        walk->depth--;
        return;
    }
    osl_put(out, " | ");
    frame->is_open = true;
    frame->type_start = osl_put_bytes(out);
    open_type(walk, frame->cursor, frame->indent + VARIANT_INDENT);
}

static void step_object(struct walk *walk, struct frame *frame)
{
    struct osl_writer_text *out = walk->out;
    const cJSON *property = frame->cursor;
    if (frame->is_open) {
        put_nullable(out, property, frame->type_start);
        osl_put(out, ",");
        if (osl_json_get(property, "oneOf") == NULL && osl_json_get(property, "default") != NULL) {
            osl_put(out, " // ");
            put_default(out, property, false);
        }
        osl_put(out, "\n");
        frame->is_open = false;
        property = property->next;
        frame->cursor = property;
    }
    if (property == NULL) {
        osl_put_spaces(out, frame->indent);
        osl_put(out, "}");
        walk->depth--;
        return;
    }
    put_property_comments(out, property, frame->indent);
    const cJSON *variants = variants_of(property);
    if (variants != NULL) {
        frame->cursor = property->next;
        open_property_variants(walk, frame, property, variants);
        return;
    }
    put_property_name(walk, frame->schema, property, frame->indent);
    osl_put(out, ": ");
    frame->is_open = true;
    frame->type_start = osl_put_bytes(out);
    open_type(walk, property, frame->indent + OBJECT_INDENT);
}

const char *osl_schema_put(struct osl_writer_text *out, const cJSON *schema)
{
    struct walk walk = {.out = out};
    open_type(&walk, schema, 0);
    while (walk.depth > 0 && walk.problem == NULL && !out->full) {
        struct frame *frame = &walk.frames[walk.depth - 1];
        switch (frame->step) {
        case STEP_ARRAY:
            osl_put(out, "[]");
            walk.depth--;
            break;
        case STEP_VARIANTS: step_variants(&walk, frame); break;
        case STEP_OBJECT: step_object(&walk, frame); break;
        case STEP_PROPERTY_VARIANTS: step_property_variants(&walk, frame); break;
        }
    }
    return walk.problem;
}
