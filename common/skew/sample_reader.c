#include "skew/sample.h"

#include "base/check.h"
#include "base/mem.h"
#include "block/pack.h"
#include "skew/sample_format.h"

#include <xxhash.h>

enum {
    BLOCK_OBJECT = 0x534d5042,
    ARENA_CHUNK = 64 << 10,
    HEADER_SUMMED = 48, /* bytes before the checksums */
    ABSENT_MAX = 65536, /* of a place */
};

struct sample_block {
    uint32_t magic;
    sample_header_t header;
    uint8_t *records;
    reader_t reader;
    arena_t *arena;
    sample_shape_t *shapes[SAMPLE_DEFINED_MAX];
    uint32_t shapes_count;
    sample_dataset_t datasets[SAMPLE_DEFINED_MAX];
    uint32_t datasets_count;
    uint32_t answers; /* that were read */
    text_t bytes;
};

/* ---- the header ---- */

void sample_header_put (uint8_t *block, const sample_header_t *header)
{
    buf_t out;
    buf_init (&out, SAMPLE_HEADER);
    buf_put_u32 (&out, SAMPLE_BLOCK_MAGIC);
    buf_put_u16 (&out, SAMPLE_VERSION);
    buf_put_u16 (&out, 0);
    buf_put_u32 (&out, header->size);
    buf_put_u32 (&out, header->unpacked);
    buf_put_u32 (&out, header->answers);
    buf_put_u32 (&out, 0);
    buf_put_i64 (&out, header->first);
    buf_put_i64 (&out, header->last);
    buf_put_u64 (&out, XXH3_64bits (block + SAMPLE_HEADER, header->size - SAMPLE_HEADER));
    buf_put_u64 (&out, XXH3_64bits (out.data, HEADER_SUMMED));
    buf_put_u64 (&out, 0);
    CHECK (out.size == SAMPLE_HEADER);
    memcpy (block, out.data, SAMPLE_HEADER);
    buf_release (&out);
}

status_t sample_header_read (const void *data, sample_header_t *header, error_t *error)
{
    reader_t in = reader_of (data, SAMPLE_HEADER);
    bool good = reader_u32 (&in) == SAMPLE_BLOCK_MAGIC;
    unsigned version = reader_u16 (&in);
    good = reader_u16 (&in) == 0 && good;
    header->size = reader_u32 (&in);
    header->unpacked = reader_u32 (&in);
    header->answers = reader_u32 (&in);
    good = reader_u32 (&in) == 0 && good;
    header->first = reader_i64 (&in);
    header->last = reader_i64 (&in);
    (void)reader_u64 (&in);
    good = reader_u64 (&in) == XXH3_64bits (data, HEADER_SUMMED) && good;
    good = reader_u64 (&in) == 0 && good;
    if (good && version != SAMPLE_VERSION)
        return error_set (error, STATUS_VERSION, "a block of answers has version %u", version);
    if (!good || header->size < SAMPLE_HEADER || header->unpacked > SAMPLE_BLOCK_MAX ||
        header->size - SAMPLE_HEADER > header->unpacked || header->first > header->last)
        return error_set (error, STATUS_CORRUPT, "a block of answers has a damaged header");
    return STATUS_OK;
}

/* ---- the block ---- */

static status_t damaged (error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "a block of answers is damaged");
}

static bool unpack (sample_block_t *self, const uint8_t *data, size_t size)
{
    uint64_t sum;
    memcpy (&sum, data + HEADER_SUMMED - sizeof sum, sizeof sum);
    const uint8_t *body = data + SAMPLE_HEADER;
    size_t packed = size - SAMPLE_HEADER;
    if (sum != XXH3_64bits (body, packed))
        return false;
    if (packed < self->header.unpacked)
        return unpack_lz4 (body, packed, self->records, self->header.unpacked);
    memcpy (self->records, body, packed);
    return true;
}

