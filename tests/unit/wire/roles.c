/* roles.c - who may send which kind. */
#include "wire/wire.h"

#include <criterion/criterion.h>

TestSuite (roles);

Test (roles, nobody_without_a_role_may_send_anything)
{
    for (message_kind_t kind = MESSAGE_NONE; kind < MESSAGE_KINDS; kind++) {
        cr_expect_not (message_allowed (kind, ROLE_NONE), "%s", message_word (kind));
        cr_expect_eq (message_allowed (kind, ROLE_OPEN), message_is_request (kind));
    }
}

/* Clients never say what nodes say to each other, and an admin does whatever other clients do. */
Test (roles, each_kind_is_of_nodes_or_of_clients)
{
    for (message_kind_t kind = MESSAGE_NONE; kind < MESSAGE_KINDS; kind++) {
        if (!message_is_request (kind))
            continue;
        bool node = message_allowed (kind, ROLE_NODE), admin = message_allowed (kind, ROLE_ADMIN);
        bool reader = message_allowed (kind, ROLE_READER);
        bool producer = message_allowed (kind, ROLE_PRODUCER);
        cr_expect (node || admin, "%s is nobody's", message_word (kind));
        cr_expect (admin || (!reader && !producer), "%s", message_word (kind));
        cr_expect (!node || !admin || (reader && producer), "%s", message_word (kind));
    }
}

Test (roles, what_changes_something_is_not_for_readers)
{
    static const message_kind_t changes[] = { MESSAGE_SEND,   MESSAGE_APPLY,  MESSAGE_DELETE,
                                              MESSAGE_LOAD,   MESSAGE_UNLOAD, MESSAGE_RECOMPUTE,
                                              MESSAGE_APPEND, MESSAGE_BEAT,   MESSAGE_FIT };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        cr_expect_not (message_allowed (changes[i], ROLE_READER));
        if (changes[i] != MESSAGE_SEND)
            cr_expect_not (message_allowed (changes[i], ROLE_PRODUCER));
    }
    cr_expect (message_allowed (MESSAGE_SEND, ROLE_PRODUCER));
    cr_expect_not (message_allowed (MESSAGE_GET, ROLE_PRODUCER));
    cr_expect (message_allowed (MESSAGE_GET, ROLE_READER));
}

Test (roles, words_are_read_back)
{
    for (unsigned role = ROLE_NONE + 1; role < ROLE_OPEN; role++)
        cr_expect_eq (peer_role_from_word (text_of (peer_role_word ((peer_role_t)role))), role);
    cr_expect_eq (peer_role_from_word (text_of ("none")), ROLE_NONE);
    cr_expect_eq (peer_role_from_word (text_of ("open")), ROLE_NONE);
    cr_expect_eq (peer_role_from_word (text_of ("Admin")), ROLE_NONE);
}
