/* geo/geo.c: the only file that calls libmaxminddb. The library maps its file, and a mapped file
 * that is cut off by whoever writes a newer one over it ends the process: so it is given a copy in
 * memory, which is nobody else's. */
#include "geo/geo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <maxminddb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model/limits.h"

struct geo {
    pthread_rwlock_t lock; /* of db: held for reading while it is asked */
    MMDB_s db;
    bool is_open;
    char path[];
};

static void auto_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static err fault(enum err_code code, const char *path, const char *why)
{
    return err_set(code, "geo-database %s: %s", path, why);
}

/* ---- taking the file ---- */

/* All of `from` to `to`, but no more than may be. */
static err copy(const char *path, int from, int to)
{
    size_t copied = 0;
    ssize_t n;

    do {
        n = sendfile(to, from, NULL, LIMIT_GEO_DATABASE + (size_t)1 - copied);
        if (n < 0 && errno != EINTR) {
            return fault(ERR_IO, path, strerror(errno));
        }
        copied += n > 0 ? (size_t)n : 0;
    } while (n != 0 && copied <= LIMIT_GEO_DATABASE);
    return copied <= LIMIT_GEO_DATABASE ? OK : fault(ERR_TOO_LARGE, path, "it is too large.");
}

static err open_copy(const char *path, MMDB_s *ret_db)
{
    AUTO(fd) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    AUTO(fd) int memory = -1;
    struct stat status;
    char copied[32];
    int code;

    if (file < 0 || fstat(file, &status) != 0) {
        return fault(ERR_IO, path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return fault(ERR_IO, path, "it is no file.");
    }
    memory = memfd_create("geo-database", MFD_CLOEXEC);
    if (memory < 0) {
        return fault(ERR_IO, path, strerror(errno));
    }
    TRY(copy(path, file, memory));
    (void)snprintf(copied, sizeof copied, "/proc/self/fd/%d", memory);
    code = MMDB_open(copied, MMDB_MODE_MMAP, ret_db);
    return code == MMDB_SUCCESS ? OK : fault(ERR_MALFORMED, path, MMDB_strerror(code));
}

/* ---- opening, closing, reloading ---- */

err geo_open(const char *path, struct geo **ret_geo)
{
    AUTO(geo) struct geo *g = calloc(1, sizeof *g + strlen(path) + 1);

    if (g == NULL) {
        return ERR(NOMEM);
    }
    memcpy(g->path, path, strlen(path));
    (void)pthread_rwlock_init(&g->lock, NULL);
    TRY(open_copy(path, &g->db));
    g->is_open = true;
    *ret_geo = g;
    g = NULL;
    return OK;
}

void geo_close(struct geo *g)
{
    if (g == NULL) {
        return;
    }
    if (g->is_open) {
        MMDB_close(&g->db);
    }
    (void)pthread_rwlock_destroy(&g->lock);
    free(g);
}

err geo_reload(struct geo *g)
{
    MMDB_s db, was;

    if (g == NULL) {
        return OK;
    }
    TRY(open_copy(g->path, &db));
    (void)pthread_rwlock_wrlock(&g->lock);
    was = g->db;
    g->db = db;
    (void)pthread_rwlock_unlock(&g->lock);
    MMDB_close(&was);
    return OK;
}

void geo_title(struct geo *g, char ret_title[GEO_TITLE_MAX])
{
    char day[16] = "";
    time_t built;
    struct tm t;

    (void)pthread_rwlock_rdlock(&g->lock);
    built = (time_t)g->db.metadata.build_epoch;
    if (gmtime_r(&built, &t) != NULL) {
        (void)strftime(day, sizeof day, "%Y-%m-%d", &t);
    }
    (void)snprintf(ret_title, GEO_TITLE_MAX, "%.64s, %s", g->db.metadata.database_type, day);
    (void)pthread_rwlock_unlock(&g->lock);
}

/* ---- finding ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* An IPv4 address in IPv6's clothes is looked up as what it is. */
static void unmap(union address *a)
{
    struct in6_addr v6 = a->v6.sin6_addr;

    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        *a = (union address){ .v4 = { .sin_family = AF_INET } };
        memcpy(&a->v4.sin_addr, v6.s6_addr + 12, sizeof a->v4.sin_addr);
    }
}

static bool parse(struct span text, union address *ret_address)
{
    union address a = { .v6 = { .sin6_family = AF_INET6 } };
    char host[INET6_ADDRSTRLEN];
    bool is_bracketed = text.len > 0 && text.data[0] == '[';
    size_t colon = span_find(text, ':');
    bool has_port =
        colon < text.len && span_find(span_from(text, colon + 1), ':') == text.len - colon - 1;
    size_t end = is_bracketed ? span_find(text, ']') : has_port ? colon : text.len;
    size_t begin = is_bracketed ? 1 : 0;

    if (text.len == 0 || end - begin >= sizeof host) {
        return false;
    }
    memcpy(host, text.data + begin, end - begin);
    host[end - begin] = '\0';
    if (inet_pton(AF_INET6, host, &a.v6.sin6_addr) == 1) {
        unmap(&a);
    } else {
        a = (union address){ .v4 = { .sin_family = AF_INET } };
        if (inet_pton(AF_INET, host, &a.v4.sin_addr) != 1) {
            return false;
        }
    }
    *ret_address = a;
    return true;
}

/* "location": {`name`: a number}, in millionths; false: it has none. */
static bool read_udeg(MMDB_entry_s *entry, const char *name, int64_t *ret_udeg)
{
    const char *const path[] = { "location", name, NULL };
    MMDB_entry_data_s data;
    double degrees;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data) {
        return false;
    }
    if (data.type != MMDB_DATA_TYPE_DOUBLE && data.type != MMDB_DATA_TYPE_FLOAT) {
        return false;
    }
    degrees = data.type == MMDB_DATA_TYPE_DOUBLE ? data.double_value : data.float_value;
    if (!(fabs(degrees) <= 360)) { /* nor is NaN */
        return false;
    }
    *ret_udeg = llrint(degrees * 1e6);
    return true;
}

static bool look_up(const MMDB_s *db, const struct sockaddr *address, struct geo_point *ret_point)
{
    int code;
    MMDB_lookup_result_s r = MMDB_lookup_sockaddr(db, address, &code);
    int64_t latitude, longitude;

    if (code != MMDB_SUCCESS || !r.found_entry || !read_udeg(&r.entry, "latitude", &latitude) ||
        !read_udeg(&r.entry, "longitude", &longitude) || !geo_point_is_valid(latitude, longitude)) {
        return false;
    }
    *ret_point = (struct geo_point){ (int32_t)latitude, (int32_t)longitude };
    return true;
}

bool geo_find(struct geo *g, struct span address, struct geo_point *ret_point)
{
    union address a;
    bool is_found;

    if (g == NULL || !parse(address, &a)) {
        return false;
    }
    (void)pthread_rwlock_rdlock(&g->lock);
    is_found = look_up(&g->db, &a.any, ret_point);
    (void)pthread_rwlock_unlock(&g->lock);
    return is_found;
}