status_t sample_block_open (const void *data, size_t size, sample_block_t **block, error_t *error)
{
    sample_header_t header;
    *block = NULL;
    if (size < SAMPLE_HEADER)
        return damaged (error);
    status_t status = sample_header_read (data, &header, error);
    if (status != STATUS_OK)
        return status;
    if (header.size != size)
        return damaged (error);
    sample_block_t *self = mem_zero (1, sizeof *self);
    self->magic = BLOCK_OBJECT;
    self->header = header;
    self->records = mem_alloc (header.unpacked);
    self->arena = arena_new (ARENA_CHUNK);
    if (!unpack (self, data, size)) {
        sample_block_destroy (&self);
        return damaged (error);
    }
    self->reader = reader_of (self->records, header.unpacked);
    *block = self;
    return STATUS_OK;
}

void sample_block_destroy (sample_block_t **self_p)
{
    sample_block_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, BLOCK_OBJECT);
    arena_destroy (&self->arena);
    mem_free (self->records);
    self->magic = 0;
    mem_free (self);
}

const sample_header_t *sample_block_header (const sample_block_t *self)
{
    return &self->header;
}

const sample_shape_t *sample_block_shape (const sample_block_t *self, uint32_t number)
{
    CHECK (number < self->shapes_count);
    return self->shapes[number];
}

const sample_dataset_t *sample_block_dataset (const sample_block_t *self, uint32_t number)
{
    CHECK (number < self->datasets_count);
    return &self->datasets[number];
}

text_t sample_block_bytes (const sample_block_t *self)
{
    return self->bytes;
}

/* ---- records ---- */

/* How many follow; more than there can be, or than are allowed, make the reader bad. */
static size_t read_count (reader_t *in, size_t most)
{
    uint64_t count = reader_varint (in);
    if (count > most || count > reader_left (in))
        in->bad = true;
    return in->bad ? 0 : (size_t)count;
}

static uint32_t read_u32 (reader_t *in)
{
    uint64_t number = reader_varint (in);
    if (number > UINT32_MAX)
        in->bad = true;
    return (uint32_t)number;
}

static bool read_shape (sample_block_t *self)
{
    reader_t *in = &self->reader;
    arena_t *arena = self->arena;
    sample_shape_t *shape = arena_zero (arena, 1, sizeof *shape);
    shape->name = reader_text (in);
    shape->version = read_u32 (in);
    uint8_t service = reader_u8 (in);
    shape->service = service == 1;
    shape->meaning = reader_u64 (in);
    shape->views_count = read_count (in, SAMPLE_FIELDS_MAX);
    sample_view_t *views = arena_zero (arena, shape->views_count + 1, sizeof *views);
    for (size_t i = 0; i < shape->views_count; i++) {
        views[i].name = reader_text (in);
        views[i].version = read_u32 (in);
    }
    shape->keys_count = read_count (in, SAMPLE_FIELDS_MAX);
    shape->request_count = read_count (in, SAMPLE_FIELDS_MAX - shape->keys_count);
    size_t fields = shape->keys_count + shape->request_count;
    text_t *keys = arena_zero (arena, fields + 1, sizeof *keys);
    for (size_t i = 0; i < fields; i++)
        keys[i] = reader_text (in);
    shape->features_count = read_count (in, SAMPLE_FIELDS_MAX);
    sample_field_t *features = arena_zero (arena, shape->features_count + 1, sizeof *features);
    for (size_t i = 0; i < shape->features_count; i++) {
        features[i].name = reader_text (in);
        features[i].type = reader_text (in);
    }
    shape->views = views;
    shape->keys = keys;
    shape->features = features;
    if (in->bad || service > 1 || self->shapes_count == SAMPLE_DEFINED_MAX)
        return false;
    self->shapes[self->shapes_count++] = shape;
    return true;
}

static bool read_dataset (sample_block_t *self)
{
    if (self->datasets_count == SAMPLE_DEFINED_MAX)
        return false;
    sample_dataset_t *dataset = &self->datasets[self->datasets_count++];
    dataset->log = reader_text (&self->reader);
    dataset->manifest = reader_varint (&self->reader);
    return !self->reader.bad;
}

