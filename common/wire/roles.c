#include "wire/roles.h"

#include "base/check.h"
#include "wire/wire.h"

static const char *const role_words[ROLE_COUNT] = {
    [ROLE_NONE] = "none",
#define X(name, word) [ROLE_##name] = word,
    ROLE_TABLE (X)
#undef X
        [ROLE_OPEN] = "open",
};

static const struct {
    unsigned roles;
    const char *words;
} sets[] = {
#define X(name, roles, words) [ACCESS_##name] = { roles, words },
    ACCESS_TABLE (X)
#undef X
};

const char *peer_role_word (peer_role_t role)
{
    CHECK ((unsigned)role < ROLE_COUNT);
    return role_words[role];
}

const char *access_words (access_t access)
{
    CHECK ((unsigned)access < sizeof sets / sizeof *sets);
    return sets[access].words;
}

peer_role_t peer_role_from_word (text_t word)
{
    for (unsigned role = ROLE_NONE + 1; role < ROLE_OPEN; role++)
        if (text_is (word, role_words[role]))
            return (peer_role_t)role;
    return ROLE_NONE;
}

bool access_allows (access_t access, peer_role_t role)
{
    CHECK ((unsigned)access < sizeof sets / sizeof *sets);
    CHECK ((unsigned)role < ROLE_COUNT);
    return role == ROLE_OPEN || (sets[access].roles & 1u << role) != 0;
}

access_t message_access (message_kind_t request)
{
    switch (request) {
#define X(name, word, access)                                                                      \
    case MESSAGE_##name:                                                                           \
        return ACCESS_##access;
        MESSAGE_TABLE (X)
#undef X
    default:
        check_failed (__FILE__, __LINE__, __func__, "request kind");
    }
}

bool message_allowed (message_kind_t kind, peer_role_t role)
{
    return message_is_request (kind) && access_allows (message_access (kind), role);
}
