#include "feature/schema.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "feature/stream_scope.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <xxhash.h>

enum {
    DETAIL_MAX = 1 << 15, /* bytes of what is told of a change */
    REFUSAL_MAX = 1024,
    COMPUTED_MAX = 1 << 20,         /* bytes of an expression's text with the fields' first names */
    ORIGIN_MAX = NAME_MAX_SIZE + 8, /* bytes of "name#65534" and its end */
};

static const char *origin_at (const void *arg, uint32_t column)
{
    const schema_t *schema = arg;
    return schema->fields[column].origin;
}

/* Fills `computed` of a field, when the origins of all are there. */
static void hash_computed (const stream_t *stream, schema_t *schema, size_t index)
{
    const field_t *field = &stream->fields[index];
    schema->fields[index].computed = 0;
    if (field->computed == NULL)
        return;
    buf_t text;
    buf_init (&text, COMPUTED_MAX);
    expr_format_as (field->computed, origin_at, schema, &text);
    CHECK (!text.bad);
    uint64_t hash = XXH3_64bits (text.data, text.size);
    schema->fields[index].computed = hash != 0 ? hash : 1;
    buf_release (&text);
}

void schema_of (const stream_t *stream, schema_t *schema)
{
    schema->count = stream->fields_count;
    schema->next = 0;
    for (size_t i = 0; i < stream->fields_count; i++) {
        const field_t *field = &stream->fields[i];
        schema->fields[i] = (schema_field_t){ .id = field->id,
                                              .type = field->type,
                                              .required = field->required,
                                              .time = i == stream->time,
                                              .name = field->name,
                                              .origin = field->origin };
        if (field->id >= schema->next)
            schema->next = (uint32_t)field->id + 1;
    }
    for (size_t i = 0; i < stream->fields_count; i++)
        hash_computed (stream, schema, i);
}

/* ---- as text: "next N", then a line for each field ---- */

/* The rest of the line, without its end. */
static text_t next_line (text_t *rest)
{
    uint32_t size = 0;
    while (size < rest->size && rest->data[size] != '\n')
        size++;
    text_t line = { rest->data, size };
    uint32_t skip = size < rest->size ? size + 1 : size;
    *rest = (text_t){ rest->data + skip, rest->size - skip };
    return line;
}

void schema_format (const schema_t *schema, buf_t *out)
{
    buf_printf (out, "next %" PRIu32 "\n", schema->next);
    for (size_t i = 0; i < schema->count; i++) {
        const schema_field_t *field = &schema->fields[i];
        buf_printf (out, "%u %s %s %s %s", field->id, type_word (field->type),
                    field->time       ? "time"
                    : field->required ? "required"
                                      : "nullable",
                    field->name, field->origin);
        if (field->computed != 0)
            buf_printf (out, " %016" PRIx64, field->computed);
        buf_put_u8 (out, '\n');
    }
}

/* The next word of the line, without the blank or line's end behind it. */
static text_t next_word (text_t *rest)
{
    uint32_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\n')
        size++;
    text_t word = { rest->data, size };
    uint32_t skip = size < rest->size ? size + 1 : size;
    *rest = (text_t){ rest->data + skip, rest->size - skip };
    return word;
}

static bool read_number (text_t word, uint32_t most, uint32_t *number)
{
    int64_t value;
    if (!number_parse_int (word, &value) || value < 0 || value > (int64_t)most)
        return false;
    *number = (uint32_t)value;
    return true;
}

/* Letters, digits, `_`, and in an origin `#`: at least one. */
static bool is_name (text_t text, uint32_t most, bool origin)
{
    for (uint32_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || (origin && c == '#');
        if (!good)
            return false;
    }
    return text.size > 0 && text.size <= most;
}

/* 16 digits, not all of them 0; or nothing, which is 0. */
static bool read_hash (text_t text, uint64_t *hash)
{
    *hash = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f'))
            return false;
        *hash = *hash << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return text.size == 0 || (text.size == 16 && *hash != 0);
}

static bool read_field (text_t line, arena_t *arena, const schema_t *schema, schema_field_t *field)
{
    text_t *rest = &line;
    uint32_t id;
    uint64_t computed;
    if (schema->next == 0 || !read_number (next_word (rest), schema->next - 1, &id))
        return false;
    type_t type = type_from_word (next_word (rest));
    text_t kind = next_word (rest);
    text_t name = next_word (rest);
    text_t origin = next_word (rest);
    if (!read_hash (line, &computed))
        return false;
    if (!type_is_field (type) || !is_name (name, NAME_MAX_SIZE, false) ||
        !is_name (origin, ORIGIN_MAX - 1, true))
        return false;
    bool time = text_is (kind, "time");
    if (!time && !text_is (kind, "required") && !text_is (kind, "nullable"))
        return false;
    for (size_t i = 0; i < schema->count; i++)
        if (schema->fields[i].id == id || text_is (name, schema->fields[i].name) ||
            text_is (origin, schema->fields[i].origin))
            return false;
    *field = (schema_field_t){ .id = (uint16_t)id,
                               .type = type,
                               .required = time || text_is (kind, "required"),
                               .time = time,
                               .name = arena_string (arena, name),
                               .origin = arena_string (arena, origin),
                               .computed = computed };
    return true;
}

