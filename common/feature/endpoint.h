/* endpoint.h - what a node may listen at. */
#ifndef WEIR_FEATURE_ENDPOINT_H
#define WEIR_FEATURE_ENDPOINT_H

#include "base/status.h"
#include "base/text.h"

/* Is it an endpoint of the forms tcp://host:port and ipc://path? INVALID otherwise, saying what was
 * expected. */
MUST_CHECK status_t endpoint_check (text_t endpoint, error_t *error);

/* Can it be reached from this machine only? Of an endpoint that was checked. */
bool endpoint_is_local (text_t endpoint);

/* INVALID, saying what to do, for one that can be reached from elsewhere while connections are
 * neither authenticated nor encrypted. `is_secured`: they are, or it is wanted so. */
MUST_CHECK status_t endpoint_check_reach (text_t endpoint, bool is_secured, error_t *error);

#endif
