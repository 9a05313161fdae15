/* errno and its values: Linux's numbers, those of libipc/abi/src/errno.rs (a test of parley-posix compares
   them). */
#ifndef PARLEY_ERRNO_H
#define PARLEY_ERRNO_H

#ifdef __cplusplus
extern "C"
#endif
int *__errno_location(void);
#define errno (*__errno_location())

#define EPERM 1 /* operation not permitted */
#define ENOENT 2 /* no such file or directory */
#define ESRCH 3 /* no such process */
#define EINTR 4 /* interrupted */
#define EIO 5 /* input/output error */
#define ENXIO 6 /* no such device or address */
#define E2BIG 7 /* argument list too long */
#define ENOEXEC 8 /* not an executable */
#define EBADF 9 /* bad file descriptor */
#define ECHILD 10 /* no child processes */
#define EAGAIN 11 /* try again */
#define ENOMEM 12 /* out of memory */
#define EACCES 13 /* permission denied */
#define EFAULT 14 /* bad address */
#define EBUSY 16 /* device or resource busy */
#define EEXIST 17 /* file exists */
#define EXDEV 18 /* invalid cross-device link */
#define ENODEV 19 /* no such device */
#define ENOTDIR 20 /* not a directory */
#define EISDIR 21 /* is a directory */
#define EINVAL 22 /* invalid argument */
#define ENFILE 23 /* too many open files in the system */
#define EMFILE 24 /* too many open files */
#define ENOTTY 25 /* not a terminal */
#define EFBIG 27 /* file too large */
#define ENOSPC 28 /* no space left on device */
#define ESPIPE 29 /* illegal seek */
#define EROFS 30 /* read-only file system */
#define EPIPE 32 /* broken pipe */
#define ERANGE 34 /* result too large */
#define EDEADLK 35 /* resource deadlock avoided */
#define ENAMETOOLONG 36 /* file name too long */
#define ENOSYS 38 /* function not implemented */
#define ENOTEMPTY 39 /* directory not empty */
#define EOVERFLOW 75 /* value too large for defined data type */
#define ETIMEDOUT 110 /* connection timed out */
#define ESTALE 116 /* stale token or handle */
#define ECANCELED 125 /* operation canceled */
#define EWOULDBLOCK EAGAIN

#endif
