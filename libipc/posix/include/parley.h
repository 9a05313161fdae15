/* The POSIX calls of Parley, for C. Semantics and errors are POSIX's; a call that fails returns -1 and
   sets errno to Linux's number. A structure has Linux's layout on x86-64, so Linux's own headers serve
   as well. Link with the shim: libipc/posix. */
#ifndef PARLEY_H
#define PARLEY_H

#include <stddef.h>
#include <stdint.h>

typedef long ssize_t;
typedef long off_t;
typedef long time_t;
typedef int pid_t;
typedef unsigned mode_t;

struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

struct timeval {
    time_t tv_sec;
    long tv_usec;
};

struct stat {
    uint64_t st_dev, st_ino, st_nlink;
    uint32_t st_mode, st_uid, st_gid, st_pad;
    uint64_t st_rdev;
    int64_t st_size, st_blksize, st_blocks;
    struct timespec st_atim, st_mtim, st_ctim;
    int64_t st_reserved[3];
};

/* open */
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_DIRECTORY 0200000
#define O_CLOEXEC 02000000

/* lseek */
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

/* clock_gettime */
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1

int *__errno_location(void);
#define errno (*__errno_location())
int parley_errno(void);

ssize_t read(int fd, void *into, size_t count);
ssize_t write(int fd, const void *from, size_t count);
ssize_t pread(int fd, void *into, size_t count, off_t offset);
ssize_t pwrite(int fd, const void *from, size_t count, off_t offset);
off_t lseek(int fd, off_t offset, int whence);
int fstat(int fd, struct stat *stat);
ssize_t getdents64(int fd, void *into, size_t count);
int open(const char *path, int flags, ...);
int close(int fd);
int dup(int fd);
int dup2(int fd, int to);
int stat(const char *path, struct stat *stat);
int mkdir(const char *path, mode_t mode);
int rmdir(const char *path);
int unlink(const char *path);
int rename(const char *from, const char *to);
int clock_gettime(int clock, struct timespec *time);
int gettimeofday(struct timeval *time, void *zone);
time_t time(time_t *seconds);
int nanosleep(const struct timespec *duration, struct timespec *left);
pid_t getpid(void);
pid_t getppid(void);
int sched_yield(void);
_Noreturn void _exit(int status);

#endif
