#include "page.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 1 << 20 };

struct page {
    char *text;
    char *block;
    char *row;
    const char *head;
    const char *at; /* the line that comes next */
    bool in_table;
};

page_t *page_read (const char *path)
{
    FILE *file = fopen (path, "rb");
    cr_assert_not_null (file, "%s: tests are run at the top of the source tree", path);
    page_t *self = mem_zero (1, sizeof *self);
    self->text = mem_zero (PAGE_MAX + 1, 1);
    size_t size = fread (self->text, 1, PAGE_MAX, file);
    cr_assert (size > 0 && size < PAGE_MAX);
    fclose (file);
    return self;
}

void page_destroy (page_t **self_p)
{
    page_t *self = *self_p;
    *self_p = NULL;
    mem_free (self->row);
    mem_free (self->block);
    mem_free (self->text);
    mem_free (self);
}

void page_seek_table (page_t *self, const char *head)
{
    self->head = head;
    self->at = self->text;
    self->in_table = false;
}

/* Takes the backquotes off a cell that is all code. */
static char *trim_cell (char *cell)
{
    while (*cell == ' ')
        cell++;
    size_t size = strlen (cell);
    while (size > 0 && cell[size - 1] == ' ')
        cell[--size] = '\0';
    bool is_code = size >= 2 && cell[0] == '`' && strchr (cell + 1, '`') == cell + size - 1;
    if (is_code) {
        cell[size - 1] = '\0';
        cell++;
    }
    return cell;
}

/* Cuts self->row into cells. */
static void cut_row (page_t *self, const char **cells)
{
    size_t count = 0;
    char *start = self->row + 1;
    char *to = start;
    for (char *c = start; *c != '\0'; c++) {
        if (c[0] == '\\' && c[1] == '|') {
            *to++ = *++c;
        } else if (*c == '|') {
            *to = '\0';
            cr_assert_lt (count, (size_t)PAGE_CELLS_MAX);
            cells[count++] = trim_cell (start);
            start = to = c + 1;
        } else {
            *to++ = *c;
        }
    }
    for (; count < PAGE_CELLS_MAX; count++)
        cells[count] = "";
}

bool page_next_row (page_t *self, const char **cells)
{
    while (*self->at != '\0') {
        const char *line = self->at;
        size_t size = strcspn (line, "\n");
        self->at += size + (line[size] == '\n');
        if (size == strlen (self->head) && strncmp (line, self->head, size) == 0) {
            self->in_table = true;
            self->at += strcspn (self->at, "\n") + 1; /* |---|---| */
            continue;
        }
        self->in_table = self->in_table && line[0] == '|';
        if (!self->in_table)
            continue;
        mem_free (self->row);
        self->row = mem_string_n (line, size);
        cut_row (self, cells);
        return true;
    }
    return false;
}

bool page_has (page_t *self, const char *words)
{
    return strstr (self->text, words) != NULL;
}

bool page_has_row (page_t *self, const char *head, const char *words)
{
    const char *cells[PAGE_CELLS_MAX];
    bool found = false;
    page_seek_table (self, head);
    while (page_next_row (self, cells))
        found = found || strstr (cells[0], words) != NULL;
    return found;
}

bool page_has_line (page_t *self, const char *first, const char *words)
{
    for (const char *line = self->text; *line != '\0';) {
        size_t size = strcspn (line, "\n");
        if (strncmp (line, first, strlen (first)) == 0 &&
            memmem (line, size, words, strlen (words)) != NULL)
            return true;
        line += size + (line[size] == '\n');
    }
    return false;
}

static bool is_word_part (char c)
{
    return isalnum ((unsigned char)c) || c == '_';
}

bool page_has_word (page_t *self, const char *after, const char *word)
{
    const char *from = strstr (self->text, after);
    cr_assert_not_null (from, "%s", after);
    const char *end = strstr (from + 1, "\n## ");
    for (const char *at = strstr (from, word); at != NULL && (end == NULL || at < end);
         at = strstr (at + 1, word)) {
        if (!is_word_part (at[-1]) && !is_word_part (at[strlen (word)]))
            return true;
    }
    return false;
}

const char *page_block (page_t *self, const char *kind)
{
    char *open = mem_format ("\n```%s\n", kind);
    const char *start = strstr (self->text, open);
    cr_assert_not_null (start);
    start += strlen (open);
    const char *end = strstr (start, "\n```");
    cr_assert_not_null (end);
    mem_free (open);
    mem_free (self->block);
    self->block = mem_string_n (start, (size_t)(end - start));
    return self->block;
}
