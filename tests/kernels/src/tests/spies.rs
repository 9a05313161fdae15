//! Spies: what ring 3 can look at after any entry to ring 0, and after any other process ran.

use alloc::vec::Vec;
use parley_abi::call::{self, Rights, prot};
use parley_abi::msg::POLL;
use parley_abi::{Errno, PAGE};
use parley_rt::sys;

use crate::tool::assembly::DONE;
use crate::tool::machine::within;
use crate::tool::sandbox::Sandbox;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    no_call_shows_the_core,
    selectors_of_others_are_not_shown,
    selectors_of_the_interrupted_are_not_shown,
    the_extended_state_is_fresh,
    descriptor_tables_are_not_shown
];

const INVALID_OPCODE: u64 = 6;
const GENERAL_PROTECTION: u64 = 13;
/// Where registers are written: a page.
const AREA: u64 = 0x60_0000;
/// The handle that a call gets in rdi.
const OBJECT: u32 = 2000;
/// Where the core's half begins.
const CORE: u64 = 0xffff_8000_0000_0000;
/// Registers, by number, that are looked at: all but rsp, which is ring 3's own.
const REGISTERS: core::ops::Range<u8> = 0..16;
const RSP: u8 = 4;
const RBX: u8 = 3;
const RBP: u8 = 5;

fn mark(register: u8) -> u64 {
    0x1111_0000 + u64::from(register) * 8
}

/// `mov REG, value`, sign-extended from 32 bits.
fn set(register: u8, value: u32) -> Vec<u8> {
    let mut code = alloc::vec![if register < 8 { 0x48 } else { 0x49 }, 0xc7, 0xc0 | register & 7];
    code.extend(value.to_le_bytes());
    code
}

/// `mov [AREA + 8 n], REG`.
fn store(register: u8) -> [u8; 8] {
    let prefix = if register < 8 { 0x48 } else { 0x4c };
    [prefix, 0x89, 0x04 | (register & 7) << 3, 0x25, 8 * register, 0, 0x60, 0]
}

/// Marks in all registers, the handle in rdi, no deadline that is not over; then call `number`.
fn probe(number: u64) -> Vec<u8> {
    let value = |register: u8| match register {
        0 => number as u32,
        7 => OBJECT,
        13 => 0,
        14 => POLL as u32,
        other => mark(other) as u32,
    };
    let all = REGISTERS.filter(|&register| register != RSP);
    let marks = all.clone().flat_map(|register| set(register, value(register)));
    let call = [0x0f, 0x05];
    marks.chain(call).chain(all.flat_map(store)).chain(DONE).collect()
}

/// A sandbox with its area and one handle of every kind, one of which is in slot [`OBJECT`] at a time.
struct Spy {
    sandbox: Sandbox,
    area: u32,
    objects: [u32; 6],
}

impl Spy {
    fn new() -> Verdict<Spy> {
        let sandbox = Sandbox::new()?;
        let scope = sandbox.scope();
        let area = scope.mem(1)?;
        sys::map(sandbox.space, area, AREA, 0, 1, prot::READ | prot::WRITE)?;
        let endpoint = scope.endpoint()?;
        let objects = [
            endpoint,
            scope.connection(endpoint, 1)?,
            scope.quota(),
            scope.mem(1)?,
            sandbox.space,
            scope.keep(sys::table_create(scope.quota(), &[]))?,
        ];
        Ok(Spy { sandbox, area, objects })
    }

    /// What is in the registers after call `number` on an object.
    fn look(&mut self, number: u64, object: u32) -> Verdict<[u64; 16]> {
        // What an earlier call left there, if it did not drop it itself.
        let spy = self.sandbox.space;
        sys::handle_grant(spy, object, OBJECT, Rights::all()).or_else(ignore_taken)?;
        let fault = self.sandbox.run(&probe(number))?;
        ensure_eq!(fault.vector, INVALID_OPCODE, "after call {number:#x}");
        let mut bytes = [0; 128];
        sys::mem_read(self.area, 0, &mut bytes)?;
        let word = |index: usize| bytes[8 * index..].first_chunk().map(|word| u64::from_le_bytes(*word));
        Ok(core::array::from_fn(|index| word(index).unwrap_or_default()))
    }
}

fn ignore_taken(errno: Errno) -> Result<(), Errno> {
    if errno == Errno::EEXIST { Ok(()) } else { Err(errno) }
}

