/* beside.h - what stands beside a training set that the cluster made, as FILE.weir.json: of which
 * version and datasets it is (docs/training.md). */
#ifndef WEIR_CLI_BESIDE_H
#define WEIR_CLI_BESIDE_H

#include "base/status.h"
#include "base/text.h"

#include <jansson.h>
#include <stddef.h>

enum { BESIDE_DATASETS_MAX = 1024 }; /* bytes, as of any annotation */

/* What stands beside `path`; NULL: nothing, or nothing that can be read. The caller lets go of it.
 */
json_t *beside_read (const char *path);
/* Which version of that view or service it is of; 0: of none. */
uint32_t beside_version (const json_t *beside, text_t name);
/* INVALID: the file at `path` is not what was written then any more. */
MUST_CHECK status_t beside_check (const json_t *beside, const char *path, error_t *error);
/* The datasets that it was made from, "payments/user_id d12, …": those that fit. */
void beside_datasets (const json_t *beside, char *text, size_t size);

#endif
