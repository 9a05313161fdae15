//! Machine code for a sandbox: system calls with constants in their registers.

use alloc::vec::Vec;

/// The registers that [`call`] can set, in the order of a core call's arguments.
const LOADS: [&[u8]; 6] = [&[0xbf], &[0xbe], &[0xba], &[0x41, 0xba], &[0x41, 0xb8], &[0x41, 0xb9]];
/// `mov esi, eax`.
const RESULT_TO_RSI: [u8; 2] = [0x89, 0xc6];
/// `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// `ud2`: the fault that tells the test that the code is done.
pub const DONE: [u8; 2] = [0x0f, 0x0b];

/// System call `number` with `args` in rdi, rsi, rdx, r10, r8, r9. `None` leaves a register alone.
pub fn call(number: u16, args: &[Option<u32>]) -> Vec<u8> {
    let mut code = Vec::new();
    for (load, value) in LOADS.iter().zip(args) {
        if let Some(value) = value {
            code.extend_from_slice(load);
            code.extend(value.to_le_bytes());
        }
    }
    code.push(0xb8);
    code.extend(u32::from(number).to_le_bytes());
    code.extend(SYSCALL);
    code
}

/// As [`call`], with the result of the call before it in rsi.
pub fn call_with_result(number: u16, args: &[Option<u32>]) -> Vec<u8> {
    RESULT_TO_RSI.into_iter().chain(call(number, args)).collect()
}
