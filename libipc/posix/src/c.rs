//! The same calls with the C ABI: -1 and `errno`, as `include/parley.h` declares them.
//!
//! On the bare target the functions have their C names, so that a C object links against them; on the
//! host the names belong to the host's libc, and these are only type-checked.

use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::sync::atomic::{AtomicI32, Ordering};

use parley_abi::linux::nr;
use parley_abi::msg::Words;
use parley_rt::sys;

/// The calling thread's `errno`. One a process: threads that share it are beyond this library.
static ERRNO: AtomicI32 = AtomicI32::new(0);

/// Where `errno` lies. (glibc and musl call it by this name; `errno` in C is `*__errno_location()`.)
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub extern "C" fn __errno_location() -> *mut c_int {
    ERRNO.as_ptr()
}

/// The value of `errno`, for those who cannot use a macro.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub extern "C" fn parley_errno() -> c_int {
    ERRNO.load(Ordering::Relaxed)
}

/// Turns a system call's value into C's: -4095 to -1 is `errno` and -1.
fn finish(value: i64) -> i64 {
    if !(-4095..0).contains(&value) {
        return value;
    }
    ERRNO.store(-value as i32, Ordering::Relaxed);
    -1
}

fn invoke(number: u16, args: Words) -> i64 {
    finish(sys::posix(number, args))
}

/// A C argument as a register.
trait Register {
    fn register(self) -> u64;
}
macro_rules! register {
    ($($type:ty),*) => { $(impl Register for $type { fn register(self) -> u64 { self as u64 } })* };
}
register!(c_int, c_uint, c_long, c_ulong, usize);
impl<T> Register for *const T {
    fn register(self) -> u64 {
        self.expose_provenance() as u64
    }
}
impl<T> Register for *mut T {
    fn register(self) -> u64 {
        self.expose_provenance() as u64
    }
}

/// One C function a line: name, arguments, result, number. Registers that a call does not use are 0.
macro_rules! calls {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty = $number:ident;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`, as POSIX and `include/parley.h` say.")]
        ///
        /// # Safety
        /// Pointers are valid for what the call reads and writes, or null where it allows that.
        #[cfg_attr(target_os = "none", unsafe(no_mangle))]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let given: &[u64] = &[$($arg.register()),*];
            let mut args = [0; 6];
            args[..given.len()].copy_from_slice(given);
            invoke(nr::$number, args) as $result
        }
    )*};
}

calls! {
    read(fd: c_int, into: *mut c_void, count: usize) -> isize = READ;
    write(fd: c_int, from: *const c_void, count: usize) -> isize = WRITE;
    pread(fd: c_int, into: *mut c_void, count: usize, offset: c_long) -> isize = PREAD64;
    pwrite(fd: c_int, from: *const c_void, count: usize, offset: c_long) -> isize = PWRITE64;
    lseek(fd: c_int, offset: c_long, whence: c_int) -> c_long = LSEEK;
    fstat(fd: c_int, stat: *mut c_void) -> c_int = FSTAT;
    getdents64(fd: c_int, into: *mut c_void, count: usize) -> isize = GETDENTS64;
    open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int = OPEN;
    close(fd: c_int) -> c_int = CLOSE;
    dup(fd: c_int) -> c_int = DUP;
    dup2(fd: c_int, to: c_int) -> c_int = DUP2;
    poll(files: *mut c_void, count: c_ulong, timeout: c_int) -> c_int = POLL;
    stat(path: *const c_char, stat: *mut c_void) -> c_int = STAT;
    mkdir(path: *const c_char, mode: c_uint) -> c_int = MKDIR;
    rmdir(path: *const c_char) -> c_int = RMDIR;
    unlink(path: *const c_char) -> c_int = UNLINK;
    rename(from: *const c_char, to: *const c_char) -> c_int = RENAME;
    clock_gettime(clock: c_int, time: *mut c_void) -> c_int = CLOCK_GETTIME;
    gettimeofday(time: *mut c_void, zone: *mut c_void) -> c_int = GETTIMEOFDAY;
    time(seconds: *mut c_long) -> c_long = TIME;
    nanosleep(duration: *const c_void, left: *mut c_void) -> c_int = NANOSLEEP;
    getpid() -> c_int = GETPID;
    getppid() -> c_int = GETPPID;
    sched_yield() -> c_int = SCHED_YIELD;
}

/// Ends the process; its parent sees the lowest eight bits of `status`.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub extern "C" fn _exit(status: c_int) -> ! {
    crate::exit(status)
}

/// The same: without `atexit` and buffered streams there is nothing to clean up.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub extern "C" fn exit(status: c_int) -> ! {
    crate::exit(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::Errno;

    #[test]
    fn errors_go_to_errno() {
        assert_eq!((finish(7), finish(i64::MIN)), (7, i64::MIN));
        assert_eq!((finish(Errno::ENOENT.negated()), parley_errno()), (-1, Errno::ENOENT as i32));
        assert_eq!((finish(3), parley_errno()), (3, Errno::ENOENT as i32), "success leaves it alone");
    }

    #[test]
    fn the_header_has_every_error() {
        let header = include_str!("../include/errno.h");
        for errno in (1..4096).filter_map(Errno::from_number) {
            let line = format!("#define {} {} ", errno.name(), errno as i32);
            assert!(header.contains(&line), "errno.h lacks: {line}");
        }
    }
}
