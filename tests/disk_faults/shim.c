/* Fails, records or ends at the calls by which a process changes what is below one folder.
 *
 * Preloaded into real processes (LD_PRELOAD), where Python, its SQLite and ctypes all come through here. It calls the
 * kernel by itself, so nothing here comes back to it. It lets everything pass until `disk_faults_begin` is called.
 * What is written through mmap (SQLite's -shm) is not seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum how { ONCE, ALWAYS, SHORT, KILL };
enum op { CREATE, MKDIR, SYMLINK, WRITE, TRUNCATE, ALLOCATE, PUNCH, FSYNC, SYNCFS, RENAME, LINK, UNLINK, RMDIR, CHMOD,
          UTIME, OPEN };
static const char *const NAMES[] = {"create", "mkdir", "symlink", "write", "truncate", "allocate", "punch", "fsync",
                                    "syncfs", "rename", "link", "unlink", "rmdir", "chmod", "utime", "open"};

struct place {
    char path[2 * PATH_MAX]; /* Where it is, for people. */
    uint64_t inode;          /* Of the file or directory itself, if it is given by a descriptor ... */
    uint64_t directory;      /* ... or else of the directory that it is in, ... */
    char name[NAME_MAX + 1]; /* ... and its name there. */
};

struct change {
    int64_t op, inode, directory, other_directory, offset, amount, mtime_ns, size, name, other_name, data;
};

static int is_on;
static char root[PATH_MAX];
static size_t root_size;
static long fail_at, count;
static int number;
static enum how how;
static int log_descriptor = -1, told_descriptor = -1;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

/* Begin: below `folder`, have call `at`, counted from 1, fail with errno `error`. 0 fails none. `log` gets all changes,
 * `told` the call that failed; either may be NULL. */
void disk_faults_begin(const char *folder, long at, int error, int kind, const char *log, const char *told) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    snprintf(root, sizeof root, "%s", folder);
    root_size = strlen(root);
    fail_at = at, number = error, how = kind, count = 0;
    log_descriptor = log ? syscall(SYS_openat, AT_FDCWD, log, flags, 0600) : -1;
    told_descriptor = told ? syscall(SYS_openat, AT_FDCWD, told, flags, 0600) : -1;
    is_on = 1;
}

static int is_below(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, root, root_size) == 0 && (path[root_size] == '/' || path[root_size] == 0);
}

static int by_descriptor(int descriptor, struct place *at) {
    struct stat status;
    if (!is_on || !is_below(descriptor, at->path, PATH_MAX) || fstat(descriptor, &status) != 0) return 0;
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return 0;
    at->inode = status.st_ino, at->directory = 0, at->name[0] = 0;
    return 1;
}

