#include "wire/wire.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"

#include <msgpack/pack.h>

/* Copies inline where there is room, which is nearly always. */
static inline int append (buf_t *out, const void *bytes, size_t size)
{
    uint8_t *to = buf_room (out, size);
    if (__builtin_expect (to == NULL, 0)) {
        buf_put (out, bytes, size); /* over the limit: bad from now on */
        return 0;
    }
    if (size > 0)
        memcpy (to, bytes, size);
    buf_grew (out, size);
    return 0;
}

/* msgpack's packing, into a buffer rather than through a callback, which costs more than what is
 * written of most values. */
#define msgpack_pack_inline_func(name)                static inline int pack##name
#define msgpack_pack_inline_func_cint(name)           static inline int pack##name
#define msgpack_pack_inline_func_fixint(name)         static inline int pack_fix##name
#define msgpack_pack_user                             buf_t *
#define msgpack_pack_append_buffer(user, bytes, size) return append (user, bytes, size)
#include <msgpack/pack_template.h>

enum {
    MAGIC = 0x57574954,
    COUNT_HEADER = 5,   /* bytes of a header with a 32-bit count */
    SHORT_COUNT = 15,   /* elements that a header of one byte can tell */
    SHORT_BYTES = 1024, /* a longer content is not moved for the sake of four bytes */
};

/* A map or list that is open. */
typedef struct level {
    size_t header_at;
    uint32_t count; /* items, or pairs */
    bool is_map;
    bool has_key; /* of a map: the next value's name is written */
} level_t;

struct wire_writer {
    uint32_t magic;
    bool is_open; /* between begin and end */
    bool bad;     /* over a limit that is not the buffer's */
    uint32_t values;
    unsigned depth;
    level_t levels[WIRE_DEPTH_MAX - 1]; /* the array around the body is not among them */
    unsigned depth_over;                /* levels open beyond these */
    buf_t out;
};

static void pack_string (buf_t *out, const char *data, size_t size)
{
    enum { SHORT = 32 }; /* bytes from which on the size does not fit into the first byte */
    uint8_t *to = size < SHORT ? buf_room (out, 1 + size) : NULL;
    if (to == NULL) {
        pack_str (out, size);
        pack_str_body (out, data, size);
        return;
    }
    *to = (uint8_t)(0xa0 | size);
    if (size > 0)
        memcpy (to + 1, data, size);
    buf_grew (out, 1 + size);
}

wire_writer_t *wire_writer_new (void)
{
    wire_writer_t *self = mem_zero (1, sizeof *self);
    self->magic = MAGIC;
    buf_init (&self->out, WIRE_MESSAGE_MAX);
    return self;
}

void wire_writer_destroy (wire_writer_t **self_p)
{
    wire_writer_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, MAGIC);
    buf_release (&self->out);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

static inline void count_value (wire_writer_t *self)
{
    if (++self->values > WIRE_VALUES_MAX)
        self->bad = true;
}

/* Every value goes through here before it is written. */
static inline __attribute__ ((always_inline)) void next_value (wire_writer_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    CHECK (self->is_open);
    CHECK (self->depth > 0);
    count_value (self);
    if (self->depth_over > 0)
        return;
    level_t *level = &self->levels[self->depth - 1];
    CHECK (!level->is_map || level->has_key);
    level->has_key = false;
    if (++level->count > WIRE_ELEMENTS_MAX)
        self->bad = true;
}

/* Nesting can follow what a peer sent, so that too much of it is not a bug. */
static void open_level (wire_writer_t *self, bool is_map)
{
    if (self->depth_over > 0 || self->depth == WIRE_DEPTH_MAX - 1) {
        self->depth_over++;
        self->bad = true;
        return;
    }
    self->levels[self->depth++] = (level_t){ .header_at = self->out.size, .is_map = is_map };
    buf_extend (&self->out, COUNT_HEADER);
}

/* Writes the count where the level began: in one byte when that is cheap. */
static void patch_count (wire_writer_t *self, const level_t *level)
{
    uint8_t *header = self->out.data + level->header_at;
    size_t content = self->out.size - level->header_at - COUNT_HEADER;
    if (level->count <= SHORT_COUNT && content <= SHORT_BYTES) {
        *header = (uint8_t)((level->is_map ? 0x80 : 0x90) | level->count);
        memmove (header + 1, header + COUNT_HEADER, content);
        self->out.size -= COUNT_HEADER - 1;
        return;
    }
    *header = level->is_map ? 0xdf : 0xdd;
    for (unsigned i = 0; i < 4; i++)
        header[1 + i] = (uint8_t)(level->count >> (24 - 8 * i));
}

