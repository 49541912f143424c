#include "transport/keyring.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { KEYRING_MAGIC = 0x6b657973, PRINT_SEED = 0 };

struct keyring {
    uint32_t magic;
    key_pair_t own;
    accepted_key_t *accepted; /* in the order of keys */
    size_t count;
    const char **servers; /* into `accepted` */
    size_t servers_count;
    char *directory; /* NULL: from memory */
    char *secret_path;
    uint64_t print; /* of the files' and directories' names, sizes and times */
    error_t complaint;
};

/* ---- the accepted ---- */

static int compare (const void *a, const void *b)
{
    return strcmp (((const accepted_key_t *)a)->key, ((const accepted_key_t *)b)->key);
}

static void complain (keyring_t *self, const error_t *error)
{
    if (self->complaint.status == STATUS_OK)
        self->complaint = *error;
}

/* Sorts, and leaves out what is there twice: all of those, for who is to say which one is meant. */
static void settle (keyring_t *self)
{
    size_t kept = 0;
    error_t error;
    qsort (self->accepted, self->count, sizeof *self->accepted, compare);
    for (size_t i = 0, next; i < self->count; i = next) {
        for (next = i + 1; next < self->count; next++)
            if (compare (&self->accepted[i], &self->accepted[next]) != 0)
                break;
        if (next == i + 1) {
            self->accepted[kept++] = self->accepted[i];
            continue;
        }
        (void)error_set (
            &error, STATUS_INVALID,
            "%s.%s.pub and %s.%s.pub are the same key; neither is accepted: remove one",
            self->accepted[i].name, peer_role_word (self->accepted[i].role),
            self->accepted[i + 1].name, peer_role_word (self->accepted[i + 1].role));
        complain (self, &error);
    }
    self->count = kept;
    self->servers = mem_zero (self->count + 1, sizeof *self->servers);
    for (size_t i = 0; i < self->count; i++)
        if (self->accepted[i].role == ROLE_NODE)
            self->servers[self->servers_count++] = self->accepted[i].key;
}

/* NAME.ROLE.pub */
static status_t parse_name (const char *file, accepted_key_t *key, error_t *error)
{
    const char *end = strrchr (file, '.');
    const char *dot = end - 1;
    while (dot > file && *dot != '.')
        dot--;
    size_t size = (size_t)(dot - file);
    key->role = dot > file ? peer_role_from_word ((text_t){ dot + 1, (uint32_t)(end - dot - 1) })
                           : ROLE_NONE;
    if (key->role == ROLE_NONE || size > KEY_NAME_MAX)
        return error_set (error, STATUS_INVALID,
                          "%s: expected NAME.ROLE.pub, where the role is reader, producer, admin "
                          "or node",
                          file);
    memcpy (key->name, file, size);
    key->name[size] = '\0';
    return key_name_check (key->name, error);
}

static bool is_public_file (const char *name)
{
    size_t size = strlen (name);
    return name[0] != '.' && size > 4 && strcmp (name + size - 4, ".pub") == 0;
}

static void read_accepted (keyring_t *self, const char *directory, const char *file)
{
    error_t error;
    accepted_key_t key = { .role = ROLE_NONE };
    status_t status = parse_name (file, &key, &error);
    if (status == STATUS_OK) {
        char *path = mem_format ("%s/%s", directory, file);
        status = key_read_public (path, key.key, &error);
        mem_free (path);
    }
    if (status == STATUS_OK && self->count == KEYRING_MAX)
        status = error_set (&error, STATUS_TOO_LARGE, "%s holds more than %d keys", directory,
                            KEYRING_MAX);
    if (status == STATUS_OK)
        self->accepted[self->count++] = key;
    else
        complain (self, &error);
}

/* ---- the files ---- */

static uint64_t print_of (const char *directory, const char *file)
{
    struct {
        uint64_t name, inode, size;
        int64_t seconds, nanoseconds, changed, changed_nanoseconds;
    } about = { .name = XXH3_64bits (file, strlen (file)) };
    struct stat found;
    char *path = directory ? mem_format ("%s/%s", directory, file) : mem_string (file);
    if (stat (path, &found) == 0) {
        about.inode = found.st_ino;
        about.size = (uint64_t)found.st_size;
        about.seconds = found.st_mtim.tv_sec;
        about.nanoseconds = found.st_mtim.tv_nsec;
        about.changed = found.st_ctim.tv_sec;
        about.changed_nanoseconds = found.st_ctim.tv_nsec;
    }
    mem_free (path);
    return XXH3_64bits (&about, sizeof about);
}

/* Whoever may write there may accept himself. Told and not failed for: keys are still to be taken
 * away. */
