/* options.h - command lines: options from a table, with what was probably meant when one is not
 * known. */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include "base/status.h"

#include <stddef.h>

enum { OPTION_WORDS_MAX = 64 };

/* One option. `value` names what comes after it (NULL: it is a flag); then `text` or `flag` takes
 * what is given. A `value` that ends with "..." may be given up to OPTION_WORDS_MAX times: `text`
 * is then an array of one more, of NULLs, which is filled from its beginning. */
typedef struct option_spec {
    char letter; /* 0: none */
    const char *name;
    const char *value;
    const char *help;
    const char **text;
    bool *flag;
} option_spec_t;

/* Reads words of the form --name, --name=VALUE, --name VALUE, -n, -nVALUE and -n VALUE; the others
 * are operands, moved to the front of `words` in their order, *operands of them. "--" ends the
 * options, "-" is an operand. Flags of one letter may stand together. INVALID names the word, and
 * the option that is nearest to it. */
MUST_CHECK status_t options_parse (const option_spec_t *specs, size_t count, const char **words,
                                   size_t words_count, size_t *operands, error_t *error);

#endif