void wire_close (wire_writer_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    CHECK (self->is_open);
    if (self->depth_over > 0) {
        self->depth_over--;
        return;
    }
    CHECK (self->depth > 0);
    level_t *level = &self->levels[--self->depth];
    CHECK (!level->has_key);
    if (!self->out.bad)
        patch_count (self, level);
}

void wire_begin (wire_writer_t *self, message_kind_t kind, uint64_t id)
{
    CHECK_OBJECT (self, MAGIC);
    CHECK (kind != MESSAGE_NONE);
    const char *word = message_word (kind);
    buf_clear (&self->out);
    self->is_open = true;
    self->bad = false;
    self->depth = 0;
    self->depth_over = 0;
    self->values = 6;
    pack_array (&self->out, 5);
    pack_string (&self->out, "weir", 4);
    pack_uint32 (&self->out, WIRE_VERSION);
    pack_string (&self->out, word, strlen (word));
    pack_uint64 (&self->out, id);
    open_level (self, true);
}

size_t wire_written (const wire_writer_t *self)
{
    return self->out.size;
}

bool wire_end (wire_writer_t *self, const void **data, size_t *size)
{
    wire_close (self);
    CHECK (self->depth == 0);
    self->is_open = false;
    *data = self->out.data;
    *size = self->out.size;
    return !self->bad && !self->out.bad;
}

/* A copy that is UTF-8, in `out`. */
static void clean_text (const char *text, char out[ERROR_TEXT_MAX])
{
    size_t size = strnlen (text, ERROR_TEXT_MAX - 1);
    memcpy (out, text, size);
    out[size] = '\0';
    for (size_t at = 0; at < size;) {
        uint32_t step = text_utf8_step ((text_t){ out + at, (uint32_t)(size - at) });
        if (step == 0)
            out[at] = '?';
        at += step > 0 ? step : 1;
    }
}

void wire_error (wire_writer_t *self, uint64_t id, const error_t *error, const void **data,
                 size_t *size)
{
    char text[ERROR_TEXT_MAX];
    clean_text (error->text, text);
    wire_begin (self, MESSAGE_ERROR, id);
    wire_field_string (self, "status", status_word (error->status));
    wire_field_string (self, "text", text);
    if (error->retry_ms > 0)
        wire_field_uint (self, "retry_ms", error->retry_ms);
    CHECK (wire_end (self, data, size));
}

void wire_key_text (wire_writer_t *self, text_t name)
{
    CHECK_OBJECT (self, MAGIC);
    CHECK (self->is_open);
    count_value (self);
    if (self->depth_over > 0)
        return;
    CHECK (self->depth > 0);
    level_t *level = &self->levels[self->depth - 1];
    CHECK (level->is_map && !level->has_key);
    level->has_key = true;
    if (name.size > WIRE_NAME_MAX)
        self->bad = true;
    pack_string (&self->out, name.data, name.size);
}

void wire_key (wire_writer_t *self, const char *name)
{
    wire_key_text (self, text_of (name));
}

void wire_open_map (wire_writer_t *self)
{
    next_value (self);
    open_level (self, true);
}

void wire_open_list (wire_writer_t *self)
{
    next_value (self);
    open_level (self, false);
}

void wire_put_nil (wire_writer_t *self)
{
    next_value (self);
    pack_nil (&self->out);
}

void wire_put_uint (wire_writer_t *self, uint64_t value)
{
    next_value (self);
    pack_uint64 (&self->out, value);
}

void wire_put_int (wire_writer_t *self, int64_t value)
{
    next_value (self);
    pack_int64 (&self->out, value);
}

void wire_put_float (wire_writer_t *self, double value)
{
    next_value (self);
    pack_double (&self->out, value);
}

void wire_put_bool (wire_writer_t *self, bool value)
{
    next_value (self);
    if (value)
        pack_true (&self->out);
    else
        pack_false (&self->out);
}

void wire_put_text (wire_writer_t *self, text_t value)
{
    next_value (self);
    pack_string (&self->out, value.data, value.size);
}

void wire_put_string (wire_writer_t *self, const char *value)
{
    if (value)
        wire_put_text (self, text_of (value));
    else
        wire_put_nil (self);
}

void wire_put_bin (wire_writer_t *self, text_t value)
{
    next_value (self);
    pack_bin (&self->out, value.size);
    pack_bin_body (&self->out, value.data, value.size);
}

