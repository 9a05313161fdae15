//! The only place that knows the processor. One architecture so far: x86-64.

pub mod x86_64;
pub use self::x86_64::*;
