#include "bodies.h"

#include <criterion/criterion.h>

enum { BODY_DEPTH = 2 }; /* of the body's map */

static void put_name (body_maker_t *self)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    char name[WIRE_NAME_MAX];
    uint32_t size = (uint32_t)random_below (&self->random, 20);
    if (random_chance (&self->random, 0.05))
        size = WIRE_NAME_MAX;
    for (uint32_t i = 0; i < size; i++)
        name[i] = letters[random_below (&self->random, sizeof letters - 1)];
    wire_put_text (self->writer, (text_t){ name, size });
}

static uint64_t some_uint (body_maker_t *self)
{
    return random_next (&self->random) >> random_below (&self->random, 64);
}

static void put_bytes (body_maker_t *self, uint32_t min, uint32_t max, bool is_bin)
{
    char bytes[512];
    uint32_t most = max > 0 && max < sizeof bytes ? max : (uint32_t)sizeof bytes;
    uint32_t size = min + (uint32_t)random_below (&self->random, most - min + 1);
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (char)random_next (&self->random);
    if (is_bin)
        wire_put_bin (self->writer, (text_t){ bytes, size });
    else
        wire_put_text (self->writer, (text_t){ bytes, size });
}

static void put_any (body_maker_t *self, unsigned depth);

static void put_map (body_maker_t *self, unsigned depth)
{
    char name[16];
    wire_open_map (self->writer);
    uint64_t count = random_below (&self->random, 20);
    for (uint64_t i = 0; i < count; i++) {
        snprintf (name, sizeof name, "field%u", (unsigned)i);
        wire_key (self->writer, name);
        put_any (self, depth + 1);
    }
    wire_close (self->writer);
}

static void put_list (body_maker_t *self, unsigned depth)
{
    wire_open_list (self->writer);
    uint64_t count = random_below (&self->random, 20);
    for (uint64_t i = 0; i < count; i++)
        put_any (self, depth + 1);
    wire_close (self->writer);
}

static void put_any (body_maker_t *self, unsigned depth)
{
    bool may_nest = depth <= WIRE_DEPTH_MAX && random_chance (&self->random, 0.2);
    switch (random_below (&self->random, may_nest ? 9 : 7)) {
    case 0:
        wire_put_nil (self->writer);
        break;
    case 1:
        wire_put_uint (self->writer, some_uint (self));
        break;
    case 2:
        wire_put_int (self->writer, -(int64_t)(some_uint (self) >> 1));
        break;
    case 3:
        wire_put_float (self->writer, random_unit (&self->random) * 1e9);
        break;
    case 4:
        wire_put_bool (self->writer, random_chance (&self->random, 0.5));
        break;
    case 5:
        put_bytes (self, 0, 0, false);
        break;
    case 6:
        put_bytes (self, 0, 0, true);
        break;
    case 7:
        put_list (self, depth);
        break;
    default:
        put_map (self, depth);
        break;
    }
}

static void put_path (body_maker_t *self)
{
    static const char *const paths[] = { "incoming/0f", "a", "views/hits/page/3/7-1-pages.view",
                                         "..." };
    wire_put_string (self->writer, paths[random_below (&self->random, 4)]);
}

/* One value of the field's type, in a container that is `depth` deep. */
static void put_value (body_maker_t *self, const field_t *field, unsigned depth)
{
    switch (field->type) {
    case SHAPE_ANY:
        put_any (self, depth + 1);
        break;
    case SHAPE_UINT:
        wire_put_uint (self->writer, some_uint (self));
        break;
    case SHAPE_INT:
        wire_put_int (self->writer,
                      (int64_t)random_next (&self->random) >> random_below (&self->random, 64));
        break;
    case SHAPE_BOOL:
        wire_put_bool (self->writer, random_chance (&self->random, 0.5));
        break;
    case SHAPE_NAME:
        put_name (self);
        break;
    case SHAPE_TEXT:
    case SHAPE_BIN:
        if (field->flags & FIELD_PATH) {
            put_path (self);
            break;
        }
        put_bytes (self, field->bytes_min, field->bytes_max, field->type == SHAPE_BIN);
        break;
    case SHAPE_MAP:
        put_map (self, depth + 1);
        break;
    case SHAPE_ROW:
        put_list (self, depth + 1);
        break;
    case SHAPE_RECORD:
        wire_open_map (self->writer);
        body_fields (self, field->record, depth + 1);
        wire_close (self->writer);
        break;
    }
}

static void put_field (body_maker_t *self, const field_t *field, unsigned depth)
{
    wire_key (self->writer, field->name);
    if (!(field->flags & FIELD_LIST)) {
        put_value (self, field, depth);
        return;
    }
    wire_open_list (self->writer);
    uint64_t count = 1 + random_below (&self->random, 3);
    for (uint64_t i = 0; i < count; i++)
        put_value (self, field, depth + 1);
    wire_close (self->writer);
}

/* A value that no field of this type may have. */
static void put_wrong (body_maker_t *self, const field_t *field)
{
    bool is_number = field->type == SHAPE_UINT || field->type == SHAPE_INT;
    if ((field->flags & FIELD_LIST) || !is_number)
        wire_put_uint (self->writer, 7);
    else
        wire_put_string (self->writer, "7");
}

/* Is this the field and the way in which the body is to be spoiled? */
static bool is_turn (body_maker_t *self, spoil_t spoil)
{
    if (self->spoil != spoil || self->spoiled)
        return false;
    self->spoiled = self->seen++ == self->spoil_at;
    return self->spoiled;
}

void body_fields (body_maker_t *self, const record_t *record, unsigned depth)
{
    for (uint32_t i = 0; i < record->count; i++) {
        const field_t *field = &record->fields[i];
        bool is_optional = field->flags & FIELD_OPTIONAL;
        bool is_free = field->type == SHAPE_ANY && !(field->flags & FIELD_LIST);
        if (self->spoil == SPOIL_NOTHING && is_optional && random_chance (&self->random, 0.5))
            continue;
        if (!is_optional && is_turn (self, SPOIL_MISSING))
            continue;
        if (!is_free && is_turn (self, SPOIL_TYPE)) {
            wire_key (self->writer, field->name);
            put_wrong (self, field);
            continue;
        }
        put_field (self, field, depth);
        if (is_turn (self, SPOIL_TWICE))
            put_field (self, field, depth);
    }
    if (is_turn (self, SPOIL_EXTRA))
        wire_field_uint (self->writer, "surprise", 1);
}

void body_message (body_maker_t *self, message_kind_t kind, const void **data, size_t *size)
{
    self->seen = 0;
    self->spoiled = false;
    wire_begin (self->writer, kind, 77);
    body_fields (self, shape_of (kind), BODY_DEPTH);
    cr_assert (wire_end (self->writer, data, size), "%s", message_word (kind));
}
