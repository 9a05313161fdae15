//! One accepted input for each parser, to be damaged.

use direct_boot::protocol::{BASE_REVISION_MAGIC, COMMON_MAGIC, Feature, KERNEL_BASE};
use parley_abi::row::{LeaseRow, Op, Row, Shape};

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An ELF-64 executable (System V ABI, chapter 5) of a page of code at `base` and one of data behind it.
fn elf(base: u64) -> Vec<u8> {
    const READ_EXECUTE: u64 = 5;
    const READ_WRITE: u64 = 6;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_X86_64, version 1; entry, program headers behind this one, no sections.
    file.extend(words(&[0x1_003e_0002, base + 0xb0, 64, 0]));
    // Sizes of the two kinds of headers, and two program headers.
    file.extend(words(&[0x0038_0040 << 32, 0x40_0002]));
    for (number, flags) in [READ_EXECUTE, READ_WRITE].into_iter().enumerate() {
        let at = number as u64 * 0x1000;
        file.extend(words(&[1 | flags << 32, at, base + at, base + at, 0x1000, 0x1000, 0x1000]));
    }
    file.resize(0x2000, 0);
    file
}

pub fn program() -> Vec<u8> {
    elf(0x40_0000)
}

pub fn kernel() -> Vec<u8> {
    elf(KERNEL_BASE)
}

pub fn requests() -> Vec<u8> {
    let [a, b] = Feature::Hhdm.id();
    let request = [COMMON_MAGIC[0], COMMON_MAGIC[1], a, b, 0, 0, 0];
    words(&[&BASE_REVISION_MAGIC[..], &[2], &request].concat())
}

/// A ustar archive (POSIX.1-2017, pax, "ustar Interchange Format").
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in files {
        let mut header = [0; 512];
        let mut field = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        field(0, name);
        field(100, "0000755\0");
        field(124, &format!("{:011o}\0", data.len()));
        field(136, "00000000000\0");
        field(148, "        0");
        field(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

pub fn archive() -> Vec<u8> {
    tar(&[("svc/vfs", b"first"), ("./svc/ping", b"second")])
}

pub fn outer() -> Vec<u8> {
    tar(&[("kernel", b"K"), ("cmdline", b" loglevel=info -- ls\n"), ("boot.tar", &[7; 600])])
}

pub fn row() -> Vec<u8> {
    let leases =
        [LeaseRow { shape: Shape::Text, word: 0, size: 4096 }, LeaseRow { shape: Shape::Write, word: 4, size: 0 }];
    Row { op: Op::Send, opens: 1, slot: 1030, label: 77, leases }.to_bytes().to_vec()
}

pub fn dirents() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (ino, name) in [(1u64, "."), (2, ".."), (77, "motd")] {
        let length = (19 + name.len() + 1).next_multiple_of(8);
        let end = bytes.len() + length;
        bytes.extend(words(&[ino, 0]));
        bytes.extend((length as u16).to_le_bytes());
        bytes.push(8);
        bytes.extend(name.as_bytes());
        bytes.resize(end, 0);
    }
    bytes
}

pub fn text() -> Vec<u8> {
    br#"log=com2 debug-exit -- /bin/echo a%20b "c 'd'" \x >> /tmp/out"#.to_vec()
}
