//! The tables: every row of every service.
//!
//! Numbers after `as` are system calls: Linux's where Linux has the call, otherwise ours from
//! `nr::OWN` on. Errors that any call can give (EBADF, EFAULT, EINVAL, ENOSYS) are not listed.

use crate::arg::{In, InOf, Out, OutOf, Text};
use parley_abi::info::{ProcessInfo, ServiceInfo};
use parley_abi::linux::{Seconds, Stat, Timespec, Timeval, nr};
use parley_abi::slot::{self, service};

service! {
    /// What every open file answers, whoever serves it: regular files, directories, devices.
    interface 1 file, trait File, slot 0;

    /// Reads up to `buf.len` bytes at the file's offset, which moves on. 0 is the end of the file.
    0 read(buf: Out) via fd as nr::READ, pending [EAGAIN, EISDIR, EINTR];
    /// Writes `buf` at the file's offset, which moves on. Returns the bytes written.
    1 write(buf: In) via fd as nr::WRITE, pending [EAGAIN, EFBIG, ENOSPC, EINTR];
    /// Reads at `offset` and leaves the file's offset alone.
    2 pread(buf: Out, offset: i64) via fd as nr::PREAD64, repeats, prompt [EISDIR, ESPIPE];
    /// Writes at `offset` and leaves the file's offset alone.
    3 pwrite(buf: In, offset: i64) via fd as nr::PWRITE64, prompt [EFBIG, ENOSPC, ESPIPE];
    /// Moves the file's offset; `whence` as in `parley_abi::linux::seek`. Returns the new offset.
    4 lseek(offset: i64, whence: u32) via fd as nr::LSEEK, prompt [EOVERFLOW, ESPIPE];
    /// Describes the file.
    5 fstat(stat: OutOf<Stat>) via fd as nr::FSTAT, repeats, prompt [];
    /// Reads whole directory entries (`linux_dirent64`). 0 is the end of the directory.
    6 getdents(buf: Out) via fd as nr::GETDENTS64, prompt [ENOTDIR];
    /// Which of `events` (`parley_abi::linux::poll`) hold for the file now. If none does, the server tells the time service
    /// (`changed`) as soon as one may: see `libipc/posix/shim`, which makes `poll` of this.
    7 ready(events: u32) via fd as nr::READY, repeats, prompt [ENXIO];
}

service! {
    /// The namespace: paths to files.
    interface 2 vfs, trait Vfs, slot slot::of_service(service::VFS);

    /// Opens a file; `flags` and `mode` as in `open(2)`. Returns the lowest free descriptor.
    0 open(path: Text, flags: u32, mode: u32) via root as nr::OPEN, opens, prompt
        [EACCES, EEXIST, EISDIR, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR, ENXIO];
    /// Describes the file at `path`.
    1 stat(path: Text, stat: OutOf<Stat>) via root as nr::STAT, repeats, prompt [ENAMETOOLONG, ENOENT, ENOTDIR];
    /// Makes a directory.
    2 mkdir(path: Text, mode: u32) via root as nr::MKDIR, prompt
        [EEXIST, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EROFS];
    /// Removes an empty directory.
    3 rmdir(path: Text) via root as nr::RMDIR, prompt
        [EBUSY, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EROFS];
    /// Removes a name. The file lives on while it is open.
    4 unlink(path: Text) via root as nr::UNLINK, prompt [EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EROFS];
    /// Renames, replacing what `to` named.
    5 rename(from: Text, to: Text) via root as nr::RENAME, prompt
        [EBUSY, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EXDEV];
}

service! {
    /// Character devices, for the VFS.
    interface 3 chardev, trait CharDev, slot slot::of_service(service::CHAR);

    /// Opens device `device` (as `makedev` packs it); `flags` as in `open(2)`. The VFS forwards a
    /// program's `open` here, so that the descriptor leads straight to the driver.
    0 open_device(device: u64, flags: u32) via peer, opens, repeats, prompt [ENXIO, EACCES];
    /// Tells device number `index`: words are the device (`makedev`), the permission bits, and its name
    /// in words 2 to 5, padded with NUL. ENOENT after the last.
    1 device(index: u32) via peer, repeats, prompt [ENOENT];
    /// Tells how many descriptors lead to the driver. ENOSYS: it cannot be unloaded.
    2 users() via peer, repeats, prompt [];
    /// Before it is unloaded, from init alone: nobody can open it any more. EBUSY: somebody has it open; unless `force` is
    /// 1: then requests in progress end with EIO and later ones with ENXIO. Returns how many descriptors are left.
    /// ENOSYS: it cannot be unloaded.
    3 retire(force: u32) via peer, repeats, prompt [EBUSY, EPERM];
    /// From init alone: waits until ^C is typed at the terminal. Returns 1 if who waited for a line has heard of it, or 0.
    /// `unheard` is 1 if nobody has heard of the one before: then whoever reads next does. ENOSYS: there is no terminal.
    4 await_interrupt(unheard: u32) via peer, repeats, pending [EINTR, EPERM];
}