static void check_directory (keyring_t *self, const char *path)
{
    struct stat found;
    error_t error;
    if (stat (path, &found) != 0 || (found.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return;
    (void)error_set (&error, STATUS_INVALID,
                     "others than its owner may write into %s (mode %03o), and so accept keys: "
                     "`chmod 700 %s`, and look at whose keys are in it",
                     path, (unsigned)(found.st_mode & 0777), path);
    complain (self, &error);
}

/* Does not depend on the order in which a directory lists its files. */
static status_t take_print (const char *directory, const char *secret_path, keyring_t *into,
                            uint64_t *print, error_t *error)
{
    char *accepted = mem_format ("%s/accepted", directory);
    DIR *dir = opendir (accepted);
    status_t status = STATUS_OK;
    *print = print_of (NULL, secret_path) + print_of (NULL, directory) + print_of (NULL, accepted);
    if (!dir)
        status = error_set_errno (error, errno,
                                  "cannot read the directory of accepted keys %s (`weir keygen` "
                                  "makes it)",
                                  accepted);
    if (into) {
        check_directory (into, directory);
        check_directory (into, accepted);
    }
    const struct dirent *entry;
    size_t files = 0;
    while (dir && (entry = readdir (dir)) != NULL && files <= KEYRING_MAX) {
        if (!is_public_file (entry->d_name))
            continue;
        files++;
        *print += print_of (accepted, entry->d_name);
        if (into)
            read_accepted (into, accepted, entry->d_name);
    }
    if (dir)
        closedir (dir);
    mem_free (accepted);
    return status;
}

static keyring_t *empty (void)
{
    keyring_t *self = mem_zero (1, sizeof *self);
    self->magic = KEYRING_MAGIC;
    self->accepted = mem_zero (KEYRING_MAX, sizeof *self->accepted);
    return self;
}

/* With the pair `own`, or with NULL the one in the file. */
static status_t read_all (const char *directory, const char *secret_path, const key_pair_t *own,
                          keyring_t **keyring, error_t *error)
{
    keyring_t *self = empty ();
    *keyring = NULL;
    self->directory = mem_string (directory);
    self->secret_path = mem_string (secret_path);
    /* the print first: what changes while we read is read again */
    status_t status = take_print (directory, secret_path, NULL, &self->print, error);
    uint64_t ignored;
    if (status == STATUS_OK)
        status = take_print (directory, secret_path, self, &ignored, error);
    if (status == STATUS_OK && own)
        self->own = *own;
    else if (status == STATUS_OK)
        status = key_read_pair (secret_path, &self->own, error);
    settle (self);
    if (status != STATUS_OK)
        keyring_destroy (&self);
    *keyring = self;
    return status;
}

status_t keyring_read (const char *directory, const char *secret_path, keyring_t **keyring,
                       error_t *error)
{
    return read_all (directory, secret_path, NULL, keyring, error);
}

status_t keyring_read_accepted (const char *directory, const char *secret_path,
                                const key_pair_t *own, keyring_t **keyring, error_t *error)
{
    return read_all (directory, secret_path, own, keyring, error);
}

keyring_t *keyring_of (const key_pair_t *own, const accepted_key_t *accepted, size_t count)
{
    CHECK (count <= KEYRING_MAX);
    keyring_t *self = empty ();
    self->own = *own;
    memcpy (self->accepted, accepted, count * sizeof *accepted);
    self->count = count;
    settle (self);
    return self;
}

void keyring_destroy (keyring_t **self_p)
{
    keyring_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, KEYRING_MAGIC);
    key_pair_forget (&self->own);
    mem_free (self->accepted);
    mem_free (self->servers);
    mem_free (self->directory);
    mem_free (self->secret_path);
    self->magic = 0;
    mem_free (self);
}

bool keyring_changed (const keyring_t *self)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    uint64_t print;
    error_t error;
    if (!self->directory)
        return false;
    return take_print (self->directory, self->secret_path, NULL, &print, &error) != STATUS_OK ||
           print != self->print;
}

/* ---- looking ---- */

const char *keyring_complaint (const keyring_t *self)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return self->complaint.text;
}

const key_pair_t *keyring_own (const keyring_t *self)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return &self->own;
}

static int compare_key (const void *key, const void *accepted)
{
    return strcmp (key, ((const accepted_key_t *)accepted)->key);
}

const accepted_key_t *keyring_find (const keyring_t *self, const char *key)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return bsearch (key, self->accepted, self->count, sizeof *self->accepted, compare_key);
}

const char *keyring_server (const keyring_t *self, size_t at)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return at < self->servers_count ? self->servers[at] : NULL;
}

size_t keyring_servers (const keyring_t *self)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return self->servers_count;
}

size_t keyring_count (const keyring_t *self)
{
    CHECK_OBJECT (self, KEYRING_MAGIC);
    return self->count;
}
