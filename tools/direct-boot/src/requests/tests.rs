//! Markers, revisions, duplicates and damage.

use super::*;
use crate::fixture::{Random, request, words};

const TAG: [u64; 3] = [BASE_REVISION_MAGIC[0], BASE_REVISION_MAGIC[1], 2];

fn refused(image: &[&[u64]]) -> BootError {
    let mut bytes = words(&image.concat());
    Requests::scan(&mut bytes).err().expect("should be refused")
}

#[test]
fn finds_answers_and_leaves_others_alone() {
    let unknown = [COMMON_MAGIC[0], COMMON_MAGIC[1], 1, 2, 0, 77];
    let mut image = words(&[&TAG[..], &request(Feature::StackSize, 9), &unknown, &request(Feature::Hhdm, 0)].concat());
    let mut requests = Requests::scan(&mut image).unwrap();
    assert_eq!(requests.argument(Feature::StackSize), Some(9));
    assert!(requests.wants(Feature::Hhdm) && !requests.wants(Feature::Rsdp));
    requests.answer(Feature::StackSize, 5);
    requests.answer(Feature::Rsdp, 6);
    let after: std::vec::Vec<_> = image.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word)).collect();
    assert_eq!(after[2], 0, "base revision 2 is granted");
    assert_eq!(after[3 + RESPONSE], 5);
    assert_eq!(after[3 + 7 + RESPONSE], 77);
    assert_eq!(after[3 + 7 + 6 + RESPONSE], 0);
}

#[test]
fn only_what_is_between_the_markers_counts() {
    let hhdm = request(Feature::Hhdm, 0);
    let rsdp = request(Feature::Rsdp, 0);
    let stray = [BASE_REVISION_MAGIC[0], BASE_REVISION_MAGIC[1], 0];
    let mut image = words(&[&stray[..], &hhdm, &START_MARKER, &TAG, &rsdp, &END_MARKER, &rsdp, &hhdm].concat());
    let requests = Requests::scan(&mut image).unwrap();
    assert!(requests.wants(Feature::Rsdp) && !requests.wants(Feature::Hhdm));
}

#[test]
fn a_newer_base_revision_stays_as_it_is() {
    let mut image = words(&[BASE_REVISION_MAGIC[0], BASE_REVISION_MAGIC[1], 3]);
    assert!(Requests::scan(&mut image).is_ok());
    assert_eq!(image[16], 3);
}

#[test]
fn refuses_what_it_cannot_serve() {
    let hhdm = request(Feature::Hhdm, 0);
    assert_eq!(refused(&[&hhdm]), BootError::OldRevision);
    assert_eq!(refused(&[&TAG[..2], &[0]]), BootError::OldRevision);
    assert_eq!(refused(&[&TAG[..2]]), BootError::OldRevision);
    assert_eq!(refused(&[&TAG, &TAG]), BootError::DuplicateRevision);
    assert_eq!(refused(&[&TAG, &hhdm, &hhdm]), BootError::DuplicateRequest(Feature::Hhdm.id()));
    assert_eq!(refused(&[&TAG, &hhdm[..RESPONSE]]), BootError::CutRequest);
    assert_eq!(refused(&[&TAG, &COMMON_MAGIC]), BootError::CutRequest);
}

#[test]
fn too_many_requests_are_an_error() {
    let many: std::vec::Vec<_> =
        (0..=MAX_REQUESTS as u64).flat_map(|i| [COMMON_MAGIC[0], COMMON_MAGIC[1], i, 0, 0, 0]).collect();
    assert_eq!(refused(&[&TAG, &many]), BootError::TooMany { what: "Limine requests", limit: MAX_REQUESTS });
}

#[test]
fn misaligned_magic_is_no_request() {
    let mut image = words(&TAG);
    image.extend([0; 4]);
    image.extend(words(&request(Feature::Hhdm, 0)));
    assert!(!Requests::scan(&mut image).unwrap().wants(Feature::Hhdm));
}

#[test]
fn random_damage_never_panics() {
    let image = words(&[&START_MARKER[..], &TAG, &request(Feature::StackSize, 9), &END_MARKER].concat());
    let mut random = Random(5);
    for _ in 0..20_000 {
        let mut damaged = image.clone();
        damaged.truncate(random.below(image.len() as u64 + 1) as usize);
        if let Some(byte) = damaged.get_mut(random.below(image.len() as u64) as usize) {
            *byte = random.below(256) as u8;
        }
        if let Ok(mut requests) = Requests::scan(&mut damaged) {
            requests.answer(Feature::StackSize, requests.argument(Feature::StackSize).unwrap_or(1));
        }
    }
}
