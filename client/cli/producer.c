#include "client/cli/producer.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 };

int64_t producer_created (const producer_t *producer)
{
    uint64_t time = 0;
    for (size_t i = 0; i < sizeof time; i++)
        time = time << 8 | producer->id[i];
    return (int64_t)time;
}

char *producer_path (const char *directory, const char *stream, const char *hash)
{
    char *below = mem_format ("%s/producers", directory);
    (void)mkdir (directory, 0777);
    (void)mkdir (below, 0777); /* what is wrong with it shows when the file is written */
    char *path = mem_format ("%s/%s-%s", below, stream, hash);
    mem_free (below);
    return path;
}

static bool parse_hex (const char *hex, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        char pair[3] = { hex[2 * i], hex[2 * i] ? hex[2 * i + 1] : '\0', '\0' };
        if (strspn (pair, "0123456789abcdef") != 2 || sscanf (pair, "%2x", &byte) != 1)
            return false;
        bytes[i] = (uint8_t)byte;
    }
    return hex[2 * size] == '\0';
}

static bool parse (const char *text, producer_t *producer)
{
    char id[2 * CLIENT_PRODUCER_SIZE + 1];
    unsigned version, done;
    *producer = (producer_t){ 0 };
    int read =
        sscanf (text,
                "weir-producer %u\nid %32s\nbatch %" SCNu32 "\nacknowledged %" SCNu64
                "\naccepted %" SCNu64 "\nrefused %" SCNu64 "\nearlier %" SCNu64 "\ndone %u\nend",
                &version, id, &producer->batch_rows, &producer->acknowledged, &producer->accepted,
                &producer->refused, &producer->earlier, &done);
    producer->done = read == 8 && done == 1;
    return read == 8 && version == 1 && done <= 1 && producer->batch_rows > 0 &&
           parse_hex (id, producer->id, sizeof producer->id) &&
           strcmp (text + strlen (text) - 4, "end\n") == 0;
}

status_t producer_read (const char *path, producer_t *producer, error_t *error)
{
    char text[FILE_MAX];
    FILE *file = fopen (path, "rbe");
    if (!file)
        return error_set_errno (error, errno, "%s", path);
    size_t size = fread (text, 1, sizeof text - 1, file);
    bool failed = ferror (file) != 0;
    (void)fclose (file);
    text[size] = '\0';
    if (failed)
        return error_set (error, STATUS_IO, "%s cannot be read", path);
    if (size < 5 || !parse (text, producer))
        return error_set (error, STATUS_CORRUPT,
                          "%s is damaged; it says how far the file was sent: remove it to send all "
                          "of it again, which counts its rows again",
                          path);
    return STATUS_OK;
}

static bool sync_parent (const char *path)
{
    char *parent = mem_string (path);
    *strrchr (parent, '/') = '\0';
    int fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free (parent);
    bool good = fd >= 0 && fsync (fd) == 0;
    if (fd >= 0)
        close (fd);
    return good;
}

status_t producer_write (const char *path, const producer_t *producer, bool sync, error_t *error)
{
    char *temporary = mem_format ("%s.tmp", path);
    int fd = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && dprintf (fd, "weir-producer 1\nid ") > 0;
    for (size_t i = 0; i < sizeof producer->id && good; i++)
        good = dprintf (fd, "%02x", producer->id[i]) > 0;
    good = good && dprintf (fd,
                            "\nbatch %" PRIu32 "\nacknowledged %" PRIu64 "\naccepted %" PRIu64
                            "\nrefused %" PRIu64 "\nearlier %" PRIu64 "\ndone %d\nend\n",
                            producer->batch_rows, producer->acknowledged, producer->accepted,
                            producer->refused, producer->earlier, producer->done) > 0;
    good = good && (!sync || fsync (fd) == 0);
    good = fd >= 0 && close (fd) == 0 && good;
    good = good && rename (temporary, path) == 0 && (!sync || sync_parent (path));
    status_t status = good ? STATUS_OK : error_set_errno (error, errno, "%s", path);
    if (!good)
        (void)unlink (temporary);
    mem_free (temporary);
    return status;
}
