//! `_start`, and what becomes of it: `program!` and `server!`.
//!
//! The creator of a process leaves argc, argv, envp and the auxiliary vector on the stack as Linux does
//! (System V ABI for x86-64, section 3.4.1). `_start` hands the stack pointer to safe code, which is the
//! only part that differs between a program and a server.

use crate::args::Args;
use crate::{clock, sys};

/// Makes a program of `fn main(args: parley_rt::Args) -> i32`: entry point, panic handler, heap. What
/// `main` returns is the exit status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        $crate::__entry!(program_panicked);
        #[doc(hidden)]
        extern "C" fn __parley_begin(stack: *const u64) -> ! {
            $crate::start::run_program(stack, $main)
        }
    };
}

/// Makes a server of an expression that builds its [`parley_proto::Service`]: entry point, panic
/// handler, heap, and [`serve`](crate::serve) for ever. With `durable` before the expression, the service is a
/// [`Durable`](crate::Durable), and the next instance goes on where one ends ([`serve_durable`](crate::serve_durable)).
#[macro_export]
macro_rules! server {
    (durable $service:expr) => {
        $crate::__entry!(server_panicked);
        #[doc(hidden)]
        extern "C" fn __parley_begin(stack: *const u64) -> ! {
            $crate::start::run_durable(stack, || $service)
        }
    };
    ($service:expr) => {
        $crate::__entry!(server_panicked);
        #[doc(hidden)]
        extern "C" fn __parley_begin(stack: *const u64) -> ! {
            $crate::start::run_server(stack, || $service)
        }
    };
}

/// Says what a server needs of init beside its endpoint: names of [`parley_abi::wants`].
#[macro_export]
macro_rules! wants {
    ($($what:ident),*) => {
        #[used]
        #[unsafe(link_section = ".parley.wants")]
        static WANTS: $crate::wants::Note = $crate::wants::Note::new(0 $(| $crate::wants::$what)*);
    };
}

/// What both have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    ($panicked:ident) => {
        #[global_allocator]
        static HEAP: $crate::Heap = $crate::Heap::new();

        // On the host, where binaries are only type-checked, a dependency of the tests may bring std and
        // its panic handler; there can be only one, so there it is always that.
        #[cfg(not(target_os = "none"))]
        extern crate std as _;
        #[cfg(target_os = "none")]
        #[panic_handler]
        fn panicked(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::$panicked(info)
        }

        /// Where the process begins: the stack pointer is all there is.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[unsafe(link_section = ".text._start")]
        extern "C" fn _start() -> ! {
            ::core::arch::naked_asm!(
                "xor ebp, ebp", // the last frame of every backtrace
                "mov rdi, rsp",
                "and rsp, -16",
                "call {begin}",
                "ud2",
                begin = sym __parley_begin,
            )
        }
    };
}

/// Runs a program and ends the process with what it returns.
pub fn run_program(stack: *const u64, main: fn(Args) -> i32) -> ! {
    let status = main(begin(stack));
    exit(status)
}

/// Runs a server. The service lives on the stack of the one thread that serves it.
pub fn run_server<S: parley_proto::Service>(stack: *const u64, build: impl FnOnce() -> S) -> ! {
    begin(stack);
    crate::serve(&mut build())
}

/// As [`run_server`], for a service that outlives its process.
pub fn run_durable<S: crate::Durable>(stack: *const u64, build: impl FnOnce() -> S) -> ! {
    begin(stack);
    crate::serve_durable(&mut build())
}

/// Reads what the creator left on the stack.
fn begin(stack: *const u64) -> Args {
    // SAFETY: `stack` comes from `_start`, so it is the initial stack pointer, and what is above it
    // stays as the creator left it for the life of the process.
    let args = unsafe { Args::from_stack(stack) };
    crate::args::remember(args);
    clock::calibrate(args);
    args
}

/// Ends the process; the thread as well, in case there is no init to end the process.
pub(crate) fn exit(status: i32) -> ! {
    let _ = parley_proto::init::exit_group(&mut crate::Trap, status);
    sys::thread_exit()
}
