//! Selectors and registers that reach for the core: loaded from ring 3, refused, and shown to nobody.

use alloc::vec::Vec;
use parley_abi::PAGE;
use parley_abi::call::{YIELD, prot};
use parley_rt::sys;

use crate::tool::assembly::DONE;
use crate::tool::sandbox::{CODE_AT, Sandbox};
use crate::tool::verdict::Verdict;

tests![
    selectors_of_the_core_are_refused,
    there_are_no_local_descriptors,
    null_selectors_are_harmless,
    segment_bases_are_not_shown,
    debug_registers_are_closed,
    ports_outside_the_grant,
    ports_inside_the_grant
];

const INVALID_OPCODE: u64 = 6;
const GENERAL_PROTECTION: u64 = 13;

/// What follows `0x8e` to load a segment register from ax.
const LOADS: [(&str, u8); 5] = [("es", 0xc0), ("ss", 0xd0), ("ds", 0xd8), ("fs", 0xe0), ("gs", 0xe8)];

/// `mov eax, selector; mov SEG, ax`.
fn load(selector: u16, register: u8) -> Vec<u8> {
    let [low, high] = selector.to_le_bytes();
    alloc::vec![0xb8, low, high, 0, 0, 0x8e, register]
}

/// The core's code and data, the TSS and its upper half, what lies beyond the table.
fn selectors_of_the_core_are_refused() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for selector in [0x08, 0x0b, 0x10, 0x13, 0x28, 0x2b, 0x30, 0x33, 0x38, 0x40, 0xfff8] {
        for (name, register) in LOADS {
            let fault = sandbox.run(&[load(selector, register), DONE.to_vec()].concat())?;
            ensure_eq!(fault.vector, GENERAL_PROTECTION, "loading {selector:#x} into {name}");
        }
    }
    Ok(())
}

/// After a reset the local table lies at address 0 and has 64 KiB (Intel SDM volume 3, table 10-1), most of
/// which ring 3 can map: whoever fills it makes gates into ring 0. The core has to load a null selector.
fn there_are_no_local_descriptors() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(1)?;
    // A flat data segment for ring 3, in each of the 512 places of the page.
    let table = [0x00cf_f300_0000_ffff_u64.to_le_bytes(); PAGE / 8];
    sys::mem_write(mem, 0, table.as_flattened())?;
    sys::map(sandbox.space, mem, 0x1000, 0, 1, prot::READ | prot::WRITE)?;
    for selector in [0x1007, 0x100f, 0x1fff, 0xffff, 0x4, 0x7, 0xc, 0xff7] {
        for (name, register) in LOADS {
            let fault = sandbox.run(&[load(selector, register), DONE.to_vec()].concat())?;
            ensure_eq!(fault.vector, GENERAL_PROTECTION, "loading {selector:#x} into {name}");
        }
    }
    Ok(())
}

fn null_selectors_are_harmless() -> Verdict {
    let [low, high] = YIELD.to_le_bytes();
    let call = [0xb8, low, high, 0, 0, 0x0f, 0x05];
    let mut sandbox = Sandbox::new()?;
    for selector in [0, 1, 2, 3, 0x1b] {
        for (name, register) in LOADS.into_iter().filter(|(name, _)| *name != "ss") {
            let fault = sandbox.run(&[load(selector, register), call.to_vec(), DONE.to_vec()].concat())?;
            ensure_eq!(fault.vector, INVALID_OPCODE, "a call with {selector:#x} in {name}");
        }
    }
    Ok(())
}

