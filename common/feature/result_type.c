#include "feature/result_type.h"

#include "base/check.h"

result_type_t result_type_single (type_t type)
{
    CHECK (type != TYPE_LIST && type != TYPE_MAP);
    return (result_type_t){ .type = type };
}

/* A map that an aggregate gives counts the rows of each value of its input. */
static content_type_t content_of (aggregate_t aggregate, type_t input)
{
    type_t output = aggregate_info (aggregate)->output;
    if (output == TYPE_LIST)
        return (content_type_t){ .type = TYPE_LIST, .item = input };
    if (output == TYPE_MAP)
        return (content_type_t){ .type = TYPE_MAP, .key = input, .item = TYPE_INT64 };
    return (content_type_t){ .type = output != TYPE_NONE ? output : input };
}

result_type_t result_type_of (aggregate_t aggregate, type_t input, type_t by)
{
    content_type_t content = content_of (aggregate, input);
    if (by != TYPE_NONE)
        return (result_type_t){ .type = TYPE_MAP, .key = by, .item = content };
    return (result_type_t){
        .type = content.type,
        .key = content.key,
        .item = { .type = content.item },
    };
}

static void put_content (const content_type_t *content, buf_t *out)
{
    buf_put_string (out, type_word (content->type));
    if (content->type == TYPE_LIST)
        buf_printf (out, "<%s>", type_word (content->item));
    if (content->type == TYPE_MAP)
        buf_printf (out, "<%s,%s>", type_word (content->key), type_word (content->item));
}

void result_type_format (const result_type_t *self, buf_t *out)
{
    buf_put_string (out, type_word (self->type));
    if (self->type != TYPE_LIST && self->type != TYPE_MAP)
        return;
    buf_put_u8 (out, '<');
    if (self->type == TYPE_MAP)
        buf_printf (out, "%s,", type_word (self->key));
    put_content (&self->item, out);
    buf_put_u8 (out, '>');
}
