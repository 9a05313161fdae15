//! Events that die after any of their stores: what the next instance finds is the state before or the state after.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parley_abi::PAGE;
use parley_abi::msg::Token;
use proptest::prelude::*;

use super::answer::{Answer, Replies};
use super::lasting::{CHECKPOINT, STATE};
use super::*;

std::thread_local! {
    /// Stores until this thread dies.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Called before each store to the memory.
pub fn count_a_store() {
    LEFT.with(|left| match left.get() {
        Some(0) => panic!("killed"),
        Some(count) => left.set(Some(count - 1)),
        None => {}
    });
}

/// Runs `event`; it dies before its store number `after`. Whether it did.
fn dies(after: u32, event: impl FnOnce()) -> bool {
    LEFT.set(Some(after));
    let died = catch_unwind(AssertUnwindSafe(event)).is_err();
    LEFT.set(None);
    died
}

const PAGES: usize = 24;

fn memory() -> Vec<Word> {
    vec![Word::default(); PAGES * WORDS_IN_PAGE]
}

fn lasting(words: &[Word]) -> Lasting {
    Lasting::new(Vec::leak(words.to_vec()))
}

/// An empty state that counts.
fn formatted() -> Lasting {
    let mut lasting = lasting(&memory());
    assert_eq!(lasting.found(), Found::Nothing);
    lasting.prepare().unwrap();
    lasting.set_version(Schema::additive(7));
    lasting.commit(Token(1), Answer::None, &Replies::new());
    lasting
}

/// What is neither nothing nor a state was one, perhaps: nobody may begin afresh over it unasked.
#[test]
fn a_spoilt_beginning_is_refused() {
    let mut words = formatted().words().to_vec();
    for spoilt in [[0x5a; 8], 1u64.to_le_bytes()] {
        words[0] = spoilt;
        assert_eq!(lasting(&words).found(), Found::Unusable(Refusal::Damaged));
    }
    words.fill([0x5a; 8]);
    assert_eq!(lasting(&words).found(), Found::Unusable(Refusal::Damaged));
}

/// The words that are taken back, without marks.
fn state(lasting: &Lasting) -> Vec<u64> {
    (STATE..lasting.words_end() * WORDS_IN_PAGE).map(|at| lasting.get(at) & !MARK).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Set(usize, u64),
    Mark(usize),
    TakeWords,
    GiveWords,
    TakeBytes,
    GiveBytes,
    Record,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..400usize, any::<u64>()).prop_map(|(at, value)| Step::Set(at, value)),
        1 => (0..400usize).prop_map(Step::Mark),
        1 => Just(Step::TakeWords),
        1 => Just(Step::GiveWords),
        2 => Just(Step::TakeBytes),
        1 => Just(Step::GiveBytes),
        2 => Just(Step::Record),
    ]
}

const RECORDS: Records<16> = Records(ROOT);
/// In the root: how many pages of words and of bytes the test has, and their numbers from then on.
const OWN: usize = 32;

fn perform(memory: &mut Lasting, step: &Step) {
    let list = |bytes: bool| memory_list(memory, bytes);
    match *step {
        Step::Set(at, value) => memory.set(ROOT + 100 + at, value),
        Step::Mark(at) => memory.mark(ROOT + 100 + at),
        Step::Record => {
            if let Ok(number) = RECORDS.take(memory) {
                let at = Records::<16>::at(number);
                memory.set(at, memory.get(at) + 1);
                if number % 3 == 0 {
                    RECORDS.give(memory, number);
                }
            }
        }
        Step::TakeWords | Step::TakeBytes => {
            let bytes = matches!(step, Step::TakeBytes);
            let (at, count) = list(bytes);
            let page = if bytes { memory.take_bytes() } else { memory.take_words() };
            let Ok(page) = page else { return };
            if bytes {
                memory.page_mut(page).unwrap().fill(7);
            } else {
                assert_eq!(memory.page(page), Some(&[0; 4096]), "a page of words begins as zeros");
                assert_eq!(memory.page_mut(page), None, "a page of words is changed by words");
                memory.set(page * WORDS_IN_PAGE + 9, u64::MAX);
            }
            memory.set(at + 1 + count, page as u64);
            memory.set(at, count as u64 + 1);
        }
        Step::GiveWords | Step::GiveBytes => {
            let bytes = matches!(step, Step::GiveBytes);
            let (at, count) = list(bytes);
            if count > 0 {
                let page = memory.get(at + count) as usize;
                memory.set(at, count as u64 - 1);
                if bytes { memory.give_bytes(page) } else { memory.give_words(page) }
            }
        }
    }
}

