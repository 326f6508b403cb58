/* Stands before libc (LD_PRELOAD) in a process whose disk is slow. Below $SLOW_DISK, the root of a node, the folders /var, /usr, /efi and
 * /sysroot lie on that disk. While there is a file $SLOW_DISK/recording, what the process' first thread asks of the disk is written to
 * $SLOW_DISK/asked, a line each; while there is a file $SLOW_DISK/hold, nothing that is synced reaches the disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_there(const char *name) {
    char path[PATH_MAX];
    const char *root = getenv("SLOW_DISK");
    snprintf(path, sizeof path, "%s/%s", root ? root : "", name);
    return root && syscall(SYS_access, path, F_OK) == 0;
}

static int is_on_disk(const char *path) {
    static const char *const folders[] = {"/var/", "/usr/", "/efi/", "/sysroot/"};
    const char *root = getenv("SLOW_DISK");
    size_t length = root ? strlen(root) : 0;
    if (!path || length == 0 || strncmp(path, root, length) != 0)
        return 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path + length, folders[i], strlen(folders[i])) == 0)
            return 1;
    return 0;
}

static void record(const char *what, const char *path) {
    /* Its children have it before libc as well. */
    if (strcmp(program_invocation_short_name, "ballast") != 0 || getpid() != syscall(SYS_gettid) || !is_on_disk(path) || !is_there("recording"))
        return;
    char line[2 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%s %s\n", what, path + strlen(getenv("SLOW_DISK")));
    snprintf(line + length + 1, PATH_MAX, "%s/asked", getenv("SLOW_DISK"));
    int file = (int)syscall(SYS_openat, AT_FDCWD, line + length + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void)!syscall(SYS_write, file, line, length);
        syscall(SYS_close, file);
    }
}

static void synced(const char *what, int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlink, link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    record(what, path);
    while (is_on_disk(path) && is_there("hold"))
        usleep(10000);
}

int fsync(int file) { synced("fsync", file); return NEXT(fsync)(file); }
int fdatasync(int file) { synced("fdatasync", file); return NEXT(fdatasync)(file); }
int rename(const char *from, const char *to) { record("rename", to); return NEXT(rename)(from, to); }
int unlink(const char *path) { record("unlink", path); return NEXT(unlink)(path); }
int mkdir(const char *path, mode_t mode) { record("mkdir", path); return NEXT(mkdir)(path, mode); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    record("open", path);
    return NEXT(open64)(path, flags, mode);
}

struct __dirstream *opendir(const char *path) {
    record("opendir", path);
    return ((struct __dirstream * (*)(const char *)) dlsym(RTLD_NEXT, "opendir"))(path);
}

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict found) {
    record("stat", path);
    return NEXT(statx)(folder, path, flags, mask, found);
}
