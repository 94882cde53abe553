/* Stands between a process and what it does to the files of one folder (LD_PRELOAD), and writes each step into a
 * journal, in the order in which they were done: what a disk was told, and when it was told to keep it.
 *
 * DISK_FOLDER   the folder; a step to what lies in deeper ones is not looked at, nor to shared memory (-shm)
 * DISK_JOURNAL  the journal, which lies elsewhere
 * DISK_FAULT    if given, KINDS:N:ERROR: the N-th step of these kinds (a sum of 1 << kind) is not done, and fails with this error
 *
 * A file that is reached in another way than by these functions lacks steps in the journal: who reads it compares its end
 * with the files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATED = 1, WROTE, CUT, SYNCED, REMOVED, RENAMED, FAILED };

/* As disk/journal.rs reads it: then come the name and the bytes. An empty name is the folder's own. */
struct head {
    uint8_t kind;
    uint8_t name;
    uint16_t unused;
    uint32_t bytes;
    uint64_t offset;
};

#define DESCRIPTORS 4096

/* One step at a time: so the journal has the order of what was done. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char *names[DESCRIPTORS];
static const char *folder;
static size_t folder_length;
static int journal = -1;
static unsigned fault_kinds, fault_in;
static int fault_error;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_JOURNAL");
    folder = getenv("DISK_FOLDER");
    if (!folder || !path) return;
    folder_length = strlen(folder);
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
    const char *fault = getenv("DISK_FAULT");
    if (fault && sscanf(fault, "%u:%u:%d", &fault_kinds, &fault_in, &fault_error) != 3) abort();
}

/* The name of a file that is looked at, or null. */
static const char *name_of(const char *path) {
    if (journal < 0 || strncmp(path, folder, folder_length) != 0) return NULL;
    const char *name = path + folder_length;
    if (*name == '/') name++;
    else if (*name) return NULL;
    size_t length = strlen(name);
    if (strchr(name, '/') || length > UINT8_MAX) return NULL;
    if (length >= 4 && strcmp(name + length - 4, "-shm") == 0) return NULL;
    return name;
}

static const char *name_at(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? names[descriptor] : NULL;
}

static void record(enum kind kind, const char *name, uint64_t offset, const void *bytes, size_t length) {
    struct head head = {.kind = kind, .name = strlen(name), .bytes = length, .offset = offset};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, head.name}, {(void *)bytes, length}};
    ssize_t all = sizeof head + head.name + length;
    if (syscall(SYS_writev, journal, parts, 3) != all) abort();
}

/* Begins a step; false if it is the one that fails. */
static int begins(enum kind kind, const char *name) {
    pthread_mutex_lock(&turn);
    if (!(fault_kinds & 1u << kind) || fault_in == 0 || --fault_in > 0) return 1;
    record(FAILED, name, kind, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = fault_error;
    return 0;
}

/* Ends a step: without an error it is recorded. */
static long ends(long result, enum kind kind, const char *name, uint64_t offset, const void *bytes, size_t length) {
    int error = errno;
    if (result >= 0) record(kind, name, offset, bytes, length);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *name = name_of(path);
    if (!name) return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    struct stat before;
    int makes = (flags & O_CREAT) && stat(path, &before) != 0, cuts = flags & O_TRUNC;
    enum kind kind = makes ? CREATED : CUT;
    if ((makes || cuts) && !begins(kind, name)) return -1;
    int descriptor = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (descriptor >= DESCRIPTORS) abort();
    if (makes || cuts) ends(descriptor, kind, name, 0, NULL, 0);
    if (descriptor >= 0) names[descriptor] = strdup(name);
    return descriptor;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int descriptor) {
    if (name_at(descriptor)) {
        free(names[descriptor]);
        names[descriptor] = NULL;
    }
    return syscall(SYS_close, descriptor);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    const char *name = name_at(descriptor);
    if (!name) return syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    if (!begins(WROTE, name)) return -1;
    long written = syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    return ends(written, WROTE, name, offset, bytes, written);
}

ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

ssize_t write(int descriptor, const void *bytes, size_t length) {
    const char *name = name_at(descriptor);
    if (!name) return syscall(SYS_write, descriptor, bytes, length);
    if (!begins(WROTE, name)) return -1;
    long written = syscall(SYS_write, descriptor, bytes, length);
    return ends(written, WROTE, name, lseek(descriptor, 0, SEEK_CUR) - written, bytes, written);
}

int ftruncate(int descriptor, off_t length) {
    const char *name = name_at(descriptor);
    if (!name) return syscall(SYS_ftruncate, descriptor, length);
    if (!begins(CUT, name)) return -1;
    return ends(syscall(SYS_ftruncate, descriptor, length), CUT, name, length, NULL, 0);
}

int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

static int synced(long call, int descriptor) {
    const char *name = name_at(descriptor);
    if (!name) return syscall(call, descriptor);
    if (!begins(SYNCED, name)) return -1;
    return ends(syscall(call, descriptor), SYNCED, name, 0, NULL, 0);
}

int fsync(int descriptor) { return synced(SYS_fsync, descriptor); }

int fdatasync(int descriptor) { return synced(SYS_fdatasync, descriptor); }

int unlink(const char *path) {
    const char *name = name_of(path);
    if (!name) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!begins(REMOVED, name)) return -1;
    return ends(syscall(SYS_unlinkat, AT_FDCWD, path, 0), REMOVED, name, 0, NULL, 0);
}

int rename(const char *from, const char *to) {
    const char *name = name_of(from), *new = name_of(to);
    if (!name || !new) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!begins(RENAMED, name)) return -1;
    long result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    for (int descriptor = 0; result == 0 && descriptor < DESCRIPTORS; descriptor++) {
        if (!names[descriptor] || strcmp(names[descriptor], name) != 0) continue;
        free(names[descriptor]);
        names[descriptor] = strdup(new);
    }
    return ends(result, RENAMED, name, 0, new, strlen(new));
}