fn memory_list(memory: &Lasting, bytes: bool) -> (usize, usize) {
    let at = ROOT + OWN + 32 * usize::from(bytes);
    (at, memory.get(at) as usize)
}

fn pages(memory: &Lasting) -> Vec<usize> {
    let of = |bytes| {
        let (at, count) = memory_list(memory, bytes);
        (0..count).map(move |index| memory.get(at + 1 + index) as usize).collect::<Vec<_>>()
    };
    [of(false), of(true)].concat()
}

fn happen(memory: &mut Lasting, number: u64, steps: &[Step]) {
    for step in steps {
        perform(memory, step);
    }
    let mut replies = Replies::new();
    for reply in 0..number % 4 {
        replies.push(Token(number * 100 + reply), -4);
    }
    memory.commit(Token(number), Answer::Done(number.cast_signed() * 3), &replies);
}

fn last(memory: &Lasting) -> (Token, Answer, Vec<(Token, i64)>) {
    let (token, answer, replies) = memory.last();
    (token, answer, replies.list().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_event_happens_as_a_whole_or_not_at_all(events in prop::collection::vec(prop::collection::vec(step(), 0..12), 1..12)) {
        let mut lasting = formatted();
        for (number, steps) in (2u64..).zip(&events) {
            let before = (state(&lasting), last(&lasting));
            let words = lasting.words.to_vec();
            let mut after = self::lasting(&words);
            happen(&mut after, number, steps);
            let after = (state(&after), last(&after));
            for stores in 0.. {
                let mut victim = self::lasting(&words);
                let died = dies(stores, || happen(&mut victim, number, steps));
                let heir = self::lasting(victim.words);
                prop_assert_eq!(heir.found(), Found::State, "after {} stores", stores);
                let found = (state(&heir), last(&heir));
                if !died {
                    prop_assert_eq!(&found, &after);
                    break;
                }
                prop_assert!(found == before || found == after, "after {} stores", stores);
                prop_assert!(!heir.is_dirty());
            }
            happen(&mut lasting, number, steps);
            let all = pages(&lasting);
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "each page has one owner");
        }
    }

    /// Whichever bit flips: it is noticed, unless it lies where it does not count.
    #[test]
    fn damage_is_noticed(steps in prop::collection::vec(step(), 0..30), at in any::<prop::sample::Index>(), bit in 0u32..63) {
        let mut lasting = formatted();
        happen(&mut lasting, 5, &steps);
        let (root, end) = (STATE, lasting.words_end() * WORDS_IN_PAGE);
        let at = root + at.index(end - root);
        let flipped = lasting.load(at) ^ 1 << bit;
        lasting.store(at, flipped);
        prop_assert_eq!(self::lasting(lasting.words).found(), Found::Unusable(Refusal::Damaged));
    }

    /// Garbage is not taken for a state, and never leads outside.
    #[test]
    fn garbage_is_refused(garbage in prop::collection::vec((0usize..PAGES * WORDS_IN_PAGE, any::<u64>()), 1..40)) {
        let mut lasting = formatted();
        let before = state(&lasting);
        for (at, value) in garbage {
            lasting.store(at % (if value & 1 == 0 { 64 } else { PAGES * WORDS_IN_PAGE }), value);
        }
        let heir = self::lasting(lasting.words);
        if heir.found() == Found::State {
            prop_assert_eq!(state(&heir), before, "it lay where it does not count");
        }
    }
}

#[test]
fn a_start_that_was_not_finished_did_not_happen() {
    for stores in [0, 5, 600, 1200, 1500] {
        let mut lasting = lasting(&memory());
        let died = dies(stores, || {
            lasting.prepare().unwrap();
            for at in 0..400 {
                lasting.set(ROOT + 100 + at, 5); // more than the log holds
            }
            lasting.commit(Token::NONE, Answer::None, &Replies::new());
        });
        assert!(died, "{stores} stores");
        let mut heir = self::lasting(lasting.words);
        assert_eq!(heir.found(), Found::Nothing, "{stores} stores");
        heir.prepare().unwrap();
        assert_eq!(heir.get(ROOT + 100), 0);
    }
}

