//! Looking through a table a few slots at a time, so that no call takes long however full it is.

use super::slab::{Object, Ref, Slab};

/// Slots that one step looks at.
const STEP: u32 = 32;

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub u32);

/// What a step of a search found.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// This object. The next step begins with it again: whoever wants the next one makes it another's first.
    Object(Ref<T>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and the table ends here.
    End,
}

impl Cursor {
    /// Looks on for an object that `wanted` accepts.
    pub fn step<T: Object>(&mut self, table: &Slab<T>, wanted: impl Fn(&T) -> bool) -> Seen<T> {
        let end = table.capacity().min(self.0.saturating_add(STEP));
        while self.0 < end {
            if let Some(at) = table.at(self.0).filter(|&at| wanted(&table[at])) {
                return Seen::Object(at);
            }
            self.0 += 1;
        }
        if end == table.capacity() { Seen::End } else { Seen::Nothing }
    }
}

impl<T> Seen<T> {
    /// Does something with the object, if one was found. False: the table has ended.
    pub fn act(&self, act: impl FnOnce(Ref<T>)) -> bool {
        if let Seen::Object(at) = self {
            act(*at);
        }
        !matches!(self, Seen::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::Phys;
    use crate::mem::frames::tests::host_frames;

    #[test]
    fn every_object_is_found_once_and_no_step_looks_far() {
        let mut frames = host_frames(10);
        let mut table: Slab<u64> = Slab::new(Phys(0), 8, &mut frames);
        let all: Vec<_> = (0..500).map(|number| table.insert(&mut frames, number).unwrap()).collect();
        let odd = all.iter().filter(|&&at| table[at] % 2 == 1).count();
        let (mut cursor, mut found, mut steps) = (Cursor::default(), 0, 0);
        loop {
            let before = cursor.0;
            let seen = cursor.step(&table, |number| number % 2 == 1);
            assert!(cursor.0 <= before + STEP);
            steps += 1;
            if !seen.act(|at| assert!(table.remove(at))) {
                break;
            }
            found += matches!(seen, Seen::Object(_)) as usize;
        }
        assert_eq!((found, table.count() as usize), (odd, 500 - odd));
        assert!(steps <= odd + 500 / STEP as usize + 2);
    }

    #[test]
    fn a_cursor_from_anywhere_ends_the_search() {
        let mut frames = host_frames(4);
        let mut table: Slab<u64> = Slab::new(Phys(0), 1, &mut frames);
        table.insert(&mut frames, 1).unwrap();
        for place in [5, u32::MAX] {
            let mut cursor = Cursor(place);
            assert_eq!(cursor.step(&table, |_| false), Seen::End);
        }
    }
}
