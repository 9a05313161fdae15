//! Program files that are broken: refused, and nothing else happens.

use parley_abi::{Errno, USER_END};
use parley_posix as posix;

use crate::tool::elf::{BASE, Elf, STATUS, header, segment};
use crate::tool::file::{read_file, write_file};
use crate::tool::machine::mem_info;
use crate::tool::verdict::Verdict;

tests![the_working_file_works, bad_headers, bad_segments, truncated, not_elf, refusals_leak_nothing];

/// Spawns a file with these contents; its status if it starts at all.
fn start(contents: &[u8]) -> Result<i32, Errno> {
    let _file = write_file(c"/ktest.elf", contents)?;
    posix::wait(posix::spawn(c"/ktest.elf", &["ktest.elf"])?)
}

/// Spawning it must fail, in one of the ways that say so.
fn refused(contents: &[u8], what: &str) -> Verdict {
    let result = start(contents);
    let sane = matches!(result, Err(Errno::ENOEXEC | Errno::ENOMEM | Errno::EINVAL));
    ensure!(sane, "{what}: {result:?}");
    Ok(())
}

/// The working file with one change.
fn broken(change: impl FnOnce(&mut Elf)) -> Elf {
    let mut elf = Elf::new();
    change(&mut elf);
    elf
}

fn the_working_file_works() -> Verdict {
    ensure_eq!(start(&Elf::new().0), Ok(STATUS), "the file that the others are made of");
    Ok(())
}

fn bad_headers() -> Verdict {
    type Change = fn(&mut Elf);
    let changes: [(&str, Change); 12] = [
        ("magic", |elf| elf.0[0] = 0),
        ("32 bits", |elf| elf.0[header::CLASS] = 1),
        ("big-endian", |elf| elf.0[5] = 2),
        ("machine", |elf| elf.put16(header::MACHINE, 40)),
        ("relocatable", |elf| elf.put16(header::TYPE, 1)),
        ("no segments", |elf| elf.put16(header::PHNUM, 0)),
        ("65,535 segments", |elf| elf.put16(header::PHNUM, 0xffff)),
        ("program headers past the end", |elf| elf.put64(header::PHOFF, 1 << 20)),
        ("program headers past everything", |elf| elf.put64(header::PHOFF, u64::MAX - 8)),
        ("short program headers", |elf| elf.put16(header::PHENTSIZE, 8)),
        ("entry at null", |elf| elf.put64(header::ENTRY, 0)),
        ("entry in kernel range", |elf| elf.put64(header::ENTRY, 0xffff_8000_0000_0000)),
    ];
    changes.into_iter().try_for_each(|(what, change)| refused(&broken(change).0, what))?;
    for entry in [BASE + 0x10_0000, 1 << 47, u64::MAX] {
        refused(&broken(|elf| elf.put64(header::ENTRY, entry)).0, "entry outside of every segment")?;
    }
    // That is a program, though a short-lived one.
    let no_code = start(&broken(|elf| elf.put64(header::ENTRY, BASE + 0x1000)).0);
    ensure!(matches!(no_code, Ok(270) | Err(Errno::ENOEXEC)), "entry in a segment without code: {no_code:?}");
    Ok(())
}

/// Field of segment 0 or 1, and the value that breaks it.
fn bad_segments() -> Verdict {
    let fields = [
        ("overlapping", 1, segment::VADDR, BASE),
        ("unaligned", 0, segment::VADDR, BASE + 8),
        ("at null", 1, segment::VADDR, 0),
        ("in kernel range", 1, segment::VADDR, 0xffff_8000_0000_0000),
        ("at the top of everything", 1, segment::VADDR, u64::MAX - 0xfff),
        ("non-canonical", 1, segment::VADDR, 1 << 47),
        ("past the end of ring 3", 1, segment::VADDR, USER_END),
        ("across the end of ring 3", 1, segment::VADDR, USER_END - 0x800),
        ("huge in memory", 1, segment::MEMSZ, 1 << 46),
        ("as long as everything", 1, segment::MEMSZ, u64::MAX),
        ("a gigabyte more than there is", 1, segment::MEMSZ, 1 << 40),
        ("longer in the file than the file", 0, segment::FILESZ, 1 << 20),
        ("longer in the file than in memory", 1, segment::FILESZ, 0x2000),
        ("of file length that wraps", 0, segment::FILESZ, u64::MAX),
        ("at a file offset that wraps", 0, segment::OFFSET, u64::MAX - 0xfff),
        ("at a file offset past the end", 0, segment::OFFSET, 1 << 20),
    ];
    for (what, index, field, value) in fields {
        refused(&broken(|elf| elf.put64(Elf::segment(index, field), value)).0, what)?;
    }
    let writable_code = broken(|elf| elf.put32(Elf::segment(0, segment::FLAGS), 7));
    refused(&writable_code.0, "writable and executable")
}

fn truncated() -> Verdict {
    let whole = Elf::new().0;
    for length in [0, 1, 4, header::SIZE - 1, header::SIZE, header::SIZE + 10, whole.len() - 1] {
        refused(&whole[..length], "a file cut off")?;
    }
    let real = read_file(c"/bin/ktest-victim")?;
    for length in [real.len() / 8, real.len() / 3, 5000] {
        refused(&real[..length.min(real.len())], "a real program cut off")?;
    }
    Ok(())
}

fn not_elf() -> Verdict {
    refused(b"#!/bin/sh\necho hello\n", "a script")?;
    refused(&[0; 4096], "zeros")?;
    refused(&[0xff; 4096], "ones")
}

fn refusals_leak_nothing() -> Verdict {
    let mut half = Elf::new();
    half.put64(Elf::segment(1, segment::VADDR), BASE);
    refused(&half.0, "overlapping segments")?;
    let before = mem_info()?;
    for _ in 0..10 {
        refused(&half.0, "overlapping segments")?;
    }
    let after = mem_info()?;
    ensure_eq!((after.spaces, after.threads), (before.spaces, before.threads), "spaces and threads");
    ensure!(after.free + 8 >= before.free, "{} free pages became {}", before.free, after.free);
    Ok(())
}