/// Every call of the core with every kind of handle, and numbers that are none: no register that comes back
/// holds an address of the core, and those that no message uses hold what they held.
fn no_call_shows_the_core() -> Verdict {
    // Those that do not come back, or only when somebody else does something.
    let ends = [call::THREAD_EXIT];
    for kind in 0..6 {
        let mut spy = Spy::new()?;
        let numbers = call::TABLE.iter().map(|(number, _)| *number).filter(|number| !ends.contains(number));
        for number in numbers.map(u64::from).chain([0, 1, 39, 511, 512, 0xfff, 0x10ff, 0xffff, 0x1_1000, 0xff_1001]) {
            let object = spy.objects[kind];
            for (index, value) in spy.look(number, object)?.into_iter().enumerate() {
                let error = value as i64 >= -4096 && (value as i64) < 0;
                ensure!(
                    value < CORE || error,
                    "register {index} holds {value:#x} after call {number:#x} on kind {kind}"
                );
                if [RBX, RBP].contains(&(index as u8)) {
                    ensure_eq!(value, mark(index as u8), "register {index} after call {number:#x}");
                }
            }
            // A fresh slot for the next one.
            spy.empty_slot()?;
        }
    }
    Ok(())
}

impl Spy {
    /// Drops what is in slot [`OBJECT`], in the spy's name.
    fn empty_slot(&mut self) -> Verdict {
        let code = [crate::tool::assembly::call(call::HANDLE_DROP, &[Some(OBJECT)]), DONE.to_vec()].concat();
        ensure_eq!(self.sandbox.run(&code)?.vector, INVALID_OPCODE, "dropping a handle");
        Ok(())
    }
}

/// `mov eax, 0x18 + n; mov SEG, ax` for ds, es, fs, gs, each with another privilege level.
const LOAD_SELECTORS: [u8; 28] = [
    0xb8, 0x18, 0, 0, 0, 0x8e, 0xd8, 0xb8, 0x19, 0, 0, 0, 0x8e, 0xc0, 0xb8, 0x1a, 0, 0, 0, 0x8e, 0xe0, 0xb8, 0x03, 0,
    0, 0, 0x8e, 0xe8,
];

/// What a fresh process finds in ds, es, fs, gs, ss, cs.
fn selectors() -> Verdict<[u16; 6]> {
    let mut spy = Spy::new()?;
    // mov eax, SEG; mov [AREA + 8 n], eax
    let look = |(index, segment): (u8, u8)| [0x8c, 0xc0 | segment << 3, 0x89, 0x04, 0x25, 8 * index, 0, 0x60, 0];
    let code: Vec<u8> =
        [(0, 3), (1, 0), (2, 4), (3, 5), (4, 2), (5, 1)].into_iter().flat_map(look).chain(DONE).collect();
    ensure_eq!(spy.sandbox.run(&code)?.vector, INVALID_OPCODE, "the spy");
    let mut bytes = [0; 48];
    sys::mem_read(spy.area, 0, &mut bytes)?;
    Ok(core::array::from_fn(|index| u16::from_le_bytes([bytes[8 * index], bytes[8 * index + 1]])))
}

/// All data segments empty, stack and code as every process has them.
const FRESH: [u16; 6] = [0, 0, 0, 0, 0x1b, 0x23];

fn selectors_of_others_are_not_shown() -> Verdict {
    let mut victim = Sandbox::new()?;
    let code = [&LOAD_SELECTORS[..], &DONE].concat();
    ensure_eq!(victim.run(&code)?.vector, INVALID_OPCODE, "the victim");
    ensure_eq!(selectors()?, FRESH, "segment registers of another process");
    Ok(())
}

/// The victim never enters ring 0 by itself: it is interrupted.
fn selectors_of_the_interrupted_are_not_shown() -> Verdict {
    let mut victim = Sandbox::new()?;
    victim.start(&[&LOAD_SELECTORS[..], &[0xeb, 0xfe]].concat())?;
    let until = within(20);
    while sys::clock() < until {}
    ensure_eq!(selectors()?, FRESH, "segment registers of another process");
    Ok(())
}

