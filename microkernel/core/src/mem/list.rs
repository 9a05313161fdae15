//! Lists of objects, linked through their slots: being in one needs no memory, and leaving it no search.
//!
//! An object is in one list at most. One whose object is destroyed ends where that one was.

use super::slab::{Object, Ref, Slab};

/// An object's neighbours in the list that it is in.
#[repr(C)]
pub struct Links<T> {
    /// The one behind it.
    pub next: Ref<T>,
    /// The one before it.
    pub previous: Ref<T>,
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Links { next: Ref::NONE, previous: Ref::NONE }
    }
}

/// A list of objects of one table.
#[repr(C)]
pub struct List<T> {
    first: Ref<T>,
    last: Ref<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { first: Ref::NONE, last: Ref::NONE }
    }
}

impl<T: Object> List<T> {
    /// Whether nothing is in it.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first == Ref::NONE
    }

    /// The first object, or [`Ref::NONE`].
    pub fn first(&self) -> Ref<T> {
        self.first
    }

    /// The last object, or [`Ref::NONE`].
    pub fn last(&self) -> Ref<T> {
        self.last
    }

    /// Whether `at`, which is in no other list, is in this one.
    pub fn contains(&self, table: &Slab<T>, at: Ref<T>) -> bool {
        self.first == at || table.links(at).previous != Ref::NONE
    }

    /// Adds an object at the end.
    pub fn push(&mut self, table: &mut Slab<T>, at: Ref<T>) {
        self.insert(table, at, self.last);
    }

    /// Adds an object at the front.
    pub fn push_front(&mut self, table: &mut Slab<T>, at: Ref<T>) {
        self.insert(table, at, Ref::NONE);
    }

    /// Adds an object behind `previous`, or at the front if that is [`Ref::NONE`].
    pub fn insert(&mut self, table: &mut Slab<T>, at: Ref<T>, previous: Ref<T>) {
        let before = table.links_mut(previous).map_or(&mut self.first, |links| &mut links.next);
        let next = core::mem::replace(before, at);
        *table.links_mut(next).map_or(&mut self.last, |links| &mut links.previous) = at;
        if let Some(links) = table.links_mut(at) {
            *links = Links { next, previous };
        }
    }

    /// Takes out an object that is in it.
    pub fn remove(&mut self, table: &mut Slab<T>, at: Ref<T>) {
        let Links { next, previous } = table.links_mut(at).map(core::mem::take).unwrap_or_default();
        *table.links_mut(previous).map_or(&mut self.first, |links| &mut links.next) = next;
        *table.links_mut(next).map_or(&mut self.last, |links| &mut links.previous) = previous;
    }

    /// Takes out the first object.
    #[inline(always)]
    pub fn pop(&mut self, table: &mut Slab<T>) -> Option<Ref<T>> {
        let at = self.first;
        table.get(at)?;
        self.remove(table, at);
        Some(at)
    }

    /// How many are in it, if each is the neighbour of its neighbours; for checks.
    pub fn length_if_linked(&self, table: &Slab<T>) -> Option<u32> {
        let (mut length, mut before) = (0, Ref::NONE);
        for at in self.iter(table) {
            if table.links(at).previous != before {
                return None;
            }
            (length, before) = (length + 1, at);
        }
        (before == self.last).then_some(length)
    }

    /// The objects in it, in order.
    pub fn iter<'a>(&self, table: &'a Slab<T>) -> impl Iterator<Item = Ref<T>> + use<'a, T> {
        let first = Some(self.first).filter(|&at| table.get(at).is_some());
        core::iter::successors(first, |&at| Some(table.links(at).next).filter(|&next| table.get(next).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::Phys;
    use crate::mem::frames::tests::host_frames;
    use std::collections::VecDeque;

    proptest::proptest! {
        #[test]
        fn it_does_what_a_simple_model_does(
            steps in proptest::collection::vec((0u8..5, 0usize..12), 0..if cfg!(miri) { 20 } else { 200 }),
        ) {
            let mut frames = host_frames(6);
            let mut table: Slab<u64> = Slab::new(Phys(0), 2, &mut frames);
            let all: Vec<_> = (0..12).map(|number| table.insert(&mut frames, number).unwrap()).collect();
            let (mut list, mut model) = (List::default(), VecDeque::new());
            for (kind, pick) in steps {
                let there = model.contains(&pick);
                proptest::prop_assert_eq!(list.contains(&table, all[pick]), there);
                match (kind, there) {
                    (0, false) => {
                        list.push(&mut table, all[pick]);
                        model.push_back(pick);
                    }
                    (1, false) => {
                        list.push_front(&mut table, all[pick]);
                        model.push_front(pick);
                    }
                    (2, false) => {
                        let second = model.len().min(1);
                        list.insert(&mut table, all[pick], list.first());
                        model.insert(second, pick);
                    }
                    (3, true) => {
                        list.remove(&mut table, all[pick]);
                        model.retain(|&other| other != pick);
                    }
                    (4, _) => {
                        let expect = model.pop_front();
                        proptest::prop_assert_eq!(list.pop(&mut table), expect.map(|pick| all[pick]));
                    }
                    _ => {}
                }
                let here: Vec<_> = list.iter(&table).collect();
                proptest::prop_assert_eq!(here, model.iter().map(|&pick| all[pick]).collect::<Vec<_>>());
                proptest::prop_assert_eq!(list.length_if_linked(&table), Some(model.len() as u32));
                proptest::prop_assert_eq!(list.last(), model.back().map_or(Ref::NONE, |&pick| all[pick]));
            }
        }
    }
}