/* Into a list that has been opened. */
static void put_values (wire_writer_t *self, const value_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wire_put_value (self, &values[i]);
    wire_close (self);
}

static void put_map (wire_writer_t *self, const value_map_t *map)
{
    wire_open_map (self);
    wire_field_list (self, "keys");
    put_values (self, map->keys, map->count);
    wire_field_list (self, "values");
    put_values (self, map->values, map->count);
    wire_field_bool (self, "capped", map->capped);
    wire_field_uint (self, "total", map->total);
    wire_close (self);
}

/* No float is exact enough, and no integer of msgpack's wide enough. */
static void put_decimal (wire_writer_t *self, const value_t *value)
{
    char bytes[DECIMAL_TEXT_MAX];
    wire_put_text (self, decimal_text (value->d, type_scale (value->type), bytes));
}

void wire_put_value (wire_writer_t *self, const value_t *value)
{
    if (value->null) {
        wire_put_nil (self);
        return;
    }
    switch (type_family (value->type)) {
    case TYPE_BOOL:
        wire_put_bool (self, value->i != 0);
        break;
    case TYPE_FLOAT64:
        wire_put_float (self, value->f);
        break;
    case TYPE_STRING:
        wire_put_text (self, value->s);
        break;
    case TYPE_DECIMAL:
        put_decimal (self, value);
        break;
    case TYPE_INT64:
    case TYPE_TIMESTAMP:
    case TYPE_DURATION:
        wire_put_int (self, value->i);
        break;
    case TYPE_LIST:
        wire_open_list (self);
        put_values (self, value->list->items, value->list->count);
        break;
    case TYPE_MAP:
        put_map (self, value->map);
        break;
    case TYPE_NONE:
        wire_put_nil (self);
        break;
    }
}

static void put_container (wire_writer_t *self, const wire_value_t *value)
{
    if (value->type == MSGPACK_OBJECT_ARRAY) {
        wire_open_list (self);
        for (uint32_t i = 0; i < value->via.array.size; i++)
            wire_put_any (self, &value->via.array.ptr[i]);
    } else {
        wire_open_map (self);
        for (uint32_t i = 0; i < value->via.map.size; i++) {
            const msgpack_object_kv *pair = &value->via.map.ptr[i];
            wire_key_text (self, (text_t){ pair->key.via.str.ptr, pair->key.via.str.size });
            wire_put_any (self, &pair->val);
        }
    }
    wire_close (self);
}

void wire_put_any (wire_writer_t *self, const wire_value_t *value)
{
    switch (value->type) {
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
        put_container (self, value);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        wire_put_bool (self, value->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        wire_put_uint (self, value->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        wire_put_int (self, value->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        wire_put_float (self, value->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        wire_put_text (self, (text_t){ value->via.str.ptr, value->via.str.size });
        break;
    case MSGPACK_OBJECT_BIN:
        wire_put_bin (self, (text_t){ value->via.bin.ptr, value->via.bin.size });
        break;
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_EXT: /* refused when it was decoded */
        wire_put_nil (self);
        break;
    }
}

void wire_field_uint (wire_writer_t *self, const char *name, uint64_t value)
{
    wire_key (self, name);
    wire_put_uint (self, value);
}

void wire_field_int (wire_writer_t *self, const char *name, int64_t value)
{
    wire_key (self, name);
    wire_put_int (self, value);
}

void wire_field_bool (wire_writer_t *self, const char *name, bool value)
{
    wire_key (self, name);
    wire_put_bool (self, value);
}

void wire_field_text (wire_writer_t *self, const char *name, text_t value)
{
    wire_key (self, name);
    wire_put_text (self, value);
}

void wire_field_string (wire_writer_t *self, const char *name, const char *value)
{
    wire_key (self, name);
    wire_put_string (self, value);
}

void wire_field_bin (wire_writer_t *self, const char *name, text_t value)
{
    wire_key (self, name);
    wire_put_bin (self, value);
}

void wire_field_map (wire_writer_t *self, const char *name)
{
    wire_key (self, name);
    wire_open_map (self);
}

void wire_field_list (wire_writer_t *self, const char *name)
{
    wire_key (self, name);
    wire_open_list (self);
}

void wire_field_counters (wire_writer_t *self, env_t *env)
{
    env_counter_t counters[ENV_COUNTERS_MAX];
    size_t count = env->counters ? env->counters (env, counters) : 0;
    CHECK (count <= ENV_COUNTERS_MAX);
    for (size_t i = 0; i < count; i++)
        wire_field_uint (self, counters[i].name, counters[i].value);
}
