//! The place at which the host may stop this program, to learn how far it is and to do harm.
//!
//! A function that does nothing: the host sets a breakpoint on it and reads the arguments where the C ABI has them.

use crate::trouble::Trouble;

/// What is announced. `xtask` has the same numbers, in `torture/patient.rs`.
#[repr(u64)]
enum Mark {
    /// A round, or a pass of a script, begins.
    Begin = 1,
    /// The host does harm here, if it wants to.
    Strike = 2,
    /// A round has ended with this [`Trouble::code`].
    Round = 3,
    /// The program gives up with this [`Trouble::code`].
    End = 4,
    /// The host types `typed NUMBER` and Enter on the terminal.
    Type = 5,
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn torture_mark(mark: u64, number: u64, code: u64) -> u64 {
    core::hint::black_box(mark ^ number ^ code)
}

/// Harm is wanted here, for the `number`th time.
pub fn strike(number: u64) {
    torture_mark(Mark::Strike as u64, number, 0);
}

/// A line is wanted on the terminal.
pub fn type_line(number: u64) {
    torture_mark(Mark::Type as u64, number, 0);
}

/// A round begins.
pub fn begin(number: u64) {
    torture_mark(Mark::Begin as u64, number, 0);
}

/// A round has ended.
pub fn round(number: u64, went: &Result<(), Trouble>) {
    torture_mark(Mark::Round as u64, number, went.as_ref().err().map_or(0, Trouble::code));
}

/// The program gives up.
pub fn ended(trouble: &Trouble) {
    torture_mark(Mark::End as u64, 0, trouble.code());
}
