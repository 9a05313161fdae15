//! `memcmp`, `bcmp` and `strlen`.

use core::arch::naked_asm;

/// Compares `n` bytes as unsigned numbers, the first that differs decides. Returns less than, equal to
/// or greater than 0. (C11 7.24.4.1)
///
/// # Safety
/// `a` and `b` can be read for `n` bytes.
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!(
        "sub rdx, 8",
        "jb 4f",
        "2:",
        "mov rax, [rdi]",
        "mov rcx, [rsi]",
        "cmp rax, rcx",
        "jne 3f",
        "add rdi, 8",
        "add rsi, 8",
        "sub rdx, 8",
        "jae 2b",
        "cmp rdx, -8",
        "je 6f",
        "mov rax, [rdi + rdx]", // the last word, which overlaps what was equal
        "mov rcx, [rsi + rdx]",
        "cmp rax, rcx",
        "je 6f",
        "3:", // two words that differ: the lowest address counts most
        "bswap rax",
        "bswap rcx",
        "cmp rax, rcx",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        "4:",
        "add edx, 8", // fewer than 8: byte by byte
        "jz 6f",
        "5:",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jne 7f",
        "inc rdi",
        "inc rsi",
        "dec edx",
        "jnz 5b",
        "6:",
        "xor eax, eax",
        "7:",
        "ret",
    )
}

/// Whether `n` bytes differ: 0 if they are equal. (LLVM calls it where only that matters.)
///
/// # Safety
/// As [`memcmp`].
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

/// Bytes before the NUL. (C11 7.24.6.3)
///
/// # Safety
/// `text` ends with a NUL and can be read up to it; the aligned words that hold it are read whole, which
/// cannot cross a page.
#[unsafe(naked)]
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
    naked_asm!(
        "mov rax, rdi",
        "2:", // bytes up to the first aligned word
        "test al, 7",
        "jz 3f",
        "cmp byte ptr [rax], 0",
        "je 5f",
        "inc rax",
        "jmp 2b",
        "3:",
        "mov r8, 0x0101010101010101",
        "mov r9, 0x8080808080808080",
        "4:", // (word - ones) & !word & highs has a bit set where a byte was 0, the lowest first
        "mov rcx, [rax]",
        "mov rdx, rcx",
        "sub rcx, r8",
        "not rdx",
        "add rax, 8",
        "and rcx, rdx",
        "and rcx, r9",
        "jz 4b",
        "bsf rcx, rcx",
        "shr ecx, 3",
        "lea rax, [rax + rcx - 8]",
        "5:",
        "sub rax, rdi",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compare(a: &[u8], b: &[u8]) -> i32 {
        // SAFETY: the tests give slices of one length.
        unsafe { memcmp(a.as_ptr(), b.as_ptr(), a.len()).signum() }
    }

    #[test]
    fn one_difference_at_every_place() {
        for n in 0..70 {
            let a = vec![7u8; n];
            assert_eq!(compare(&a, &a), 0);
            for place in 0..n {
                let mut b = a.clone();
                b[place] = 200;
                assert_eq!((compare(&a, &b), compare(&b, &a)), (-1, 1), "{place} of {n}");
                // SAFETY: both are n bytes long.
                assert_ne!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0);
            }
        }
    }

    #[test]
    fn length_of_strings() {
        for start in 0..9 {
            for n in 0..40 {
                let mut bytes = vec![0x80u8; start + n];
                bytes.extend([0; 9]);
                // SAFETY: there are zeros after n bytes, and aligned words lie within the vector.
                assert_eq!(unsafe { strlen(bytes.as_ptr().add(start)) }, n);
            }
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_slices(a in prop::collection::vec(0u8..3, 40), b in prop::collection::vec(0u8..3, 40)) {
            prop_assert_eq!(compare(&a, &b), a.cmp(&b) as i32);
        }
    }
}
