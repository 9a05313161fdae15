//! Numbers and structures of the Linux ABI on x86-64, as far as programs can see them.

pub use parley_native::Plain;

/// System call numbers (Linux `arch/x86/entry/syscalls/syscall_64.tbl`).
pub mod nr {
    #![allow(missing_docs)]
    pub const READ: u16 = 0;
    pub const WRITE: u16 = 1;
    pub const OPEN: u16 = 2;
    pub const CLOSE: u16 = 3;
    pub const STAT: u16 = 4;
    pub const FSTAT: u16 = 5;
    pub const POLL: u16 = 7;
    pub const LSEEK: u16 = 8;
    pub const PREAD64: u16 = 17;
    pub const PWRITE64: u16 = 18;
    pub const SCHED_YIELD: u16 = 24;
    pub const DUP: u16 = 32;
    pub const DUP2: u16 = 33;
    pub const NANOSLEEP: u16 = 35;
    pub const GETPID: u16 = 39;
    pub const EXIT: u16 = 60;
    pub const RENAME: u16 = 82;
    pub const MKDIR: u16 = 83;
    pub const RMDIR: u16 = 84;
    pub const UNLINK: u16 = 87;
    pub const GETTIMEOFDAY: u16 = 96;
    pub const GETPPID: u16 = 110;
    pub const TIME: u16 = 201;
    pub const GETDENTS64: u16 = 217;
    pub const CLOCK_GETTIME: u16 = 228;
    pub const EXIT_GROUP: u16 = 231;
    pub const PPOLL: u16 = 271;
    /// Numbers from here on are Parley's own rows of the call table.
    pub const OWN: u16 = 0x1c0;
    /// Those of them that the shim makes `poll` of.
    pub const READY: u16 = OWN + 9;
    pub const CHANGES: u16 = OWN + 10;
    pub const AWAIT_CHANGE: u16 = OWN + 11;
}

/// `open` flags.
pub mod open {
    #![allow(missing_docs)]
    pub const RDONLY: u32 = 0;
    pub const WRONLY: u32 = 1;
    pub const RDWR: u32 = 2;
    pub const ACCMODE: u32 = 3;
    pub const CREAT: u32 = 0o100;
    pub const EXCL: u32 = 0o200;
    pub const TRUNC: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const NONBLOCK: u32 = 0o4000;
    pub const DIRECTORY: u32 = 0o200000;
    pub const CLOEXEC: u32 = 0o2000000;
}

/// Events of `poll` (Linux `include/uapi/asm-generic/poll.h`).
pub mod poll {
    #![allow(missing_docs)]
    pub const IN: u32 = 0x001;
    pub const OUT: u32 = 0x004;
    pub const ERR: u32 = 0x008;
    pub const HUP: u32 = 0x010;
    pub const NVAL: u32 = 0x020;
    pub const RDNORM: u32 = 0x040;
    pub const WRNORM: u32 = 0x100;
    /// A read would not wait.
    pub const READABLE: u32 = IN | RDNORM;
    /// A write would not wait.
    pub const WRITABLE: u32 = OUT | WRNORM;
}

/// `st_mode` bits.
pub mod mode {
    #![allow(missing_docs)]
    pub const IFMT: u32 = 0o170000;
    pub const IFREG: u32 = 0o100000;
    pub const IFDIR: u32 = 0o040000;
    pub const IFCHR: u32 = 0o020000;
}

/// `lseek` origins.
pub mod seek {
    #![allow(missing_docs)]
    pub const SET: u32 = 0;
    pub const CUR: u32 = 1;
    pub const END: u32 = 2;
}

/// Clock ids of `clock_gettime`.
pub mod clock {
    #![allow(missing_docs)]
    pub const REALTIME: u32 = 0;
    pub const MONOTONIC: u32 = 1;
}

/// `struct timespec`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Timespec {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nsec: i64,
}

impl Timespec {
    /// A count of nanoseconds, taken apart.
    pub const fn from_nanoseconds(count: u64) -> Timespec {
        const SECOND: u64 = 1_000_000_000;
        Timespec { sec: (count / SECOND) as i64, nsec: (count % SECOND) as i64 }
    }
}

/// `struct pollfd`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; one below 0 is passed over.
    pub fd: i32,
    /// What is waited for, bits of [`poll`].
    pub events: u16,
    /// What has come.
    pub revents: u16,
}

/// `struct timeval`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Timeval {
    /// Seconds.
    pub sec: i64,
    /// Microseconds, 0 to 999,999.
    pub usec: i64,
}

/// `time_t`, as `time` writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Seconds(pub i64);

/// `struct stat` (Linux `arch/x86/include/uapi/asm/stat.h`): 144 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Stat {
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub pad0: u32,
    pub rdev: u64,
    pub size: i64,
    pub blksize: i64,
    pub blocks: i64,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    pub reserved: [i64; 3],
}

const _: () = assert!(size_of::<Stat>() == 144);

/// A device number as Linux's `makedev` packs it, for major and minor below 4,096 and 256.
pub const fn makedev(major: u32, minor: u32) -> u64 {
    (major as u64) << 8 | minor as u64
}

/// The major number in a device number of [`makedev`].
pub const fn major(device: u64) -> u32 {
    (device >> 8) as u32
}

/// Header of a `linux_dirent64` record: ino, off, reclen, type, then the name and a NUL.
pub mod dirent {
    #![allow(missing_docs)]
    pub const HEADER: usize = 19;
    pub const DT_CHR: u8 = 2;
    pub const DT_DIR: u8 = 4;
    pub const DT_REG: u8 = 8;
}

// SAFETY: integers only; field offsets leave no gap (asserted by size where it could).
unsafe impl Plain for Timespec {}
// SAFETY: 8 bytes, the sum of its fields.
unsafe impl Plain for PollFd {}
// SAFETY: one 64-bit integer.
unsafe impl Plain for Seconds {}
// SAFETY: two 64-bit integers.
unsafe impl Plain for Timeval {}
// SAFETY: 144 bytes, the sum of its fields.
unsafe impl Plain for Stat {}
