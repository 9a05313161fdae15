//! Good kernels are laid out as their headers say; bad ones are refused by name.

use super::*;
use crate::fixture::{ElfSegment, Random, elf};

const TEXT: ElfSegment = ElfSegment { address: KERNEL_BASE, memory: 3, flags: 5, data: &[1, 2, 3] };
const DATA: ElfSegment = ElfSegment { address: KERNEL_BASE + 0x3000, memory: 0x1800, flags: 6, data: &[4, 5] };

fn rule(segments: &[ElfSegment]) -> SegmentRule {
    match Plan::new(&elf(KERNEL_BASE, segments)) {
        Err(BootError::BadSegment { rule, .. }) => rule,
        other => panic!("{other:x?}"),
    }
}

#[test]
fn lays_out_segments_and_clears_the_rest() {
    let file = elf(KERNEL_BASE, &[DATA, TEXT]);
    let plan = Plan::new(&file).unwrap();
    assert_eq!(plan.span, Span { start: KERNEL_BASE, end: KERNEL_BASE + 0x5000 });
    assert_eq!(plan.initialised(), 0x3002);
    let mut image = vec![0xff; plan.span.len() as usize];
    plan.place(&file, &mut image).unwrap();
    assert_eq!(image[..4], [1, 2, 3, 0]);
    assert_eq!(image[0x3000..0x3003], [4, 5, 0]);
    assert!(image[0x3002..].iter().all(|&byte| byte == 0));
    assert!(plan.segments[0].executable && !plan.segments[0].writable);
    assert!(plan.segments[1].writable && !plan.segments[1].executable);
}

#[test]
fn an_entry_must_be_executable() {
    let plan = Plan::new(&elf(KERNEL_BASE, &[TEXT, DATA])).unwrap();
    assert_eq!(plan.checked_entry(KERNEL_BASE + 2), Ok(KERNEL_BASE + 2));
    for bad in [0, KERNEL_BASE + 0x1000, DATA.address] {
        assert_eq!(plan.checked_entry(bad), Err(BootError::BadEntry(bad)));
    }
}

#[test]
fn refuses_segments_that_break_a_rule() {
    assert_eq!(rule(&[ElfSegment { address: 0x20_0000, ..TEXT }]), SegmentRule::HigherHalf);
    assert_eq!(rule(&[ElfSegment { address: KERNEL_BASE + 8, ..TEXT }]), SegmentRule::PageAligned);
    assert_eq!(rule(&[DATA, ElfSegment { address: DATA.address + 0x1000, ..TEXT }]), SegmentRule::Disjoint);
    assert_eq!(rule(&[ElfSegment { memory: 2, ..TEXT }]), SegmentRule::InsideFile);
    assert_eq!(rule(&[ElfSegment { memory: u64::MAX, ..TEXT }]), SegmentRule::InsideFile);
}

#[test]
fn refuses_other_kinds_of_file() {
    assert_eq!(Plan::new(b"#!/bin/sh").unwrap_err(), BootError::NotElf);
    assert_eq!(Plan::new(&elf(0, &[])).unwrap_err(), BootError::NoSegments);
    let mut relocatable = elf(KERNEL_BASE, &[TEXT]);
    relocatable[16] = 3;
    assert_eq!(Plan::new(&relocatable).unwrap_err(), BootError::WrongElf { kind: 3, machine: 62 });
}

#[test]
fn too_many_segments_are_an_error() {
    let one = |i: usize| ElfSegment { address: KERNEL_BASE + i as u64 * PAGE, ..TEXT };
    let segments: std::vec::Vec<_> = (0..=MAX_SEGMENTS).map(one).collect();
    let want = BootError::TooMany { what: "segments", limit: MAX_SEGMENTS };
    assert_eq!(Plan::new(&elf(KERNEL_BASE, &segments)).unwrap_err(), want);
}

#[test]
fn every_truncation_is_an_error() {
    let file = elf(KERNEL_BASE, &[TEXT, DATA]);
    for end in 0..file.len() {
        assert!(Plan::new(&file[..end]).is_err(), "{end}");
    }
}

#[test]
fn random_damage_never_panics() {
    let file = elf(KERNEL_BASE, &[TEXT, DATA]);
    let mut random = Random(3);
    for _ in 0..20_000 {
        let mut damaged = file.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.below(256) as u8;
        }
        if let Ok(plan) = Plan::new(&damaged)
            && plan.span.len() < 1 << 20
        {
            plan.place(&damaged, &mut vec![0; plan.span.len() as usize]).unwrap();
        }
    }
}
