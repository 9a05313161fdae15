//! User memory: a claim until it is looked up, page by page.
//!
//! A [`Claim`] is an address and a length that ring 3 says it has. The only things that can be done with
//! one are the copies here, which look up each page in the claiming address space's own tables and
//! stop at the first that is not there, or not to be written: EFAULT. Lengths up to 2^64-1 are fine: nothing is added without a check.

use crate::arch::paging;
use crate::arch::tlb::Root;
use crate::mem::ENTRIES;
use parley_abi::{Errno, PAGE, text};

/// A stretch of user memory that ring 3 claims to have.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Page tables of the claiming address space.
    pub root: Root,
    /// First address.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// It is text: what follows its first NUL does not belong to it.
    pub text: bool,
}

/// What a copy did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// Bytes.
    pub bytes: usize,
    /// Iterations of `rep` beyond the first of each copy.
    pub rep_extra: u64,
}

/// Bytes from `address` to the end of its page.
#[inline(always)]
pub fn to_page_end(address: u64) -> usize {
    PAGE - (address as usize % PAGE)
}

impl Claim {
    /// A claim to bytes.
    pub fn new(root: Root, address: u64, len: u64) -> Claim {
        Claim { root, address, len, text: false }
    }

    /// The part of the claim from `offset` on, at most `len` bytes. Empty if `offset` lies behind it.
    pub fn part(self, offset: u64, len: u64) -> Claim {
        let rest = self.len.saturating_sub(offset);
        Claim { address: self.address.wrapping_add(offset), len: rest.min(len), ..self }
    }

    fn advance(&mut self, bytes: usize) {
        self.address = self.address.wrapping_add(bytes as u64);
        self.len -= bytes as u64;
    }

    /// Cuts text behind its first NUL, if it has one. `None`: its memory ends before.
    #[inline(never)]
    fn find_end(&mut self, leaf: &mut paging::Leaf) -> Option<()> {
        let mut rest = *self;
        while rest.len > 0 {
            let at = leaf.lookup(rest.root, rest.address, false)?;
            // SAFETY: 1. a user page in the direct map, and the bytes do not reach past it; 2. there is one processor, and it
            // does not leave ring 0 while the slice lives.
            let piece = unsafe { core::slice::from_raw_parts(at, to_page_end(rest.address).min(rest.len as usize)) };
            if let Some(nul) = text::find(piece, 0) {
                self.len = rest.address.wrapping_sub(self.address) + nul as u64 + 1;
                break;
            }
            rest.advance(piece.len());
        }
        Some(())
    }

    /// Copies from user memory into `into`, as far as the shorter of the two goes. A fault after some
    /// bytes is a short copy, unless it is text. `leaf` remembers where its page tables are.
    pub fn copy_in(self, into: &mut [u8], leaf: &mut paging::Leaf) -> Result<Copied, Errno> {
        // SAFETY: the bytes of `into` may be written.
        unsafe { self.copy_by_pages(into, false, leaf) }
    }

    /// Copies `from` to user memory, as far as the shorter of the two goes. A fault after some bytes is
    /// a short copy. `leaf` as in [`Claim::copy_in`].
    pub fn copy_out(self, from: &[u8], leaf: &mut paging::Leaf) -> Result<Copied, Errno> {
        // SAFETY: the bytes of `from` are only read.
        unsafe { self.copy_by_pages(core::ptr::from_ref(from).cast_mut(), true, leaf) }
    }

    /// Copies `mine` to user memory if `write`, and from there into `mine` if not, as far as the shorter of the two goes.
    ///
    /// # Safety
    /// `mine` may be read if `write`, and written if not.
    unsafe fn copy_by_pages(mut self, mine: *mut [u8], write: bool, leaf: &mut paging::Leaf) -> Result<Copied, Errno> {
        let mut done = Copied::default();
        self.len = self.len.min(mine.len() as u64);
        if self.text {
            self.find_end(leaf).ok_or(Errno::EFAULT)?;
        }
        while self.len > 0 {
            let Some(theirs) = leaf.lookup(self.root, self.address, write) else {
                if done.bytes == 0 {
                    return Err(Errno::EFAULT);
                }
                break;
            };
            let bytes = to_page_end(self.address).min(self.len as usize);
            let mine = mine.cast::<u8>().wrapping_add(done.bytes);
            let (to, from) = if write { (theirs, mine) } else { (mine, theirs) };
            // SAFETY: 1. `theirs` is a user page in the direct map that ring 3 may use so, and `bytes` does not reach past
            // it; 2. the caller vouches for `mine`; 3. core memory and user pages never overlap.
            done.rep_extra += unsafe { copy(to, from, bytes) };
            done.bytes += bytes;
            self.advance(bytes);
        }
        Ok(done)
    }
}

