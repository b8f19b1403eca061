/* A disk that can lose power, loaded before the C library of a child of the crash tests.
 *
 * $DISK_JOURNAL   a file to which each durable step is appended, after it was done:
 *                   S inode length      the content of a file is durable up to length
 *                   D path              the names in a folder are durable
 *                   R from TAB to TAB n a name was replaced; what `to` was before is kept as
 *                                       $DISK_JOURNAL.n (n = -1: there was nothing)
 *                   U inode             a file is gone
 * $DISK_PLAN      one fault, as OP|PATH|N|ACTION|ARM: the Nth OP (fsync, fdatasync, write, rename,
 *                 unlink, or any: all but write) on a path that contains PATH, counted from the
 *                 rename of a file to a path that contains ARM (from the start if ARM is -).
 *                 ACTION: EIO, ENOSPC, or KILL.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int journal = -1;
static const char *journal_path;
static long backup_count;
static int has_plan, is_armed;
static char plan_op[16], plan_path[256], plan_action[16], plan_arm[256];
static long plan_nth, seen_count;

__attribute__((constructor)) static void start(void) {
    journal_path = getenv("DISK_JOURNAL");
    if (journal_path)
        journal = open(journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const char *plan = getenv("DISK_PLAN");
    if (plan && sscanf(plan, "%15[^|]|%255[^|]|%ld|%15[^|]|%255s", plan_op, plan_path, &plan_nth,
                       plan_action, plan_arm) == 5) {
        has_plan = 1;
        is_armed = !strcmp(plan_arm, "-");
    }
}

static void note(const char *line, int length) {
    if (journal < 0)
        return;
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (real(journal, line, (size_t)length) != length)
        abort();
}

/* The error that the plan has for this step, if any. */
static int planned(const char *op, const char *path) {
    if (!has_plan || !__atomic_load_n(&is_armed, __ATOMIC_SEQ_CST) || !strstr(path, plan_path))
        return 0;
    if (strcmp(plan_op, op) && (strcmp(plan_op, "any") || !strcmp(op, "write")))
        return 0;
    if (__atomic_add_fetch(&seen_count, 1, __ATOMIC_SEQ_CST) != plan_nth)
        return 0;
    if (!strcmp(plan_action, "EIO"))
        return EIO;
    if (!strcmp(plan_action, "ENOSPC"))
        return ENOSPC;
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return path[0] == '/';
}

static int sync_with(const char *op, int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, op);
    char path[4096];
    int known = path_of(fd, path, sizeof path);
    int error = known ? planned(op, path) : 0;
    if (error) {
        errno = error;
        return -1;
    }
    int result = real(fd);
    struct stat file;
    if (result == 0 && known && fstat(fd, &file) == 0) {
        char line[4200];
        int length = S_ISDIR(file.st_mode)
            ? snprintf(line, sizeof line, "D %s\n", path)
            : snprintf(line, sizeof line, "S %lu %lld\n", (unsigned long)file.st_ino,
                       (long long)file.st_size);
        note(line, length);
    }
    return result;
}

int fsync(int fd) { return sync_with("fsync", fd); }
int fdatasync(int fd) { return sync_with("fdatasync", fd); }

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    char path[4096];
    if (has_plan && path_of(fd, path, sizeof path)) {
        int error = planned("write", path);
        if (error) {
            errno = error;
            return -1;
        }
    }
    return real(fd, bytes, count);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int error = planned("rename", to);
    if (error) {
        errno = error;
        return -1;
    }
    long backup = -1;
    if (journal_path) {
        char kept[4200];
        backup = __atomic_fetch_add(&backup_count, 1, __ATOMIC_SEQ_CST);
        snprintf(kept, sizeof kept, "%s.%ld", journal_path, backup);
        if (link(to, kept) != 0)
            backup = -1;
    }
    int result = real(from, to);
    if (result == 0) {
        char line[8400];
        note(line, snprintf(line, sizeof line, "R %s\t%s\t%ld\n", from, to, backup));
        if (has_plan && strstr(to, plan_arm))
            __atomic_store_n(&is_armed, 1, __ATOMIC_SEQ_CST);
    }
    return result;
}

int unlinkat(int folder, const char *path, int flags) {
    int (*real)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");
    char full[8400], base[4096];
    if (path[0] != '/' && folder != AT_FDCWD && path_of(folder, base, sizeof base))
        snprintf(full, sizeof full, "%s/%s", base, path);
    else
        snprintf(full, sizeof full, "%s", path);
    int error = planned("unlink", full);
    if (error) {
        errno = error;
        return -1;
    }
    struct stat file;
    int is_last = fstatat(folder, path, &file, AT_SYMLINK_NOFOLLOW) == 0 && file.st_nlink == 1;
    int result = real(folder, path, flags);
    if (result == 0 && is_last) {
        char line[64];
        note(line, snprintf(line, sizeof line, "U %lu\n", (unsigned long)file.st_ino));
    }
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
