//! The vfs when memory runs out: each allocation of each step fails once.
//!
//! A step that could not have its memory must say so (ENOSPC, ENOMEM) and leave nothing behind: done again
//! with memory, it must answer as it does on a twin that never was short of any. In its own process,
//! since it replaces the allocator.

use parley_abi::Errno;
use parley_abi::linux::{nr, open::*};
use parley_abi::slot::service;
use parley_loopback::{Loopback, Reply};
use placement::arena::Arena;
use placement::{Call, Script, boot};
use server_vfs::Vfs;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations that this thread may still do; negative: any number.
    static LEFT: Cell<i64> = const { Cell::new(-1) };
}

/// The system's allocator, which refuses when the thread's allowance is used up.
struct Short;

fn refused() -> bool {
    LEFT.with(|left| match left.get() {
        0 => true,
        count => {
            left.set(count - (count > 0) as i64);
            false
        }
    })
}

// SAFETY: it hands every call on to the system's allocator, or returns null, which is always allowed.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, handed on.
        if refused() { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Short = Short;

fn machine(script: &Script) -> Loopback<'static, Arena> {
    let mut loopback = Loopback::new(Arena::new(script.image()));
    let vfs: &'static mut Vfs = Box::leak(Box::new(Vfs::new(boot::archive())));
    loopback.bind(service::VFS, vfs).start().expect("the vfs starts");
    loopback
}

fn answer(machine: &mut Loopback<'static, Arena>, call: &Call, allocations: i64) -> i64 {
    LEFT.set(allocations);
    let reply = machine.call(call.number, call.args);
    LEFT.set(-1);
    let Reply::Now(result) = reply else { panic!("{call} is answered later") };
    result
}

fn script() -> Script {
    let mut s = Script::default();
    for name in ["/d", "/d/e", "/x", "/d/e/f"] {
        s.mkdir(name).stat("/d");
    }
    for fd in 0..20 {
        s.open(&format!("/d/file{fd}"), RDWR | CREAT).pwrite(fd, b"page", fd as i64 * 5_000).fstat(fd);
    }
    s.open("/bin/tool", RDWR).pwrite(20, b"patch", 4_094).read(20, 9_000).open("/d", 0).getdents(21, 4_096);
    s.rename("/d/file0", "/x/a").rename("/d/e", "/x/e").rename("/x/a", "/d/file1").rename("/x", "/d/x").stat("/d");
    s.unlink("/d/file2").rmdir("/d/x/e/f").close(3).open("/d/file2", RDWR | CREAT | TRUNC).stat("/d/x/e");
    s
}

#[test]
fn a_step_without_memory_leaves_nothing_behind() {
    let script = script();
    let (mut short, mut twin) = (machine(&script), machine(&script));
    let mut refusals = 0;
    for call in script.calls() {
        let mut allocations = 0;
        let result = loop {
            let result = answer(&mut short, call, allocations);
            let memory = [Errno::ENOSPC, Errno::ENOMEM].map(Errno::negated).contains(&result);
            // A write may have done its first page before memory ran out, and then says how much.
            if !memory && (call.number != nr::PWRITE64 || result == call.args[2] as i64) {
                break result;
            }
            (refusals, allocations) = (refusals + 1, allocations + 1);
        };
        assert_eq!(result, answer(&mut twin, call, -1), "{call}");
        assert!(short.memory().snapshot() == twin.memory().snapshot(), "{call} leaves other bytes");
    }
    assert!(refusals > 40, "only {refusals} steps were short of memory");
}

#[test]
fn starting_without_memory_is_an_error() {
    for allocations in 0.. {
        let (mut vfs, mut loopback) = (Vfs::new(boot::archive()), Loopback::new(Arena::new(&[])));
        loopback.bind(service::VFS, &mut vfs);
        LEFT.set(allocations);
        let started = loopback.start();
        LEFT.set(-1);
        match started {
            Ok(()) => return,
            Err((number, errno)) => {
                assert_eq!(number, service::VFS);
                assert!(matches!(errno, Errno::ENOSPC | Errno::EINVAL), "{errno}");
            }
        }
    }
}