status_t schema_read (text_t text, arena_t *arena, schema_t *schema, error_t *error)
{
    *schema = (schema_t){ .count = 0 };
    text_t rest = text;
    bool good = text_is (next_word (&rest), "next") &&
                read_number (next_word (&rest), SCHEMA_IDS_MAX, &schema->next);
    while (good && rest.size > 0) {
        good = schema->count < FIELDS_MAX &&
               read_field (next_line (&rest), arena, schema, &schema->fields[schema->count]);
        schema->count += good;
    }
    if (!good)
        return error_set (error, STATUS_CORRUPT, "the fields of a stored log are not well formed");
    return STATUS_OK;
}

/* ---- in force ---- */

static const schema_field_t *field_named (const schema_t *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp (schema->fields[i].name, name) == 0)
            return &schema->fields[i];
    return NULL;
}

status_t schema_take (const schema_t *schema, definitions_t *definitions, stream_t *stream,
                      error_t *error)
{
    bool same = schema->count == stream->fields_count;
    for (size_t i = 0; same && i < stream->fields_count; i++) {
        const schema_field_t *kept = field_named (schema, stream->fields[i].name);
        same = kept != NULL && kept->type == stream->fields[i].type;
    }
    if (!same)
        return error_set (error, STATUS_CORRUPT,
                          "the fields of stream %s are not those that are kept of its log",
                          stream->name);
    for (size_t i = 0; i < stream->fields_count; i++) {
        field_t *field = &stream->fields[i];
        const schema_field_t *kept = field_named (schema, field->name);
        field->id = kept->id;
        field->origin = arena_string (definitions->arena, text_of (kept->origin));
    }
    for (size_t v = 0; v < definitions->views_count; v++)
        if (view_source_of (&definitions->views[v], stream->name) >= 0)
            view_set_meaning (&definitions->views[v]);
    return STATUS_OK;
}

/* ---- changes ---- */

typedef struct evolve {
    const schema_t *past;
    const stream_t *next;
    arena_t *arena;
    schema_t *schema;
    evolution_t *evolution;
    bool continued[FIELDS_MAX]; /* per past field */
    buf_t detail;
} evolve_t;

/* The first reason is told. */
static void refuse (evolve_t *self, const char *format, ...) PRINTF_LIKE (2, 3);
static void refuse (evolve_t *self, const char *format, ...)
{
    if (self->evolution->refusal != NULL)
        return;
    char text[REFUSAL_MAX];
    va_list arguments;
    va_start (arguments, format);
    (void)vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    self->evolution->refusal = arena_string (self->arena, text_of (text));
}

static void tell (evolve_t *self, const char *format, ...) PRINTF_LIKE (2, 3);
static void tell (evolve_t *self, const char *format, ...)
{
    char text[REFUSAL_MAX];
    va_list arguments;
    va_start (arguments, format);
    (void)vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    buf_printf (&self->detail, "%s%s", self->detail.size > 0 ? "; " : "", text);
}

static bool is_key (const stream_t *stream, size_t field)
{
    for (size_t i = 0; i < stream->key_count; i++)
        if (stream->key[i] == field)
            return true;
    return false;
}

/* The past field that this one goes on from: of its name, or of an alias that names a field which
 * is not there any more. NULL: it is new. */
static const schema_field_t *past_of (evolve_t *self, const field_t *field)
{
    const schema_field_t *found = field_named (self->past, field->name);
    if (found != NULL)
        return found;
    for (size_t i = 0; i < field->aliases_count; i++) {
        const schema_field_t *named = field_named (self->past, field->aliases[i]);
        if (named == NULL)
            continue;
        if (found != NULL)
            refuse (self,
                    "field '%s' has the aliases '%s' and '%s', which are two fields whose events "
                    "are kept; one field can take the place of one",
                    field->name, found->name, named->name);
        else
            found = named;
    }
    return found;
}

/* A name that no field of the log has been called first; a number makes it one. */
static const char *new_origin (const evolve_t *self, const char *name, uint32_t id)
{
    bool taken = self->past->next > self->past->count; /* by one that was given up, perhaps */
    for (size_t i = 0; i < self->past->count; i++)
        taken = taken || strcmp (self->past->fields[i].origin, name) == 0;
    if (!taken)
        return name;
    char text[ORIGIN_MAX];
    (void)snprintf (text, sizeof text, "%.63s#%" PRIu32, name, id);
    return arena_string (self->arena, text_of (text));
}

