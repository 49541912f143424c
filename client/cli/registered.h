/* registered.h - the definitions that the cluster has. */
#ifndef WEIR_CLI_REGISTERED_H
#define WEIR_CLI_REGISTERED_H

#include "client/cli/command.h"

typedef struct registered {
    uint64_t version;
    definitions_t *definitions; /* of views and services all versions that are not retired */
} registered_t;

/* Asks the coordinator, and reads what it says. */
MUST_CHECK status_t registered_read (call_t *call, registered_t *registered, error_t *error);
void registered_release (registered_t *registered);

/* NOT_FOUND of a view, service or stream, with the name that was probably meant. */
MUST_CHECK status_t registered_not_there (const definitions_t *definitions, const char *name,
                                          error_t *error);

#endif