/// The text at `address`, with zeros behind it, if it and its NUL fit. Zeros: they do not, or are not all in one page
/// that is there. `leaf` as in [`Claim::copy_in`].
#[inline(always)]
pub fn short_text<const WORDS: usize>(root: Root, address: u64, leaf: &mut paging::Leaf) -> [u64; WORDS] {
    let mut text = [0; WORDS];
    let page = if to_page_end(address) < size_of_val(&text) { None } else { leaf.lookup(root, address, false) };
    let Some(at) = page else { return text };
    for (number, word) in text.iter_mut().enumerate() {
        // SAFETY: a user page in the direct map, and so many words do not reach past it.
        *word = unsafe { at.cast::<u64>().wrapping_add(number).read_unaligned() };
        if let Some(nul) = text::first_zero(*word) {
            *word &= (1 << (8 * nul)) - 1;
            return text;
        }
    }
    [0; WORDS]
}

/// Which of two claims a copy between them failed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The source.
    From,
    /// The destination.
    To,
}

/// Copies between two address spaces, at most `limit` bytes. A fault after some bytes is a short copy; in text, before its
/// end is found, it is none. The leaves remember where the page tables of source and destination are: a page after the
/// first is the next entry there.
#[inline(never)]
pub fn copy_between(
    (mut from, read): (Claim, &mut paging::Leaf),
    (to, written): (Claim, &mut paging::Leaf),
    limit: usize,
) -> Result<Copied, Side> {
    if from.text {
        from.find_end(read).ok_or(Side::From)?;
    }
    let all = from.len.min(to.len).min(limit as u64) as usize;
    if all == 0 {
        return Ok(Copied::default());
    }
    let (mut left, mut rep_extra) = (all, 0);
    let mut source = read.lookup(from.root, from.address, false).ok_or(Side::From)?.cast_const();
    let mut target = written.lookup(to.root, to.address, true).ok_or(Side::To)?;
    let (mut readable, mut writable) = (read.entry(from.address), written.entry(to.address));
    loop {
        let bytes = PAGE - (source.addr() % PAGE).max(target.addr() % PAGE);
        if left <= bytes {
            // SAFETY: both pages lie in the direct map, and `left` reaches past neither. If ring 3 mapped one frame twice
            // and they overlap, `rep movs` still writes only inside the target.
            rep_extra += unsafe { copy_on(&mut target, &mut source, left) };
            return Ok(Copied { bytes: all, rep_extra });
        }
        // SAFETY: as above, with `bytes`.
        rep_extra += unsafe { copy_on(&mut target, &mut source, bytes) };
        left -= bytes;
        if source.addr().is_multiple_of(PAGE) {
            let there = || from.address.wrapping_add((all - left) as u64);
            let Some(next) = read.next(&mut readable, from.root, there, false) else { break };
            source = next;
        }
        if target.addr().is_multiple_of(PAGE) {
            let there = || to.address.wrapping_add((all - left) as u64);
            let Some(next) = written.next(&mut writable, to.root, there, true) else { break };
            target = next;
        }
    }
    Ok(Copied { bytes: all - left, rep_extra })
}

/// The one copy loop of the core: eight bytes an iteration, then the rest. Returns the iterations, which are
/// what `-icount` counts and the collapsed figures leave out (see `Counters::rep_extra`).
///
/// # Safety
/// `from` is readable and `to` is writable for `bytes` bytes.
#[inline(always)]
pub unsafe fn copy(mut to: *mut u8, mut from: *const u8, bytes: usize) -> u64 {
    if bytes >= 8 || cfg!(miri) {
        // SAFETY: the caller's promise.
        return unsafe { copy_on(&mut to, &mut from, bytes) };
    }
    // SAFETY: the caller vouches for both ranges; `rep movsb` moves exactly `bytes` bytes.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    bytes as u64
}

/// As [`copy`], and leaves `to` and `from` behind what was copied.
///
/// # Safety
/// As [`copy`].
#[inline(always)]
unsafe fn copy_on(to: &mut *mut u8, from: &mut *const u8, bytes: usize) -> u64 {
    let (words, rest) = (bytes / 8, bytes % 8);
    if cfg!(miri) {
        // SAFETY: the caller's promise. Miri knows no assembly.
        unsafe { core::ptr::copy(*from, *to, bytes) };
        (*to, *from) = (to.wrapping_add(bytes), from.wrapping_add(bytes));
        return (words + rest) as u64;
    }
    // SAFETY: the caller vouches for both ranges; `rep movs` moves exactly words * 8 + rest bytes.
    unsafe {
        core::arch::asm!("rep movsq", "mov ecx, {rest:e}", "rep movsb", rest = in(reg) rest,
            inout("rcx") words => _, inout("rdi") *to, inout("rsi") *from,
            options(nostack, preserves_flags));
    }
    (words + rest) as u64
}

