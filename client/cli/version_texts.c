#include "client/cli/version_texts.h"

#include "base/mem.h"

typedef struct lines {
    text_t *items;
    size_t count;
} lines_t;

static lines_t split (text_t text)
{
    lines_t lines = { mem_zero ((size_t)text.size + 1, sizeof (text_t)), 0 };
    uint32_t start = 0;
    for (uint32_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '\n')
            continue;
        if (i > start || i < text.size)
            lines.items[lines.count++] = (text_t){ text.data + start, i - start };
        start = i + 1;
    }
    return lines;
}

static void put (char sign, text_t line, buf_t *out)
{
    buf_printf (out, "%c " TEXT_FORMAT "\n", sign, TEXT_ARGS (line));
}

/* common[i][j]: how many lines the rests of both from i and from j have in common, in order. */
static uint32_t *common_rests (const lines_t *a, const lines_t *b)
{
    size_t width = b->count + 1;
    uint32_t *common = mem_zero ((a->count + 1) * width, sizeof *common);
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint32_t down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            common[i * width + j] = text_equal (a->items[i], b->items[j])
                                        ? common[(i + 1) * width + j + 1] + 1
                                    : down > right ? down
                                                   : right;
        }
    return common;
}

bool version_texts_compare (text_t a_text, text_t b_text, buf_t *out)
{
    lines_t a = split (a_text), b = split (b_text);
    uint32_t *common = common_rests (&a, &b);
    size_t i = 0, j = 0, width = b.count + 1;
    bool differ = false;
    while (i < a.count || j < b.count) {
        if (i < a.count && j < b.count && text_equal (a.items[i], b.items[j])) {
            put (' ', a.items[i++], out);
            j++;
            continue;
        }
        differ = true;
        if (j == b.count ||
            (i < a.count && common[(i + 1) * width + j] >= common[i * width + j + 1]))
            put ('-', a.items[i++], out);
        else
            put ('+', b.items[j++], out);
    }
    mem_free (common);
    mem_free (a.items);
    mem_free (b.items);
    return differ;
}
