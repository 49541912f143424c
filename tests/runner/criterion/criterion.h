/* criterion.h - what the tests use of Criterion, for builds with sanitizers: with ThreadSanitizer
 * Criterion itself cannot start ("Could not initialize inheritable arena"), and with
 * AddressSanitizer its runner is now and then found to leak, while the tests are never looked at.
 *
 * Each test runs in a child process. An assertion ends it, an expectation that does not hold lets
 * it go on and fails it in the end; the sanitizer fails it by its exit code. */
#ifndef WEIR_TESTS_RUNNER_CRITERION_H
#define WEIR_TESTS_RUNNER_CRITERION_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a test or of a suite. */
typedef struct criterion_options {
    void (*init) (void);
    void (*fini) (void);
    int signal;     /* the test must be ended by it */
    double timeout; /* seconds */
} criterion_options_t;

typedef struct criterion_test {
    const char *suite;
    const char *name; /* NULL: the options of the suite */
    void (*run) (void);
    criterion_options_t options;
    struct criterion_test *next;
} criterion_test_t;

void criterion_register (criterion_test_t *test);

/* Prints what does not hold, with the message if there is one (NULL), and ends the test if
 * `fatal`. */
void criterion_failed (const char *file, int line, bool fatal, const char *condition,
                       const char *format, ...);
void criterion_skip (const char *reason) __attribute__ ((noreturn));

#define Test(suite_, name_, ...)                                                                   \
    static void suite_##_##name_##_impl (void);                                                    \
    static criterion_test_t suite_##_##name_##_test = { .suite = #suite_,                          \
                                                        .name = #name_,                            \
                                                        .run = suite_##_##name_##_impl,            \
                                                        .options = { __VA_ARGS__ } };              \
    __attribute__ ((constructor)) static void suite_##_##name_##_register (void)                   \
    {                                                                                              \
        criterion_register (&suite_##_##name_##_test);                                             \
    }                                                                                              \
    static void suite_##_##name_##_impl (void)

#define TestSuite(suite_, ...)                                                                     \
    static criterion_test_t suite_##_suite = { .suite = #suite_, .options = { __VA_ARGS__ } };     \
    __attribute__ ((constructor)) static void suite_##_suite_register (void)                       \
    {                                                                                              \
        criterion_register (&suite_##_suite);                                                      \
    }                                                                                              \
    _Static_assert(1, "takes the semicolon")

#define CRITERION_CHECK(fatal, text, condition, ...)                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            criterion_failed (__FILE__, __LINE__, fatal, text,                                     \
                              __VA_OPT__ (__VA_ARGS__, ) (const char *) NULL);                     \
    } while (0)

#define CRITERION_COMPARE(fatal, a, relation, b, ...)                                              \
    CRITERION_CHECK (fatal, #a " " #relation " " #b, (a)relation (b), __VA_ARGS__)

#define cr_assert(c, ...)      CRITERION_CHECK (true, #c, c, __VA_ARGS__)
#define cr_assert_not(c, ...)  CRITERION_CHECK (true, "not " #c, !(c), __VA_ARGS__)
#define cr_assert_null(p, ...) CRITERION_CHECK (true, #p " is null", (p) == NULL, __VA_ARGS__)
#define cr_assert_not_null(p, ...)                                                                 \
    CRITERION_CHECK (true, #p " is not null", (p) != NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)  CRITERION_COMPARE (true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRITERION_COMPARE (true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  CRITERION_COMPARE (true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRITERION_COMPARE (true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  CRITERION_COMPARE (true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRITERION_COMPARE (true, a, >=, b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, apart, ...)                                                       \
    CRITERION_CHECK (true, #a " is about " #b, fabs ((a) - (b)) <= (apart), __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                                                \
    CRITERION_CHECK (true, #a " is the text " #b, strcmp (a, b) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                                               \
    CRITERION_CHECK (true, #a " is not the text " #b, strcmp (a, b) != 0, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)                                                                \
    CRITERION_CHECK (true, #a " is empty", (a)[0] == '\0', __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...)                                                          \
    CRITERION_CHECK (true, #a " are the bytes " #b, memcmp (a, b, size) == 0, __VA_ARGS__)
#define cr_assert_fail(...) CRITERION_CHECK (true, "this is not reached", false, __VA_ARGS__)

#define cr_expect(c, ...)      CRITERION_CHECK (false, #c, c, __VA_ARGS__)
#define cr_expect_not(c, ...)  CRITERION_CHECK (false, "not " #c, !(c), __VA_ARGS__)
#define cr_expect_null(p, ...) CRITERION_CHECK (false, #p " is null", (p) == NULL, __VA_ARGS__)
#define cr_expect_not_null(p, ...)                                                                 \
    CRITERION_CHECK (false, #p " is not null", (p) != NULL, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)  CRITERION_COMPARE (false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRITERION_COMPARE (false, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)  CRITERION_COMPARE (false, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRITERION_COMPARE (false, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)  CRITERION_COMPARE (false, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRITERION_COMPARE (false, a, >=, b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                                                \
    CRITERION_CHECK (false, #a " is the text " #b, strcmp (a, b) == 0, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...)                                                               \
    CRITERION_CHECK (false, #a " is not the text " #b, strcmp (a, b) != 0, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...)                                                          \
    CRITERION_CHECK (false, #a " are the bytes " #b, memcmp (a, b, size) == 0, __VA_ARGS__)

#define cr_skip_test(...) criterion_skip ("" __VA_ARGS__)

#endif