/// Clears a page; returns the iterations.
pub fn clear_page(page: &mut [u64; ENTRIES]) -> u64 {
    if cfg!(miri) {
        page.fill(0); // Miri knows no assembly
        return ENTRIES as u64;
    }
    // SAFETY: `rep stosq` writes exactly the array.
    unsafe {
        core::arch::asm!("rep stosq", inout("rcx") ENTRIES => _, inout("rdi") page.as_mut_ptr() => _, in("rax") 0u64,
            options(nostack, preserves_flags));
    }
    ENTRIES as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::Frames;
    use crate::mem::frames::tests::host_frames;
    use parley_abi::call::prot;

    const BASE: u64 = 0x40_0000;

    /// An address space with two writable pages at BASE and a read-only one behind them.
    fn space(frames: &mut Frames) -> Root {
        let root = frames.take_zeroed().unwrap();
        for (number, prot) in [prot::WRITE, prot::WRITE, prot::READ].into_iter().enumerate() {
            let page = frames.take_zeroed().unwrap();
            let address = BASE + (number * PAGE) as u64;
            paging::map(root, address, page, paging::user_flags(prot), &mut || frames.take_zeroed()).unwrap();
        }
        Root::untagged(root)
    }

    fn claim(root: Root, offset: u64, len: u64) -> Claim {
        Claim::new(root, BASE.wrapping_add(offset), len)
    }

    fn copy_whole(from: Claim, to: Claim, limit: usize) -> Result<Copied, Side> {
        copy_between((from, &mut Default::default()), (to, &mut Default::default()), limit)
    }

    #[test]
    fn bytes_cross_page_borders() {
        let mut frames = host_frames(32);
        let root = space(&mut frames);
        let text: Vec<u8> = (0..100).collect();
        assert_eq!(claim(root, 4050, 100).copy_out(&text, &mut Default::default()).unwrap().bytes, 100);
        let mut back = [0; 100];
        assert_eq!(claim(root, 4050, 100).copy_in(&mut back, &mut Default::default()).unwrap().bytes, 100);
        assert_eq!(back[..], text[..]);
    }

    #[test]
    fn a_fault_after_some_bytes_is_a_short_copy() {
        let mut frames = host_frames(32);
        let root = space(&mut frames);
        let end = 2 * PAGE as u64;
        assert_eq!(
            claim(root, end - 3, u64::MAX).copy_out(&[1; 9], &mut Default::default()).unwrap().bytes,
            3,
            "then comes read-only"
        );
        assert_eq!(claim(root, end, 8).copy_out(&[1; 8], &mut Default::default()), Err(Errno::EFAULT));
        assert_eq!(claim(root, 3 * PAGE as u64, 8).copy_in(&mut [0; 8], &mut Default::default()), Err(Errno::EFAULT));
        assert_eq!(
            claim(root, u64::MAX, u64::MAX).copy_in(&mut [0; 8], &mut Default::default()).map(|copied| copied.bytes),
            Err(Errno::EFAULT)
        );
    }

    #[test]
    fn text_ends_at_its_nul() {
        let mut frames = host_frames(64);
        let (root, other) = (space(&mut frames), space(&mut frames));
        claim(root, 0, 3 * PAGE as u64).copy_out(&[0xff; 2 * PAGE], &mut Default::default()).unwrap();
        let bytes_of = |text: Claim| {
            let copied = text.copy_in(&mut [1; 8000], &mut Default::default()).map(|copied| copied.bytes as u64);
            let between = copy_whole(text, claim(other, 5, 8000), 8000);
            assert_eq!(between.ok().map(|copied| copied.bytes as u64), copied.ok());
            copied
        };
        for (from, nul) in [(0, 0), (1, 7), (3, 8), (5, 63), (4000, 4095), (4000, 4096), (4000, 4103), (8180, 8191)] {
            claim(root, nul, 1).copy_out(&[0], &mut Default::default()).unwrap();
            let text = Claim { text: true, ..claim(root, from, 8000) };
            assert_eq!(bytes_of(text), Ok(nul - from + 1), "from {from} to {nul}");
            assert_eq!(bytes_of(text.part(0, nul - from)), Ok(nul - from), "none in what is looked at");
            claim(root, nul, 1).copy_out(&[0x80], &mut Default::default()).unwrap();
        }
        let text = |offset, len| Claim { text: true, ..claim(root, offset, len) };
        assert_eq!(bytes_of(text(3 * PAGE as u64 - 4, 4)), Ok(1), "a page of zeros that may only be read");
        assert_eq!(bytes_of(text(3 * PAGE as u64, 4)), Err(Errno::EFAULT));
        claim(root, 0, 3 * PAGE as u64).copy_out(&[0xff; 2 * PAGE], &mut Default::default()).unwrap();
        let read_only = claim(root, 2 * PAGE as u64, 1);
        let page = paging::Leaf::default().lookup(root, read_only.address, false).unwrap();
        // SAFETY: a page of the test's own.
        unsafe { page.write_bytes(0xff, PAGE) };
        assert_eq!(bytes_of(text(3 * PAGE as u64 - 4, 9)), Err(Errno::EFAULT), "memory ends before a NUL is found");
        assert_eq!(bytes_of(text(0, 0)), Ok(0));
    }

    #[test]
    fn short_text_is_whole_or_zeros() {
        let mut frames = host_frames(32);
        let root = space(&mut frames);
        let lay = |address: u64| short_text::<3>(root, address, &mut Default::default());
        claim(root, 0, 3 * PAGE as u64).copy_out(&[0xff; 2 * PAGE], &mut Default::default()).unwrap();
        for length in 0..30 {
            for start in [0, 3, PAGE as u64 - 24, PAGE as u64 - 23, 2 * PAGE as u64 - 24] {
                let text: Vec<u8> = (0..length).map(|number| number as u8 | 0x80).chain([0]).collect();
                claim(root, start, 64).copy_out(&text, &mut Default::default()).unwrap();
                let mut expect = [0; 24];
                let fits = length < 24 && to_page_end(BASE + start) >= 24 && start + 24 <= 2 * PAGE as u64;
                if fits {
                    expect[..length].copy_from_slice(&text[..length]);
                }
                let laid = lay(BASE + start).map(u64::to_le_bytes);
                assert_eq!(laid.as_flattened(), expect, "{length} bytes at {start}");
                claim(root, start, 64).copy_out(&[0xff; 40], &mut Default::default()).unwrap();
            }
        }
        for nowhere in [0, BASE - 24, BASE + 3 * PAGE as u64, u64::MAX, u64::MAX - 30, 1 << 63] {
            assert_eq!(lay(nowhere), [0; 3], "{nowhere:#x}");
        }
    }

    #[test]
    fn repetitions_are_counted() {
        let mut frames = host_frames(32);
        let root = space(&mut frames);
        let extra =
            |len: usize| claim(root, 0, len as u64).copy_out(&vec![0; len], &mut Default::default()).unwrap().rep_extra;
        assert_eq!((extra(1), extra(7), extra(8), extra(4096)), (1, 7, 1, 512));
        assert_eq!(extra(4097), 513, "two copies: a page, and a byte");
    }

    proptest::proptest! {
        #[test]
        fn copies_between_spaces_equal_the_plain_copy(
            from in 0u64..9000, to in 0u64..9000, len in 0u64..9000, limit in 0usize..9000,
        ) {
            let mut frames = host_frames(64);
            let (a, b) = (space(&mut frames), space(&mut frames));
            let bytes: Vec<u8> = (0..2 * PAGE).map(|i| (i * 7 % 251) as u8).collect();
            claim(a, 0, bytes.len() as u64).copy_out(&bytes, &mut Default::default()).unwrap();
            let (readable, writable) = (3 * PAGE as u64, 2 * PAGE as u64);
            let expect = len.min(limit as u64).min(readable.saturating_sub(from)).min(writable.saturating_sub(to));
            match copy_whole(claim(a, from, len), claim(b, to, len), limit) {
                Ok(done) => proptest::prop_assert_eq!(done.bytes as u64, expect),
                Err(_) => proptest::prop_assert!(expect == 0 && len > 0 && limit > 0),
            }
            let mut source = bytes;
            source.resize(3 * PAGE, 0);
            let mut got = vec![0; 2 * PAGE];
            claim(b, 0, got.len() as u64).copy_in(&mut got, &mut Default::default()).unwrap();
            let mut model = vec![0; 2 * PAGE];
            let (f, t, n) = (from as usize, to as usize, expect as usize);
            if n > 0 {
                model[t..t + n].copy_from_slice(&source[f..f + n]);
            }
            proptest::prop_assert_eq!(got, model);
        }
    }
}
