//! What a folder of files should be like: names, contents, open files with their offsets.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Number of a file, whether it has a name or not.
pub type File = u32;

/// An open file; descriptors that were copied share it.
#[derive(Debug)]
pub struct Open {
    pub file: File,
    pub offset: usize,
}

/// The folder.
#[derive(Debug, Default)]
pub struct Model {
    /// Contents by number; they stay while the folder is in use.
    pub contents: BTreeMap<File, Vec<u8>>,
    /// Names, by their number.
    pub names: BTreeMap<u8, File>,
    /// Open files.
    pub opens: Vec<Open>,
    /// Descriptors: what the system calls them, and which of `opens` they lead to.
    pub descriptors: Vec<(u32, usize)>,
    /// Whether the folder has a folder.
    pub folder: bool,
    next: File,
}

impl Model {
    /// A new file with this name.
    pub fn create(&mut self, name: u8) -> File {
        self.next += 1;
        self.contents.insert(self.next, Vec::new());
        self.names.insert(name, self.next);
        self.next
    }

    /// A file was opened.
    pub fn opened(&mut self, descriptor: u32, file: File) {
        self.opens.push(Open { file, offset: 0 });
        self.descriptors.push((descriptor, self.opens.len() - 1));
    }

    /// What reading `count` bytes from `offset` gives.
    pub fn slice(&self, file: File, offset: usize, count: usize) -> &[u8] {
        let contents = &self.contents[&file];
        let start = offset.min(contents.len());
        &contents[start..contents.len().min(start.saturating_add(count))]
    }

    /// Bytes were written at `offset`, perhaps beyond the end.
    pub fn write(&mut self, file: File, offset: usize, bytes: &[u8]) {
        let contents = self.contents.entry(file).or_default();
        if bytes.is_empty() {
            return;
        }
        if contents.len() < offset + bytes.len() {
            contents.resize(offset + bytes.len(), 0);
        }
        contents[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}
