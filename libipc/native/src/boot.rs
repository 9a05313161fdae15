//! What the core tells init: one page at [`INFO_AT`], mapped read-only.

/// Where the page lies in init's address space.
pub const INFO_AT: u64 = 0x7fff_0000_0000;
/// Marks the page, and changes with its layout.
pub const MAGIC: u64 = 0x5041_524c_4559_0001;
/// Longest kernel command line that is passed on, in bytes.
pub const CMDLINE_MAX: usize = 2048;

/// The page. Strings are padded with NUL.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Info {
    /// [`MAGIC`].
    pub magic: u64,
    /// Time stamp counter ticks a second.
    pub tsc_hz: u64,
    /// Time stamp counter at nanosecond zero.
    pub tsc_start: u64,
    /// Length of the boot archive in bytes; it is the memory object in [`crate::slot::ARCHIVE`].
    pub archive_len: u64,
    /// Port of the ACPI power management timer; 0: the machine has none.
    pub pm_timer: u64,
    /// Bit n is set if well-known service n is resident in ring 0; the handle to its endpoint is then
    /// in `slot::SERVICE + n` of init.
    pub resident: u64,
    /// Name of the kernel: micro, hybrid or mono.
    pub kernel: [u8; 16],
    /// Bytes of `cmdline` in use.
    pub cmdline_len: u64,
    /// The kernel command line.
    pub cmdline: [u8; CMDLINE_MAX],
}

const _: () = assert!(size_of::<Info>() <= crate::PAGE);
