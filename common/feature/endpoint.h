/* endpoint.h - what a node may listen at. */
#ifndef WEIR_FEATURE_ENDPOINT_H
#define WEIR_FEATURE_ENDPOINT_H

#include "base/status.h"
#include "base/text.h"

/* tcp://host:port on a loopback address, or ipc://path. INVALID with a sentence when it is neither;
 * UNSUPPORTED for tcp on any other address, since this version neither authenticates nor encrypts.
 */
MUST_CHECK status_t endpoint_check (text_t endpoint, error_t *error);

#endif
