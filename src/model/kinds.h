/* model/kinds.h: all kinds of model/records.h, for code that treats every kind alike. */
#ifndef MODEL_KINDS_H
#define MODEL_KINDS_H

#include "model/kind.h"

enum { MODEL_KINDS_N = 23 };

extern const struct kind *const MODEL_KINDS[MODEL_KINDS_N];

#endif
