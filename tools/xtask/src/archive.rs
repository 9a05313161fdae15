//! The boot archive: a ustar file, byte for byte the same for the same contents.
//!
//! ustar because the reader in init is a small existing crate and `tar tf` shows a person what
//! is inside. No times, no owners, sorted names: two builds of one tree can be compared.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tar::{Builder, EntryType, Header};

/// In a folder of this repository: makes git, and the archive, keep a folder that is empty.
const KEEP: &str = ".keep";

/// The files of a boot archive, by their path in the guest without the leading slash; with a slash
/// at the end, a directory.
#[derive(Clone, Default)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// Adds or replaces a file.
    pub fn insert(&mut self, path: &str, contents: Vec<u8>) {
        self.files.insert(path.trim_start_matches('/').to_owned(), contents);
    }

    /// What is in a file.
    pub fn contents(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Takes a file out; whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    /// Adds every file below `folder` under the path it has there.
    pub fn insert_tree(&mut self, folder: &Path) -> Result<()> {
        self.insert_below(folder, "")
    }

    /// Adds what `--add HOSTFILE:GUESTPATH` says.
    pub fn insert_added(&mut self, spec: &str) -> Result<()> {
        let Some((host, guest)) = spec.rsplit_once(':') else {
            bail!("--add {spec}: expected HOSTFILE:GUESTPATH, such as hello:/bin/hello");
        };
        let contents = std::fs::read(host).with_context(|| format!("--add: cannot read {host}"))?;
        self.insert(guest, contents);
        Ok(())
    }

    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The archive as it is handed to the kernel.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let entries = self.files.iter().map(|(path, data)| (path.as_str(), data.as_slice()));
        ustar(entries)
    }

    fn insert_below(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let cannot_read = || format!("cannot read the folder {}", folder.display());
        for entry in std::fs::read_dir(folder).with_context(cannot_read)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.insert_below(&entry.path(), &format!("{path}/"))?;
            } else if entry.file_name() == KEEP {
                self.insert(prefix, Vec::new());
            } else {
                self.insert(&path, std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }
}

/// A ustar archive of files and directories in the order given. Programs are executable.
pub fn ustar<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, contents) in files {
        let (kind, mode) = match contents {
            _ if path.ends_with('/') => (EntryType::Directory, 0o755),
            [0x7f, b'E', b'L', b'F', ..] => (EntryType::Regular, 0o755),
            _ => (EntryType::Regular, 0o644),
        };
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path(path).with_context(|| format!("`{path}` does not fit a ustar name"))?;
        header.set_mode(mode);
        header.set_size(contents.len() as u64);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, contents)?;
    }
    Ok(builder.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| entry.path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn order_of_insertion_does_not_show() {
        let mut one = Archive::default();
        one.insert("init", vec![1]);
        one.insert("/bin/sh", vec![2; 600]);
        let mut two = Archive::default();
        two.insert("bin/sh", vec![2; 600]);
        two.insert("init", vec![1]);
        assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
        assert_eq!(names(&one.to_bytes().unwrap()), ["bin/sh", "init"]);
    }

    #[test]
    fn the_outer_archive_keeps_the_order_given() {
        let files: [(&str, &[u8]); 3] = [("kernel", b"k"), ("cmdline", b"c"), ("boot.tar", b"b")];
        let bytes = ustar(files).unwrap();
        assert_eq!(names(&bytes), ["kernel", "cmdline", "boot.tar"]);
        assert_eq!(bytes.len() % 512, 0);
    }

    #[test]
    fn a_folder_is_kept_and_only_programs_are_executable() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        std::fs::write(folder.path().join("tmp/.keep"), "").unwrap();
        std::fs::write(folder.path().join("motd"), "hello").unwrap();
        let mut archive = Archive::default();
        archive.insert_tree(folder.path()).unwrap();
        archive.insert("bin/x", b"\x7fELF...".to_vec());
        let bytes = archive.to_bytes().unwrap();
        let mut read = tar::Archive::new(bytes.as_slice());
        let headers = read.entries().unwrap().map(|entry| entry.unwrap().header().clone());
        let seen: Vec<_> = headers.map(|header| (header.entry_type(), header.mode().unwrap())).collect();
        let (file, folder) = (EntryType::Regular, EntryType::Directory);
        assert_eq!(seen, [(file, 0o755), (file, 0o644), (folder, 0o755)]);
    }

    #[test]
    fn added_files_lose_the_leading_slash() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut archive = Archive::default();
        archive.insert_added(&format!("{}:/etc/x", file.path().display())).unwrap();
        assert_eq!(archive.paths().collect::<Vec<_>>(), ["etc/x"]);
        assert!(archive.insert_added("nowhere").is_err());
    }
}