service! {
    /// Clocks and sleepers.
    interface 4 time, trait Time, slot slot::of_service(service::TIME);

    /// The time of `clock` (`parley_abi::linux::clock`).
    0 clock_gettime(clock: u32, time: OutOf<Timespec>) via root as nr::CLOCK_GETTIME, repeats, prompt [EINVAL];
    /// The time of day. `zone` is obsolete and ignored.
    1 gettimeofday(time: OutOf<Timeval>, zone: u64) via root as nr::GETTIMEOFDAY, repeats, prompt [];
    /// Seconds since 1970, also written to `seconds` if it is not null.
    2 time(seconds: OutOf<Seconds>) via root as nr::TIME, repeats, prompt [];
    /// Sleeps for at least `duration`. If it is interrupted, `left` is what remained.
    3 nanosleep(duration: InOf<Timespec>, left: OutOf<Timespec>) via root as nr::NANOSLEEP, pending [EINTR];
    /// For services that give things a date: what to add to [`crate::Host::now`] for nanoseconds since 1970.
    /// It never changes, so asking once is enough; 0 until the date is known.
    4 epoch() via peer, repeats, prompt [];
    /// A number that is another after each `changed`.
    5 changes() via root as nr::CHANGES, repeats, prompt [];
    /// Waits until `changes` is no longer `seen`, or `until`, in nanoseconds since boot; 0 is never. Returns 0, or 1 if time
    /// was up.
    6 await_change(seen: u64, until: u64) via root as nr::AWAIT_CHANGE, repeats, pending [EINTR, ENOMEM];
    /// From services: something may be ready that was not when it was asked for (`file::ready`).
    7 changed() via peer, repeats, prompt [];
}

service! {
    /// Processes.
    interface 5 process, trait Process, slot slot::of_service(service::PROC);

    /// The caller's process id.
    0 getpid() via root as nr::GETPID, repeats, prompt [];
    /// The process id of the caller's parent.
    1 getppid() via root as nr::GETPPID, repeats, prompt [];
}

service! {
    /// The smallest service: a template, and the peer of the IPC benchmark.
    interface 6 ping, trait Ping, slot slot::of_service(service::PING);

    /// Answers with the sum of its words.
    0 ping(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) via root as nr::OWN, repeats, prompt [];
    /// How often this has been called since the machine was started, this call included, whoever has served it.
    1 count() via peer, prompt [];
}

service! {
    /// init: start programs, wait for them, know the services.
    interface 7 init, trait Init, slot slot::INIT;

    /// Starts the program at `path`; `args` are its arguments, each ended by NUL, argv\[0\] first.
    /// Returns its process id.
    0 spawn(path: Text, args: In) via root as nr::OWN + 1, prompt
        [E2BIG, EACCES, ENAMETOOLONG, ENOENT, ENOEXEC, ENOMEM];
    /// Waits for process `pid`, a child of the caller. Returns its exit status: 0 to 255, or 256 + the
    /// vector of the exception that killed it.
    1 wait(pid: u32) via root as nr::OWN + 2, pending [ECHILD, EINTR];
    /// Ends the calling process. Does not return.
    2 exit(status: i32) via root as nr::EXIT, pending [];
    /// Ends the calling process with all its threads. Does not return.
    3 exit_group(status: i32) via root as nr::EXIT_GROUP, pending [];
    /// Tells the first process with an id above `after`. Returns its id; ESRCH after the last.
    4 process(after: u32, info: OutOf<ProcessInfo>) via root as nr::OWN + 3, repeats, prompt [ESRCH];
    /// Tells service number `index`. ENOENT after the last.
    5 service(index: u32, info: OutOf<ServiceInfo>) via root as nr::OWN + 4, repeats, prompt [ENOENT];
    /// Shuts the machine down: `how` 0 powers off, 1 resets.
    6 shutdown(how: u32) via root as nr::OWN + 5, prompt [];
    /// Does `verb` (`parley_abi::info::verb`) to service number `service`. EPERM: it is resident in ring 0, or the caller
    /// has no right to control. EBUSY: it runs already, or is in use, or no program can do without it. ESRCH: it does not
    /// run. EIO, ETIMEDOUT: a driver that was to be loaded died, or was not ready in time.
    7 control(service: u32, verb: u32) via root as nr::OWN + 6, pending [EBUSY, EIO, ENOENT, EPERM, ESRCH, ETIMEDOUT];
    /// Lets the program at `path` take over service number `service` while it is in use. After any error the program
    /// before goes on: EPERM: the service is resident in ring 0, or the caller has no right to control. EBUSY: another
    /// swap is not over. ENOEXEC, EFBIG: not a program that runs here. EACCES: it wants what the manifest does not grant.
    /// EIO: it died. ETIMEDOUT: it was not ready in time.
    8 swap(service: u32, path: Text) via root as nr::OWN + 7, pending
        [EACCES, EBUSY, EFBIG, EIO, ENAMETOOLONG, ENOENT, ENOEXEC, ENOMEM, EPERM, ESRCH, ETIMEDOUT];
    /// Writes what init has to say of service number `service` on a topic (`parley_abi::info::topic`) into `buf`, as far as
    /// it fits. Returns the bytes written. ENOENT: no such service.
    9 report(service: u32, topic: u32, buf: Out) via root as nr::OWN + 8, repeats, prompt [EINVAL, ENOENT];
}
