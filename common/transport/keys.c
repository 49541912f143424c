#include "transport/keys.h"

#include "base/check.h"
#include "base/mem.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { FILE_MAX = 4096, KEY_SIZE = 32 };

void key_pair_forget (key_pair_t *pair)
{
    explicit_bzero (pair, sizeof *pair);
}

status_t key_name_check (const char *name, error_t *error)
{
    size_t size = strlen (name);
    bool good = size > 0 && size <= KEY_NAME_MAX;
    for (size_t i = 0; i < size && good; i++)
        good = isascii (name[i]) && (isalnum ((unsigned char)name[i]) || strchr ("-_", name[i]));
    return good ? STATUS_OK
                : error_set (error, STATUS_INVALID,
                             "\"%s\" is no name for a key: expected 1 to %d letters, digits, "
                             "\"-\" and \"_\"",
                             name, KEY_NAME_MAX);
}

/* ---- reading ---- */

/* The file's text and its mode. */
static status_t read_file (const char *path, char text[FILE_MAX], mode_t *mode, error_t *error)
{
    struct stat about;
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno (error, errno, "cannot read the key %s", path);
    ssize_t got = -1;
    if (fstat (fd, &about) == 0 && S_ISREG (about.st_mode))
        got = read (fd, text, FILE_MAX - 1);
    close (fd);
    if (got < 0)
        return error_set (error, STATUS_INVALID, "the key %s is no file that can be read", path);
    text[got] = '\0';
    *mode = about.st_mode;
    return STATUS_OK;
}

/* The quoted value of a line `name = "value"`; a key of Z85. */
static bool read_key (const char *text, const char *name, char key[KEY_TEXT_SIZE + 1])
{
    uint8_t bytes[KEY_SIZE];
    size_t size = strlen (name);
    for (const char *line = text; *line; line += strcspn (line, "\n"), line += *line == '\n') {
        const char *at = line + strspn (line, " \t");
        if (strncmp (at, name, size) != 0)
            continue;
        at += size;
        at += strspn (at, " \t");
        if (*at++ != '=')
            continue;
        at += strspn (at, " \t");
        if (*at++ != '"' || strcspn (at, "\"\n") != KEY_TEXT_SIZE || at[KEY_TEXT_SIZE] != '"')
            return false;
        memcpy (key, at, KEY_TEXT_SIZE);
        key[KEY_TEXT_SIZE] = '\0';
        bool good = zmq_z85_decode (bytes, key) != NULL;
        explicit_bzero (bytes, sizeof bytes);
        return good;
    }
    return false;
}

status_t key_read_public (const char *path, char key[KEY_TEXT_SIZE + 1], error_t *error)
{
    char text[FILE_MAX];
    mode_t mode;
    status_t status = read_file (path, text, &mode, error);
    if (status == STATUS_OK && (mode & (S_IWGRP | S_IWOTH)) != 0)
        status = error_set (
            error, STATUS_INVALID,
            "others than its owner may write to the accepted key %s (mode %03o): `chmod 644 "
            "%s`, and look whether it is still the key that it was",
            path, (unsigned)(mode & 0777), path);
    if (status == STATUS_OK && !read_key (text, "public-key", key))
        status = error_set (error, STATUS_INVALID,
                            "%s has no line public-key = \"...\" with a key of %d characters; "
                            "`weir keygen` writes such files",
                            path, KEY_TEXT_SIZE);
    explicit_bzero (text, sizeof text);
    return status;
}