#[test]
fn bytes_that_were_given_back_are_not_taken_in_the_same_event() {
    let mut lasting = formatted();
    let page = lasting.take_bytes().unwrap();
    lasting.commit(Token(1), Answer::None, &Replies::new());
    lasting.give_bytes(page);
    assert_eq!(lasting.take_bytes(), Err(Errno::ENOSPC));
    lasting.commit(Token(2), Answer::None, &Replies::new());
    assert_eq!(lasting.take_bytes(), Ok(page));
}

#[test]
fn memory_ends_somewhere() {
    let mut lasting = formatted();
    let mut taken = 0;
    while lasting.take_bytes().is_ok() {
        taken += 1;
    }
    assert_eq!(taken, lasting.pages - lasting.words_end());
    assert_eq!(lasting.take_words(), Err(Errno::ENOSPC));
}

#[test]
fn strikes_are_counted_by_request() {
    let mut lasting = formatted();
    assert_eq!((lasting.strike(Token(5)), lasting.strike(Token(6)), lasting.strike(Token(5))), (1, 1, 2));
    assert_eq!(self::lasting(lasting.words).strike(Token(5)), 3, "the next instance goes on counting");
}

#[test]
fn memory_of_another_size_is_refused() {
    let lasting = formatted();
    let words = lasting.words[..20 * WORDS_IN_PAGE].to_vec();
    let refusal = Refusal::Layout { layout: 1, pages: lasting.pages as u32 };
    assert_eq!(self::lasting(&words).found(), Found::Unusable(refusal));
}

#[test]
fn versions() {
    assert_eq!(formatted().version(), (7, 1));
    let [one, two] = [1, 2].map(Schema::additive);
    assert_eq!((one.check(2, 1), two.check(1, 1)), (Ok(()), Ok(())));
    let broken = Schema { version: 3, reads_from: 3, readable_by: 3 };
    let said = [one.check(3, 3), broken.check(2, 1)].map(|checked| checked.unwrap_err().to_string());
    assert_eq!(said[0], "it is of version 3, which needs a program of version 3; this one is version 1");
    assert_eq!(said[1], "it is of version 2, and this program, version 3, reads none before 3");
}

/// A list that is written down whole.
#[derive(Default, PartialEq, Debug)]
struct Notes(Vec<u8>);

impl Service for Notes {
    fn request(&mut self, _: &mut Cx<'_>, label: u32, _: &parley_abi::msg::Words) -> parley_proto::Outcome<'_> {
        self.0.push(label as u8);
        parley_proto::Outcome::Done(self.0.len() as i64)
    }
}

impl Checkpoint for Notes {
    fn schema(&self) -> Schema {
        Schema::additive(1)
    }
    fn changes(&self, label: u32, _: u64) -> bool {
        label != 0
    }
    fn holds(&self, _: Token) -> bool {
        false
    }
    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        into.get_mut(..self.0.len()).ok_or(Errno::ENOSPC)?.copy_from_slice(&self.0);
        Ok(self.0.len())
    }
    fn import(&mut self, _: u32, from: &[u8]) -> Result<(), Errno> {
        self.0 = from.to_vec();
        Ok(())
    }
}

/// Serves one request, and finishes it as the loop does.
fn note(notes: &mut Checkpointed<Notes>, label: u32) {
    let mut host = Nowhere;
    let mut cx = Cx { host: &mut host, token: Token(label.into()), badge: 0 };
    let answer = Answer::of(&notes.request(&mut cx, label, &[0; 6]));
    notes.settle();
    notes.memory().commit(Token(label.into()), answer, &Replies::new());
}

#[test]
fn a_checkpoint_counts_with_its_event() {
    let mut first = Checkpointed::new(lasting(&memory()), Notes::default());
    first.start(&mut Nowhere).unwrap();
    first.settle();
    first.memory().commit(Token::NONE, Answer::None, &Replies::new());
    (1..6).for_each(|label| note(&mut first, label));
    let words = first.memory().words.to_vec();
    for stores in 0.. {
        let mut victim = Checkpointed::new(lasting(&words), Notes::default());
        victim.resume(&mut Nowhere, 1).unwrap();
        let died = dies(stores, || note(&mut victim, 9));
        let mut heir = Checkpointed::new(lasting(victim.memory.words), Notes::default());
        heir.resume(&mut Nowhere, 1).unwrap();
        let (token, answer, _) = heir.memory().last();
        let happened = heir.service().0 == [1, 2, 3, 4, 5, 9];
        assert!(happened || heir.service().0 == [1, 2, 3, 4, 5], "{:?}", heir.service());
        assert_eq!((token == Token(9), answer == Answer::Done(6)), (happened, happened), "after {stores} stores");
        if !died {
            assert!(happened);
            break;
        }
    }
    // Damage in the checkpoint is noticed as well.
    let mut damaged = lasting(&words);
    let half = damaged.get(ROOT) as usize;
    let rest = damaged.rest_mut();
    let middle = rest.len() / 2;
    rest[half * middle + 2] ^= 4;
    let mut heir = Checkpointed::new(damaged, Notes::default());
    assert_eq!(heir.resume(&mut Nowhere, 1), Err(Errno::EINVAL));
}

