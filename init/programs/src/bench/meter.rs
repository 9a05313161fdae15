//! How one row is measured.
//!
//! An operation runs [`WARM_UP`] times unmeasured, then n times between two readings of the time stamp
//! counter, then [`BATCH`] times between two readings of the core's counters, so that neither disturbs
//! the other. RDTSC is used bare, without LFENCE: under `-icount` it is exact as it is, and on real
//! hardware a fence would add its own cost to every sample; the median of many evens out what
//! out-of-order execution moves across. What an empty operation costs is taken off.
//!
//! Nothing is printed while anything is still to be measured.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::counters::Counters;
use parley_rt::sys;

use super::options::Options;
use super::report::{Figures, Memory, Placement, Timeline};
use super::stats::Spread;

/// Operations before the first sample.
pub const WARM_UP: usize = 64;
/// Samples of a row, unless it says otherwise.
pub const SAMPLES: usize = 1000;
/// Operations that are counted.
pub const BATCH: usize = 100;

/// The samples of the row that is being measured. Static, so that taking one never touches the heap
/// or a page for the first time; atomic, so that it is safe: a relaxed store is a plain `mov`.
static TAKEN: [AtomicU64; SAMPLES] = [const { AtomicU64::new(0) }; SAMPLES];

/// An operation that did not do what it was measured for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The row, or what was being prepared.
    pub row: &'static str,
    /// Why.
    pub errno: Errno,
}

/// Puts the name of the row to an error.
pub trait InRow<T> {
    /// The value, or the failure of `row`.
    fn in_row(self, row: &'static str) -> Result<T, Failure>;
}

impl<T> InRow<T> for Result<T, Errno> {
    fn in_row(self, row: &'static str) -> Result<T, Failure> {
        self.map_err(|errno| Failure { row, errno })
    }
}

/// Measures rows and keeps their figures.
pub struct Meter<'a> {
    options: &'a Options<'a>,
    placement: Placement,
    /// Ticks of an empty operation.
    pair: u64,
    /// What reading the counters twice adds to them.
    reading: Counters,
    figures: Vec<Figures>,
    timelines: Vec<Timeline>,
    memories: Vec<Memory>,
}

/// Whether a nanosecond of the clock is an instruction, so that how long something took is the same in every
/// run: `-icount shift=0`.
pub fn counts_instructions() -> bool {
    const ROUNDS: u64 = 100_000;
    let start = sys::clock();
    // SAFETY: counts a register down.
    unsafe { core::arch::asm!("2: dec {0}", "jnz 2b", inout(reg) ROUNDS => _, options(nomem, nostack)) };
    let took = sys::clock() - start;
    (2 * ROUNDS..2 * ROUNDS + ROUNDS / 10).contains(&took)
}

