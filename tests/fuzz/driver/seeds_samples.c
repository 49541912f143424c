#include "tests/fuzz/driver/seeds.h"

#include "base/check.h"
#include "skew/sample.h"

/* The records of a block, without its header: the entry point puts one before them. */
void seeds_of_samples (void)
{
    static const text_t keys[] = { { "account", 7 }, { "amount", 6 } };
    static const sample_field_t features[] = { { { "spent_7d", 8 }, { "float64", 7 } },
                                               { { "shops", 5 }, { "map<string,int64>", 17 } },
                                               { { "last", 4 }, { "list<string>", 12 } },
                                               { { "cents", 5 }, { "decimal(38,2)", 13 } } };
    static const sample_view_t views[] = { { { "spend", 5 }, 3 } };
    static const sample_shape_t shape = { .name = { "model", 5 },
                                          .version = 2,
                                          .service = true,
                                          .meaning = 77,
                                          .views = views,
                                          .views_count = 1,
                                          .keys = keys,
                                          .keys_count = 1,
                                          .request_count = 1,
                                          .features = features,
                                          .features_count = 4 };
    const value_t fields[] = { { .type = TYPE_STRING, .s = { "a1", 2 } },
                               { .type = TYPE_FLOAT64, .null = true } };
    const value_t words[] = { { .type = TYPE_STRING, .s = { "x", 1 } },
                              { .type = TYPE_STRING, .s = { "y", 1 } } };
    const value_t counts[] = { { .type = TYPE_INT64, .i = 3 }, { .type = TYPE_INT64, .i = -9 } };
    const value_list_t list = { 2, words };
    const value_map_t map = { .count = 2, .keys = words, .values = counts, .total = 7 };
    const value_t values[] = { { .type = TYPE_FLOAT64, .f = 12.5 },
                               { .type = TYPE_MAP, .map = &map },
                               { .type = TYPE_LIST, .list = &list },
                               { .type = type_decimal (2), .d = -1050 } };
    const text_t errors[] = { { .size = 0 }, { .size = 0 }, { "too large", 9 }, { .size = 0 } };
    const uint64_t absent[] = { 3, 17 };
    const sample_place_t places[] = { { 0, 1, 20, 33, absent, 2 }, { 0, 2, 0, 0, NULL, 0 } };
    sample_writer_t *writer = sample_writer_new ();
    buf_t block;
    buf_init (&block, 1 << 20);
    CHECK (sample_writer_shape (writer, &shape) == 0);
    CHECK (sample_writer_dataset (writer, &(sample_dataset_t){ { "s/account", 9 }, 5 }) == 0);
    for (int i = 0; i < 2; i++)
        CHECK (sample_writer_add (writer, &shape,
                                  &(sample_answer_t){ .time = 1000 + i,
                                                      .as_of = 900,
                                                      .flags = SAMPLE_COMPLETE,
                                                      .fields = fields,
                                                      .places = places,
                                                      .places_count = 2,
                                                      .values = values,
                                                      .errors = i == 0 ? NULL : errors }));
    CHECK (sample_writer_end (writer, &block));
    seed_write ("sample", block.data, block.size);
    text_t records = sample_writer_records (writer);
    seed_write ("sample", records.data, records.size);
    buf_release (&block);
    sample_writer_destroy (&writer);
}
