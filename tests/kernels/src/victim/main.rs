//! `ktest-victim HOW`: a program that comes to harm in the way it is told.
//!
//! What kills it must kill nothing else: `ktest` starts it and looks at its exit status.
#![no_std]
#![no_main]

mod fuzz;
mod waits;

use core::arch::asm;
use parley_posix::eprintln;

parley_rt::program!(main);

/// Exit status when the harm did not come.
const SURVIVED: i32 = 99;
/// Exit status when it was not told what to do.
const MISUSED: i32 = 2;

fn main(args: parley_rt::Args) -> i32 {
    let Some(how) = args.get(1) else {
        eprintln!("usage: ktest-victim HOW (see its source)");
        return MISUSED;
    };
    let number = args.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    match how {
        "exit" => number as i32,
        "panic" => panic!("as told"),
        "fuzz" => fuzz::run(number),
        "spin" => spin(),
        "wait" => waits::run(args.get(2).unwrap_or_default()),
        "thread-exit" => parley_rt::sys::thread_exit(),
        "destroy-quota" => destroy_quota(),
        "drop-init" => drop_init(),
        "deaf-faults" => deaf_faults(),
        "spawn-bomb" => spawn_bomb(args.get(2).unwrap_or("0"), number),
        "arguments" => args.iter().map(|arg| arg.len() as i32).sum(),
        _ => harm(how, number),
    }
}

/// Never lets go.
fn spin() -> ! {
    eprintln!("spinning");
    loop {
        core::hint::black_box(());
    }
}

/// Destroys the quota that this process was made of.
fn destroy_quota() -> i32 {
    // SAFETY: if it succeeds, nothing of this program is left to use what is gone.
    match unsafe { parley_rt::sys::quota_destroy(parley_abi::slot::QUOTA) } {
        Ok(()) => SURVIVED,
        Err(_) => 0,
    }
}

/// Drops the connection to init, and then faults.
fn drop_init() -> i32 {
    // If it is refused, so much the better: the fault comes all the same.
    let _ = parley_rt::sys::handle_drop(parley_abi::slot::INIT);
    harm("ud2", 0)
}

/// Has the own faults go to an endpoint that nobody receives on, and then faults.
fn deaf_faults() -> i32 {
    use parley_abi::{call::Rights, slot};
    use parley_rt::sys;
    // Each of these may be refused, which is as well.
    let _ = sys::endpoint_create(slot::QUOTA)
        .and_then(|endpoint| sys::mint(endpoint, 1, Rights::CALL))
        .and_then(|connection| sys::space_faults(slot::SPACE, connection));
    harm("ud2", 0)
}

/// Starts as many of its kind as there can be, until the clock says `until`, in milliseconds since boot.
fn spawn_bomb(text: &str, until: u64) -> i32 {
    while parley_rt::sys::clock() / 1_000_000 < until {
        // Refused when there is no room for more: then it tries again, as a bomb does.
        let _ = parley_posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "spawn-bomb", text]);
    }
    0
}

/// Executes the instruction that `how` names.
fn harm(how: &str, number: u64) -> i32 {
    // SAFETY: every one of these is meant to be the last thing the program does; where it is not, no
    // memory of Rust's has changed, since the writes go to memory that must not be writable.
    unsafe {
        match how {
            "jump" => asm!("jmp {}", in(reg) number),
            "read" => asm!("mov al, [{}]", in(reg) number, out("al") _),
            "write-text" => asm!("mov byte ptr [{}], 0", in(reg) main as *const () as u64),
            "execute-stack" => asm!("push 0xc3", "call rsp", "pop rax", out("rax") _),
            "overflow-stack" => asm!("2: push rax", "jmp 2b"),
            "divide" => asm!("xor ecx, ecx", "div ecx", out("ecx") _, out("eax") _, out("edx") _),
            "trap-flag" => asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop"),
            "hlt" => asm!("hlt"),
            "cli" => asm!("cli"),
            "in" => asm!("in al, dx", out("al") _, in("dx") 0x60u16),
            "out" => asm!("out dx, al", in("al") 0u8, in("dx") 0x3f8u16),
            "mov-cr3" => asm!("mov cr3, {}", in(reg) 0u64),
            "wrmsr" => asm!("wrmsr", in("ecx") 0xc000_0080u32, in("eax") 0, in("edx") 0),
            "ud2" => asm!("ud2"),
            "int3" => asm!("int3"),
            "int80" => asm!("int 0x80", inout("rax") 20u64 => _),
            _ => return MISUSED,
        }
    }
    SURVIVED
}