impl<'a> Meter<'a> {
    /// A meter that knows what measuring itself costs.
    pub fn new(options: &'a Options<'a>) -> Result<Meter<'a>, Failure> {
        let mut figures = Vec::new();
        figures.try_reserve(64).map_err(|_| Errno::ENOMEM).in_row("memory for the figures")?;
        warm_up("overhead", &mut || 0)?;
        let pair = sample("overhead", SAMPLES, 0, &mut || 0)?.median;
        count("counters", Counters::default(), &mut || 0)?;
        let reading = count("counters", Counters::default(), &mut || 0)?;
        Ok(Meter {
            options,
            placement: Placement::Ring3,
            pair,
            reading,
            figures,
            timelines: Vec::new(),
            memories: Vec::new(),
        })
    }

    /// Brings the figures of each placement into the order that `place` gives their rows.
    pub fn sort_by(&mut self, place: impl Fn(&str) -> Option<usize>) {
        self.figures.sort_unstable_by_key(|figures| (figures.placement as u8, place(figures.row)));
    }

    /// Rows from now on are measured in this placement.
    pub fn set_placement(&mut self, placement: Placement) {
        self.placement = placement;
    }

    /// Is one of these rows wanted?
    pub fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.options.wants(row))
    }

    /// Measures `operation`, which returns a system call's result, with [`SAMPLES`] samples.
    pub fn row(&mut self, row: &'static str, operation: impl FnMut() -> i64) -> Result<(), Failure> {
        self.row_of(row, SAMPLES, operation)
    }

    /// Measures `operation` with `n` samples, at most [`SAMPLES`].
    pub fn row_of(&mut self, row: &'static str, n: usize, mut operation: impl FnMut() -> i64) -> Result<(), Failure> {
        if !self.options.wants(row) {
            return Ok(());
        }
        let n = n.min(SAMPLES);
        own_the_fpu();
        warm_up(row, &mut operation)?;
        let ticks = sample(row, n, self.pair, &mut operation)?;
        let counted = count(row, self.reading, &mut operation)?;
        self.figures.push(Figures { row, placement: self.placement, n, ticks, counted, batch: BATCH as u64 });
        Ok(())
    }

    /// Measures `operation`, which reads the time stamp counter itself and says how many ticks passed.
    pub fn one_way(
        &mut self,
        row: &'static str,
        mut operation: impl FnMut() -> Result<u64, Errno>,
    ) -> Result<(), Failure> {
        own_the_fpu();
        for _ in 0..WARM_UP {
            operation().in_row(row)?;
        }
        for slot in &TAKEN {
            slot.store(operation().in_row(row)?, Ordering::Relaxed);
        }
        let ticks = spread(SAMPLES, self.pair);
        let counted = count(row, self.reading, &mut || operation().map_or_else(Errno::negated, |_| 0))?;
        self.figures.push(Figures { row, placement: self.placement, n: SAMPLES, ticks, counted, batch: BATCH as u64 });
        Ok(())
    }

    /// Was this very row asked for?
    pub fn is_named(&self, row: &str) -> bool {
        self.options.rows.contains(&row)
    }

    /// Adds what was measured otherwise.
    pub fn add(&mut self, figures: Figures) {
        self.figures.push(figures);
    }

    /// Whether each request around a disturbance is asked for.
    pub fn wants_samples(&self) -> bool {
        self.options.samples
    }

    /// Adds these.
    pub fn add_timeline(&mut self, timeline: Timeline) {
        self.timelines.push(timeline);
    }

    /// All timelines, in order.
    pub fn timelines(&self) -> &[Timeline] {
        &self.timelines
    }

    /// Adds what a service keeps.
    pub fn add_memory(&mut self, memory: Memory) {
        self.memories.push(memory);
    }

    /// What services keep, in order.
    pub fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// All that was measured, in order.
    pub fn figures(&self) -> &[Figures] {
        &self.figures
    }
}

/// The time stamp counter.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC reads a counter; the core leaves CR4.TSD clear, so ring 3 may.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Executes a floating-point instruction, so that this thread owns the FPU as real programs do and the
/// kernel has its registers to keep.
fn own_the_fpu() {
    // SAFETY: pushes a constant on the x87 stack and pops it again; the program is built soft-float,
    // so that the compiler keeps nothing there.
    unsafe { core::arch::asm!("fld1", "fstp st(0)", options(nomem, nostack, preserves_flags)) }
}

fn warm_up(row: &'static str, operation: &mut impl FnMut() -> i64) -> Result<(), Failure> {
    for _ in 0..WARM_UP {
        Errno::check(operation()).in_row(row)?;
    }
    Ok(())
}

/// Takes `n` samples and takes `overhead` ticks off each.
#[inline(always)]
fn sample(row: &'static str, n: usize, overhead: u64, operation: &mut impl FnMut() -> i64) -> Result<Spread, Failure> {
    for slot in &TAKEN[..n] {
        let begin = ticks();
        let result = operation();
        let end = ticks();
        Errno::check(result).in_row(row)?;
        slot.store(end.wrapping_sub(begin), Ordering::Relaxed);
    }
    Ok(spread(n, overhead))
}

/// What the first `n` samples say, each without `overhead`.
fn spread(n: usize, overhead: u64) -> Spread {
    let mut samples = [0; SAMPLES];
    for (sample, slot) in samples.iter_mut().zip(&TAKEN) {
        *sample = slot.load(Ordering::Relaxed);
    }
    Spread::of(&mut samples[..n], overhead)
}

/// What [`BATCH`] operations add to the core's counters, beside `reading`.
fn count(row: &'static str, reading: Counters, operation: &mut impl FnMut() -> i64) -> Result<Counters, Failure> {
    let (mut before, mut after) = (Counters::default(), Counters::default());
    sys::counters(&mut before).in_row(row)?;
    for _ in 0..BATCH {
        Errno::check(operation()).in_row(row)?;
    }
    sys::counters(&mut after).in_row(row)?;
    let less = |after: u64, before: u64, own: u64| after.saturating_sub(before).saturating_sub(own);
    Ok(Counters {
        entries: less(after.entries, before.entries, reading.entries),
        space_switches: less(after.space_switches, before.space_switches, reading.space_switches),
        bytes_copied: less(after.bytes_copied, before.bytes_copied, reading.bytes_copied),
        rep_extra: less(after.rep_extra, before.rep_extra, reading.rep_extra),
    })
}
