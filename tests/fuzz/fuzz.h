/* tests/fuzz/fuzz.h: what every fuzz target has. A property that does not hold is an abort, which
 * libFuzzer and the test runner both see. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(holds)                                                                          \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