/// `mov al, fs:[0x40]` and the same with gs: both bases are 0 in a process that has set none, and the
/// instructions that read them are not ring 3's.
/// Ring 3 may have instructions for its segment bases: what one program puts there, no other sees, and after a
/// switch they are what the core was told.
fn segment_bases_are_not_shown() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // SAFETY: nothing in this program uses thread-local storage.
    unsafe { sys::set_fs_base(OWN_BASE) }?;
    let through = [0x64, 0x65].map(|prefix| sandbox.run(&[prefix, 0x8a, 0x04, 0x25, 0x40, 0, 0, 0]));
    // rdfsbase rax; mov [DATA_AT], rax; rdgsbase rax; mov [DATA_AT + 8], rax
    let [fs, gs] = [[0xf3, 0x48, 0x0f, 0xae, 0xc0], [0xf3, 0x48, 0x0f, 0xae, 0xc8]];
    let [first, second] = [0, 8].map(|at| [0x48, 0x89, 0x04, 0x25, at, 0, 0x50, 0]);
    let shown = sandbox.run(&[&fs[..], &first, &gs, &second, &DONE].concat());
    let has_instructions = !matches!(&shown, Ok(fault) if fault.vector == INVALID_OPCODE && fault.at == CODE_AT);
    let mine = has_instructions.then(|| bases_after(|| sandbox.run(&DONE).map(drop)));
    // SAFETY: as above.
    unsafe { sys::set_fs_base(0) }?;
    for fault in through {
        ensure_eq!(fault?.address, 0x40, "where a load through fs or gs went");
    }
    shown?;
    let mut bytes = [0; 16];
    sandbox.read_data(0, &mut bytes)?;
    ensure_eq!(bytes, [0; 16], "the bases that another program sees");
    if let Some((verdict, bases)) = mine {
        verdict?;
        ensure_eq!(bases, (OWN_BASE, 0), "the bases after a switch");
    }
    Ok(())
}

/// What this program tells the core.
const OWN_BASE: u64 = 0x123_4000;

/// Sets both bases behind the core's back, lets others run, and reads both.
fn bases_after(run: impl FnOnce() -> Verdict) -> (Verdict, (u64, u64)) {
    let (fs, gs): (u64, u64);
    // SAFETY: nothing in this program uses fs or gs, and the caller found that the instructions are there.
    unsafe { core::arch::asm!("wrfsbase {0}", "wrgsbase {0}", in(reg) 0x567_8000u64, options(nostack, nomem)) };
    let verdict = run();
    // SAFETY: as above.
    unsafe { core::arch::asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nostack, nomem)) };
    (verdict, (fs, gs))
}

fn debug_registers_are_closed() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for register in [0, 1, 2, 3, 6, 7] {
        for direction in [0x21, 0x23] {
            let fault = sandbox.run(&[0x0f, direction, 0xc0 | register << 3])?;
            ensure_eq!(fault.vector, GENERAL_PROTECTION, "debug register {register}");
        }
    }
    Ok(())
}

/// `mov edx, port; in al, dx`, by every width, and the string form.
fn ports_outside_the_grant() -> Verdict {
    let accesses: [&[u8]; 6] = [&[0xec], &[0x66, 0xed], &[0xed], &[0xee], &[0xef], &[0x6c]];
    let mut sandbox = Sandbox::new()?;
    for port in [0u16, 0x20, 0x40, 0x60, 0x70, 0x80, 0x92, 0xf4, 0x3f8, 0xcf8, 0xcfc, 0x604, 0xffff] {
        let [low, high] = port.to_le_bytes();
        for access in accesses {
            let code = [&[0xba, low, high, 0, 0], access, &DONE].concat();
            ensure_eq!(sandbox.run(&code)?.vector, GENERAL_PROTECTION, "port {port:#x}");
        }
    }
    // A wide access that begins on what a driver has, and ends beyond it: refused to this process anyway.
    let code = [0xba, 0xff, 0x03, 0, 0, 0xed, DONE[0], DONE[1]];
    ensure_eq!(sandbox.run(&code)?.vector, GENERAL_PROTECTION, "a wide access across the end of a grant");
    Ok(())
}

/// Programs cannot grant ports, not even to themselves; what a grant allows is seen by the drivers, which
/// work: the console's output comes through one.
fn ports_inside_the_grant() -> Verdict {
    let granted = sys::port_grant(parley_abi::slot::SPACE, 0x80, 1);
    ensure_eq!(granted, Err(parley_abi::Errno::EPERM), "a program grants itself a port");
    Ok(())
}
