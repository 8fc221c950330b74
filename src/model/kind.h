/* model/kind.h: what a record is made of, as data, so that every store backend reads and writes all
 * kinds with the same few operations (store/store.h). The kinds are in model/records.h. */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

#include <stddef.h>

#include "util/span.h"

enum field_type {
    FIELD_TEXT,   /* struct span of UTF-8; absent = NULL in the store */
    FIELD_BLOB,   /* struct span of bytes; absent = NULL */
    FIELD_SECRET, /* a BLOB that is sealed at rest (store/seal.h), bound to the names of kind and
                     field and to the key; no member of a key or an index */
    FIELD_INT,    /* int64_t */
    FIELD_ENUM,   /* int, or an enum of int's size */
};

struct field {
    const char *name; /* column */
    enum field_type type;
    size_t offset; /* in the record's struct */
};

enum { KIND_INDEX_FIELDS_MAX = 4, KIND_FIELDS_MAX = 48, KIND_INDEXES_MAX = 3 };

/* A second order to walk a kind in: by these fields, then by primary key. Not unique. */
struct kind_index {
    const char *name;
    int fields[KIND_INDEX_FIELDS_MAX]; /* positions in kind.fields */
    int n_fields;
};

struct kind {
    const char *name; /* table */
    size_t size;      /* of the record's struct */
    const struct field *fields;
    int n_fields;
    int n_key; /* the first n_key fields are the primary key, in this order; never absent */
    const struct kind_index *indexes;
    int n_indexes;
};

#endif
