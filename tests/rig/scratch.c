#include "tests/rig/scratch.h"

#include "base/check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS = 4, PATH_SIZE = 256, DESCRIPTORS = 16 };

void scratch_make (scratch_t *self)
{
    strcpy (self->path, "/tmp/weir-test-XXXXXX");
    CHECK (mkdtemp (self->path) != NULL);
}

static int remove_one (const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about;
    (void)type;
    (void)walk;
    return remove (path);
}

void scratch_remove (scratch_t *self)
{
    CHECK (nftw (self->path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0);
}

const char *scratch_path (const scratch_t *self, const char *name)
{
    static char paths[PATHS][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    CHECK (snprintf (path, PATH_SIZE, "%s/%s", self->path, name) < PATH_SIZE);
    return path;
}
