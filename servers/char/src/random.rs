//! random and urandom: ChaCha20, seeded from the hardware and from what happens.
//!
//! The cipher is the crate `rand_chacha`, in portable code: no vector registers, so it runs in ring 0 as
//! well. Each new seed is the old generator's output, exclusive-or everything gathered since: it cannot be
//! worse than the old one, whatever the sources are worth.

use parley_abi::Errno;
use parley_proto::{Cx, In, Out, Outcome};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use server_drivers::Entropy;

use crate::device::OpenDevice;
use crate::driver::{COUNT_MAX, Driver};

/// Most bytes that one request gets; the cipher takes some ten instructions a byte. The count is short
/// then; requests up to 256 bytes, which programs rely on, are always answered in full.
pub const BYTES_MAX: u64 = 4096;
/// Bytes between two seeds.
const RESEED_AFTER: u64 = 1 << 20;
/// Bytes of a written buffer that are taken in. The rest is politely ignored.
const STIR_MAX: u64 = 4096;
/// Bytes made or taken in at a time.
const CHUNK: usize = 256;
/// Bytes in a seed.
const SEED: usize = 32;

/// The generator.
pub struct Random<E> {
    source: E,
    /// `None` until the first read.
    generator: Option<ChaCha20Rng>,
    /// Bytes that may be read before the next seed.
    left: u64,
    /// What was gathered for the next seed.
    pool: [u8; SEED],
    /// Where in the pool the next byte goes.
    next: usize,
    /// Bytes on their way. A field, because clearing one on the stack for each request costs more than
    /// most requests.
    chunk: [u8; CHUNK],
}

impl<E: Entropy> Random<E> {
    /// The generator, not seeded yet.
    pub const fn new(source: E) -> Random<E> {
        Random { source, generator: None, left: 0, pool: [0; SEED], next: 0, chunk: [0; CHUNK] }
    }

    /// Takes bytes that are hard to guess into the next seed.
    pub fn stir(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let slot = &mut self.pool[self.next];
            // Multiplication by an odd number: bytes that meet in one place don't cancel each other.
            *slot = slot.wrapping_mul(0x4d) ^ byte;
            self.next = (self.next + 1) % SEED;
        }
    }

    fn reseed(&mut self) {
        let mut seed = [0; SEED];
        if let Some(old) = &mut self.generator {
            old.fill_bytes(&mut seed);
        }
        for part in seed.chunks_exact_mut(8) {
            let fresh = self.source.entropy().to_le_bytes();
            part.iter_mut().zip(fresh).for_each(|(byte, fresh)| *byte ^= fresh);
        }
        seed.iter_mut().zip(self.pool).for_each(|(byte, gathered)| *byte ^= gathered);
        self.generator = Some(ChaCha20Rng::from_seed(seed));
        self.left = RESEED_AFTER;
    }

    /// Makes `count` bytes in the chunk.
    fn make(&mut self, count: usize) {
        if self.left < count as u64 {
            self.reseed();
        }
        if let Some(generator) = &mut self.generator {
            generator.fill_bytes(&mut self.chunk[..count]);
            self.left -= count as u64;
        }
    }

    /// EFAULT, ESTALE: not even the first chunk could be copied.
    fn give(&mut self, cx: &mut Cx<'_>, buf: Out) -> Result<i64, Errno> {
        let wanted = buf.len.min(BYTES_MAX);
        let mut done = 0;
        while done < wanted {
            let count = (wanted - done).min(CHUNK as u64) as usize;
            self.make(count);
            match buf.write(cx, done, &self.chunk[..count]) {
                Ok(0) => break,
                Ok(copied) => done += copied as u64,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        // What was handed out must not be found here later.
        self.chunk.fill(0);
        Ok(done.cast_signed())
    }

    /// EFAULT, ESTALE: the buffer is not there.
    fn take(&mut self, cx: &mut Cx<'_>, buf: In) -> Result<i64, Errno> {
        let wanted = buf.len.min(STIR_MAX);
        let mut done = 0;
        while done < wanted {
            let count = (wanted - done).min(CHUNK as u64) as usize;
            let mut chunk = [0; CHUNK];
            match buf.read(cx, done, &mut chunk[..count])? {
                0 => break,
                copied => {
                    self.stir(&chunk[..copied]);
                    done += copied as u64;
                }
            }
        }
        self.left = 0;
        Ok(buf.len.min(COUNT_MAX).cast_signed())
    }
}

impl<E: Entropy> Driver for Random<E> {
    fn read(&mut self, cx: &mut Cx<'_>, _file: OpenDevice, buf: Out) -> Outcome<'_> {
        self.give(cx, buf).into()
    }

    /// Makes the next seed harder to guess (random(4)).
    fn write(&mut self, cx: &mut Cx<'_>, _file: OpenDevice, buf: In) -> Outcome<'_> {
        self.take(cx, buf).into()
    }
}
