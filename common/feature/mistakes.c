#include "feature/mistakes.h"

#include <stdarg.h>
#include <stdio.h>

void mistakes_init (mistakes_t *self, arena_t *arena)
{
    *self = (mistakes_t){ .arena = arena };
}

void mistakes_add (mistakes_t *self, place_t place, status_t status, const char *format, ...)
{
    self->total++;
    self->unsupported += status == STATUS_UNSUPPORTED;
    if (self->count == MISTAKES_MAX)
        return;
    char text[MISTAKE_TEXT_MAX];
    va_list args;
    va_start (args, format);
    (void)vsnprintf (text, sizeof text, format, args);
    va_end (args);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    }
    self->list[self->count++] = (mistake_t){
        .place = place,
        .text = arena_string (self->arena, text_of (text)),
    };
}

static bool is_before (const place_t *a, const place_t *b)
{
    if (a->order != b->order)
        return a->order < b->order;
    if (a->line != b->line)
        return a->line < b->line;
    return a->column < b->column;
}

/* Insertion sort: there are few, and equal places keep their order. */
static void sort (mistakes_t *self)
{
    for (size_t i = 1; i < self->count; i++) {
        mistake_t moving = self->list[i];
        size_t at = i;
        for (; at > 0 && is_before (&moving.place, &self->list[at - 1].place); at--)
            self->list[at] = self->list[at - 1];
        self->list[at] = moving;
    }
}

/* Whole lines, and how many are not told. */
static void tell (const mistakes_t *self, buf_t *out, size_t max)
{
    enum { REST_MAX = 256 }; /* bytes of the last lines */
    size_t told = 0;
    size_t start = out->size;
    for (; told < self->count; told++) {
        const mistake_t *mistake = &self->list[told];
        const place_t *place = &mistake->place;
        size_t before = out->size;
        buf_printf (out, "%s%s:%u:%u: %s", told == 0 ? "" : "\n", place->file, place->line,
                    place->column, mistake->text);
        bool last =
            told + 1 == self->total && self->unchecked + self->underived + self->unserved == 0;
        if (told > 0 && out->size - start + (last ? 0 : REST_MAX) > max) {
            out->size = before;
            break;
        }
    }
    if (told < self->total)
        buf_printf (out, "\n(and %zu more)", self->total - told);
    if (self->underived > 0)
        buf_printf (out,
                    "\n(derived features of %zu view%s were not checked because of mistakes above)",
                    self->underived, self->underived > 1 ? "s" : "");
    if (self->unserved > 0)
        buf_printf (out, "\n(the rest of %zu service%s was not checked because of mistakes above)",
                    self->unserved, self->unserved > 1 ? "s" : "");
    if (self->unchecked > 0)
        buf_printf (out, "\n(features of %zu view%s were not checked because of mistakes above)",
                    self->unchecked, self->unchecked > 1 ? "s" : "");
}

status_t mistakes_finish (mistakes_t *self, buf_t *lines, error_t *error)
{
    if (self->total == 0)
        return STATUS_OK;
    sort (self);
    if (lines != NULL)
        tell (self, lines, MISTAKES_TEXT_MAX);
    buf_t cut;
    buf_init (&cut, MISTAKES_TEXT_MAX);
    tell (self, &cut, ERROR_TEXT_MAX - 1);
    status_t status = self->unsupported == self->total ? STATUS_UNSUPPORTED : STATUS_INVALID;
    status = error_set (error, status, "%s", buf_string (&cut));
    buf_release (&cut);
    return status;
}

text_t mistake_shown (text_t text)
{
    uint32_t size = 0;
    while (size < text.size && size < MISTAKE_SHOWN_MAX && text.data[size] != '\n')
        size++;
    /* not in the middle of a character */
    while (size > 0 && size < text.size && ((uint8_t)text.data[size] & 0xc0) == 0x80)
        size--;
    text.size = size;
    return text;
}
