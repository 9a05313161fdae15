//! Pointers that point nowhere: every call that takes one answers EFAULT and changes nothing.

use parley_abi::call;
use parley_abi::linux::{Stat, nr};
use parley_abi::{Errno, USER_END, slot};
use parley_rt::sys;

use crate::tool::edge::{Access, Edge};
use crate::tool::file::{with_open, write_file};
use crate::tool::machine::core_call;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![
    input_pointers,
    output_pointers,
    read_only_outputs,
    core_input_pointers,
    core_output_pointers,
    optional_pointers
];

/// Null, below the first page that can be mapped, unmapped, at the end of ring 3, non-canonical,
/// kernel.
const NOWHERE: [u64; 10] = [
    0,
    0x10,
    0x7000_0000_0000,
    USER_END,
    USER_END - 1,
    1 << 47,
    1 << 63,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
    u64::MAX,
];

fn faults(number: u16, args: [u64; 6], what: &str) -> Verdict {
    ensure_eq!(sys::posix(number, args), Errno::EFAULT.negated(), "{what} with {args:x?}");
    Ok(())
}

fn input_pointers() -> Verdict {
    let file = write_file(c"/ktest.tmp", b"untouched")?;
    let (fd, path) = (u64::from(file.fd), c"/".as_ptr().expose_provenance() as u64);
    let mut stat = Stat::default();
    let stat = core::ptr::from_mut(&mut stat).expose_provenance() as u64;
    for bad in NOWHERE {
        faults(nr::WRITE, [fd, bad, 8, 0, 0, 0], "write")?;
        faults(nr::PWRITE64, [fd, bad, 8, 0, 0, 0], "pwrite")?;
        faults(nr::OPEN, [bad, 0, 0, 0, 0, 0], "open")?;
        faults(nr::STAT, [bad, stat, 0, 0, 0, 0], "stat")?;
        faults(nr::MKDIR, [bad, 0o755, 0, 0, 0, 0], "mkdir")?;
        faults(nr::RMDIR, [bad, 0, 0, 0, 0, 0], "rmdir")?;
        faults(nr::UNLINK, [bad, 0, 0, 0, 0, 0], "unlink")?;
        faults(nr::RENAME, [bad, path, 0, 0, 0, 0], "rename from")?;
        faults(nr::RENAME, [path, bad, 0, 0, 0, 0], "rename to")?;
        faults(nr::NANOSLEEP, [bad, 0, 0, 0, 0, 0], "nanosleep")?;
        faults(nr::OWN + 1, [bad, path, 2, 0, 0, 0], "spawn")?;
    }
    let size = parley_posix::fstat(file.fd)?.size;
    ensure_eq!(size, 9, "size of the file that could not be written");
    Ok(())
}

fn output_pointers() -> Verdict {
    let file = write_file(c"/ktest.tmp", b"contents")?;
    let (fd, path) = (u64::from(file.fd), c"/".as_ptr().expose_provenance() as u64);
    with_open(c"/dev/zero", |zero| {
        NOWHERE.iter().try_for_each(|&bad| faults(nr::READ, [u64::from(zero), bad, 8, 0, 0, 0], "read"))
    })??;
    with_open(c"/", |root| {
        NOWHERE.iter().try_for_each(|&bad| faults(nr::GETDENTS64, [u64::from(root), bad, 512, 0, 0, 0], "getdents"))
    })??;
    for bad in NOWHERE {
        faults(nr::PREAD64, [fd, bad, 8, 0, 0, 0], "pread")?;
        faults(nr::FSTAT, [fd, bad, 0, 0, 0, 0], "fstat")?;
        faults(nr::STAT, [path, bad, 0, 0, 0, 0], "stat")?;
        faults(nr::CLOCK_GETTIME, [0, bad, 0, 0, 0, 0], "clock_gettime")?;
        faults(nr::OWN + 3, [0, bad, 0, 0, 0, 0], "process")?;
        faults(nr::OWN + 4, [0, bad, 0, 0, 0, 0], "service")?;
    }
    Ok(())
}

fn read_only_outputs() -> Verdict {
    let edge = Edge::new(Access::ReadOnly, 7)?;
    let file = write_file(c"/ktest.tmp", b"contents")?;
    let (fd, at) = (u64::from(file.fd), edge.before_end(200));
    with_open(c"/dev/zero", |zero| faults(nr::READ, [u64::from(zero), at, 8, 0, 0, 0], "read"))??;
    faults(nr::PREAD64, [fd, at, 8, 0, 0, 0], "pread")?;
    faults(nr::FSTAT, [fd, at, 0, 0, 0, 0], "fstat")?;
    faults(nr::CLOCK_GETTIME, [0, at, 0, 0, 0, 0], "clock_gettime")?;
    faults(nr::GETTIMEOFDAY, [at, 0, 0, 0, 0, 0], "gettimeofday")?;
    ensure_eq!(edge.last::<200>()?, [7; 200], "read-only memory");
    Ok(())
}

/// Calls of the core that read memory of the caller's.
fn core_input_pointers() -> Verdict {
    let scope = Scope::new()?;
    let (mem, quota) = (u64::from(scope.mem(1)?), u64::from(scope.quota()));
    for bad in NOWHERE {
        let calls = [
            ("mem_write", call::MEM_WRITE, [mem, 0, bad, 8, 0, 0]),
            ("table_create", call::TABLE_CREATE, [quota, bad, 4, 0, 0, 0]),
        ];
        for (name, number, args) in calls {
            // SAFETY: the calls only read.
            let result = unsafe { core_call(number, args) };
            ensure_eq!(result, Errno::EFAULT.negated(), "{name} from {bad:#x}");
        }
    }
    Ok(())
}

/// Calls of the core that write memory of the caller's.
fn core_output_pointers() -> Verdict {
    let edge = Edge::new(Access::ReadOnly, 7)?;
    let scope = Scope::new()?;
    let (mem, system) = (u64::from(scope.mem(1)?), u64::from(slot::SYSTEM));
    for bad in NOWHERE.into_iter().chain([edge.before_end(100)]) {
        let calls = [
            ("mem_read", call::MEM_READ, [mem, 0, bad, 8, 0, 0]),
            ("counters", call::COUNTERS, [bad, 0, 0, 0, 0, 0]),
            ("thread_info", call::THREAD_INFO, [system, own_thread()?, bad, 0, 0, 0]),
            ("mem_info", call::MEM_INFO, [system, bad, 0, 0, 0, 0]),
        ];
        for (name, number, args) in calls {
            // SAFETY: none of the addresses can be written.
            let result = unsafe { core_call(number, args) };
            ensure_eq!(result, Errno::EFAULT.negated(), "{name} to {bad:#x}");
        }
    }
    ensure_eq!(edge.last::<100>()?, [7; 100], "read-only memory");
    Ok(())
}

/// Number of a thread that exists.
fn own_thread() -> Verdict<u64> {
    let first = parley_programs::threads::all().next();
    Ok(u64::from(first.ok_or(Errno::ESRCH)??.thread))
}

/// Where POSIX allows null, null is no error.
fn optional_pointers() -> Verdict {
    ensure_eq!(sys::posix(nr::GETTIMEOFDAY, [0; 6]), 0, "gettimeofday without a structure");
    ensure!(sys::posix(nr::TIME, [0; 6]) > 0, "time without a pointer");
    Ok(())
}