/// `mov ebx, AREA; mov eax, -1; mov edx, -1; xsave64 [rbx]`.
const SAVE: [u8; 15] = [0xbb, 0, 0, 0x60, 0, 0x83, 0xc8, 0xff, 0x83, 0xca, 0xff, 0x48, 0x0f, 0xae, 0x23];
/// `fwait`, which wants the FPU to be the thread's own.
const WAIT: [u8; 1] = [0x9b];

/// Everything that XSAVE can write, with every component asked for: what a fresh process finds there.
fn extended_state(before: &[u8], size: usize) -> Verdict<[u8; PAGE]> {
    let mut spy = Spy::new()?;
    ensure_eq!(spy.sandbox.run(&[before, &SAVE, &DONE].concat())?.vector, INVALID_OPCODE, "the spy");
    let mut seen = [0; PAGE];
    sys::mem_read(spy.area, 0, &mut seen)?;
    ensure!(seen[size..].iter().all(|&byte| byte == 0), "XSAVE wrote more than {size} bytes");
    Ok(seen)
}

/// What of it is not as it is after a reset.
fn staleness(seen: &[u8; PAGE], size: usize) -> Option<&'static str> {
    let quiet = |range: core::ops::Range<usize>| seen[range].iter().all(|&byte| byte == 0);
    match () {
        () if seen[..2] != [0x7f, 3] => Some("the x87 control word"),
        () if seen[24..28] != [0x80, 0x1f, 0, 0] => Some("MXCSR"),
        () if !quiet(2..24) || !quiet(32..512) => Some("x87 or SSE registers"),
        () if seen[512] & !7 != 0 || !quiet(513..576) => Some("the header"),
        () if !quiet(576..size) => Some("AVX registers"),
        () => None,
    }
}

fn the_extended_state_is_fresh() -> Verdict {
    let leaf = core::arch::x86_64::__cpuid(1);
    if leaf.ecx & (1 << 27) == 0 {
        return Err(Trouble::Skip("the processor has no XSAVE".into()));
    }
    let size = core::arch::x86_64::__cpuid_count(0xd, 0).ebx as usize;
    ensure!((576..=PAGE).contains(&size), "the enabled components take {size} bytes");
    // fld1; a control word that rounds towards zero; ones in xmm7: a victim that owns the FPU.
    let victim_code = [0xd9, 0xe8, 0x68, 0x7f, 0x0c, 0, 0, 0xd9, 0x2c, 0x24, 0x66, 0x0f, 0x76, 0xff, DONE[0], DONE[1]];
    for (before, honest) in [(&WAIT[..], true), (&[], false)] {
        let mut victim = Sandbox::new()?;
        ensure_eq!(victim.run(&victim_code)?.vector, INVALID_OPCODE, "the victim");
        match staleness(&extended_state(before, size)?, size) {
            None => {}
            Some(what) if honest => fail!("a fresh process sees another's {what}"),
            // Intel SDM: XSAVE raises #NM if CR0.TS is set. QEMU's does not look.
            Some(what) => {
                let why = alloc::format!("the emulator's XSAVE ignores CR0.TS and shows {what} of whoever ran before");
                return Err(Trouble::Skip(why));
            }
        }
    }
    Ok(())
}

/// `sgdt`, `sidt`, `sldt`, `str`, `smsw` would say where the core's tables lie.
fn descriptor_tables_are_not_shown() -> Verdict {
    if core::arch::x86_64::__cpuid_count(7, 0).ecx & (1 << 2) == 0 {
        return Err(Trouble::Skip("the processor has no UMIP: it shows ring 3 where its tables are".into()));
    }
    let mut sandbox = Sandbox::new()?;
    // Each stores below the stack pointer, or to eax.
    let instructions: [(&str, &[u8]); 6] = [
        ("sgdt", &[0x0f, 0x01, 0x44, 0x24, 0xf0]),
        ("sidt", &[0x0f, 0x01, 0x4c, 0x24, 0xf0]),
        ("sldt", &[0x0f, 0x00, 0xc0]),
        ("str", &[0x0f, 0x00, 0xc8]),
        ("smsw", &[0x0f, 0x01, 0xe0]),
        ("rdpmc", &[0x0f, 0x33]),
    ];
    for (name, code) in instructions {
        let vector = sandbox.run(&[code, &DONE].concat())?.vector;
        ensure_eq!(vector, GENERAL_PROTECTION, "{name} in ring 3");
    }
    Ok(())
}
