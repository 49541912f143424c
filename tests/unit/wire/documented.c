/* documented.c - docs/protocol.md, docs/security.md and the tables say the same. */
#include "base/buf.h"
#include "base/mem.h"
#include "wire/shapes.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

static buf_t page; /* a page of docs, without backticks, white space made one space */

static void read_page (const char *path)
{
    buf_init (&page, 1 << 20);
    FILE *file = fopen (path, "r");
    cr_assert_not_null (file, "run from the top of the checkout");
    int last = ' ';
    for (int c = fgetc (file); c != EOF; c = fgetc (file)) {
        if (c == '`')
            continue;
        if (isspace (c))
            c = ' ';
        if (c != ' ' || last != ' ')
            buf_put_u8 (&page, (uint8_t)c);
        last = c;
    }
    fclose (file);
    buf_string (&page);
}

static void set_up (void)
{
    read_page ("docs/protocol.md");
}

static void tear_down (void)
{
    buf_release (&page);
}

TestSuite (documented, .init = set_up, .fini = tear_down);

static void put_record (buf_t *out, const record_t *record);

static void put_type (buf_t *out, const field_t *field)
{
    bool is_list = field->flags & FIELD_LIST;
    if (is_list)
        buf_put_u8 (out, '[');
    if (field->type != SHAPE_RECORD)
        buf_put_string (out, shape_word (field->type));
    else if (field->record->name)
        buf_put_string (out, field->record->name);
    else
        put_record (out, field->record);
    if (is_list)
        buf_put_u8 (out, ']');
}

/* As the page writes it: {name: type, name?: [type]}. */
static void put_record (buf_t *out, const record_t *record)
{
    buf_put_u8 (out, '{');
    for (uint32_t i = 0; i < record->count; i++) {
        const field_t *field = &record->fields[i];
        buf_printf (out, "%s%s%s: ", i > 0 ? ", " : "", field->name,
                    field->flags & FIELD_OPTIONAL ? "?" : "");
        put_type (out, field);
    }
    buf_put_u8 (out, '}');
}

static void put_body (buf_t *out, const record_t *record)
{
    if (record->name)
        buf_put_string (out, record->name);
    else
        put_record (out, record);
}

static void expect_on_page (buf_t *text)
{
    const char *wanted = buf_string (text);
    cr_assert (strstr ((const char *)page.data, wanted), "the page does not say: %s", wanted);
}

static void expect_row (message_kind_t kind)
{
    buf_t row;
    buf_init (&row, 1 << 16);
    buf_printf (&row, "| %s |", message_word (kind));
    const record_t *asked = shape_of (kind);
    if (asked->count > 0) {
        buf_put_u8 (&row, ' ');
        put_body (&row, asked);
    }
    buf_put_string (&row, " | ");
    put_body (&row, shape_of (message_reply (kind)));
    expect_on_page (&row);
    buf_release (&row);
}

Test (documented, each_kind_has_a_row_with_both_bodies)
{
#define X(name, word, access) expect_row (MESSAGE_##name);
    MESSAGE_TABLE (X)
#undef X
}

static void expect_named (const record_t *record, unsigned *count)
{
    if (record->name) {
        buf_t text;
        buf_init (&text, 1 << 16);
        buf_printf (&text, "%s = ", record->name);
        put_record (&text, record);
        expect_on_page (&text);
        buf_release (&text);
        ++*count;
    }
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->fields[i].type == SHAPE_RECORD)
            expect_named (record->fields[i].record, count);
    }
}

Test (documented, each_shape_with_a_name_is_spelled_out)
{
    unsigned count = 0;
    for (message_kind_t kind = MESSAGE_NONE + 1; kind < MESSAGE_KINDS; kind++)
        expect_named (shape_of (kind), &count);
    cr_assert_gt (count, 10);
}

Test (documented, errors_and_pokes_are_told_of)
{
    buf_t text;
    buf_init (&text, 1 << 10);
    buf_put_string (&text, "{\"status\": word, \"text\": sentence}");
    expect_on_page (&text);
    buf_clear (&text);
    buf_put_string (&text, "one-way poke (id 0, body {mark?: uint})");
    expect_on_page (&text);
    buf_release (&text);
}

Test (documented, who_may_send_each_kind_is_told)
{
    buf_t text;
    buf_init (&text, 1 << 14);
    buf_release (&page);
    read_page ("docs/security.md");
    buf_put_string (&text, "| kind | roles | |---|---| ");
#define X(name, word, access)                                                                      \
    buf_printf (&text, "| %s | %s | ", word, access_words (ACCESS_##access));
    MESSAGE_TABLE (X)
#undef X
    buf_put_string (&text, "Anything else"); /* no row more */
    expect_on_page (&text);
    buf_release (&text);
}
