//! The loop-back placement.

use parley_abi::slot::service;
use parley_loopback::{Loopback, Reply};
use server_vfs::Vfs;

use crate::arena::Arena;
use crate::devices::char_service;
use crate::{Call, Placement, boot};

/// Servers behind [`Loopback`], which borrows them: they are leaked, a few KiB a test.
pub struct Looped {
    loopback: Loopback<'static, Arena>,
    arena: Arena,
}

impl Looped {
    /// Starts the servers.
    pub fn new(arena: Arena) -> Looped {
        let mut loopback = Loopback::new(arena.clone());
        let devices = Box::leak(char_service());
        let vfs: &'static mut Vfs = Box::leak(Box::new(Vfs::new(boot::archive())));
        loopback.bind(service::CHAR, devices).bind(service::VFS, vfs).start().expect("the servers start");
        Looped { loopback, arena }
    }
}

impl Placement for Looped {
    fn name(&self) -> &'static str {
        "loop-back"
    }

    fn call(&mut self, call: &Call) -> i64 {
        match self.loopback.call(call.number, call.args) {
            Reply::Now(result) => result,
            Reply::Later(token) => panic!("{call} is answered later ({token:?})"),
        }
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }
}
