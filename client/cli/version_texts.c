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

/* How many lines both begin with, or end with behind `first`. */
static size_t same_lines (const lines_t *a, const lines_t *b, size_t first, bool at_end)
{
    size_t count = 0;
    while (first + count < a->count && first + count < b->count &&
           text_equal (a->items[at_end ? a->count - 1 - count : count],
                       b->items[at_end ? b->count - 1 - count : count]))
        count++;
    return count;
}

bool version_texts_compare (text_t a_text, text_t b_text, buf_t *out)
{
    lines_t all_a = split (a_text), all_b = split (b_text);
    size_t before = same_lines (&all_a, &all_b, 0, false);
    size_t behind = same_lines (&all_a, &all_b, before, true);
    lines_t a = { all_a.items + before, all_a.count - before - behind };
    lines_t b = { all_b.items + before, all_b.count - before - behind };
    uint32_t *common = common_rests (&a, &b);
    size_t i = 0, j = 0, width = b.count + 1;
    bool differ = false;
    for (size_t k = 0; k < before; k++)
        put (' ', all_a.items[k], out);
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
    for (size_t k = all_a.count - behind; k < all_a.count; k++)
        put (' ', all_a.items[k], out);
    mem_free (common);
    mem_free (all_a.items);
    mem_free (all_b.items);
    return differ;
}

size_t version_text_lines (text_t text)
{
    size_t count = 1;
    for (uint32_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}

/* ---- what differs alone ---- */

enum { DEPTH_MOST = 16, SIGN = 2 /* bytes before a compared line */ };

static uint32_t blanks_of (text_t line)
{
    uint32_t blanks = 0;
    while (SIGN + blanks < line.size && line.data[SIGN + blanks] == ' ')
        blanks++;
    return blanks;
}

/* Lines of both texts that what follows stands under, the outermost first. */
typedef struct heads {
    text_t line[DEPTH_MOST];
    size_t count;
    size_t told; /* the first so many have been printed */
} heads_t;

static void heads_leave (heads_t *self, uint32_t blanks)
{
    while (self->count > 0 && blanks_of (self->line[self->count - 1]) >= blanks)
        self->count--;
    if (self->told > self->count)
        self->told = self->count;
}

typedef struct changed {
    int indent;
    size_t most;
    size_t lines;
    buf_t *out;
} changed_t;

static void put_changed (changed_t *self, text_t line)
{
    if (self->lines++ < self->most)
        buf_printf (self->out, "%*s" TEXT_FORMAT "\n", self->indent, "", TEXT_ARGS (line));
}

void version_texts_changes (text_t a, text_t b, int indent, size_t most, buf_t *out)
{
    buf_t all;
    heads_t heads = { .count = 0 };
    changed_t changed = { indent, most, 0, out };
    if (version_text_lines (a) > VERSION_LINES_MAX || version_text_lines (b) > VERSION_LINES_MAX) {
        buf_printf (out, "%*s  … too long to be compared here: `weir diff` of what is applied\n",
                    indent, "");
        return;
    }
    buf_init (&all, (size_t)4 * (a.size + b.size) + 64);
    (void)version_texts_compare (a, b, &all);
    lines_t lines = split ((text_t){ buf_string (&all), (uint32_t)all.size });
    for (size_t i = 0; i < lines.count; i++) {
        text_t line = lines.items[i];
        heads_leave (&heads, blanks_of (line));
        if (line.data[0] == ' ') {
            if (heads.count < DEPTH_MOST)
                heads.line[heads.count++] = line;
            continue;
        }
        for (; heads.told < heads.count; heads.told++)
            put_changed (&changed, heads.line[heads.told]);
        put_changed (&changed, line);
    }
    if (changed.lines > most)
        buf_printf (out, "%*s  … %zu more lines\n", indent, "", changed.lines - most);
    mem_free (lines.items);
    buf_release (&all);
}
