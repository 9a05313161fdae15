//! What the core counts, for `compare`: read with [`crate::call::COUNTERS`].

/// Totals since boot. Differences around an operation are what it cost beside instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Counters {
    /// Entries into ring 0 from ring 3, by system call, interrupt or exception. Each has one exit, so
    /// privilege crossings are twice this.
    pub entries: u64,
    /// Times the page-table root changed.
    pub space_switches: u64,
    /// Bytes the core copied between address spaces, or between a resident service and a client.
    pub bytes_copied: u64,
    /// Iterations of `rep` string instructions. `-icount` counts each of them, and the instruction itself once
    /// more when it finds the count at zero: without the iterations each `rep` counts once, which is what
    /// `median_collapsed` says.
    pub rep_extra: u64,
}
