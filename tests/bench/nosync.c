/* nosync.c - a library to be preloaded: nothing is synced to disk. What weir is compared with runs
 * under it, since weir's own files are not synced there either. */
#include <fcntl.h>
#include <unistd.h>

int fsync (int file)
{
    (void)file;
    return 0;
}

int fdatasync (int file)
{
    (void)file;
    return 0;
}

int sync_file_range (int file, off64_t from, off64_t size, unsigned flags)
{
    (void)file;
    (void)from;
    (void)size;
    (void)flags;
    return 0;
}
