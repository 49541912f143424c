#include "tests/bench/columnfile.h"

#include "tests/bench/measure.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const void *column_map (const char *path, size_t *size)
{
    struct stat about;
    int file = open (path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat (file, &about) != 0)
        measure_fail ("%s: %m", path);
    *size = (size_t)about.st_size;
    const void *data = *size ? mmap (NULL, *size, PROT_READ, MAP_SHARED, file, 0) : "";
    if (data == MAP_FAILED)
        measure_fail ("%s: %m", path);
    close (file);
    return data;
}

static void read_words (column_file_t *self, arena_t *arena, const char *path)
{
    size_t size;
    const char *text = column_map (path, &size);
    for (size_t i = 0; i < size; i++)
        self->words_count += text[i] == '\n';
    self->words = arena_zero (arena, self->words_count, sizeof *self->words);
    for (size_t i = 0, from = 0, at = 0; i < size; i++) {
        if (text[i] != '\n')
            continue;
        self->words[at++] = (text_t){ text + from, (uint32_t)(i - from) };
        from = i + 1;
    }
}

column_file_t column_file_open (arena_t *arena, type_t type, const char *path, const char *words)
{
    column_file_t self = { .type = type };
    size_t size;
    const void *data = column_map (path, &size);
    if (type != TYPE_STRING && type != TYPE_INT64 && type != TYPE_FLOAT64 && type != TYPE_TIMESTAMP)
        measure_fail ("%s: a column of type %s", path, type_word (type));
    if (type == TYPE_STRING) {
        self.word = data;
        self.rows = size / sizeof *self.word;
        read_words (&self, arena, words);
        return self;
    }
    self.i = data;
    self.rows = size / sizeof *self.i;
    return self;
}

void column_file_cell (const column_file_t *self, uint64_t row, column_t *to, size_t at)
{
    to->valid[at] = 1;
    if (self->type != TYPE_STRING) {
        to->i[at] = self->i[row];
        return;
    }
    if (self->word[row] >= self->words_count)
        measure_fail ("row %llu names a word that there is not", (unsigned long long)row);
    to->s[at] = self->words[self->word[row]];
}
