//! The boot archive: a ustar file with the services' programs.
//!
//! The files of programs are in it too, but those init takes from the VFS, which is filled from the same
//! archive and which a person can change.

use tar_no_std::{CorruptDataError, TarArchiveRef};

/// An archive whose headers have been checked.
#[derive(Debug)]
pub struct Archive<'a>(TarArchiveRef<'a>);

impl<'a> Archive<'a> {
    /// Checks the archive. The error says what is wrong with it: truncated, or no ustar file at all.
    pub fn new(bytes: &'a [u8]) -> Result<Archive<'a>, CorruptDataError> {
        TarArchiveRef::new(bytes).map(Archive)
    }

    /// The contents of the file at `path`, which has no slash in front.
    pub fn find(&self, path: &str) -> Option<&'a [u8]> {
        let is_it = |name: &str| name.strip_prefix("./").unwrap_or(name) == path;
        self.0.entries().find(|entry| entry.filename().as_str().is_ok_and(is_it)).map(|entry| entry.data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One ustar header (POSIX.1-2017, pax, "ustar Interchange Format").
    fn header(name: &str, size: usize) -> [u8; 512] {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000755\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[148..156].copy_from_slice(b"        ");
        block[156] = b'0';
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    fn archive() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, data) in [("svc/vfs", &b"first"[..]), ("./svc/ping", b"second")] {
            bytes.extend(header(name, data.len()));
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend([0; 1024]);
        bytes
    }

    #[test]
    fn files_are_found_by_path() {
        let bytes = archive();
        let archive = Archive::new(&bytes).unwrap();
        assert_eq!(archive.find("svc/vfs"), Some(&b"first"[..]));
        assert_eq!(archive.find("svc/ping"), Some(&b"second"[..]));
        assert_eq!(archive.find("svc/time"), None);
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let bytes = archive();
        assert!(Archive::new(&[]).is_err());
        assert!(Archive::new(&[b'x'; 4096]).is_err());
        assert!(Archive::new(&bytes[..1536]).is_err(), "truncated");
    }

    proptest! {
        #[test]
        fn damage_never_panics(changes in prop::collection::vec((0usize..3072, any::<u8>()), 1..6)) {
            let mut bytes = archive();
            for (place, value) in changes {
                bytes[place] = value;
            }
            if let Ok(archive) = Archive::new(&bytes) {
                let _ = archive.find("svc/ping");
            }
        }
    }
}
