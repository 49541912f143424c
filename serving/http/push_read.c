/* push_read.c - the body of a push, as rows. */
#include "serving/http/push.h"

#include <string.h>

enum { CHUNK = 16 << 10, COLUMNS_MAX = 1024 };

const form_field_t push_fields[] = {
#define X(name, type, required, about) { name, type, required, about },
    PUSH_FIELDS (X)
#undef X
};
const size_t push_fields_count = sizeof push_fields / sizeof *push_fields;

static bool check_to (const json_t *form, trouble_t *trouble)
{
    const char *to = form_text (form, "to");
    return !to || strcmp (to, "online") == 0 || strcmp (to, "offline") == 0 ||
           strcmp (to, "online_and_offline") == 0 ||
           trouble_form (trouble, "\"to\"", "expected online, offline or online_and_offline");
}

static bool take_stream (push_rows_t *self, const json_t *form, const model_t *model,
                         trouble_t *trouble)
{
    const char *name = form_text (form, "push_source_name");
    const stream_t *stream = definitions_stream (model->definitions, text_of (name));
    if (!stream)
        return trouble_set (trouble, TROUBLE_SOURCE, "Unable to find push source '%.255s'.", name);
    self->stream = arena_string (self->arena, text_of (stream->name));
    return true;
}

/* Senders take rows. */
static void turn (push_rows_t *self)
{
    size_t width = self->columns.count;
    self->cells = arena_zero (self->arena, self->columns.rows * width, sizeof *self->cells);
    for (size_t c = 0; c < width; c++)
        for (size_t row = 0; row < self->columns.rows; row++)
            self->cells[row * width + c] = self->columns.cells[c][row];
}

push_rows_t *push_read (text_t body, const model_t *model, trouble_t *trouble)
{
    json_t *form = form_read (body, push_fields, push_fields_count, trouble);
    if (!form)
        return NULL;
    arena_t *arena = arena_new (CHUNK);
    push_rows_t *self = arena_zero (arena, 1, sizeof *self);
    self->arena = arena;
    bool good =
        check_to (form, trouble) && take_stream (self, form, model, trouble) &&
        form_columns (form, "df", COLUMNS_MAX, WEIR_BATCH_ROWS_MAX, arena, &self->columns, trouble);
    json_decref (form);
    if (good)
        turn (self);
    else
        push_rows_destroy (&self);
    return self;
}

void push_rows_destroy (push_rows_t **self_p)
{
    push_rows_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_t *arena = self->arena; /* holds the rows themselves */
    arena_destroy (&arena);
}
