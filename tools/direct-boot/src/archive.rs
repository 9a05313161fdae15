//! The outer archive: kernel, command line and module in one `-initrd`.
//!
//! QEMU passes a single initrd, so the build tool packs three entries into a ustar file. The entry `boot.tar` inside
//! is the very file that Limine would load as a module.

use tar_no_std::TarArchiveRef;

use crate::BootError;

/// The three entries, borrowed from the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer<'a> {
    /// The kernel's ELF file.
    pub kernel: &'a [u8],
    /// The command line, without white space at its ends.
    pub cmdline: &'a [u8],
    /// The inner archive.
    pub module: &'a [u8],
}

impl<'a> Outer<'a> {
    /// Finds the entries.
    ///
    /// # Errors
    /// [`BootError::BadArchive`], [`BootError::MissingEntry`] and [`BootError::BadCmdline`], as they say.
    pub fn parse(initrd: &'a [u8]) -> Result<Self, BootError> {
        let archive = TarArchiveRef::new(initrd).map_err(BootError::BadArchive)?;
        let entry = |name: &'static str| {
            let mut entries = archive.entries();
            let found = entries.find(|entry| entry.filename().as_str() == Ok(name));
            found.map(|entry| entry.data()).ok_or(BootError::MissingEntry(name))
        };
        let outer =
            Self { kernel: entry("kernel")?, cmdline: entry("cmdline")?.trim_ascii(), module: entry("boot.tar")? };
        // The kernel reads the line as a C string.
        if outer.cmdline.contains(&0) {
            return Err(BootError::BadCmdline);
        }
        Ok(outer)
    }
}

#[cfg(test)]
mod tests {
    use tar_no_std::CorruptDataError;

    use super::*;
    use crate::fixture::{Random, tar};

    #[test]
    fn finds_the_three_entries() {
        let file = tar(&[("kernel", b"K"), ("cmdline", b" a=b c\n"), ("boot.tar", &[7; 1000])]);
        let outer = Outer::parse(&file).unwrap();
        assert_eq!(outer, Outer { kernel: b"K", cmdline: b"a=b c", module: &[7; 1000] });
    }

    #[test]
    fn names_what_is_missing() {
        let file = tar(&[("cmdline", b""), ("boot.tar", b"")]);
        assert_eq!(Outer::parse(&file), Err(BootError::MissingEntry("kernel")));
        let file = tar(&[("kernel", b""), ("cmdline", b"")]);
        assert_eq!(Outer::parse(&file), Err(BootError::MissingEntry("boot.tar")));
    }

    #[test]
    fn refuses_a_nul_in_the_command_line() {
        let file = tar(&[("kernel", b""), ("cmdline", b"a\0b"), ("boot.tar", b"")]);
        assert_eq!(Outer::parse(&file), Err(BootError::BadCmdline));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = tar(&[("kernel", &[1; 700]), ("cmdline", b"x"), ("boot.tar", &[2; 600])]);
        assert_eq!(Outer::parse(&[]), Err(BootError::BadArchive(CorruptDataError::EmptyArchive)));
        for end in 0..file.len() {
            assert!(matches!(Outer::parse(&file[..end]), Err(BootError::BadArchive(_))), "{end}");
        }
    }

    #[test]
    fn random_damage_never_panics() {
        let file = tar(&[("kernel", &[1; 700]), ("cmdline", b"x"), ("boot.tar", &[2; 600])]);
        let mut random = Random(1);
        for _ in 0..20_000 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.below(256) as u8;
            }
            let _ = Outer::parse(&damaged);
        }
    }
}
