//! Starting: good and broken archives, with and without devices.

use alloc::boxed::Box;
use alloc::vec::Vec;
use parley_abi::{Errno, linux::mode};
use parley_proto::Service;

use super::{Client, EMPTY, TestHost};
use crate::Vfs;

/// A ustar entry: header and padded contents.
pub fn entry(name: &[u8], kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000755");
    let size = std::format!("{:011o}", contents.len());
    block[124..135].copy_from_slice(size.as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum = std::format!("{:06o}\0 ", block.iter().map(|&byte| byte as u32).sum::<u32>());
    block[148..156].copy_from_slice(sum.as_bytes());
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An archive of these entries, for ever.
pub fn archive(entries: &[Vec<u8>]) -> &'static [u8] {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    Box::leak(bytes.into_boxed_slice())
}

fn refusal(archive: &'static [u8]) -> std::string::String {
    let mut host = TestHost::default();
    assert_eq!(Vfs::new(archive).start(&mut host), Err(Errno::EINVAL));
    host.log
}

#[test]
fn the_archive_becomes_the_root() {
    let good = archive(&[
        entry(b"svc/", b'5', b""),
        entry(b"svc/vfs", b'0', b"elf"),
        entry(b"./bin/a/b", b'0', &[7; 5000]),
        entry(b"bin", b'5', b""),
    ]);
    let mut c = Client::new(good);
    assert_eq!(c.names(b"/", 4096), [&b"."[..], b"..", b"svc", b"bin", b"dev"]);
    assert_eq!(c.stat(b"/svc/vfs").unwrap().mode, mode::IFREG | 0o755);
    let file = c.open(b"/bin/a/b", 2).unwrap();
    assert_eq!(c.pread(file, 6000, 1).unwrap(), [7; 4999]);
    assert_eq!(c.pwrite(file, b"x", 4100), Ok(1));
    assert_eq!(c.read(file, 6000).unwrap(), [&[7; 4100][..], b"x", &[7; 899]].concat());
}

#[test]
fn a_broken_archive_is_named() {
    let file = entry(b"a", b'0', &[1; 600]);
    let mut flipped = [file.clone(), file.clone()].concat();
    flipped[1536] ^= 1;
    assert!(refusal(archive(&[flipped])).contains("byte 1536"));
    assert!(refusal(&[]).contains("no data"));
    assert!(refusal(&EMPTY[..1000]).contains("512"));
    assert!(refusal(&b"\x7fELF foreign"[..]).contains("rebuild the boot archive"));
    let cut: &'static [u8] = Box::leak(file[..1024].to_vec().into_boxed_slice());
    assert!(refusal(cut).starts_with("boot archive broken at byte"));
    assert!(refusal(archive(&[file.clone(), file])).contains("byte 1536, entry `a`: file exists"));
    assert!(refusal(archive(&[entry(b"l", b'2', b"")])).contains("entry `l`"));
    assert!(refusal(archive(&[entry(b"../x", b'0', b"")])).contains("../x"));
    assert!(refusal(archive(&[entry(b"f", b'0', b""), entry(b"f/g", b'0', b"")])).contains("not a directory"));
}

#[test]
fn an_archive_of_no_files_is_an_empty_root() {
    for blocks in [2, 3] {
        let mut c = Client::new(&EMPTY[..blocks * 512]);
        assert_eq!(c.names(b"/", 4096), [&b"."[..], b"..", b"dev"]);
    }
}

#[test]
fn without_a_char_service_dev_is_empty() {
    let mut host = TestHost { no_char: true, ..TestHost::default() };
    let mut vfs = Vfs::new(&EMPTY);
    assert_eq!(vfs.start(&mut host), Ok(()));
    assert!(host.log.contains("/dev is incomplete"));
    let mut c = Client { vfs, host };
    assert_eq!(c.names(b"/dev", 4096), [&b"."[..], b".."]);
}

#[test]
fn a_driver_comes_and_goes() {
    let mut host = TestHost::default();
    let mut vfs = Vfs::new(&EMPTY);
    vfs.start(&mut host).unwrap();
    host.driver = true;
    let driver = parley_abi::slot::service::TQUEUE;
    vfs.notified(&mut host, parley_abi::news::news_bit(driver));
    vfs.notified(&mut host, parley_abi::news::news_bit(driver));
    let mut c = Client { vfs, host };
    assert_eq!(c.names(b"/dev", 4096), [&b"."[..], b"..", b"null", b"zero", b"tqueue"]);
    assert_eq!(c.stat(b"/dev/tqueue").unwrap().rdev, 240 << 8);
    c.vfs.notified(&mut c.host, parley_abi::news::gone_bit(driver));
    assert_eq!(c.names(b"/dev", 4096), [&b"."[..], b"..", b"null", b"zero"]);
    assert!(c.host.log.is_empty());
}
