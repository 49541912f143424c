/* author.h - how whoever works here is called in the history of definitions. */
#ifndef WEIR_CLI_AUTHOR_H
#define WEIR_CLI_AUTHOR_H

enum { AUTHOR_MAX = 255 }; /* bytes */

/* WEIR_AUTHOR, or user@host; what is no UTF-8 or control characters is left out. Information for
 * people: nothing depends on it. */
void author_name (char name[AUTHOR_MAX + 1]);

#endif
