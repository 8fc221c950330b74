/* tests/fuzz/replay.c: runs a fuzz target once with each file of the folders or files named: the
 * corpus as a test, and a crashing input in a debugger. Fails when there was nothing to run. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { PATH_ROOM = 4096 };

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;
    size_t cap = 0;

    if (file == NULL) {
        perror(path);
        return 0;
    }
    for (;;) {
        if (size == cap) {
            uint8_t *more = realloc(data, cap = cap == 0 ? 4096 : cap * 2);
            if (more == NULL) {
                abort();
            }
            data = more;
        }
        size_t n = fread(data + size, 1, cap - size, file);
        if (n == 0) {
            break;
        }
        size += n;
    }
    (void)fclose(file);
    /* An exact copy, so that a sanitizer sees a read past the end. */
    uint8_t *input = malloc(size > 0 ? size : 1);
    if (input == NULL) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        input[i] = data[i];
    }
    free(data);
    (void)LLVMFuzzerTestOneInput(input, size);
    free(input);
    return 1;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (folder == NULL) {
        perror(path);
        return 0;
    }
    while ((entry = readdir(folder)) != NULL) {
        char file[PATH_ROOM];

        if (entry->d_name[0] != '.' &&
            snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) < (int)sizeof(file)) {
            n += run_file(file);
        }
    }
    (void)closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;

    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat info;

        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            n += run_folder(argv[i]);
        } else {
            n += run_file(argv[i]);
        }
    }
    (void)printf("%d inputs\n", n);
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
