/* An expected failure, for tests of the platform. Wants cmocka.h and platform/platform.h first. */
#ifndef OSL_ASSERT_FAILS_H
#define OSL_ASSERT_FAILS_H

#include <string.h>

/* The call, whose struct osl_error is error_, gives this status and one line with `words`. */
#define assert_fails(call, wanted, words)                                                          \
    do {                                                                                           \
        struct osl_error error_ = {OSL_OK, ""};                                                    \
        enum osl_status status_ = (call);                                                          \
        assert_int_equal(status_, wanted);                                                         \
        assert_int_equal(error_.status, wanted);                                                   \
        if (strstr(error_.text, words) == NULL) {                                                  \
            fail_msg("no '%s' in '%s'", words, error_.text);                                       \
        }                                                                                          \
        assert_null(strchr(error_.text, '\n'));                                                    \
    } while (0)

#endif
