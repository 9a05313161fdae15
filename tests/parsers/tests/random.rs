//! Every property, on random bytes and on damaged samples.

use parsers::{ALL, Property};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Fewer where each instruction is interpreted.
fn runner() -> TestRunner {
    let config = ProptestConfig::default();
    let cases = if cfg!(miri) { 8 } else { config.cases };
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..config })
}

fn hold(property: &Property, bytes: impl Strategy<Value = Vec<u8>>) {
    let name = property.name;
    let outcome = runner().run(&bytes, |bytes| {
        (property.check)(&bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn samples_are_accepted() {
    assert_eq!(parley_init::image::Image::read(&mut &(find("program").sample)()[..]).map(|image| image.pages()), Ok(2));
    assert_eq!(direct_boot::image::Plan::new(&(find("kernel").sample)()).map(|plan| plan.segments.len()), Ok(2));
    assert!(direct_boot::requests::Requests::scan(&mut (find("requests").sample)()).is_ok());
    assert!(parley_init::archive::Archive::new(&(find("archive").sample)()).unwrap().find("svc/ping").is_some());
    assert_eq!(direct_boot::archive::Outer::parse(&(find("outer").sample)()).unwrap().kernel, b"K");
    assert!(parley_abi::row::Row::from_bytes((find("row").sample)().first_chunk().unwrap()).is_some());
    assert_eq!(parley_programs::dirent::entries(&(find("dirents").sample)()).count(), 3);
    ALL.iter().for_each(|property| (property.check)(&(property.sample)()));
}

fn find(name: &str) -> &'static Property {
    const { &ALL }.iter().find(|property| property.name == name).unwrap()
}

#[test]
fn random_bytes() {
    ALL.iter().for_each(|property| hold(property, vec(any::<u8>(), 0..600)));
}

/// A few bytes changed, mostly in front where headers are, and perhaps the end cut off.
#[test]
fn damaged_samples() {
    for property in &ALL {
        let sample = (property.sample)();
        let length = sample.len();
        let place = prop_oneof![0..length.min(256), 0..length];
        let value = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(b'%'), Just(b'7')];
        let damaged = (vec((place, value), 1..8), prop_oneof![4 => Just(length), 1 => 0..=length]);
        hold(
            property,
            damaged.prop_map(move |(changes, cut)| {
                let mut bytes = sample.clone();
                changes.into_iter().for_each(|(place, value)| bytes[place] = value);
                bytes.truncate(cut);
                bytes
            }),
        );
    }
}
