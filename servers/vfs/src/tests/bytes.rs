//! Reading, writing and seeking, and a model of one file that random histories must agree with.

use alloc::vec::Vec;
use parley_abi::linux::{open, seek};
use parley_abi::{Errno, PAGE};
use proptest::prelude::*;

use super::{Client, EMPTY};
use crate::{MAX_FILE, TRANSFER_MAX};

const CREATE: u32 = open::RDWR | open::CREAT;

fn with_file(flags: u32) -> (Client, u64) {
    let mut client = Client::new(&EMPTY);
    let file = client.open(b"/f", CREATE | flags).unwrap();
    (client, file)
}

#[test]
fn seeking() {
    let (mut c, f) = with_file(0);
    c.write(f, b"0123456789").unwrap();
    assert_eq!((c.lseek(f, 3, seek::SET), c.read(f, 2)), (Ok(3), Ok(b"34".to_vec())));
    assert_eq!((c.lseek(f, -1, seek::CUR), c.lseek(f, -1, seek::END)), (Ok(4), Ok(9)));
    assert_eq!((c.lseek(f, -11, seek::END), c.lseek(f, -1, seek::SET)), (Err(Errno::EINVAL), Err(Errno::EINVAL)));
    assert_eq!((c.lseek(f, 0, 3), c.lseek(f, i64::MAX, seek::END)), (Err(Errno::EINVAL), Err(Errno::EOVERFLOW)));
    assert_eq!((c.lseek(f, i64::MAX, seek::SET), c.read(f, 5)), (Ok(i64::MAX), Ok(Vec::new())));
    assert_eq!((c.lseek(f, 1, seek::CUR), c.write(f, b"x")), (Err(Errno::EOVERFLOW), Err(Errno::EFBIG)));
}

#[test]
fn access_modes_are_kept() {
    let (mut c, f) = with_file(0);
    c.write(f, b"ab").unwrap();
    let reader = c.open(b"/f", open::RDONLY).unwrap();
    let writer = c.open(b"/f", open::WRONLY).unwrap();
    assert_eq!((c.write(reader, b"x"), c.pwrite(reader, b"x", 0)), (Err(Errno::EBADF), Err(Errno::EBADF)));
    assert_eq!((c.read(writer, 1), c.pread(writer, 1, 0)), (Err(Errno::EBADF), Err(Errno::EBADF)));
    assert_eq!((c.pread(reader, 1, -1), c.pwrite(writer, b"x", -1)), (Err(Errno::EINVAL), Err(Errno::EINVAL)));
}

#[test]
fn appending() {
    let (mut c, f) = with_file(open::APPEND);
    c.write(f, b"ab").unwrap();
    c.lseek(f, 0, seek::SET).unwrap();
    c.write(f, b"cd").unwrap();
    c.pwrite(f, b"X", 0).unwrap();
    assert_eq!((c.lseek(f, 0, seek::CUR), c.pread(f, 9, 0)), (Ok(4), Ok(b"Xbcd".to_vec())));
}

#[test]
fn there_is_a_largest_file_and_a_largest_transfer() {
    let (mut c, f) = with_file(0);
    let end = MAX_FILE as i64;
    assert_eq!((c.pwrite(f, b"abc", end - 2), c.pwrite(f, b"abc", end)), (Ok(2), Err(Errno::EFBIG)));
    assert_eq!((c.pwrite(f, b"", end), c.pwrite(f, b"", i64::MAX)), (Ok(0), Ok(0)));
    assert_eq!(c.pread(f, 9, end - 4), Ok(b"\0\0ab".to_vec()));
    assert_eq!(c.fstat(f).unwrap().size, end);
    let big = alloc::vec![5; TRANSFER_MAX as usize + 7];
    assert_eq!(c.pwrite(f, &big, 3), Ok(TRANSFER_MAX as i64));
    assert_eq!(c.pread(f, big.len(), 3).unwrap().len() as u64, TRANSFER_MAX);
}

#[test]
fn a_fault_leaves_nothing_behind() {
    let (mut c, f) = with_file(0);
    c.host.mapped = Some(0);
    assert_eq!(c.pwrite(f, &[1; 100], 50), Err(Errno::EFAULT));
    c.host.mapped = Some(PAGE);
    assert_eq!(c.pwrite(f, &[1; 3 * PAGE], 0), Ok(PAGE as i64));
    c.host.mapped = None;
    assert_eq!(c.fstat(f).unwrap().size, PAGE as i64);
    assert_eq!(c.pwrite(f, b"x", 3 * PAGE as i64), Ok(1));
    assert_eq!(c.pread(f, 2 * PAGE, PAGE as i64).unwrap(), [0; 2 * PAGE]);
}

#[test]
fn a_fault_in_the_last_page_does_not_show_when_the_file_grows() {
    let (mut c, f) = with_file(0);
    c.write(f, b"ab").unwrap();
    c.host.mapped = Some(0);
    assert_eq!(c.write(f, &[1; 100]), Err(Errno::EFAULT));
    c.host.mapped = None;
    c.pwrite(f, b"z", 60).unwrap();
    assert_eq!(c.pread(f, 99, 0).unwrap(), [&b"ab"[..], &[0; 58], b"z"].concat());
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize, u8),
    Pread(usize, usize),
    Pwrite(usize, usize, u8),
    Seek(i64, u32),
    Truncate,
}

