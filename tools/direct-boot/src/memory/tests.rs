//! The map's promises: sorted, aligned, disjoint, and nothing handed out twice.

use super::*;
use crate::fixture::{Random, qemu_memory};

fn entry(start: u64, end: u64, kind: Kind) -> Firmware {
    Firmware { span: Span { start, end }, kind }
}

fn map(entries: &[Firmware]) -> MemoryMap {
    MemoryMap::from_firmware(entries.iter().copied()).unwrap()
}

/// Checks what the protocol promises of every map.
fn assert_sound(map: &MemoryMap) {
    let owned = |region: &&Region| matches!(region.kind, Kind::Usable | Kind::Loader | Kind::Kernel | Kind::Initrd);
    for pair in map.regions().windows(2) {
        assert!(pair[0].span.start <= pair[1].span.start, "unsorted: {pair:x?}");
    }
    for region in map.regions().iter().filter(owned) {
        assert!(region.span.start.is_multiple_of(PAGE) && region.span.end.is_multiple_of(PAGE), "{region:x?}");
        assert!(!region.span.is_empty() && region.span.start >= PAGE, "{region:x?}");
        let overlaps = |other: &&Region| other.span.start < region.span.end && region.span.start < other.span.end;
        assert_eq!(map.regions().iter().filter(overlaps).count(), 1, "{region:x?} in {map:x?}");
    }
}

#[test]
fn reserved_wins_over_usable_and_page_0_is_kept() {
    let map = map(&[entry(0, 0x9_fc00, Kind::Usable), entry(0x5_0800, 0x5_0900, Kind::Reserved)]);
    let usable: Vec<_, 4> = map.regions().iter().filter(|r| r.kind == Kind::Usable).map(|r| r.span).collect();
    assert_eq!(*usable, [Span { start: 0x1000, end: 0x5_0000 }, Span { start: 0x5_1000, end: 0x9_f000 }]);
    assert_sound(&map);
}

#[test]
fn overlapping_usable_entries_are_listed_once() {
    let map = map(&[entry(0x10_0000, 0x30_0000, Kind::Usable), entry(0x20_0000, 0x40_0000, Kind::Usable)]);
    assert_sound(&map);
    assert_eq!(map.regions().iter().map(|r| r.span.len()).sum::<u64>(), 0x30_0000);
}

#[test]
fn allocates_lowest_first_above_1_mib_and_never_twice() {
    let mut map = map(&qemu_memory(32 << 20));
    let a = map.allocate(1, Kind::Loader, "a").unwrap();
    let b = map.allocate(0x1001, Kind::Kernel, "b").unwrap();
    assert_eq!(a.span(), Span { start: 0x10_0000, end: 0x10_1000 });
    assert_eq!(b.span(), Span { start: 0x10_1000, end: 0x10_3000 });
    assert_sound(&map);
}

#[test]
fn says_when_memory_runs_out() {
    let mut map = map(&qemu_memory(32 << 20));
    let want = BootError::OutOfMemory { what: "x", bytes: 64 << 20 };
    assert_eq!(map.allocate(64 << 20, Kind::Loader, "x").unwrap_err(), want);
    assert!(map.allocate(u64::MAX, Kind::Loader, "x").is_err());
}

#[test]
fn never_allocates_above_4_gib() {
    let mut map = map(&[entry(6 << 30, 8 << 30, Kind::Usable)]);
    assert!(map.allocate(PAGE, Kind::Loader, "x").is_err());
}

#[test]
fn the_archive_comes_back_as_one_usable_region() {
    let mut map = map(&qemu_memory(32 << 20));
    let before = map.regions().to_vec();
    map.mark(Span { start: 0x80_0000, end: 0x90_0123 }, Kind::Initrd).unwrap();
    assert_sound(&map);
    map.finish();
    assert_eq!(map.regions(), before);
}

#[test]
fn a_full_map_is_an_error() {
    let many = |i: u64| entry(i * 0x2000, i * 0x2000 + 0x1000, Kind::Usable);
    let entries: std::vec::Vec<_> = (1..=MAX_REGIONS as u64 + 1).map(many).collect();
    let error = MemoryMap::from_firmware(entries.iter().copied()).unwrap_err();
    assert_eq!(error, BootError::TooMany { what: "memory regions", limit: MAX_REGIONS });
}

#[test]
fn random_maps_stay_sound() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let mut one = || {
            let start = random.below(16 << 20);
            let kind = [Kind::Usable, Kind::Usable, Kind::Reserved, Kind::AcpiNvs][random.below(4) as usize];
            entry(start, start + random.below(8 << 20), kind)
        };
        let entries: std::vec::Vec<_> = (0..8).map(|_| one()).collect();
        let mut map = map(&entries);
        for bytes in [1, 0x5000, 1 << 20, 3 << 20] {
            drop(map.allocate(bytes, Kind::Loader, "x"));
            assert_sound(&map);
        }
        map.finish();
        assert_sound(&map);
    }
}