/// Whatever a program wrote there: with what is essential put back, the next finds the words of the state, and where checkpoints
/// can lie, the checkpoint.
#[test]
fn what_is_essential_brings_a_state_back() {
    for pages in [8, 32, 33, 300] {
        let memory = vec![Word::default(); pages * WORDS_IN_PAGE];
        let mut notes = Checkpointed::new(lasting(&memory), Notes::default());
        notes.start(&mut Nowhere).unwrap();
        (1..6).for_each(|label| note(&mut notes, label));
        notes.memory().set(ROOT + 100, 1); // of an event that is not finished
        let before = notes.memory().words().as_flattened();
        let mut after = vec![0xa5; before.len()];
        for range in essence(&before[..3 * PAGE], before.len()) {
            after[range.clone()].copy_from_slice(&before[range]);
        }
        let heir = lasting(after.as_chunks().0);
        assert_eq!((heir.found(), heir.get(ROOT + 100)), (Found::State, 0), "{pages} pages");
        let mut heir = Checkpointed::new(heir, Notes::default());
        let resumed = heir.resume(&mut Nowhere, 1);
        let whole = resumed == Ok(()) && heir.service() == notes.service();
        assert_eq!(whole, pages <= 32, "{pages} pages: {resumed:?}");
    }
}

/// What a holder of the memory finds is what was done there.
#[test]
fn the_holder_knows_what_a_state_takes() {
    let usage = |memory: &Lasting| {
        let bytes = memory.words().as_flattened();
        let read = |at: usize, into: &mut [u8]| {
            into.copy_from_slice(&bytes[at..at + into.len()]);
            Ok(())
        };
        Usage::of(bytes.len(), read).unwrap()
    };
    assert_eq!(usage(&lasting(&memory())), Usage::default());
    let mut memory = formatted();
    let empty = usage(&memory);
    assert_eq!((empty.records, empty.contents), (4 * PAGE, 0));
    let page = memory.take_words().unwrap();
    memory.take_bytes().unwrap();
    (0..100).for_each(|_| memory.set(page * WORDS_IN_PAGE, 5));
    memory.commit(Token(2), Answer::None, &Replies::new());
    let more = usage(&memory);
    assert_eq!((more.records, more.contents), (5 * PAGE, PAGE));
    assert!(more.log >= 100 * 16 && more.log < 200 * 16, "{more:?}");
    // The two halves of checkpoints.
    let mut notes = Checkpointed::new(memory_of_nothing(), Notes::default());
    notes.start(&mut Nowhere).unwrap();
    note(&mut notes, 1);
    let checkpoint = notes.memory().get(CHECKPOINT) as usize;
    assert!(checkpoint > 0);
    assert_eq!(usage(notes.memory()).records, 4 * PAGE + 2 * checkpoint);
}

fn memory_of_nothing() -> Lasting {
    lasting(&memory())
}

/// Surroundings of a service that needs none.
struct Nowhere;

impl Host for Nowhere {
    fn now(&mut self) -> u64 {
        0
    }
    fn copy_in(&mut self, _: Token, _: u8, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EACCES)
    }
    fn copy_out(&mut self, _: Token, _: u8, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EACCES)
    }
    fn reply(&mut self, _: Token, _: i64) {}
    fn call(&mut self, _: u8, _: u32, _: parley_abi::msg::Words) -> Result<parley_abi::msg::Words, Errno> {
        Err(Errno::ENOSYS)
    }
    fn set_alarm(&mut self, _: u64) {}
    fn log(&mut self, _: core::fmt::Arguments<'_>) {}
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _: &mut [u8]) -> usize {
        0
    }
}
