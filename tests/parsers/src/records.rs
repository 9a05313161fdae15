//! Records of fixed layout: rows of call tables, and directory entries.

use parley_abi::PATH_MAX;
use parley_abi::msg::WORDS;
use parley_abi::row::{Op, Row, Shape};
use parley_core::object::table::Packed;
use parley_programs::dirent;

/// A row that is accepted comes back the same, is within its limits, and means the same when packed.
pub fn row(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk() else { return };
    let Some(row) = Row::from_bytes(bytes) else { return };
    assert_eq!(Row::from_bytes(&row.to_bytes()), Some(row));
    let packed = Packed::new(&row);
    let slot = if row.op == Op::Send { row.slot.into() } else { 0 }; // others have none of their own
    assert_eq!((packed.op(), packed.slot(), packed.label()), (row.op, slot, row.label));
    assert_eq!(packed.opens(), row.opens == 1);
    for (number, lease) in row.leases.iter().enumerate() {
        let number = number as u64;
        assert_eq!(packed.lease(number), (lease.shape, lease.word.into(), lease.size.into()));
        assert_eq!(packed.is_written(number), matches!(lease.shape, Shape::Write | Shape::WriteFixed));
        let words = if matches!(lease.shape, Shape::Read | Shape::Write) { 2 } else { 1 };
        assert!(usize::from(lease.word) + words <= WORDS, "{lease:?}");
        assert!(lease.shape != Shape::Text || usize::from(lease.size) <= PATH_MAX, "{lease:?}");
    }
}

/// The walk ends, and finds no more names than there are bytes for.
pub fn dirents(bytes: &[u8]) {
    let names: usize = dirent::entries(bytes).map(|entry| 19 + entry.name.len().min(1)).sum();
    assert!(names <= bytes.len(), "{names} of {}", bytes.len());
}
