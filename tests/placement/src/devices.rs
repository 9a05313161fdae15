//! The char service of the test, over hardware that is not there.
//!
//! [`char_service`] is the one place that says which server stands behind /dev. Chance is a count, so even
//! /dev/random says the same in every placement.

use parley_proto::{Service, chardev, file};
use server_char::Char;
use server_drivers::fake::{FakeEntropy, SilentUart};

/// A server that can stand behind /dev.
pub trait CharService: Service + file::File + chardev::CharDev + Send {}
impl<T: Service + file::File + chardev::CharDev + Send> CharService for T {}

/// The server behind /dev in every placement.
pub fn char_service() -> Box<dyn CharService> {
    Box::new(Char::new(SilentUart, FakeEntropy(0)))
}