static int by_path(int above, const char *path, struct place *at) {
    char parent[PATH_MAX];
    struct stat status;
    if (!is_on || path == NULL || strlen(path) >= sizeof parent) return 0;
    strcpy(parent, path);
    for (size_t end = strlen(parent); end > 1 && parent[end - 1] == '/';) parent[--end] = 0;
    char *slash = strrchr(parent, '/');
    const char *name = slash ? slash + 1 : parent;
    if (strlen(name) > NAME_MAX) return 0;
    strcpy(at->name, name);
    if (slash) slash[slash == parent] = 0;
    const int directory = syscall(SYS_openat, above, slash ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return 0;
    const int is_ours = is_below(directory, at->path, PATH_MAX) && fstat(directory, &status) == 0;
    syscall(SYS_close, directory);
    if (!is_ours) return 0;
    at->inode = 0, at->directory = status.st_ino;
    strcat(strcat(at->path, "/"), at->name);
    return 1;
}

static void end_here(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Take the guard and count one call; return whether it is to fail, with `errno` set then, and the guard free again. */
static int fails(enum op op, const struct place *at) {
    pthread_mutex_lock(&guard);
    if (how == SHORT && op != WRITE) return 0;
    count++;
    if (!fail_at || count < fail_at || (count > fail_at && how != ALWAYS)) return 0;
    if (count == fail_at && told_descriptor >= 0) dprintf(told_descriptor, "%s %s\n", NAMES[op], at->path);
    if (how == KILL) end_here();
    if (how == SHORT) return 0;
    pthread_mutex_unlock(&guard);
    errno = number;
    return 1;
}

static int is_short(void) { return how == SHORT && count == fail_at; }

static void put(const void *data, size_t size) {
    for (const char *from = data; size > 0;) {
        const ssize_t done = syscall(SYS_write, log_descriptor, from, size);
        if (done <= 0) abort();
        from += done, size -= done;
    }
}

static void record(struct change change, const char *name, const char *other, const void *data, size_t size) {
    if (log_descriptor < 0) return;
    change.name = strlen(name), change.other_name = strlen(other), change.data = size;
    put(&change, sizeof change);
    put(name, change.name);
    put(other, change.other_name);
    if (size) put(data, size);
}

/* Record what was done to a file that is given by a descriptor. */
static void record_of(enum op op, int descriptor, const struct place *at, int64_t offset, int64_t amount,
                      const void *data, size_t size) {
    struct stat now;
    if (log_descriptor < 0 || fstat(descriptor, &now) != 0) return;
    struct change change = {.op = op, .inode = at->inode, .offset = offset, .amount = amount, .size = now.st_size};
    change.mtime_ns = now.st_mtim.tv_sec * 1000000000LL + now.st_mtim.tv_nsec;
    record(change, "", "", data, size);
}

/* Free the guard, and return what the kernel has answered. */
static long over(long result) {
    const int kept = errno;
    pthread_mutex_unlock(&guard);
    errno = kept;
    return result;
}

static void record_new(enum op op, int above, const char *path, const struct place *at, const char *target) {
    struct stat now;
    if (log_descriptor < 0 || fstatat(above, path, &now, AT_SYMLINK_NOFOLLOW) != 0) return;
    struct change change = {.op = op, .inode = now.st_ino, .directory = at->directory, .amount = now.st_mode};
    change.mtime_ns = now.st_mtim.tv_sec * 1000000000LL + now.st_mtim.tv_nsec;
    record(change, at->name, "", target, strlen(target));
}

static int open_at(int above, const char *path, int flags, mode_t mode) {
    struct place at;
    struct stat before;
    const int is_change = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (!is_change || !by_path(above, path, &at)) return syscall(SYS_openat, above, path, flags, mode);
    const int is_there = fstatat(above, path, &before, AT_SYMLINK_NOFOLLOW) == 0;
    if (fails(is_there ? OPEN : CREATE, &at)) return -1;
    const long opened = syscall(SYS_openat, above, path, flags, mode);
    if (opened >= 0 && !is_there) record_new(CREATE, above, path, &at, "");
    if (opened >= 0 && is_there && flags & O_TRUNC) {
        at.inode = before.st_ino;
        record_of(TRUNCATE, opened, &at, 0, 0, "", 0);
    }
    return over(opened);
}

#define MODE_OF(flags, mode)           \
    mode_t mode = 0;                   \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more;                  \
        va_start(more, flags);         \
        mode = va_arg(more, mode_t);   \
        va_end(more);                  \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int above, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(above, path, flags, mode);
}
int openat64(int above, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(above, path, flags | O_LARGEFILE, mode);
}
/* What a program compiled with _FORTIFY_SOURCE calls if it makes no file. */
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags | O_LARGEFILE, 0); }
int __openat_2(int above, const char *path, int flags) { return open_at(above, path, flags, 0); }
int __openat64_2(int above, const char *path, int flags) { return open_at(above, path, flags | O_LARGEFILE, 0); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

ssize_t write(int descriptor, const void *data, size_t size) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_write, descriptor, data, size);
    if (fails(WRITE, &at)) return -1;
    const long done = syscall(SYS_write, descriptor, data, is_short() && size > 1 ? size / 2 : size);
    if (done > 0) record_of(WRITE, descriptor, &at, lseek(descriptor, 0, SEEK_CUR) - done, 0, data, done);
    return over(done);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_pwrite64, descriptor, data, size, offset);
    if (fails(WRITE, &at)) return -1;
    const long done = syscall(SYS_pwrite64, descriptor, data, is_short() && size > 1 ? size / 2 : size, offset);
    if (done > 0) record_of(WRITE, descriptor, &at, offset, 0, data, done);
    return over(done);
}
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return pwrite64(descriptor, data, size, offset);
}

