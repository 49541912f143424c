#include "serving/http/tokens.h"

#include "base/check.h"
#include "base/mem.h"
#include "serving/http/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 512 << 10 /* bytes */ };

typedef struct token {
    peer_role_t role;
    char text[HTTP_TOKEN_MAX + 1]; /* 0 behind its end: all are compared as a whole */
} token_t;

struct tokens {
    token_t *items;
    size_t count;
    char *path; /* NULL: of no file */
    struct stat as_read;
};

/* ---- lines ---- */

static text_t trimmed (text_t line)
{
    while (line.size > 0 && strchr (" \t\r", line.data[line.size - 1]) != NULL)
        line.size--;
    while (line.size > 0 && (*line.data == ' ' || *line.data == '\t')) {
        line.data++;
        line.size--;
    }
    return line;
}

static bool is_visible (text_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

static bool has (const tokens_t *self, text_t text)
{
    for (size_t i = 0; i < self->count; i++)
        if (text_is (text, self->items[i].text))
            return true;
    return false;
}

/* A message never has a token in it: it goes to the log. */
static status_t take_line (tokens_t *self, text_t line, size_t number, error_t *error)
{
    uint32_t word = 0;
    while (word < line.size && line.data[word] != ' ' && line.data[word] != '\t')
        word++;
    peer_role_t role = peer_role_from_word ((text_t){ line.data, word });
    text_t text = trimmed ((text_t){ line.data + word, line.size - word });
    if (role == ROLE_NONE || role == ROLE_NODE)
        return error_set (error, STATUS_INVALID,
                          "line %zu is not `ROLE TOKEN`, with the role reader, producer or admin",
                          number);
    if (text.size < HTTP_TOKEN_MIN || text.size > HTTP_TOKEN_MAX || !is_visible (text))
        return error_set (error, STATUS_INVALID,
                          "the token of line %zu is not %d to %d visible ASCII characters without "
                          "blanks (`openssl rand -hex 32` makes a good one)",
                          number, HTTP_TOKEN_MIN, HTTP_TOKEN_MAX);
    if (has (self, text))
        return error_set (error, STATUS_INVALID, "the token of line %zu is there twice", number);
    if (self->count == HTTP_TOKENS_MAX)
        return error_set (error, STATUS_INVALID, "there are more than %d tokens", HTTP_TOKENS_MAX);
    token_t *token = &self->items[self->count++];
    token->role = role;
    memcpy (token->text, text.data, text.size);
    return STATUS_OK;
}

status_t tokens_parse (text_t text, tokens_t **tokens, error_t *error)
{
    tokens_t *self = mem_zero (1, sizeof *self);
    status_t status = STATUS_OK;
    self->items = mem_zero (HTTP_TOKENS_MAX, sizeof *self->items);
    *tokens = NULL;
    for (size_t number = 1; text.size > 0 && status == STATUS_OK; number++) {
        const char *end = memchr (text.data, '\n', text.size);
        uint32_t size = end ? (uint32_t)(end - text.data) : text.size;
        text_t line = trimmed ((text_t){ text.data, size });
        if (line.size > 0 && line.data[0] != '#')
            status = take_line (self, line, number, error);
        size += end != NULL;
        text = (text_t){ text.data + size, text.size - size };
    }
    if (status != STATUS_OK)
        tokens_destroy (&self);
    *tokens = self;
    return status;
}

void tokens_destroy (tokens_t **self_p)
{
    tokens_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    sodium_memzero (self->items, HTTP_TOKENS_MAX * sizeof *self->items);
    mem_free (self->items);
    mem_free (self->path);
    mem_free (self);
}

size_t tokens_count (const tokens_t *self)
{
    return self->count;
}

/* ---- the file ---- */

static status_t read_all (int fd, const char *path, char *bytes, size_t *size, error_t *error)
{
    *size = 0;
    for (;;) {
        ssize_t got = read (fd, bytes + *size, FILE_MAX + 1 - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno (error, errno, "%s", path);
        if (got == 0)
            return STATUS_OK;
        *size += (size_t)got;
        if (*size > FILE_MAX)
            return error_set (error, STATUS_INVALID, "%s is over %d bytes", path, FILE_MAX);
    }
}

static status_t read_open (int fd, const char *path, tokens_t **tokens, error_t *error)
{
    struct stat stat;
    size_t size;
    if (fstat (fd, &stat) != 0)
        return error_set_errno (error, errno, "%s", path);
    if (!S_ISREG (stat.st_mode) || (stat.st_mode & 077) != 0)
        return error_set (error, STATUS_INVALID,
                          "%s holds tokens and others than its owner can read or write it: `chmod "
                          "600` it",
                          path);
    char *bytes = mem_alloc (FILE_MAX + 1);
    status_t status = read_all (fd, path, bytes, &size, error);
    if (status == STATUS_OK &&
        tokens_parse ((text_t){ bytes, (uint32_t)size }, tokens, error) != STATUS_OK)
        status = error_prefix (error, "%s", path);
    sodium_memzero (bytes, FILE_MAX + 1);
    mem_free (bytes);
    if (status == STATUS_OK) {
        (*tokens)->path = mem_string (path);
        (*tokens)->as_read = stat;
    }
    return status;
}

status_t tokens_read (const char *path, tokens_t **tokens, error_t *error)
{
    *tokens = NULL;
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno (error, errno, "%s", path);
    status_t status = read_open (fd, path, tokens, error);
    close (fd);
    return status;
}

bool tokens_changed (const tokens_t *self)
{
    struct stat now;
    const struct stat *then = &self->as_read;
    if (!self->path)
        return false;
    if (stat (self->path, &now) != 0)
        return true;
    return now.st_ino != then->st_ino || now.st_dev != then->st_dev ||
           now.st_size != then->st_size || now.st_mode != then->st_mode ||
           now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec ||
           now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

/* ---- who it is ---- */

peer_role_t tokens_role (const tokens_t *self, const char *authorization)
{
    char given[HTTP_TOKEN_MAX + 1] = { 0 };
    unsigned role = ROLE_NONE;
    if (!authorization || strncasecmp (authorization, "Bearer ", 7) != 0)
        return ROLE_NONE;
    text_t text = trimmed (text_of (authorization + 7));
    if (text.size < HTTP_TOKEN_MIN || text.size > HTTP_TOKEN_MAX)
        return ROLE_NONE;
    memcpy (given, text.data, text.size);
    /* all of every token is looked at; at most one is it */
    for (size_t i = 0; i < self->count; i++) {
        unsigned same = (unsigned)(sodium_memcmp (given, self->items[i].text, sizeof given) == 0);
        role |= (0u - same) & (unsigned)self->items[i].role;
    }
    return (peer_role_t)role;
}
