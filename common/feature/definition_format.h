/* definition_format.h - the canonical YAML of one definition: a whole file that reads back to the
 * same meaning and formats to the same bytes. Versions are outside of it. */
#ifndef WEIR_FEATURE_DEFINITION_FORMAT_H
#define WEIR_FEATURE_DEFINITION_FORMAT_H

#include "feature/feature_text.h"

/* One entry of `features:`, windows not yet spelled out. */
typedef struct feature_group {
    const char *name;
    about_t about;
    feature_text_t text;
} feature_group_t;

void stream_format (const stream_t *stream, buf_t *out);

/* The view's features come from the groups; its derived ones and requests are its own. */
void view_format (const view_t *view, const feature_group_t *const *groups, size_t count,
                  buf_t *out);

/* With the versions of views that its roles name. */
void service_format (const service_t *service, buf_t *out);
/* Of that, `preprocess:` with its numbers, but not what these were fitted to; nothing when the
 * service has none. */
void service_format_preprocess (const service_t *service, buf_t *out);

#endif