static status_t check_pair (const char *path, const char *text, mode_t mode, key_pair_t *pair,
                            error_t *error)
{
    char derived[KEY_TEXT_SIZE + 1];
    if ((mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set (error, STATUS_INVALID,
                          "others than its owner may use the secret key %s (mode %03o): "
                          "`chmod 600 %s`, and if they may have read it, make a new one with "
                          "`weir keygen`",
                          path, (unsigned)(mode & 0777), path);
    if (!read_key (text, "secret-key", pair->secret) ||
        !read_key (text, "public-key", pair->public))
        return error_set (error, STATUS_INVALID,
                          "%s has no lines public-key = \"...\" and secret-key = \"...\" with keys "
                          "of %d characters; `weir keygen` writes such files",
                          path, KEY_TEXT_SIZE);
    if (zmq_curve_public (derived, pair->secret) != 0 || strcmp (derived, pair->public) != 0)
        return error_set (error, STATUS_INVALID,
                          "the two keys in %s do not belong together; `weir keygen` makes new ones",
                          path);
    return STATUS_OK;
}

status_t key_read_pair (const char *path, key_pair_t *pair, error_t *error)
{
    char text[FILE_MAX];
    mode_t mode;
    *pair = (key_pair_t){ .public = "" };
    status_t status = read_file (path, text, &mode, error);
    if (status == STATUS_OK)
        status = check_pair (path, text, mode, pair, error);
    if (status != STATUS_OK)
        key_pair_forget (pair);
    explicit_bzero (text, sizeof text);
    return status;
}

/* ---- making ---- */

static status_t sync_dir (const char *path, error_t *error)
{
    int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 && fsync (fd) == 0 ? 0 : errno;
    if (fd >= 0)
        close (fd);
    return code == 0 ? STATUS_OK : error_set_errno (error, code, "cannot write %s", path);
}

/* Its name is on disk when this returns. */
static status_t make_dir (const char *path, error_t *error)
{
    if (mkdir (path, 0700) != 0)
        return errno == EEXIST
                   ? STATUS_OK
                   : error_set_errno (error, errno, "cannot make the directory %s", path);
    size_t size = strlen (path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    char *above = size > 0 ? mem_string_n (path, size) : mem_string (".");
    status_t status = sync_dir (above, error);
    mem_free (above);
    return status;
}

static status_t write_new (const char *path, const char *text, mode_t mode, error_t *error)
{
    int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return error_set (error, STATUS_EXISTS,
                          "%s is there already, and no key is written over: choose another name, "
                          "or take it away first",
                          path);
    if (fd < 0)
        return error_set_errno (error, errno, "cannot write %s", path);
    bool good = fchmod (fd, mode) == 0 && write (fd, text, strlen (text)) == (ssize_t)strlen (text);
    good = good && fsync (fd) == 0;
    int code = errno;
    close (fd);
    if (!good)
        (void)unlink (path);
    return good ? STATUS_OK : error_set_errno (error, code, "cannot write %s", path);
}

static status_t write_pair (const char *secret_path, const char *public_path, const char *name,
                            peer_role_t role, const key_pair_t *pair, error_t *error)
{
    char *public = mem_format ("#   Public key of %s (%s): for others, who accept or trust it.\n"
                               "metadata\ncurve\n    public-key = \"%s\"\n",
                               name, peer_role_word (role), pair->public);
    char *secret =
        mem_format ("#   Secret key of %s (%s): for nobody else.\n"
                    "metadata\ncurve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
                    name, peer_role_word (role), pair->public, pair->secret);
    status_t status = write_new (secret_path, secret, 0600, error);
    if (status == STATUS_OK) {
        status = write_new (public_path, public, 0644, error);
        if (status != STATUS_OK)
            (void)unlink (secret_path); /* ours: it was made just now */
    }
    explicit_bzero (secret, strlen (secret));
    mem_free (secret);
    mem_free (public);
    return status;
}

status_t key_generate (const char *directory, const char *name, peer_role_t role, error_t *error)
{
    key_pair_t pair;
    CHECK (role > ROLE_NONE && role < ROLE_OPEN);
    status_t status = key_name_check (name, error);
    if (status != STATUS_OK)
        return status;
    char *accepted = mem_format ("%s/accepted", directory);
    char *secret_path = mem_format ("%s/%s.secret", directory, name);
    char *public_path = mem_format ("%s/%s.%s.pub", accepted, name, peer_role_word (role));
    status = make_dir (directory, error);
    if (status == STATUS_OK)
        status = make_dir (accepted, error);
    if (status == STATUS_OK && zmq_curve_keypair (pair.public, pair.secret) != 0)
        status = error_set (error, STATUS_UNSUPPORTED,
                            "this build of libzmq has no CURVE: install one with libsodium");
    if (status == STATUS_OK)
        status = write_pair (secret_path, public_path, name, role, &pair, error);
    if (status == STATUS_OK) /* on disk before we say that it is there */
        status = sync_dir (accepted, error);
    if (status == STATUS_OK)
        status = sync_dir (directory, error);
    key_pair_forget (&pair);
    mem_free (public_path);
    mem_free (secret_path);
    mem_free (accepted);
    return status;
}
