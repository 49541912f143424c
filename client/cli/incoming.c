#include "client/cli/incoming.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/cli/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

static void hex_of (XXH3_state_t *state, char hex[33])
{
    XXH128_hash_t hash = XXH3_128bits_digest (state);
    snprintf (hex, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
}

static status_t write_all (int fd, const uint8_t *data, size_t size, const char *path,
                           error_t *error)
{
    while (size > 0) {
        ssize_t wrote = write (fd, data, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        /* Nothing written without a reason: saying so beats trying for ever. */
        if (wrote <= 0)
            return error_set_errno (error, wrote < 0 ? errno : EIO, "%s", path);
        data += wrote;
        size -= (size_t)wrote;
    }
    return STATUS_OK;
}

static void show (const source_t *source, int64_t start)
{
    buf_t text;
    int64_t took = monotonic_ms () - start;
    buf_init (&text, 256);
    format_bytes (&text, source->bytes);
    if (source->total > 0) {
        buf_put_string (&text, " of ");
        format_bytes (&text, source->total);
    }
    buf_put_string (&text, ", ");
    format_bytes (&text, took > 0 ? source->bytes * 1000 / (uint64_t)took : 0);
    progress ("reading %s: %s/s", source->path, buf_string (&text));
    buf_release (&text);
}

/* Everything that is left of the source; `fd` -1 only hashes. */
static status_t drain (source_t *source, XXH3_state_t *state, int fd, const char *path,
                       error_t *error)
{
    int64_t start = monotonic_ms ();
    status_t status = source_fill (source, error);
    while (status == STATUS_OK && source->at < source->size) {
        const uint8_t *data = source->data + source->at;
        size_t size = source->size - source->at;
        CHECK (XXH3_128bits_update (state, data, size) == XXH_OK);
        if (fd >= 0)
            status = write_all (fd, data, size, path, error);
        source->at = source->size;
        show (source, start);
        if (status == STATUS_OK)
            status = source_fill (source, error);
    }
    return status;
}

static status_t sync_directory (const char *directory, error_t *error)
{
    int fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync (fd) == 0;
    status_t status = good ? STATUS_OK : error_set_errno (error, errno, "%s", directory);
    if (fd >= 0)
        close (fd);
    return status;
}

static status_t make_directory (const char *data, const char *directory, error_t *error)
{
    struct stat about;
    if (stat (data, &about) != 0)
        return error_set_errno (
            error, errno, "%s: files are loaded on the machine that the cluster runs on", data);
    if (mkdir (directory, 0777) != 0)
        return errno == EEXIST ? STATUS_OK : error_set_errno (error, errno, "%s", directory);
    return sync_directory (data, error); /* a load that is taken must find its copy */
}

/* What is copied is read into history after that: who fills the disk here stops what is under way.
 * A pipe's size is not known. */
static status_t check_room (const char *data, uint64_t bytes, uint64_t reserve, error_t *error)
{
    struct statvfs space;
    if (statvfs (data, &space) != 0)
        return error_set_errno (error, errno, "%s", data);
    uint64_t free = (uint64_t)space.f_bavail * space.f_frsize;
    if (free >= reserve && free - reserve >= bytes)
        return STATUS_OK;
    return error_set (
        error, STATUS_NO_SPACE,
        "the disk of %s is full: %.1f MiB free, needs %.1f MiB for the file and %.1f MiB "
        "in reserve (limits: disk_reserve); make room and load again",
        data, (double)free / (1 << 20), (double)bytes / (1 << 20), (double)reserve / (1 << 20));
}

/* A name of 32 random bits, so that what another load still reads, or is about to remove, is never
 * the same file. */
static uint32_t random_mark (void)
{
    uint32_t mark;
    CHECK (getrandom (&mark, sizeof mark, 0) == sizeof mark);
    return mark;
}

/* Locks the copy for as long as it is open, so that incoming_clean lets it be; NOT_FOUND when that
 * was faster, and it is gone. */
static status_t hold (int fd, const char *path, error_t *error)
{
    struct stat about = { .st_nlink = 0 };
    int failed;
    do {
        failed = flock (fd, LOCK_EX);
    } while (failed && errno == EINTR);
    if (failed || fstat (fd, &about) != 0)
        return error_set_errno (error, errno, "locking %s", path);
    return about.st_nlink > 0 ? STATUS_OK : error_set_errno (error, ENOENT, "%s", path);
}

static status_t open_copy (const char *temporary, int *fd, error_t *error)
{
    status_t status;
    do {
        *fd = open (temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd < 0)
            return error_set_errno (error, errno, "%s", temporary);
        interrupt_removes (temporary);
        status = hold (*fd, temporary, error);
        if (status != STATUS_OK)
            (void)close (*fd);
    } while (status == STATUS_NOT_FOUND);
    return status;
}

static status_t write_copy (source_t *source, const char *temporary, incoming_t *incoming,
                            error_t *error)
{
    status_t status = open_copy (temporary, &incoming->fd, error);
    if (status != STATUS_OK)
        return status;
    XXH3_state_t *state = XXH3_createState ();
    CHECK (state != NULL);
    CHECK (XXH3_128bits_reset (state) == XXH_OK);
    status = drain (source, state, incoming->fd, temporary, error);
    hex_of (state, incoming->id);
    XXH3_freeState (state);
    incoming->bytes = source->bytes;
    if (status == STATUS_OK && fdatasync (incoming->fd) != 0)
        status = error_set_errno (error, errno, "%s", temporary);
    if (status != STATUS_OK)
        incoming_release (incoming);
    return status;
}

status_t incoming_copy (const char *data, uint64_t reserve, source_t *source, incoming_t *incoming,
                        error_t *error)
{
    uint32_t mark = random_mark ();
    char *directory = mem_format ("%s/incoming", data);
    char *temporary = mem_format ("%s/.%08x.tmp", directory, mark);
    incoming->fd = -1;
    status_t status = make_directory (data, directory, error);
    if (status == STATUS_OK)
        status = check_room (data, source->total, reserve, error);
    if (status == STATUS_OK)
        status = write_copy (source, temporary, incoming, error);
    snprintf (incoming->path, sizeof incoming->path, "incoming/%s-%08x.%s", incoming->id, mark,
              format_word (source->format));
    char *path = mem_format ("%s/%s", data, incoming->path);
    if (status == STATUS_OK) {
        interrupt_removes (path);
        if (rename (temporary, path) != 0)
            status = error_set_errno (error, errno, "%s", path);
    }
    if (status == STATUS_OK)
        status = sync_directory (directory, error);
    if (status != STATUS_OK) {
        (void)unlink (temporary);
        (void)unlink (path);
        incoming_release (incoming);
    }
    progress_end ();
    mem_free (path);
    mem_free (temporary);
    mem_free (directory);
    return status;
}

void incoming_remove (const char *data, const incoming_t *incoming)
{
    char *path = mem_format ("%s/%s", data, incoming->path);
    (void)unlink (path);
    mem_free (path);
}

void incoming_release (incoming_t *incoming)
{
    if (incoming->fd >= 0)
        (void)close (incoming->fd); /* what has to last was synced */
    incoming->fd = -1;
}

/* ---- what killed commands left ---- */

/* ".<8 hex>.tmp", or "<32 hex>-<8 hex>.<format>", whose hash is copied; other names are not ours.
 */
static bool is_copy (const char *name, char hash[33])
{
    static const char hex[] = "0123456789abcdef";
    hash[0] = '\0';
    if (name[0] == '.')
        return strspn (name + 1, hex) == 8 && strcmp (name + 9, ".tmp") == 0;
    if (strspn (name, hex) != 32 || name[32] != '-' || strspn (name + 33, hex) != 8 ||
        (strcmp (name + 41, ".csv") != 0 && strcmp (name + 41, ".ndjson") != 0))
        return false;
    memcpy (hash, name, 32);
    hash[32] = '\0';
    return true;
}

static void clean_one (int directory, const char *name, incoming_wanted_f *wanted, void *arg)
{
    char hash[33];
    if (!is_copy (name, hash))
        return;
    int fd = openat (directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock (fd, LOCK_EX | LOCK_NB) == 0 && (hash[0] == '\0' || !wanted (arg, hash)))
        (void)unlinkat (directory, name, 0);
    (void)close (fd);
}

void incoming_clean (const char *data, incoming_wanted_f *wanted, void *arg)
{
    char *path = mem_format ("%s/incoming", data);
    DIR *directory = opendir (path);
    const struct dirent *entry;
    while (directory && (entry = readdir (directory)) != NULL)
        clean_one (dirfd (directory), entry->d_name, wanted, arg);
    if (directory)
        (void)closedir (directory);
    mem_free (path);
}

status_t content_hash (const char *path, char hex[33], error_t *error)
{
    source_t source;
    status_t status = source_open (&source, path, "csv", error); /* the format is of no matter */
    if (status != STATUS_OK)
        return status;
    XXH3_state_t *state = XXH3_createState ();
    CHECK (state != NULL);
    CHECK (XXH3_128bits_reset (state) == XXH_OK);
    status = drain (&source, state, -1, path, error);
    hex_of (state, hex);
    XXH3_freeState (state);
    source_close (&source);
    progress_end ();
    return status;
}

status_t copy_file (const char *from, const char *to, error_t *error)
{
    source_t source;
    status_t status = source_open (&source, from, "csv", error);
    if (status != STATUS_OK)
        return status;
    int fd = open (to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    status = fd >= 0 ? source_fill (&source, error) : error_set_errno (error, errno, "%s", to);
    while (status == STATUS_OK && source.at < source.size) {
        status = write_all (fd, source.data, source.size, to, error);
        source.at = source.size;
        if (status == STATUS_OK)
            status = source_fill (&source, error);
    }
    if (fd >= 0 && close (fd) != 0 && status == STATUS_OK)
        status = error_set_errno (error, errno, "%s", to);
    source_close (&source);
    return status;
}
