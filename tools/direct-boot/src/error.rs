//! Everything that can stop a boot, each with what to do about it.
//!
//! The loader has one line on a serial port to help the person whose test just failed, so each text names what was
//! wrong and the next step, separated by a semicolon.

use core::fmt;

use tar_no_std::CorruptDataError;

/// Why the kernel could not be started. `Display` gives the whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The start-info block is not PVH version 1 or later.
    NotPvh,
    /// A structure or the initrd lies where the loader cannot read it.
    OutOfReach {
        /// What was looked for.
        what: &'static str,
        /// Its physical address.
        address: u64,
    },
    /// QEMU gave no `-initrd`.
    NoInitrd,
    /// The outer archive is not a sound tar file.
    BadArchive(CorruptDataError),
    /// The outer archive lacks an entry.
    MissingEntry(&'static str),
    /// The command line holds a NUL byte.
    BadCmdline,
    /// The kernel is not an ELF file, or is cut short.
    NotElf,
    /// The kernel is an ELF file of another kind than static x86-64.
    WrongElf {
        /// `e_type` found; 2 (`ET_EXEC`) is wanted.
        kind: u16,
        /// `e_machine` found; 62 (`EM_X86_64`) is wanted.
        machine: u16,
    },
    /// The kernel has no loadable segment.
    NoSegments,
    /// A segment breaks a rule.
    BadSegment {
        /// Its virtual address.
        address: u64,
        /// The rule.
        rule: SegmentRule,
    },
    /// The entry point is outside the executable segments.
    BadEntry(u64),
    /// The kernel asks for base revision 0, or carries no tag, which means the same.
    OldRevision,
    /// The base revision tag appears twice.
    DuplicateRevision,
    /// One request appears twice.
    DuplicateRequest([u64; 2]),
    /// A request starts so late that it does not fit into the image.
    CutRequest,
    /// More of something than the loader has room for.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The room.
        limit: usize,
    },
    /// The guest has too little free memory.
    OutOfMemory {
        /// What it was for.
        what: &'static str,
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// A plan came out too small for its use: a mistake in the loader.
    Internal(&'static str),
}

/// What is demanded of a loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentRule {
    /// It lies at or above `0xffffffff80000000`.
    HigherHalf,
    /// It starts on a page boundary.
    PageAligned,
    /// It shares no page with another segment.
    Disjoint,
    /// Its bytes lie inside the file and fit into its memory size.
    InsideFile,
}

impl SegmentRule {
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::HigherHalf => ("is below 0xffffffff80000000", "link the kernel in the top 2 GiB"),
            Self::PageAligned => ("does not start on a page", "put `. = ALIGN(4096)` before it in the linker script"),
            Self::Disjoint => ("shares a page with another segment", "put `. = ALIGN(4096)` between the two"),
            Self::InsideFile => ("reaches beyond the file", "the file is cut short: build the kernel again"),
        }
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotPvh => f.write_str("no PVH start info; start it with `qemu-system-x86_64 -kernel direct-boot`"),
            Self::OutOfReach { what, address } => {
                write!(f, "the {what} at {address:#x} is out of the loader's reach; give the guest less memory")
            }
            Self::NoInitrd => f.write_str("there is no archive; add `-initrd outer.tar`"),
            Self::BadArchive(why) => write!(f, "the -initrd file is no sound tar archive: {why}; build it again"),
            Self::MissingEntry(name) => {
                write!(f, "the -initrd archive has no entry `{name}`; it needs `kernel`, `cmdline` and `boot.tar`")
            }
            Self::BadCmdline => f.write_str("entry `cmdline` holds a NUL byte; make it plain text"),
            _ => self.fmt_kernel(f),
        }
    }
}

impl BootError {
    /// The second half of `Display`: what is wrong with the kernel or with the machine's size.
    fn fmt_kernel(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotElf => f.write_str("entry `kernel` is no complete ELF64 file; put the linked kernel there"),
            Self::WrongElf { kind, machine } => write!(
                f,
                "the kernel has ELF type {kind}, machine {machine}, not 2, 62; build it with -Crelocation-model=static"
            ),
            Self::NoSegments => f.write_str("the kernel has nothing to load; check the PHDRS of its linker script"),
            Self::BadSegment { address, rule } => {
                let (wrong, remedy) = rule.text();
                write!(f, "the kernel segment at {address:#x} {wrong}; {remedy}")
            }
            Self::BadEntry(entry) => {
                write!(f, "the kernel entry {entry:#x} is in no executable segment; check ENTRY() in its linker script")
            }
            Self::OldRevision => f.write_str("the kernel asks for Limine base revision 0 (or none); ask for 2"),
            Self::DuplicateRevision => f.write_str("the kernel has two Limine base revision tags; keep one"),
            Self::DuplicateRequest([a, b]) => {
                write!(f, "the kernel makes Limine request {a:#018x},{b:#018x} twice; keep one")
            }
            Self::CutRequest => {
                f.write_str("the kernel's data end inside a Limine request; check the request's declaration")
            }
            Self::TooMany { what, limit } => write!(f, "more than {limit} {what}; raise the limit in direct-boot"),
            Self::OutOfMemory { what, bytes } => {
                write!(f, "no {bytes} contiguous bytes of memory for the {what}; give the guest more with `-m`")
            }
            _ => write!(f, "mistake in the loader ({self:?}); please report it"),
        }
    }
}

impl core::error::Error for BootError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_with_a_remedy() {
        let rules = [SegmentRule::HigherHalf, SegmentRule::PageAligned, SegmentRule::Disjoint, SegmentRule::InsideFile];
        let mut errors = vec![
            BootError::NotPvh,
            BootError::OutOfReach { what: "initrd", address: 1 },
            BootError::NoInitrd,
            BootError::BadArchive(CorruptDataError::EmptyArchive),
            BootError::MissingEntry("kernel"),
            BootError::BadCmdline,
            BootError::NotElf,
            BootError::WrongElf { kind: 3, machine: 62 },
            BootError::NoSegments,
            BootError::BadEntry(1),
            BootError::OldRevision,
            BootError::DuplicateRevision,
            BootError::DuplicateRequest([1, 2]),
            BootError::CutRequest,
            BootError::TooMany { what: "segments", limit: 16 },
            BootError::OutOfMemory { what: "stack", bytes: 1 },
            BootError::Internal("arena"),
        ];
        errors.extend(rules.map(|rule| BootError::BadSegment { address: 1, rule }));
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("; ") && !text.contains('\n'), "{text}");
        }
        assert!(BootError::Internal("arena").to_string().contains("arena"));
    }
}
