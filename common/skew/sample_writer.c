#include "skew/sample.h"

#include "base/check.h"
#include "base/mem.h"
#include "block/pack.h"
#include "skew/sample_format.h"

#include <xxhash.h>

enum { WRITER_MAGIC = 0x534d5057 };

/* Of what was told of in the block, by the hash of its record. */
typedef struct told {
    uint64_t hashes[SAMPLE_DEFINED_MAX];
    int count;
} told_t;

struct sample_writer {
    uint32_t magic;
    buf_t records;
    buf_t scratch;
    told_t shapes;
    told_t datasets;
    uint32_t answers;
    int64_t first;
    int64_t last;
};

sample_writer_t *sample_writer_new (void)
{
    sample_writer_t *self = mem_zero (1, sizeof *self);
    self->magic = WRITER_MAGIC;
    buf_init (&self->records, SAMPLE_BLOCK_MAX);
    buf_init (&self->scratch, SAMPLE_BLOCK_MAX);
    return self;
}

void sample_writer_destroy (sample_writer_t **self_p)
{
    sample_writer_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, WRITER_MAGIC);
    buf_release (&self->records);
    buf_release (&self->scratch);
    self->magic = 0;
    mem_free (self);
}

/* The scratch's record is in the block, or becomes a part of it. */
static int tell (sample_writer_t *self, told_t *told)
{
    uint64_t hash = XXH3_64bits (self->scratch.data, self->scratch.size);
    for (int i = 0; i < told->count; i++)
        if (told->hashes[i] == hash)
            return i;
    if (self->scratch.bad || told->count == SAMPLE_DEFINED_MAX ||
        self->scratch.size > SAMPLE_BLOCK_MAX - self->records.size)
        return -1;
    buf_put (&self->records, self->scratch.data, self->scratch.size);
    told->hashes[told->count] = hash;
    return told->count++;
}

uint64_t sample_meaning (uint32_t role, uint64_t meaning)
{
    uint64_t both[] = { role, meaning };
    return XXH3_64bits (both, sizeof both);
}

int sample_writer_shape (sample_writer_t *self, const sample_shape_t *shape)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (shape->keys_count + shape->request_count <= SAMPLE_FIELDS_MAX);
    CHECK (shape->features_count <= SAMPLE_FIELDS_MAX && shape->views_count <= SAMPLE_FIELDS_MAX);
    buf_t *out = &self->scratch;
    buf_clear (out);
    buf_put_u8 (out, RECORD_SHAPE);
    buf_put_text (out, shape->name);
    buf_put_varint (out, shape->version);
    buf_put_u8 (out, shape->service);
    buf_put_u64 (out, shape->meaning);
    buf_put_varint (out, shape->views_count);
    for (size_t i = 0; i < shape->views_count; i++) {
        buf_put_text (out, shape->views[i].name);
        buf_put_varint (out, shape->views[i].version);
    }
    buf_put_varint (out, shape->keys_count);
    buf_put_varint (out, shape->request_count);
    for (size_t i = 0; i < shape->keys_count + shape->request_count; i++)
        buf_put_text (out, shape->keys[i]);
    buf_put_varint (out, shape->features_count);
    for (size_t i = 0; i < shape->features_count; i++) {
        buf_put_text (out, shape->features[i].name);
        buf_put_text (out, shape->features[i].type);
    }
    return tell (self, &self->shapes);
}

int sample_writer_dataset (sample_writer_t *self, const sample_dataset_t *dataset)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    buf_clear (&self->scratch);
    buf_put_u8 (&self->scratch, RECORD_DATASET);
    buf_put_text (&self->scratch, dataset->log);
    buf_put_varint (&self->scratch, dataset->manifest);
    return tell (self, &self->datasets);
}

static void put_place (buf_t *out, const sample_place_t *place)
{
    CHECK (place->cut <= place->position);
    buf_put_varint (out, place->dataset);
    buf_put_varint (out, place->partition);
    buf_put_varint (out, place->cut);
    buf_put_varint (out, place->position - place->cut);
    buf_put_varint (out, place->absent_count);
    for (size_t i = 0; i < place->absent_count; i++)
        buf_put_varint (out, place->absent[i]);
}

static bool put_answer (buf_t *out, const sample_shape_t *shape, const sample_answer_t *answer)
{
    bool good = true;
    buf_put_u8 (out, RECORD_ANSWER);
    buf_put_varint (out, answer->shape);
    buf_put_i64 (out, answer->time);
    buf_put_i64 (out, answer->as_of);
    buf_put_u8 (out, (uint8_t)answer->flags);
    for (size_t i = 0; i < shape->keys_count + shape->request_count; i++)
        good = good && sample_put_value (out, &answer->fields[i]);
    buf_put_varint (out, answer->places_count);
    for (size_t i = 0; i < answer->places_count; i++)
        put_place (out, &answer->places[i]);
    size_t errors = 0;
    for (size_t i = 0; i < shape->features_count; i++) {
        good = good && sample_put_value (out, &answer->values[i]);
        errors += answer->errors != NULL && answer->errors[i].size > 0;
    }
    buf_put_varint (out, errors);
    for (size_t i = 0; errors > 0 && i < shape->features_count; i++) {
        if (answer->errors[i].size == 0)
            continue;
        buf_put_varint (out, i);
        buf_put_text (out, answer->errors[i]);
    }
    return good && !out->bad;
}

bool sample_writer_add (sample_writer_t *self, const sample_shape_t *shape,
                        const sample_answer_t *answer)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (answer->places_count <= SAMPLE_PLACES_MAX);
    size_t size = self->records.size;
    if (!put_answer (&self->records, shape, answer)) {
        self->records.size = size;
        self->records.bad = false;
        return false;
    }
    if (self->answers == 0 || answer->time < self->first)
        self->first = answer->time;
    if (self->answers == 0 || answer->time > self->last)
        self->last = answer->time;
    self->answers++;
    return true;
}

size_t sample_writer_size (const sample_writer_t *self)
{
    return self->records.size;
}

uint32_t sample_writer_answers (const sample_writer_t *self)
{
    return self->answers;
}

text_t sample_writer_records (const sample_writer_t *self)
{
    return (text_t){ (const char *)self->records.data, (uint32_t)self->records.size };
}

bool sample_writer_end (const sample_writer_t *self, buf_t *out)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    size_t begin = out->size;
    size_t unpacked = self->records.size;
    uint8_t *header = buf_extend (out, SAMPLE_HEADER);
    if (header == NULL)
        return false;
    memset (header, 0, SAMPLE_HEADER);
    bool packed = unpacked > 0 && pack_lz4 (out, self->records.data, unpacked, unpacked - 1);
    if (!packed)
        buf_put (out, self->records.data, unpacked);
    if (out->bad) {
        out->size = begin;
        out->bad = false;
        return false;
    }
    sample_header_put (out->data + begin, &(sample_header_t){ .size = (uint32_t)(out->size - begin),
                                                              .unpacked = (uint32_t)unpacked,
                                                              .answers = self->answers,
                                                              .first = self->first,
                                                              .last = self->last });
    return true;
}

void sample_writer_clear (sample_writer_t *self)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    buf_clear (&self->records);
    self->shapes.count = 0;
    self->datasets.count = 0;
    self->answers = 0;
    self->first = self->last = 0;
}
