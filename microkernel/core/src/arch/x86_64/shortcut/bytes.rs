//! `reply_recv` with bytes that are copied into the caller's buffer: the end of a `read`.

use parley_abi::{Flags, PAGE, Shape};

use super::*;
use crate::mem::Ref;

code!(
    ".text",
    // The same with bytes for the caller.
    ".balign 64",
    ".global parley_fast_reply_data",
    "parley_fast_reply_data:",
    reply_checks!("{unusual_for_bytes}"),
    "cmp word ptr [rbp + __windows + t_leases], {plain_read}",
    "jne 6f",
    // The caller's buffer is that of a `read`. At most a page of bytes, from where the last came from to where the last
    // went, is copied here, in as many pieces as pages say: `r8` bytes are left of `r13`, from `rdx` to `rdi`.
    "save rdi, rsi, rdx, r8, r9, r12",
    "movzx ecx, byte ptr [rbp + __windows + t_first]",
    "mov rdi, [rbp + rcx * 8 + __windows + f_rdi]",
    "mov r13, [rbp + rcx * 8 + __windows + f_rsi]",
    "cmp r13, r10",
    "cmova r13, r10",
    "cmp r13, {page}",
    "ja 5f",
    "mov r8, r13",
    "mov r11, [rip + {cpu} + cpu_core]",
    "mov rcx, [r11 + k_root]",
    "cmp rcx, [r11 + k_leaves + leaf_root]",
    "jne 5f",
    "mov rcx, [rbp + __windows + t_root]",
    "cmp rcx, [r11 + k_leaves + {leaf} + leaf_root]",
    "jne 5f",
    "mov rcx, rdx",
    "shr rcx, 21",
    "cmp rcx, [r11 + k_leaves + leaf_region]",
    "jne 5f",
    "mov rcx, rdi",
    "shr rcx, 21",
    "cmp rcx, [r11 + k_leaves + {leaf} + leaf_region]",
    "jne 5f",
    // A piece: `esi` bytes, up to the end of either page.
    "2:",
    "mov r9d, edx",
    "and r9d, {page} - 1",
    "mov r15d, edi",
    "and r15d, {page} - 1",
    "mov esi, r9d",
    "cmp esi, r15d",
    "cmovb esi, r15d",
    "neg esi",
    "add esi, {page}",
    "cmp esi, r8d",
    "cmova esi, r8d",
    // The entries of the page tables say that ring 3 may read the one and write the other.
    "mov r12d, edx",
    "shr r12d, 9",
    "and r12d, 0xff8",
    "add r12, [r11 + k_leaves + leaf_entries]",
    "mov r12, [r12]",
    "mov ecx, edi",
    "shr ecx, 9",
    "and ecx, 0xff8",
    "add rcx, [r11 + k_leaves + {leaf} + leaf_entries]",
    "mov rcx, [rcx]",
    "mov r14d, r12d",
    "or r14d, {writable}",
    "and r14d, ecx",
    "not r14d",
    "test r14b, {all_allowed}",
    "jnz 5f",
    // Where the pages lie.
    "and r12, [rip + {address}]",
    "and rcx, [rip + {address}]",
    "add r9, r12",
    "add r15, rcx",
    "add r9, [rip + {direct}]",
    "add r15, [rip + {direct}]",
    "xchg rdi, r15",
    "xchg rsi, r9",
    "mov ecx, r9d",
    "shr ecx, 3",
    "jz 3f",
    "add [r11 + k_rep_extra], rcx",
    "rep movsq",
    "3:",
    "mov ecx, r9d",
    "and ecx, 7",
    "add [r11 + k_rep_extra], rcx",
    "rep movsb",
    "sub r8d, r9d",
    "jz 4f",
    "add rdx, r9",
    "lea rdi, [r15 + r9]",
    "test edx, {region} - 1",
    "jz 5f",
    "test edi, {region} - 1",
    "jnz 2b",
    // Not in this way: as if nothing had been copied.
    "5:",
    "load rdi, rsi, rdx, r8, r9, r12",
    "mov r13, [rsp + e_serving]",
    "xor r14d, r14d",
    // Any other way.
    "6:",
    "save rax, rdi, rsi, rdx, r10, r8, r9",
    "mov rcx, rsi",
    "mov r8, r10",
    "mov r9, rax",
    "mov rsi, [rbp + __windows + t_me]",
    "run {reply_bytes}",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "test edx, edx",
    "jnz 7f",
    "load rax, rdi, rsi, rdx, r10, r8, r9",
    "9:",
    "load rcx, r11, rbx, rbp, r15",
    "jmp parley_slow_entry",
    // The result is the number of bytes, or the reply's if all went.
    "4:",
    "xor r14d, r14d",
    "add [r11 + k_bytes_copied], r13",
    "test eax, {fill}",
    "jnz 8f",
    "mov rax, r13",
    // Sure.
    "7:",
    "mov r11, [rbx + __windows + p_me]",
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    reply_waits!(),
    "fetch rsi, rdx, r10, r8, r9, r12, r15",
    switch!("parley_reply_data"),
    "8:",
    "cmp r13, r10",
    "jne 5b",
    "mov rax, [rsp + e_rsi]",
    "jmp 7b",
    reply_bytes = sym reply_bytes,
    unusual_for_bytes = const UNUSUAL | 0xff,
    page = const PAGE,
    region = const paging::REGION,
    leaf = const size_of::<Leaf>(),
    writable = const paging::WRITABLE,
    all_allowed = const paging::PRESENT | paging::WRITABLE | paging::USER,
    address = sym ADDRESS,
    direct = sym DIRECT,
    fill = const (Flags::FILL.bits() as u64) << 16,
    plain_read = const Shape::Write as u16,
);

/// What an entry of a page table says of where the page is.
static ADDRESS: u64 = paging::ADDRESS;
/// Where the direct map begins.
static DIRECT: u64 = crate::mem::frames::DIRECT;

/// Copies the bytes of a reply to its POSIX caller, and says what the result is, or that it can't be done here.
extern "sysv64" fn reply_bytes(
    core: &mut Core,
    caller: Ref<Thread>,
    address: u64,
    word: u64,
    len: u64,
    rax: u64,
) -> Bytes {
    let fills = rax >> 16 & Flags::FILL.bits() as u64 != 0;
    match core.reply_data(caller, core.claim(address, len)) {
        Ok(copied) if !fills => Bytes { result: copied as u64, done: 1 },
        Ok(copied) if copied as u64 == len => Bytes { result: word, done: 1 },
        _ => Bytes { result: 0, done: 0 }, // the slow path copies again, and says what is wrong
    }
}

/// What [`reply_bytes`] returns, in rax and rdx.
#[repr(C)]
struct Bytes {
    result: u64,
    done: u64,
}
