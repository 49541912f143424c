/* fs_below.h - a directory of a filesystem as a filesystem of its own. */
#ifndef WEIR_BASE_FS_BELOW_H
#define WEIR_BASE_FS_BELOW_H

#include "base/fs.h"

/* The directory `path` of `fs` as the root: "a" is then "path/a". `fs` outlives it; the directory
 * need not be there yet. "." is all of `fs`. */
fs_t *fs_below_new (fs_t *fs, const char *path);
void fs_below_destroy (fs_t **self_p);

#endif
