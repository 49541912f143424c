/* annotation.h - what is said of a version of a view or service: its name, and telling the cluster.
 */
#ifndef WEIR_CLI_ANNOTATION_H
#define WEIR_CLI_ANNOTATION_H

#include "client/cli/command.h"

/* One thing that is said under a name; both are borrowed. An empty value takes away what was said.
 */
typedef struct annotation {
    text_t name;
    const char *value;
} annotation_t;

/* NAME@vN as an operand has it; false after saying that it is none. */
bool call_version (const call_t *call, const char *word, text_t *name, uint32_t *version,
                   int *exit_status);

/* Keeps them with the version, and prints that, or the reply as JSON. The exit status. */
int annotate (call_t *call, const char *reference, const annotation_t *list, size_t count);

#endif