fn step() -> impl Strategy<Value = (Step, Option<usize>)> {
    let (len, at) = (0..3 * PAGE, 0..5 * PAGE);
    let step = prop_oneof![
        len.clone().prop_map(Step::Read),
        (len.clone(), 1u8..).prop_map(|(len, byte)| Step::Write(len, byte)),
        (len.clone(), at.clone()).prop_map(|(len, at)| Step::Pread(len, at)),
        (len, at, 1u8..).prop_map(|(len, at, byte)| Step::Pwrite(len, at, byte)),
        (-20_000..20_000i64, 0..4u32).prop_map(|(offset, whence)| Step::Seek(offset, whence)),
        Just(Step::Truncate),
    ];
    (step, proptest::option::weighted(0.2, 0..3 * PAGE))
}

/// One file as POSIX describes it.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    offset: usize,
}

/// Bytes of a transfer at `at` that arrive when only `mapped` bytes of the client's buffer do: whole pages
/// of the file, or all.
fn arrives(at: usize, len: usize, mapped: Option<usize>) -> Result<usize, Errno> {
    let Some(mapped) = mapped.filter(|&mapped| mapped < len) else { return Ok(len) };
    let done = ((at + mapped) / PAGE * PAGE).saturating_sub(at);
    if done == 0 { Err(Errno::EFAULT) } else { Ok(done) }
}

impl Model {
    fn read(&self, len: usize, at: usize, mapped: Option<usize>) -> Result<Vec<u8>, Errno> {
        let rest = self.bytes.get(at..).unwrap_or(&[]);
        let rest = &rest[..rest.len().min(len)];
        arrives(at, rest.len(), mapped).map(|done| rest[..done].to_vec())
    }
    fn write(&mut self, len: usize, byte: u8, at: usize, mapped: Option<usize>) -> Result<usize, Errno> {
        let done = arrives(at, len, mapped)?;
        if done > 0 {
            self.bytes.resize(self.bytes.len().max(at + done), 0);
            self.bytes[at..at + done].fill(byte);
        }
        Ok(done)
    }
    fn seek(&mut self, offset: i64, whence: u32) -> Result<i64, Errno> {
        let base = *[0, self.offset, self.bytes.len()].get(whence as usize).ok_or(Errno::EINVAL)? as i64;
        self.offset = usize::try_from(base + offset).map_err(|_| Errno::EINVAL)?;
        Ok(base + offset)
    }
}

fn count(done: Result<usize, Errno>) -> Result<i64, Errno> {
    done.map(|done| done as i64)
}

/// Does a step on both; they must agree. A write that faults may have replaced bytes of the page it faulted
/// in, so the model takes those from the file.
fn both(c: &mut Client, f: u64, model: &mut Model, step: &Step, mapped: Option<usize>) -> Result<(), TestCaseError> {
    c.host.mapped = mapped;
    match *step {
        Step::Read(len) => {
            let expected = model.read(len, model.offset, mapped);
            model.offset += expected.as_ref().map_or(0, Vec::len);
            prop_assert_eq!(c.read(f, len), expected);
        }
        Step::Write(len, byte) => {
            let expected = model.write(len, byte, model.offset, mapped);
            model.offset += expected.unwrap_or(0);
            prop_assert_eq!(c.write(f, &alloc::vec![byte; len]), count(expected));
        }
        Step::Pread(len, at) => prop_assert_eq!(c.pread(f, len, at as i64), model.read(len, at, mapped)),
        Step::Pwrite(len, at, byte) => {
            let expected = model.write(len, byte, at, mapped);
            prop_assert_eq!(c.pwrite(f, &alloc::vec![byte; len], at as i64), count(expected));
        }
        Step::Seek(offset, whence) => prop_assert_eq!(c.lseek(f, offset, whence), model.seek(offset, whence)),
        Step::Truncate => {
            c.host.mapped = None;
            let again = c.open(b"/f", open::WRONLY | open::TRUNC).unwrap();
            c.close(again);
            model.bytes.clear();
        }
    }
    c.host.mapped = None;
    let all = c.pread(f, 1 << 20, 0).unwrap();
    prop_assert_eq!(all.len(), model.bytes.len());
    if mapped.is_some() {
        let foreign = all.iter().zip(&model.bytes).any(|(&got, &want)| got != want && got != 0xee);
        prop_assert!(!foreign);
        model.bytes = all;
    } else {
        prop_assert!(all == model.bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_file_behaves_as_its_model(steps in proptest::collection::vec(step(), 1..40)) {
        let (mut c, f) = with_file(0);
        let mut model = Model::default();
        for (step, mapped) in &steps {
            both(&mut c, f, &mut model, step, *mapped)?;
        }
    }
}
