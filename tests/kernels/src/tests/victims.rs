//! Programs that come to harm die alone, and their parent is told of what.

use alloc::string::ToString;
use parley_posix as posix;

use crate::tool::process::victim;
use crate::tool::verdict::Verdict;

tests![killed_by_page_faults, killed_by_privileged_instructions, killed_by_other_exceptions];

/// Runs the victim and looks at what killed it; the system must go on.
fn killed(args: &[&str], vector: i32) -> Verdict {
    ensure_eq!(victim(args)?, 256 + vector, "status of {args:?}");
    ensure_eq!(posix::write(1, b""), Ok(0), "writing after {args:?}");
    Ok(())
}

fn killed_by_page_faults() -> Verdict {
    for address in [0, 8, 0x7000_0000_0000u64, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000] {
        killed(&["read", &address.to_string()], 14)?;
        killed(&["jump", &address.to_string()], 14)?;
    }
    for how in ["write-text", "execute-stack", "overflow-stack"] {
        killed(&[how], 14)?;
    }
    Ok(())
}

fn killed_by_privileged_instructions() -> Verdict {
    for how in ["hlt", "cli", "in", "out", "mov-cr3", "wrmsr", "int80"] {
        killed(&[how], 13)?;
    }
    for how in ["read", "jump"] {
        killed(&[how, &(1u64 << 47).to_string()], 13)?;
    }
    Ok(())
}

fn killed_by_other_exceptions() -> Verdict {
    for (how, vector) in [("divide", 0), ("trap-flag", 1), ("int3", 3), ("ud2", 6)] {
        killed(&[how], vector)?;
    }
    Ok(())
}