static void add_new (evolve_t *self, schema_field_t *out)
{
    if (self->schema->next >= SCHEMA_IDS_MAX)
        refuse (self, "it has had %d fields, and can have no more; define a stream of another name",
                SCHEMA_IDS_MAX);
    out->id = (uint16_t)self->schema->next++;
    out->origin = new_origin (self, out->name, out->id);
}

/* May a past field be one of this type? Otherwise the reason is told. */
static bool check_type (evolve_t *self, size_t index, const schema_field_t *past)
{
    const field_t *field = &self->next->fields[index];
    if (field->type == past->type)
        return true;
    const char *from = type_word (past->type);
    const char *to = type_word (field->type);
    bool widens = past->type == TYPE_INT64 && field->type == TYPE_FLOAT64;
    if (widens && !is_key (self->next, index)) {
        tell (self, "%s widened to %s", field->name, to);
        self->evolution->widened = true;
        return true;
    }
    if (widens)
        refuse (self,
                "field '%s' cannot become %s: it is in the key, whose values name the entities; "
                "define a stream of another name",
                field->name, to);
    else
        refuse (self,
                "field '%s' cannot change from %s to %s, of which events are kept (only int64 can "
                "become float64); keep it and add a field of another name",
                field->name, from, to);
    return false;
}

static void check_required (evolve_t *self, const field_t *field, const schema_field_t *past)
{
    if (!field->required || (past != NULL && past->required))
        return;
    refuse (self,
            "field '%s' %s required: events that are kept %s it; leave `required` out, or define a "
            "stream of another name",
            field->name, past != NULL ? "cannot become" : "is new and cannot be",
            past != NULL ? "may lack" : "lack");
}

static void evolve_field (evolve_t *self, size_t index)
{
    const field_t *field = &self->next->fields[index];
    const schema_field_t *past = past_of (self, field);
    schema_field_t *out = &self->schema->fields[index];
    *out = (schema_field_t){ .type = field->type,
                             .required = field->required,
                             .time = index == self->next->time,
                             .name = field->name };
    if (past != NULL)
        self->continued[past - self->past->fields] = true;
    if (past != NULL && strcmp (past->name, field->name) != 0)
        tell (self, "%s renamed to %s", past->name, field->name);
    if (past == NULL)
        tell (self, "field %s added", field->name);
    if (past != NULL && check_type (self, index, past)) {
        out->id = past->id;
        out->origin = past->origin;
    } else {
        add_new (self, out);
    }
    if (index != self->next->time)
        check_required (self, field, past);
    else if (past == NULL || !past->time)
        refuse (self,
                "its time cannot become '%s': events that are kept happened at another; define a "
                "stream of another name",
                field->name);
}

/* What is kept of a computed field was computed when its event came in. */
static void check_computed (evolve_t *self, size_t index)
{
    schema_field_t *field = &self->schema->fields[index];
    hash_computed (self->next, self->schema, index);
    for (size_t i = 0; i < self->past->count; i++) {
        const schema_field_t *past = &self->past->fields[i];
        if (past->id != field->id || past->computed == field->computed)
            continue;
        refuse (self,
                "field '%s' cannot become one that is %s: events that are kept have what it was; "
                "add a field of another name",
                field->name,
                field->computed == 0  ? "sent"
                : past->computed == 0 ? "computed"
                                      : "computed otherwise");
        add_new (self, field);
        return;
    }
}

static void check_removed (evolve_t *self)
{
    for (size_t i = 0; i < self->past->count; i++)
        if (!self->continued[i])
            refuse (self,
                    "field '%s' cannot be removed: events are kept that have it; leave it (no "
                    "source has to send it), or name it as `alias` of the field that it becomes",
                    self->past->fields[i].name);
}

void schema_evolve (const schema_t *past, const stream_t *next, arena_t *arena, schema_t *schema,
                    evolution_t *evolution)
{
    evolve_t self = {
        .past = past, .next = next, .arena = arena, .schema = schema, .evolution = evolution
    };
    *evolution = (evolution_t){ .refusal = NULL };
    *schema = (schema_t){ .count = next->fields_count, .next = past->next };
    buf_init (&self.detail, DETAIL_MAX);
    for (size_t i = 0; i < next->fields_count; i++)
        evolve_field (&self, i);
    for (size_t i = 0; i < next->fields_count; i++)
        check_computed (&self, i);
    check_removed (&self);
    evolution->detail = arena_string (
        arena, (text_t){ (const char *)self.detail.data, (uint32_t)self.detail.size });
    buf_release (&self.detail);
}
