/* Fuzzer of the text that the catalog keeps of a log's fields: whatever the bytes, they are
 * refused, or are fields with numbers and names of their own, which are written and read as the
 * same. Where they are those of a stream, changes of it can be told. */
#include "feature/schema.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const char next_text[] = "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, "
                                "aa: {type: float64, alias: a}, c: bool, t: timestamp}\n";

static const stream_t *next_once (void)
{
    static definitions_t *definitions;
    definition_file_t file = { "f", text_of (next_text) };
    error_t error;
    if (definitions == NULL)
        CHECK (definitions_read (&file, 1, &definitions, &error) == STATUS_OK);
    return &definitions->streams[0];
}

static void check_sound (const schema_t *schema)
{
    for (size_t i = 0; i < schema->count; i++) {
        CHECK (schema->fields[i].id < schema->next);
        for (size_t k = 0; k < i; k++) {
            CHECK (schema->fields[i].id != schema->fields[k].id);
            CHECK (strcmp (schema->fields[i].origin, schema->fields[k].origin) != 0);
        }
    }
}

static void check_written (const schema_t *schema, arena_t *arena)
{
    buf_t out;
    schema_t again;
    error_t error;
    buf_init (&out, 1 << 20);
    schema_format (schema, &out);
    CHECK (schema_read ((text_t){ (const char *)out.data, (uint32_t)out.size }, arena, &again,
                        &error) == STATUS_OK);
    CHECK (again.count == schema->count);
    CHECK (again.next == schema->next);
    for (size_t i = 0; i < schema->count; i++) {
        CHECK (again.fields[i].id == schema->fields[i].id);
        CHECK (strcmp (again.fields[i].name, schema->fields[i].name) == 0);
        CHECK (strcmp (again.fields[i].origin, schema->fields[i].origin) == 0);
    }
    buf_release (&out);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    arena_t *arena = arena_new (1 << 14);
    schema_t schema;
    schema_t next;
    evolution_t evolution;
    error_t error;
    text_t text = { (const char *)data, (uint32_t)size };
    if (size < 1 << 16 && schema_read (text, arena, &schema, &error) == STATUS_OK) {
        check_sound (&schema);
        check_written (&schema, arena);
        schema_evolve (&schema, next_once (), arena, &next, &evolution);
        if (next.next < SCHEMA_IDS_MAX)
            check_sound (&next);
    }
    arena_destroy (&arena);
    return 0;
}
