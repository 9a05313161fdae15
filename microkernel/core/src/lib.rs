//! The ring-0 core of Parley: threads, address spaces, handles, endpoints, interrupts, deadlines.
//!
//! Mechanism only. It names no server and knows no POSIX: what a POSIX number means is data
//! ([`object::table`]), and services that a composition root places in ring 0 ([`ipc::resident`]) are
//! known by number. All state is one [`kernel::Core`], which the entry code ([`arch::entry`]) lends to one
//! handler at a time; nothing in here blocks.
//!
//! Read [`boot`] for how it starts, [`arch::entry`] for how it is entered, [`syscall`] for what it can be
//! asked, [`ipc`] for messages, [`object`] for what handles lead to.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

pub mod arch;
pub mod boot;
pub mod check;
pub mod deadline;
pub mod dump;
pub mod ipc;
pub mod kernel;
pub mod log;
pub mod mem;
pub mod object;
pub mod panic;
pub mod sched;
pub mod syscall;
pub mod timer;
pub mod trace;
pub mod uaccess;

pub use boot::{Composition, Given};
pub use kernel::Core;

unsafe extern "Rust" {
    /// What the image is made of. Known when it is linked: what it does without is not in it.
    #[link_name = "parley_image"]
    safe static IMAGE: Composition;
}

/// Makes an image of a composition: entry, stack, panic handler.
#[macro_export]
macro_rules! image {
    ($composition:expr) => {
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        static parley_image: $crate::Composition = $composition;

        /// The loader jumps here. Its stack is in memory that will be reused, so the first thing is another.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                "lea rsp, [rip + {stack} + {size}]",
                "xor ebp, ebp",
                "call {start}",
                stack = sym BOOT_STACK,
                size = const BOOT_STACK_SIZE,
                start = sym $crate::boot::start,
            )
        }

        const BOOT_STACK_SIZE: usize = 64 * 1024;
        static BOOT_STACK: $crate::BootStack<BOOT_STACK_SIZE> = $crate::BootStack::new();

        // On the host, where images are only type-checked, a dependency of the tools may bring std and its panic
        // handler; there can be only one, so there it is always that.
        #[cfg(not(target_os = "none"))]
        extern crate std as _;
        #[cfg(target_os = "none")]
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panic::panic(info)
        }
    };
}

/// The stack that boot runs on, and that `Core` lives on ever after.
#[repr(C, align(4096))]
pub struct BootStack<const SIZE: usize>(core::cell::UnsafeCell<[u8; SIZE]>);

// SAFETY: nobody but the processor's stack pointer ever refers to it.
unsafe impl<const SIZE: usize> Sync for BootStack<SIZE> {}

impl<const SIZE: usize> BootStack<SIZE> {
    /// A stack of zeros.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        BootStack(core::cell::UnsafeCell::new([0; SIZE]))
    }
}

#[cfg(test)]
mod host {
    #[unsafe(no_mangle)]
    #[allow(non_upper_case_globals)]
    static parley_image: crate::Composition =
        crate::Composition { name: "host", heap: false, residents: &crate::ipc::resident::Nobody };
}
