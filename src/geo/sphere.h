/* geo/sphere.h: how far two places on earth are from each other, as the crow flies, on a ball of
 * the earth's mean radius: half a percent wrong at most, which is nothing beside what a network
 * makes of it.
 *
 * A place that is compared often is kept as a vector: then the nearest of many costs three
 * multiplications each, in whole numbers. */
#ifndef GEO_SPHERE_H
#define GEO_SPHERE_H

#include <stdbool.h>
#include <stdint.h>

/* Millionths of a degree. */
struct geo_point {
    int32_t latitude_udeg, longitude_udeg;
};

enum { GEO_LATITUDE_MAX_UDEG = 90 * 1000000, GEO_LONGITUDE_MAX_UDEG = 180 * 1000000 };

static inline bool geo_point_is_valid(int64_t latitude_udeg, int64_t longitude_udeg)
{
    return latitude_udeg >= -GEO_LATITUDE_MAX_UDEG && latitude_udeg <= GEO_LATITUDE_MAX_UDEG &&
           longitude_udeg >= -GEO_LONGITUDE_MAX_UDEG && longitude_udeg <= GEO_LONGITUDE_MAX_UDEG;
}

/* From the earth's middle; its length is 2^30. */
struct geo_vector {
    int32_t x, y, z;
};
struct geo_vector geo_vector_of(struct geo_point p);

/* The square of the straight way through the ground: orders distances, and fits, as it is at most
 * some 2^62. */
static inline int64_t geo_chord2(const struct geo_vector *a, const struct geo_vector *b)
{
    int64_t x = (int64_t)a->x - b->x;
    int64_t y = (int64_t)a->y - b->y;
    int64_t z = (int64_t)a->z - b->z;

    return x * x + y * y + z * z;
}

/* Along the ground. */
double geo_km(int64_t chord2);
/* The chord of a way that is so many kilometres longer; INT64_MAX beyond the other side. */
int64_t geo_chord2_plus_km(int64_t chord2, int km);

#endif
