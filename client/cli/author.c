#include "client/cli/author.h"

#include "base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take (char name[AUTHOR_MAX + 1], const char *text)
{
    size_t size = 0;
    for (; *text != '\0' && size < AUTHOR_MAX; text++)
        if ((unsigned char)*text >= ' ' && *text != 0x7f)
            name[size++] = *text;
    name[size] = '\0';
    while (size > 0 && !text_is_utf8 (text_of (name)))
        name[--size] = '\0';
}

void author_name (char name[AUTHOR_MAX + 1])
{
    const char *given = getenv ("WEIR_AUTHOR");
    if (given != NULL && given[0] != '\0') {
        take (name, given);
        return;
    }
    char host[128] = "", both[AUTHOR_MAX + 1];
    const struct passwd *user = getpwuid (geteuid ());
    if (gethostname (host, sizeof host - 1) != 0)
        host[0] = '\0';
    (void)snprintf (both, sizeof both, "%.100s@%.120s", user != NULL ? user->pw_name : "?", host);
    take (name, both);
}
