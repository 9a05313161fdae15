/* The POSIX calls of Parley, for C. Semantics and errors are POSIX's; a call that fails returns -1 and
   sets errno to Linux's number. A structure has Linux's layout on x86-64. Everything is declared here; the
   headers that POSIX names (unistd.h and so on) include this one, so that a program need not know it.
   Link with libparley_c.a: see libipc/posix/c/README.md. */
#ifndef PARLEY_H
#define PARLEY_H

#include <stddef.h>
#include <stdint.h>

#include "errno.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef long ssize_t;
typedef long off_t;
typedef long time_t;
typedef int pid_t;
typedef unsigned mode_t;
typedef unsigned uid_t;
typedef unsigned gid_t;
typedef uint64_t dev_t;
typedef uint64_t ino_t;
typedef uint64_t nlink_t;
typedef long blksize_t;
typedef long blkcnt_t;
typedef int clockid_t;
typedef unsigned long nfds_t;

struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

struct timeval {
    time_t tv_sec;
    long tv_usec;
};

struct stat {
    dev_t st_dev;
    ino_t st_ino;
    nlink_t st_nlink;
    mode_t st_mode;
    uid_t st_uid;
    gid_t st_gid;
    unsigned st_pad;
    dev_t st_rdev;
    off_t st_size;
    blksize_t st_blksize;
    blkcnt_t st_blocks;
    struct timespec st_atim, st_mtim, st_ctim;
    long st_reserved[3];
};
#define st_atime st_atim.tv_sec
#define st_mtime st_mtim.tv_sec
#define st_ctime st_ctim.tv_sec

/* st_mode */
#define S_IFMT 0170000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define S_ISCHR(mode) (((mode) & S_IFMT) == S_IFCHR)
#define S_ISDIR(mode) (((mode) & S_IFMT) == S_IFDIR)
#define S_ISREG(mode) (((mode) & S_IFMT) == S_IFREG)

/* What poll waits for, and says */
#define POLLIN 0x001
#define POLLOUT 0x004
#define POLLERR 0x008
#define POLLHUP 0x010
#define POLLNVAL 0x020
#define POLLRDNORM 0x040
#define POLLWRNORM 0x100
struct pollfd {
    int fd;
    short events;
    short revents;
};

/* What getdents64 writes: a record is d_reclen bytes long, its name ends with a NUL. */
struct dirent64 {
    ino_t d_ino;
    off_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[256];
};
#define DT_CHR 2
#define DT_DIR 4
#define DT_REG 8

/* open */
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_ACCMODE 3
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

/* Standard descriptors */
#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

/* clock_gettime */
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1

/* The value of errno for those who cannot use the macro of errno.h. */
int parley_errno(void);

ssize_t read(int fd, void *into, size_t count);
ssize_t write(int fd, const void *from, size_t count);
ssize_t pread(int fd, void *into, size_t count, off_t offset);
ssize_t pwrite(int fd, const void *from, size_t count, off_t offset);
off_t lseek(int fd, off_t offset, int whence);
int fstat(int fd, struct stat *stat);
int poll(struct pollfd *files, nfds_t count, int timeout);
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
int clock_gettime(clockid_t clock, struct timespec *time);
int gettimeofday(struct timeval *time, void *zone);
time_t time(time_t *seconds);
int nanosleep(const struct timespec *duration, struct timespec *left);
pid_t getpid(void);
pid_t getppid(void);
int sched_yield(void);
__attribute__((noreturn)) void _exit(int status);
__attribute__((noreturn)) void exit(int status);
extern char **environ;

/* Memory, from libipc/mem */
void *memcpy(void *to, const void *from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *at, int byte, size_t count);
int memcmp(const void *left, const void *right, size_t count);
size_t strlen(const char *text);

#ifdef __cplusplus
}
#endif

#endif