/* Record a write whose bytes came from another file: read them back. */
static void record_copied(int descriptor, const struct place *at, int64_t offset, size_t size) {
    char link[64], *data = log_descriptor < 0 ? NULL : malloc(size);
    if (data == NULL) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const int again = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    const ssize_t read_bytes = again < 0 ? -1 : syscall(SYS_pread64, again, data, size, offset);
    if (again >= 0) syscall(SYS_close, again);
    if (read_bytes > 0) record_of(WRITE, descriptor, at, offset, 0, data, read_bytes);
    free(data);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    struct place at;
    if (!by_descriptor(out, &at)) return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
    if (fails(WRITE, &at)) return -1;
    const int64_t offset = to ? *to : lseek(out, 0, SEEK_CUR);
    const long done = syscall(SYS_copy_file_range, in, from, out, to, is_short() && size > 1 ? size / 2 : size, flags);
    if (done > 0) record_copied(out, &at, offset, done);
    return over(done);
}

int ioctl(int descriptor, unsigned long request, ...) {
    struct place at;
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (request != FICLONERANGE || !by_descriptor(descriptor, &at))
        return syscall(SYS_ioctl, descriptor, request, argument);
    if (fails(WRITE, &at)) return -1;
    const long done = syscall(SYS_ioctl, descriptor, request, argument);
    const struct file_clone_range *range = argument;
    if (done == 0) record_copied(descriptor, &at, range->dest_offset, range->src_length);
    return over(done);
}

int ftruncate64(int descriptor, off64_t size) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_ftruncate, descriptor, size);
    if (fails(TRUNCATE, &at)) return -1;
    const long done = syscall(SYS_ftruncate, descriptor, size);
    if (done == 0) record_of(TRUNCATE, descriptor, &at, 0, size, "", 0);
    return over(done);
}
int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
    struct place at;
    const enum op op = mode & FALLOC_FL_PUNCH_HOLE ? PUNCH : ALLOCATE;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_fallocate, descriptor, mode, offset, size);
    if (fails(op, &at)) return -1;
    const long done = syscall(SYS_fallocate, descriptor, mode, offset, size);
    if (done == 0) record_of(op, descriptor, &at, offset, size, "", 0);
    return over(done);
}
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
    return fallocate64(descriptor, mode, offset, size);
}
int posix_fallocate64(int descriptor, off64_t offset, off64_t size) {
    const int kept = errno, done = fallocate64(descriptor, 0, offset, size), found = errno;
    errno = kept;
    return done == 0 ? 0 : found;
}
int posix_fallocate(int descriptor, off_t offset, off_t size) { return posix_fallocate64(descriptor, offset, size); }

static int synced(enum op op, long call, int descriptor) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(call, descriptor);
    if (fails(op, &at)) return -1;
    const long done = syscall(call, descriptor);
    if (done == 0) record_of(op, descriptor, &at, 0, 0, "", 0);
    return over(done);
}
int fsync(int descriptor) { return synced(FSYNC, SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return synced(FSYNC, SYS_fdatasync, descriptor); }
int syncfs(int descriptor) { return synced(SYNCFS, SYS_syncfs, descriptor); }

static int renamed(int above, const char *old, int other, const char *new, unsigned flags) {
    struct place from, to;
    const int is_from = by_path(above, old, &from), is_to = by_path(other, new, &to);
    if (!is_from && !is_to) return syscall(SYS_renameat2, above, old, other, new, flags);
    if (fails(RENAME, is_to ? &to : &from)) return -1;
    const long done = syscall(SYS_renameat2, above, old, other, new, flags);
    struct change change = {.op = RENAME, .amount = flags};
    change.directory = is_from ? from.directory : 0, change.other_directory = is_to ? to.directory : 0;
    if (done == 0) record(change, is_from ? from.name : "", is_to ? to.name : "", "", 0);
    return over(done);
}
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int above, const char *old, int other, const char *new) { return renamed(above, old, other, new, 0); }
int renameat2(int above, const char *old, int other, const char *new, unsigned flags) {
    return renamed(above, old, other, new, flags);
}

