//! A spy in every register: what one process puts into x87, SSE and AVX registers stays its own.
//!
//! The spy is a fresh process that writes all of them to memory before it uses any. Everything there must
//! be as the ABI says for a new process (System V ABI for x86-64, section 3.4.1), whoever ran before.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::call::{NULL, YIELD, prot};
use parley_abi::linux::nr;
use parley_abi::msg::FOREVER;
use parley_programs::bench::{counts_instructions, ticks};
use parley_programs::peer::Peer;
use parley_programs::threads::own_priority;
use parley_rt::sys;

use crate::tool::assembly::DONE;
use crate::tool::sandbox::Sandbox;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    a_spy_sees_nothing,
    a_spy_sees_nothing_of_avx,
    a_spy_sees_no_general_registers,
    all_registers_survive_strangers,
    control_words_survive_strangers,
    servers_pay_nothing_for_it
];

const BREAKPOINT: u64 = 3;
const INVALID_OPCODE: u64 = 6;
/// Where the registers are written: two pages, zeroed.
const AREA: u64 = 0x60_0000;
const AREA_PAGES: u64 = 2;
/// Layout of FXSAVE (Intel SDM volume 1, section 10.5.1): x87 from 32 on, xmm from 160 on.
const X87: core::ops::Range<usize> = 32..160;
const XMM: core::ops::Range<usize> = 160..416;
const LEGACY: usize = 512;
/// `mov ebx, AREA`.
const AREA_TO_RBX: [u8; 5] = [0xbb, 0, 0, 0x60, 0];
/// `fxsave64 [rbx]`, `fxrstor64 [rbx]`.
const SAVE: [u8; 4] = [0x48, 0x0f, 0xae, 0x03];
const LOAD: [u8; 4] = [0x48, 0x0f, 0xae, 0x0b];

/// A sandbox with the area mapped.
struct Party {
    sandbox: Sandbox,
    area: u32,
}

impl Party {
    fn new() -> Verdict<Party> {
        let sandbox = Sandbox::new()?;
        let area = sandbox.scope().mem(AREA_PAGES)?;
        sys::map(sandbox.space, area, AREA, 0, AREA_PAGES, prot::READ | prot::WRITE)?;
        Ok(Party { sandbox, area })
    }

    /// The first bytes of the area.
    fn seen<const N: usize>(&self) -> Verdict<[u8; N]> {
        let mut bytes = [0; N];
        sys::mem_read(self.area, 0, &mut bytes)?;
        Ok(bytes)
    }
}

