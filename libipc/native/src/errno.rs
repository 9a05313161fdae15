//! Error numbers, as Linux numbers them on x86-64.
//!
//! The core and every service answer with these, so that the shim hands them on untouched.

macro_rules! errno {
    ($($name:ident = $value:literal $text:literal),* $(,)?) => {
        /// What went wrong. The value is Linux's `errno`; a system call returns it negated.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(i32)]
        #[allow(clippy::upper_case_acronyms)]
        pub enum Errno { $(#[doc = $text] $name = $value),* }

        impl Errno {
            /// The error with this positive number, if it is one the system uses.
            pub const fn from_number(number: i64) -> Option<Errno> {
                match number { $($value => Some(Errno::$name),)* _ => None }
            }
            /// What `strerror` would say.
            pub const fn text(self) -> &'static str {
                match self { $(Errno::$name => $text),* }
            }
            /// The symbolic name, such as `ENOENT`.
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name)),* }
            }
        }
    };
}

errno! {
    EPERM = 1 "operation not permitted",
    ENOENT = 2 "no such file or directory",
    ESRCH = 3 "no such process",
    EINTR = 4 "interrupted",
    EIO = 5 "input/output error",
    ENXIO = 6 "no such device or address",
    E2BIG = 7 "argument list too long",
    ENOEXEC = 8 "not an executable",
    EBADF = 9 "bad file descriptor",
    ECHILD = 10 "no child processes",
    EAGAIN = 11 "try again",
    ENOMEM = 12 "out of memory",
    EACCES = 13 "permission denied",
    EFAULT = 14 "bad address",
    EBUSY = 16 "device or resource busy",
    EEXIST = 17 "file exists",
    EXDEV = 18 "invalid cross-device link",
    ENODEV = 19 "no such device",
    ENOTDIR = 20 "not a directory",
    EISDIR = 21 "is a directory",
    EINVAL = 22 "invalid argument",
    ENFILE = 23 "too many open files in the system",
    EMFILE = 24 "too many open files",
    ENOTTY = 25 "not a terminal",
    EFBIG = 27 "file too large",
    ENOSPC = 28 "no space left on device",
    ESPIPE = 29 "illegal seek",
    EROFS = 30 "read-only file system",
    EPIPE = 32 "broken pipe",
    ERANGE = 34 "result too large",
    EDEADLK = 35 "resource deadlock avoided",
    ENAMETOOLONG = 36 "file name too long",
    ENOSYS = 38 "function not implemented",
    ENOTEMPTY = 39 "directory not empty",
    EOVERFLOW = 75 "value too large for defined data type",
    ETIMEDOUT = 110 "connection timed out",
    ESTALE = 116 "stale token or handle",
    ECANCELED = 125 "operation canceled",
}

impl Errno {
    /// The number a system call returns for this error.
    pub const fn negated(self) -> i64 {
        -(self as i32 as i64)
    }

    /// Splits a system call's return value: `-4095..=-1` is an error (Linux convention).
    pub const fn check(value: i64) -> Result<i64, Errno> {
        if value >= 0 || value < -4095 {
            return Ok(value);
        }
        match Errno::from_number(-value) {
            Some(errno) => Err(errno),
            None => Err(Errno::EIO),
        }
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{} ({})", self.text(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for number in 1..200 {
            if let Some(errno) = Errno::from_number(number) {
                assert_eq!(Errno::check(errno.negated()), Err(errno));
            }
        }
    }

    #[test]
    fn results_are_not_errors() {
        assert_eq!(Errno::check(0), Ok(0));
        assert_eq!(Errno::check(-4096), Ok(-4096));
        assert_eq!(Errno::check(-4000), Err(Errno::EIO));
    }
}
