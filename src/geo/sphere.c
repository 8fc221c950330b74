/* geo/sphere.c: angles to vectors, and back. */
#include "geo/sphere.h"

#include <math.h>

static const double RADIUS_KM = 6371.0088; /* mean radius, IUGG */
static const double UNIT = 1 << 30;
static const double PI = 3.14159265358979323846;

static double radians(int32_t udeg)
{
    return udeg * (PI / (180.0 * 1e6));
}

struct geo_vector geo_vector_of(struct geo_point p)
{
    double latitude = radians(p.latitude_udeg);
    double longitude = radians(p.longitude_udeg);

    return (struct geo_vector){
        .x = (int32_t)lrint(UNIT * cos(latitude) * cos(longitude)),
        .y = (int32_t)lrint(UNIT * cos(latitude) * sin(longitude)),
        .z = (int32_t)lrint(UNIT * sin(latitude)),
    };
}

/* Seen from the earth's middle: 0 to PI. */
static double angle(int64_t chord2)
{
    double half = sqrt((double)chord2) / (2 * UNIT);

    return 2 * asin(half < 1 ? half : 1);
}

double geo_km(int64_t chord2)
{
    return RADIUS_KM * angle(chord2);
}

int64_t geo_chord2_plus_km(int64_t chord2, int km)
{
    double wider = angle(chord2) + km / RADIUS_KM;
    double chord = 2 * UNIT * sin(wider / 2);

    return wider < PI ? (int64_t)(chord * chord) : INT64_MAX;
}
