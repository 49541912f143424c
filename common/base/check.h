/* check.h - assertions that stay compiled in, and magic numbers on objects.
 *
 * CHECK tests one thing, is cheap and has no side effect. It ends the program with the place and
 * the condition: only a bug can make it fail. */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

/* Prints place and condition on stderr and aborts. */
_Noreturn void check_failed (const char *file, int line, const char *function, const char *what);

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_failed (__FILE__, __LINE__, __func__, #condition))

/* The object pointed to is alive and of the type whose magic number is given. */
#define CHECK_OBJECT(object, expected_magic)                                                       \
    CHECK ((object) != NULL && (object)->magic == (expected_magic))

#endif
