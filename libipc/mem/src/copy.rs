//! `memcpy` and `memmove`.
//!
//! The tail of a forward copy and the head of a backward one go through [`small`], which loads all it
//! moves before it stores anything, and so is right for every overlap.

use core::arch::naked_asm;

/// Copies up to 32 bytes (rdx) from rsi to rdi, all loads before all stores. Returns from the function
/// whose tail it is; changes rcx, rdx, rsi, r8 to r10, and leaves rax alone.
#[unsafe(naked)]
unsafe extern "C" fn small() {
    naked_asm!(
        "cmp rdx, 8",
        "jb 4f",
        "cmp rdx, 16",
        "ja 3f",
        "mov rcx, [rsi]", // 8 to 16: first and last word
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "3:", // 17 to 32: first two and last two words
        "mov rcx, [rsi]",
        "mov r8, [rsi + 8]",
        "mov r9, [rsi + rdx - 16]",
        "mov r10, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + 8], r8",
        "mov [rdi + rdx - 16], r9",
        "mov [rdi + rdx - 8], r10",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 5f",
        "mov ecx, [rsi]", // 4 to 7
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        "5:",
        "test edx, edx",
        "jz 6f",
        "movzx ecx, byte ptr [rsi]", // 1 to 3: first, middle and last byte
        "movzx r8d, byte ptr [rsi + rdx - 1]",
        "mov r9, rdx",
        "shr r9, 1",
        "movzx esi, byte ptr [rsi + r9]",
        "mov [rdi], cl",
        "mov [rdi + r9], sil",
        "mov [rdi + rdx - 1], r8b",
        "6:",
        "ret",
    )
}

/// Copies `n` bytes between buffers that do not overlap. Returns `to`. (C11 7.24.2.1)
///
/// # Safety
/// `from` can be read and `to` written for `n` bytes, and they do not overlap.
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 32",
        "jbe {small}",
        "jmp {forward}",
        small = sym small,
        forward = sym forward,
    )
}

/// Copies `n` bytes between buffers that may overlap. Returns `to`. (C11 7.24.2.2)
///
/// # Safety
/// `from` can be read and `to` written for `n` bytes.
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 32",
        "jbe {small}",
        "mov rcx, rdi", // a forward copy is wrong only if `to` begins inside `from`
        "sub rcx, rsi",
        "cmp rcx, rdx",
        "jae {forward}",
        "jmp {backward}",
        small = sym small,
        forward = sym forward,
        backward = sym backward,
    )
}

/// Copies rdx > 32 bytes from rsi to rdi, lowest addresses first.
#[unsafe(naked)]
unsafe extern "C" fn forward() {
    naked_asm!(
        "sub rdx, 64",
        "jb 3f",
        "2:", // 64 bytes a turn
        "mov rcx, [rsi]",
        "mov r8, [rsi + 8]",
        "mov r9, [rsi + 16]",
        "mov r10, [rsi + 24]",
        "mov [rdi], rcx",
        "mov [rdi + 8], r8",
        "mov [rdi + 16], r9",
        "mov [rdi + 24], r10",
        "mov rcx, [rsi + 32]",
        "mov r8, [rsi + 40]",
        "mov r9, [rsi + 48]",
        "mov r10, [rsi + 56]",
        "mov [rdi + 32], rcx",
        "mov [rdi + 40], r8",
        "mov [rdi + 48], r9",
        "mov [rdi + 56], r10",
        "add rsi, 64",
        "add rdi, 64",
        "sub rdx, 64",
        "jae 2b",
        "3:",
        "add rdx, 64", // 0 to 63 are left
        "cmp rdx, 32",
        "jbe {small}",
        "mov rcx, [rsi]",
        "mov r8, [rsi + 8]",
        "mov r9, [rsi + 16]",
        "mov r10, [rsi + 24]",
        "mov [rdi], rcx",
        "mov [rdi + 8], r8",
        "mov [rdi + 16], r9",
        "mov [rdi + 24], r10",
        "add rsi, 32",
        "add rdi, 32",
        "sub rdx, 32",
        "jmp {small}",
        small = sym small,
    )
}

/// Copies rdx > 32 bytes from rsi to rdi, highest addresses first.
#[unsafe(naked)]
unsafe extern "C" fn backward() {
    naked_asm!(
        "2:", // 32 bytes a turn, from the end
        "mov rcx, [rsi + rdx - 8]",
        "mov r8, [rsi + rdx - 16]",
        "mov r9, [rsi + rdx - 24]",
        "mov r10, [rsi + rdx - 32]",
        "mov [rdi + rdx - 8], rcx",
        "mov [rdi + rdx - 16], r8",
        "mov [rdi + rdx - 24], r9",
        "mov [rdi + rdx - 32], r10",
        "sub rdx, 32",
        "cmp rdx, 32",
        "ja 2b",
        "jmp {small}",
        small = sym small,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 + index / 256) as u8).collect()
    }

    #[test]
    fn every_small_size_and_alignment() {
        for n in 0..200 {
            for (from, to) in [(0, 0), (1, 0), (0, 3), (5, 7)] {
                let source = pattern(n + 8);
                let mut target = vec![0xee; n + 16];
                let (a, b) = (&source[from..], &mut target[to..]);
                // SAFETY: both slices are longer than n and lie apart.
                let returned = unsafe { memcpy(b.as_mut_ptr(), a.as_ptr(), n) };
                assert_eq!(returned, b.as_mut_ptr());
                assert_eq!(b[..n], a[..n], "{n} bytes");
                assert!(b[n..].iter().all(|&byte| byte == 0xee), "wrote past {n} bytes");
                assert!(target[..to].iter().all(|&byte| byte == 0xee), "wrote before");
            }
        }
    }

    proptest! {
        #[test]
        fn moving_is_copy_within(length in 0usize..700, from in 0usize..100, to in 0usize..100) {
            let mut got = pattern(length + 100);
            let mut want = got.clone();
            want.copy_within(from..from + length, to);
            let base = got.as_mut_ptr();
            // SAFETY: both ranges lie within `got`.
            unsafe { memmove(base.add(to), base.add(from), length) };
            prop_assert_eq!(got, want);
        }
    }
}
