//! `memset`.

use core::arch::naked_asm;

/// Sets `n` bytes to `byte` (its lowest 8 bits). Returns `to`. (C11 7.24.6.1)
///
/// # Safety
/// `to` can be written for `n` bytes.
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "movzx esi, sil",
        "mov rcx, 0x0101010101010101",
        "imul rsi, rcx", // eight copies of the byte
        "cmp rdx, 8",
        "jb 5f",
        "lea r8, [rdi + rdx - 8]", // the last word
        "sub rdx, 64",
        "jb 3f",
        "2:", // 64 bytes a turn
        "mov [rdi], rsi",
        "mov [rdi + 8], rsi",
        "mov [rdi + 16], rsi",
        "mov [rdi + 24], rsi",
        "mov [rdi + 32], rsi",
        "mov [rdi + 40], rsi",
        "mov [rdi + 48], rsi",
        "mov [rdi + 56], rsi",
        "add rdi, 64",
        "sub rdx, 64",
        "jae 2b",
        "3:",
        "add rdx, 56", // less than 64 are left: whole words, then the last word over what is there
        "js 4f",
        "7:",
        "mov [rdi], rsi",
        "add rdi, 8",
        "sub rdx, 8",
        "jae 7b",
        "4:",
        "mov [r8], rsi",
        "ret",
        "5:",
        "cmp edx, 4",
        "jb 6f",
        "mov [rdi], esi", // 4 to 7
        "mov [rdi + rdx - 4], esi",
        "ret",
        "6:",
        "test edx, edx",
        "jz 8f",
        "mov [rdi], sil", // 1 to 3
        "mov [rdi + rdx - 1], sil",
        "shr edx, 1",
        "mov [rdi + rdx], sil",
        "8:",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_and_nothing_beside_it() {
        for n in 0..300 {
            for start in 0..9 {
                let mut bytes = vec![0x11u8; n + 20];
                // SAFETY: start + n is at most n + 8.
                let returned = unsafe { memset(bytes.as_mut_ptr().add(start), 0x1a5, n) };
                assert_eq!(returned, bytes.as_mut_ptr().wrapping_add(start));
                let want = |index: usize| if (start..start + n).contains(&index) { 0xa5 } else { 0x11 };
                assert!(bytes.iter().enumerate().all(|(index, &byte)| byte == want(index)), "{n} at {start}");
            }
        }
    }
}
