/* entity_log.h - a log as far as one entity of a query is concerned. */
#ifndef WEIR_SERVING_ENTITY_LOG_H
#define WEIR_SERVING_ENTITY_LOG_H

#include "serving/query.h"

enum { ENTITY_LOGS_MAX = (int)ROLES_MAX * (int)SOURCES_MAX };

typedef struct entity_log {
    const query_part_t *part;
    const char *log_name;
    uint64_t position; /* the least, where roles are at different ones: it is not complete then */
    bool complete;
    const char *reason;
} entity_log_t;

#endif