static void read_place (sample_block_t *self, sample_place_t *place)
{
    reader_t *in = &self->reader;
    place->dataset = read_u32 (in);
    place->partition = read_u32 (in);
    place->cut = reader_varint (in);
    uint64_t above = reader_varint (in);
    place->absent_count = read_count (in, ABSENT_MAX);
    uint64_t *absent = arena_zero (self->arena, place->absent_count + 1, sizeof *absent);
    for (size_t i = 0; i < place->absent_count; i++) {
        absent[i] = reader_varint (in);
        if (i > 0 && absent[i] <= absent[i - 1])
            in->bad = true;
    }
    place->absent = absent;
    if (place->dataset >= self->datasets_count || above > INT64_MAX || place->cut > INT64_MAX)
        in->bad = true;
    place->position = in->bad ? 0 : place->cut + above;
}

static value_t *read_values (sample_block_t *self, size_t count)
{
    value_t *values = arena_zero (self->arena, count + 1, sizeof *values);
    for (size_t i = 0; i < count && !self->reader.bad; i++)
        if (!sample_read_value (&self->reader, self->arena, &values[i]))
            self->reader.bad = true;
    return values;
}

static text_t *read_errors (sample_block_t *self, size_t features)
{
    reader_t *in = &self->reader;
    size_t count = read_count (in, features);
    if (count == 0)
        return NULL;
    text_t *errors = arena_zero (self->arena, features + 1, sizeof *errors);
    uint64_t next = 0;
    for (size_t i = 0; i < count && !in->bad; i++) {
        uint64_t at = reader_varint (in);
        if (at < next || at >= features) {
            in->bad = true;
            break;
        }
        errors[at] = reader_text (in);
        in->bad |= errors[at].size == 0;
        next = at + 1;
    }
    return errors;
}

static bool read_answer (sample_block_t *self, sample_answer_t *answer)
{
    reader_t *in = &self->reader;
    *answer = (sample_answer_t){ .shape = read_u32 (in) };
    if (in->bad || answer->shape >= self->shapes_count)
        return false;
    const sample_shape_t *shape = self->shapes[answer->shape];
    answer->time = reader_i64 (in);
    answer->as_of = reader_i64 (in);
    answer->flags = reader_u8 (in);
    answer->fields = read_values (self, shape->keys_count + shape->request_count);
    answer->places_count = read_count (in, SAMPLE_PLACES_MAX);
    sample_place_t *places = arena_zero (self->arena, answer->places_count + 1, sizeof *places);
    for (size_t i = 0; i < answer->places_count && !in->bad; i++)
        read_place (self, &places[i]);
    answer->places = places;
    answer->values = read_values (self, shape->features_count);
    answer->errors = read_errors (self, shape->features_count);
    return !in->bad && answer->flags <= (SAMPLE_COMPLETE | SAMPLE_BEFORE) &&
           answer->time >= self->header.first && answer->time <= self->header.last;
}

status_t sample_block_next (sample_block_t *self, sample_answer_t *answer, error_t *error)
{
    CHECK_OBJECT (self, BLOCK_OBJECT);
    reader_t *in = &self->reader;
    while (reader_left (in) > 0 && !in->bad) {
        const uint8_t *begin = in->at;
        uint8_t kind = reader_u8 (in);
        bool good = kind == RECORD_SHAPE     ? read_shape (self)
                    : kind == RECORD_DATASET ? read_dataset (self)
                    : kind == RECORD_ANSWER  ? read_answer (self, answer)
                                             : false;
        if (!good) {
            in->bad = true;
            break;
        }
        if (kind != RECORD_ANSWER)
            continue;
        self->bytes = (text_t){ (const char *)begin, (uint32_t)(in->at - begin) };
        self->answers++;
        return STATUS_OK;
    }
    if (in->bad || self->answers != self->header.answers)
        return damaged (error);
    return error_set (error, STATUS_END, "no more answers");
}
