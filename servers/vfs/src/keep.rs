//! What outlives an instance: the tree with its contents, and every open file with its offset.
//!
//! In place: all of it is words and pages of [`Lasting`] memory, which the code that serves requests reads and changes
//! where they lie. A `read` changes an offset, a `write` besides the size of the file and perhaps its map; what a program
//! writes is copied once, into the page where it stays. The devices are asked for again.
//!
//! Version 2 counts the files and directories that are made, in a word that version 1 leaves alone.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::Host;
use parley_rt::Durable;
use parley_rt::durable::{Lasting, Memory, Schema};

use crate::clock::Clock;
use crate::{Vfs, root};

impl Durable for Vfs<Lasting> {
    fn schema(&self) -> Schema {
        Schema::additive(self.version)
    }

    #[inline(always)]
    fn memory(&mut self) -> &mut Lasting {
        &mut self.names.ram.memory
    }

    /// Every request is answered at once.
    fn holds(&self, _: Token) -> bool {
        false
    }

    fn resume(&mut self, host: &mut dyn Host, from: u32) -> Result<(), Errno> {
        if self.version >= 2 {
            if from < 2 {
                self.names.ram.memory.set(root::COUNT_MADE, 0);
            }
            let made = self.names.ram.memory.get(root::COUNT_MADE);
            host.log(format_args!("files made since version 2: {made}"));
        }
        let memory = &self.names.ram.memory;
        let [epoch, made] = [root::EPOCH, root::MADE].map(|word| memory.get(word));
        self.clock = Clock::of(epoch);
        self.names.resume();
        self.learn_devices(host, made);
        Ok(())
    }
}