/// What FXRSTOR loads: `byte` in every register.
fn image(byte: u8) -> [u8; LEGACY] {
    let mut image = [0; LEGACY];
    image[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    image[4] = 0xff;
    image[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    // The upper six bytes of each x87 register do not exist.
    image[X87].chunks_exact_mut(16).for_each(|register| register[..10].fill(byte));
    image[XMM].fill(byte);
    image
}

/// Fills all registers of a party with `byte` and stops it, its registers in use.
fn filled(byte: u8, rest: &[u8]) -> Verdict<(Party, crate::tool::sandbox::Fault)> {
    let mut party = Party::new()?;
    sys::mem_write(party.area, 0, &image(byte))?;
    let code = [&AREA_TO_RBX[..], &LOAD, &[0xcc], rest].concat();
    let fault = party.sandbox.run(&code)?;
    ensure_eq!(fault.vector, BREAKPOINT, "filling the registers");
    Ok((party, fault))
}

fn a_spy_sees_nothing() -> Verdict {
    let (victim, _) = filled(0x5a, &DONE)?;
    let mut spy = Party::new()?;
    let fault = spy.sandbox.run(&[&AREA_TO_RBX[..], &SAVE, &DONE].concat())?;
    ensure_eq!(fault.vector, INVALID_OPCODE, "the spy");
    let seen: [u8; LEGACY] = spy.seen()?;
    ensure_eq!(u16::from_le_bytes([seen[0], seen[1]]), 0x37f, "the x87 control word");
    ensure_eq!(&seen[2..8], &[0; 6], "the x87 status, tags and last instruction");
    ensure_eq!(&seen[24..28], &0x1f80_u32.to_le_bytes(), "MXCSR");
    ensure!(seen[8..24].iter().all(|&byte| byte == 0), "x87 instruction and data pointers: {:x?}", &seen[8..24]);
    ensure!(seen[X87].iter().all(|&byte| byte == 0), "x87 registers: {:x?}", &seen[X87]);
    ensure!(seen[XMM].iter().all(|&byte| byte == 0), "SSE registers: {:x?}", &seen[XMM]);
    drop(victim);
    Ok(())
}

/// One bit of `cpuid` and of XCR0 each say whether there are upper halves to look at.
fn has_avx() -> bool {
    let leaf = core::arch::x86_64::__cpuid(1);
    leaf.ecx & (1 << 27) != 0 && leaf.ecx & (1 << 28) != 0
}

/// `vmovups [rbx + 32 n], ymm n` for every n, or the other way round.
fn move_ymm(opcode: u8) -> Vec<u8> {
    let one = |number: u8| {
        let prefix = if number < 8 { 0xfc } else { 0x7c };
        let mut code = alloc::vec![0xc5, prefix, opcode, 0x83 | (number & 7) << 3];
        code.extend((32 * u32::from(number)).to_le_bytes());
        code
    };
    (0..16).flat_map(one).collect()
}

fn a_spy_sees_nothing_of_avx() -> Verdict {
    if !has_avx() {
        return Err(Trouble::Skip("the processor has no AVX".into()));
    }
    let (load, store) = (move_ymm(0x10), move_ymm(0x11));
    let mut victim = Party::new()?;
    sys::mem_write(victim.area, 0, &[0xa5; 512])?;
    let fault = victim.sandbox.run(&[&AREA_TO_RBX[..], &load, &[0xcc], &store, &DONE].concat())?;
    ensure_eq!(fault.vector, BREAKPOINT, "filling the registers");
    let mut spy = Party::new()?;
    ensure_eq!(spy.sandbox.run(&[&AREA_TO_RBX[..], &store, &DONE].concat())?.vector, INVALID_OPCODE, "the spy");
    let seen: [u8; 512] = spy.seen()?;
    ensure!(seen.iter().all(|&byte| byte == 0), "AVX registers: {seen:x?}");
    sys::mem_write(victim.area, 0, &[0; 512])?;
    ensure_eq!(victim.sandbox.resume(fault)?.vector, INVALID_OPCODE, "the victim, later");
    ensure_eq!(victim.seen::<512>()?, [0xa5; 512], "AVX registers of the victim after the spy ran");
    Ok(())
}

/// `mov [AREA + 8 n], REG` for all but rsp and rdi, which the creator sets: a new thread has zeros.
fn a_spy_sees_no_general_registers() -> Verdict {
    let (victim, _) = filled(0x5a, &DONE)?;
    let mut spy = Party::new()?;
    let store = |number: u8| {
        let prefix = if number < 8 { 0x48 } else { 0x4c };
        [prefix, 0x89, 0x04 | (number & 7) << 3, 0x25, 8 * number, 0, 0x60, 0]
    };
    let code = (0..16u8).filter(|number| ![4, 7].contains(number)).flat_map(store).chain(DONE).collect::<Vec<_>>();
    ensure_eq!(spy.sandbox.run(&code)?.vector, INVALID_OPCODE, "the spy");
    ensure_eq!(spy.seen::<128>()?, [0; 128], "general registers of a new thread");
    drop(victim);
    Ok(())
}

/// Two parties with different contents take turns, over system calls, yields and faults.
fn all_registers_survive_strangers() -> Verdict {
    let calls = [NULL, YIELD, nr::GETPID, 511].iter().flat_map(|number| {
        let [low, high] = number.to_le_bytes();
        [0xb8, low, high, 0, 0, 0x0f, 0x05]
    });
    let rest: Vec<u8> = calls.chain(SAVE).chain(DONE).collect();
    let (mut one, first) = filled(0x11, &rest)?;
    let (mut two, second) = filled(0x22, &rest)?;
    for (name, party, fault, byte) in [("first", &mut one, first, 0x11), ("second", &mut two, second, 0x22)] {
        sys::mem_write(party.area, 0, &[0; LEGACY])?;
        ensure_eq!(party.sandbox.resume(fault)?.vector, INVALID_OPCODE, "the {name} party");
        let (seen, wanted) = (party.seen::<LEGACY>()?, image(byte));
        ensure_eq!(&seen[X87], &wanted[X87], "x87 registers of the {name} party");
        ensure_eq!(&seen[XMM], &wanted[XMM], "SSE registers of the {name} party");
    }
    Ok(())
}

/// Rounding, precision and masks are a thread's own.
fn control_words_survive_strangers() -> Verdict {
    let mut one = Party::new()?;
    let mut changed = image(0);
    changed[..2].copy_from_slice(&0xc7f_u16.to_le_bytes());
    changed[24..28].copy_from_slice(&0x7f80_u32.to_le_bytes());
    sys::mem_write(one.area, 0, &changed)?;
    let fault = one.sandbox.run(&[&AREA_TO_RBX[..], &LOAD, &[0xcc], &SAVE, &DONE].concat())?;
    let (stranger, _) = filled(0x33, &DONE)?;
    sys::mem_write(one.area, 0, &[0; LEGACY])?;
    ensure_eq!(one.sandbox.resume(fault)?.vector, INVALID_OPCODE, "the party with other control words");
    let seen: [u8; LEGACY] = one.seen()?;
    ensure_eq!((&seen[..2], &seen[24..28]), (&changed[..2], &changed[24..28]), "control words");
    drop(stranger);
    Ok(())
}

/// Uses the FPU.
fn use_the_fpu() {
    // SAFETY: pushes a constant on the x87 stack and pops it again; the program is built soft-float, so that the compiler
    // keeps nothing there.
    unsafe { core::arch::asm!("fld1", "fstp st(0)", options(nomem, nostack, preserves_flags)) }
}

/// Instructions that a call to a server and back may cost more for a caller who owns the FPU, and uses it: the server may
/// not touch its registers, and CR0 says so. To save and restore them would take a trap, which costs hundreds.
const LOCKING: u64 = 16;

/// The cheapest of some calls to a server in another address space, in instructions, with `after` after each.
fn cheapest_call(peer: &Peer, after: impl Fn()) -> Result<u64, Errno> {
    let call = |_| {
        let begin = ticks();
        peer.call([0; 6], FOREVER)?;
        after();
        Ok(ticks() - begin)
    };
    (0..50).map(call).try_fold(u64::MAX, |least, took| Ok(least.min(took?)))
}

/// A call to a server that does not use the FPU saves and restores no registers, though the caller uses it all the time.
fn servers_pay_nothing_for_it() -> Verdict {
    if !counts_instructions() {
        return Err(Trouble::Skip("time is not counted in instructions here".into()));
    }
    let peer = Peer::start(own_priority())?;
    let costs: Arc<[AtomicU64; 3]> = Arc::default();
    let theirs = costs.clone();
    // A new thread: it does not own the FPU yet.
    let thread = Thread::start(move || {
        let stranger = cheapest_call(&peer, || {});
        use_the_fpu();
        let (owner, user) = (cheapest_call(&peer, || {}), cheapest_call(&peer, use_the_fpu));
        for (cost, place) in [stranger, owner, user].into_iter().zip(theirs.iter()) {
            place.store(cost.unwrap_or(0), Ordering::Release);
        }
    })?;
    thread.join()?;
    let [stranger, owner, user] = [0, 1, 2].map(|index| costs[index].load(Ordering::Acquire));
    ensure!(stranger > 0 && owner > 0 && user > 0, "a call failed: {stranger}, {owner}, {user}");
    ensure!(owner <= stranger + LOCKING, "a call took {stranger} instructions, and {owner} with the FPU in use");
    ensure!(user <= owner + LOCKING, "a call took {owner} instructions, and {user} with the FPU used after it");
    Ok(())
}
