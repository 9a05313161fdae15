//! A service that keeps its state in fields of its own, and writes it down after each event that changes it.
//!
//! Two halves of the memory take turns: a checkpoint is written beside the one that counts, and counts when the event
//! is finished.

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Host, Outcome, RowSink, Service};

use super::Durable;
use super::lasting::{CHECKPOINT, Lasting};
use super::memory::{Memory, ROOT};
use super::schema::Schema;

/// Words of the root: which half counts (0 or 1), and the checksum of the [`CHECKPOINT`] bytes used of it.
const HALF: usize = ROOT;
const SUM: usize = ROOT + 1;

/// A service whose state can be written down whole. The state must fit into somewhat less than half of the memory that the
/// manifest gives: where it does not, the service panics rather than go on without.
pub trait Checkpoint: Service {
    /// Versions of what [`Checkpoint::export`] writes.
    fn schema(&self) -> Schema;

    /// Whether a request with this label, on a connection with this badge, may change the state. Requests that do not
    /// cost nothing more than this question.
    fn changes(&self, label: u32, badge: u64) -> bool;

    /// The service keeps this request to answer it later.
    fn holds(&self, token: Token) -> bool;

    /// There is nothing to keep: any two exports made while this says so are the same. An event that leaves it so is not
    /// kept, which means that it happens again if the process dies before the answer has left.
    fn is_idle(&self) -> bool {
        false
    }

    /// Writes the state down and returns the bytes written. ENOSPC: it does not fit.
    fn export(&self, into: &mut [u8]) -> Result<usize, Errno>;

    /// Takes on a state that [`Checkpoint::export`] wrote in a version that [`Checkpoint::schema`] reads: an older
    /// one lacks what was added since, a newer one goes on behind what is known. EINVAL: it is none; ENOMEM. After
    /// an error the service is as before.
    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno>;

    /// Called once in place of [`Service::start`] after [`Checkpoint::import`]: hardware is to be taken over.
    fn resume(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        let _ = host;
        Ok(())
    }
}

/// A service with its checkpoints.
#[derive(Debug)]
pub struct Checkpointed<S> {
    service: S,
    pub(super) memory: Lasting,
    /// An event was served that may have changed the state.
    touched: bool,
    /// The checkpoint that counts is of an idle service.
    idle: bool,
}

impl<S: Checkpoint> Checkpointed<S> {
    /// The service, with this memory for its checkpoints.
    pub fn new(memory: Lasting, service: S) -> Checkpointed<S> {
        Checkpointed { service, memory, touched: false, idle: false }
    }

    /// The service.
    pub fn service(&self) -> &S {
        &self.service
    }

    #[inline(never)]
    fn checkpoint(&mut self) {
        let idle = self.service.is_idle();
        if idle && self.idle {
            return;
        }
        let half = 1 - self.memory.get(HALF).min(1);
        let written = half_mut(self.memory.rest_mut(), half).and_then(|bytes| {
            let length = self.service.export(bytes)?;
            Ok((length, checksum(bytes.get(..length).ok_or(Errno::ENOSPC)?)))
        });
        match written {
            Ok((length, sum)) => {
                self.memory.set(HALF, half);
                self.memory.set(CHECKPOINT, length as u64);
                self.memory.set(SUM, sum);
                self.idle = idle;
            }
            Err(errno) => panic!("cannot write a checkpoint: {errno}; see `state` in init's manifest"),
        }
    }
}

fn half_mut(rest: &mut [u8], half: u64) -> Result<&mut [u8], Errno> {
    let size = rest.len() / 2;
    rest.chunks_exact_mut(size.max(1)).nth(half as usize).ok_or(Errno::ENOSPC)
}

/// A checksum of bytes, in which each eight of them count.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let last = rest.iter().fold(bytes.len() as u64, |sum, &byte| sum << 8 | u64::from(byte));
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(last, |sum, word| (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(23))
}

impl<S: Checkpoint> Service for Checkpointed<S> {
    fn rows(sink: &mut impl RowSink) {
        S::rows(sink);
    }

    fn has_at_hand() -> bool {
        S::has_at_hand()
    }

    #[inline(always)]
    fn at_hand(&mut self, badge: u64, label: u32, words: &Words) -> Option<Outcome<'_>> {
        self.service.at_hand(badge, label, words)
    }

    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        self.memory.prepare()?;
        self.touched = true;
        self.service.start(host)
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        self.touched |= self.service.changes(label, cx.badge);
        self.service.request(cx, label, words)
    }

    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        self.touched = true;
        self.service.notified(host, bits);
    }

    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        self.touched = true;
        self.service.closed(host, badge);
    }

    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        self.touched = true;
        self.service.cancelled(host, token);
    }

    fn alarm(&mut self, host: &mut dyn Host) {
        self.touched = true;
        self.service.alarm(host);
    }
}

impl<S: Checkpoint> Durable for Checkpointed<S> {
    fn schema(&self) -> Schema {
        self.service.schema()
    }

    #[inline(always)]
    fn memory(&mut self) -> &mut Lasting {
        &mut self.memory
    }

    fn holds(&self, token: Token) -> bool {
        self.service.holds(token)
    }

    fn resume(&mut self, host: &mut dyn Host, from: u32) -> Result<(), Errno> {
        let [half, length, sum] = [HALF, CHECKPOINT, SUM].map(|word| self.memory.get(word));
        let rest = self.memory.rest();
        let start = rest.len() / 2 * half.min(1) as usize;
        let bytes = rest.get(start..).and_then(|bytes| bytes.get(..length as usize)).ok_or(Errno::EINVAL)?;
        if checksum(bytes) & !super::MARK != sum & !super::MARK {
            return Err(Errno::EINVAL);
        }
        self.service.import(from, bytes)?;
        self.touched = true;
        self.service.resume(host)
    }

    #[inline(always)]
    fn settle(&mut self) {
        if self.touched {
            self.touched = false;
            self.checkpoint();
        }
    }
}