int linkat(int above, const char *old, int other, const char *new, int flags) {
    struct place at;
    if (!by_path(other, new, &at)) return syscall(SYS_linkat, above, old, other, new, flags);
    if (fails(LINK, &at)) return -1;
    const long done = syscall(SYS_linkat, above, old, other, new, flags);
    if (done == 0) record_new(LINK, other, new, &at, "");
    return over(done);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int symlinkat(const char *target, int above, const char *path) {
    struct place at;
    if (!by_path(above, path, &at)) return syscall(SYS_symlinkat, target, above, path);
    if (fails(SYMLINK, &at)) return -1;
    const long done = syscall(SYS_symlinkat, target, above, path);
    if (done == 0) record_new(SYMLINK, above, path, &at, target);
    return over(done);
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int mkdirat(int above, const char *path, mode_t mode) {
    struct place at;
    if (!by_path(above, path, &at)) return syscall(SYS_mkdirat, above, path, mode);
    if (fails(MKDIR, &at)) return -1;
    const long done = syscall(SYS_mkdirat, above, path, mode);
    if (done == 0) record_new(MKDIR, above, path, &at, "");
    return over(done);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int above, const char *path, int flags) {
    struct place at;
    const enum op op = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    if (!by_path(above, path, &at)) return syscall(SYS_unlinkat, above, path, flags);
    if (fails(op, &at)) return -1;
    const long done = syscall(SYS_unlinkat, above, path, flags);
    if (done == 0) record((struct change){.op = op, .directory = at.directory}, at.name, "", "", 0);
    return over(done);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int fchmod(int descriptor, mode_t mode) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_fchmod, descriptor, mode);
    if (fails(CHMOD, &at)) return -1;
    const long done = syscall(SYS_fchmod, descriptor, mode);
    if (done == 0) record_of(CHMOD, descriptor, &at, 0, mode, "", 0);
    return over(done);
}

static int chmod_at(int above, const char *path, mode_t mode) {
    struct place at;
    struct stat now;
    if (!by_path(above, path, &at)) return syscall(SYS_fchmodat, above, path, mode);
    if (fails(CHMOD, &at)) return -1;
    const long done = syscall(SYS_fchmodat, above, path, mode);
    if (done == 0 && fstatat(above, path, &now, 0) == 0)
        record((struct change){.op = CHMOD, .inode = now.st_ino, .amount = mode}, "", "", "", 0);
    return over(done);
}
int chmod(const char *path, mode_t mode) { return chmod_at(AT_FDCWD, path, mode); }
int fchmodat(int above, const char *path, mode_t mode, int flags) {
    return flags ? (errno = EOPNOTSUPP, -1) : chmod_at(above, path, mode);
}

int utimensat(int above, const char *path, const struct timespec times[2], int flags) {
    struct place at;
    struct stat now;
    if (!by_path(above, path, &at)) return syscall(SYS_utimensat, above, path, times, flags);
    if (fails(UTIME, &at)) return -1;
    const long done = syscall(SYS_utimensat, above, path, times, flags);
    struct change change = {.op = UTIME};
    if (done == 0 && fstatat(above, path, &now, AT_SYMLINK_NOFOLLOW) == 0) {
        change.inode = now.st_ino;
        change.mtime_ns = now.st_mtim.tv_sec * 1000000000LL + now.st_mtim.tv_nsec;
        record(change, "", "", "", 0);
    }
    return over(done);
}
int futimens(int descriptor, const struct timespec times[2]) {
    struct place at;
    if (!by_descriptor(descriptor, &at)) return syscall(SYS_utimensat, descriptor, NULL, times, 0);
    if (fails(UTIME, &at)) return -1;
    const long done = syscall(SYS_utimensat, descriptor, NULL, times, 0);
    if (done == 0) record_of(UTIME, descriptor, &at, 0, 0, "", 0);
    return over(done);
}
