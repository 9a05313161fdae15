//! Why a run failed.

use alloc::string::String;
use core::fmt;
use parley_abi::Errno;

/// What a person is told.
#[derive(Debug)]
pub struct Trouble(pub String);

impl Trouble {
    /// With this text.
    pub fn new(why: fmt::Arguments<'_>) -> Trouble {
        Trouble(alloc::fmt::format(why))
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::new(format_args!("the parent itself failed: {errno}"))
    }
}
