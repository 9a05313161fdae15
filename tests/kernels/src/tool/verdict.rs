//! How a test ends.

use alloc::string::String;
use parley_abi::Errno;

/// Why a test did not pass.
#[derive(Debug)]
pub enum Trouble {
    /// The property does not hold.
    Fail(String),
    /// It cannot be tried here.
    Skip(String),
}

/// The end of a test, or of a step of it.
pub type Verdict<T = ()> = Result<T, Trouble>;

/// A test and its name.
pub struct Test {
    /// Name of the function.
    pub name: &'static str,
    /// The test.
    pub run: fn() -> Verdict,
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::Fail(alloc::format!("a step of the test failed: {errno}"))
    }
}

/// The tests of a file, named after their functions.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        /// The tests of this file.
        pub const TESTS: &[$crate::tool::verdict::Test] =
            &[$($crate::tool::verdict::Test { name: stringify!($test), run: $test }),*];
    };
}

/// Fails the test with a formatted reason.
macro_rules! fail {
    ($($why:tt)*) => {
        return Err($crate::tool::verdict::Trouble::Fail(alloc::format!($($why)*)))
    };
}

/// Fails the test unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            fail!($($why)*);
        }
    };
}

/// Fails the test unless both are equal; shows both.
macro_rules! ensure_eq {
    ($got:expr, $wanted:expr, $($what:tt)*) => {
        match ($got, $wanted) {
            (got, wanted) => ensure!(
                got == wanted, "{}: got {got:?}, expected {wanted:?}", format_args!($($what)*)
            ),
        }
    };
}
