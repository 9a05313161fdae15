//! What the placements boot from: an archive of a few files.

use std::sync::OnceLock;

/// The boot archive: /etc/motd (20 bytes), /bin/tool (9,000 bytes, executable) and an empty /data/.
pub fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let tool: Vec<u8> = (0..9_000u32).map(|index| index as u8).collect();
        let entries = [
            entry("etc/motd", b'0', b"welcome to the test\n"),
            entry("bin/tool", b'0', &tool),
            entry("data/", b'5', b""),
        ];
        [entries.concat(), vec![0; 1024]].concat()
    })
}

/// A ustar entry (POSIX pax, "ustar Interchange Format"): a header block and padded contents.
fn entry(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    let mut put = |offset: usize, text: &[u8]| block[offset..offset + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000755");
    put(124, format!("{:011o}", contents.len()).as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| byte as u32).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&block[..], contents].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
