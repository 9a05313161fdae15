//! A small service dies after any event and within any event, and is compared with one that never dies.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Durable, Host, Outcome, Service};
use proptest::prelude::*;

use super::keeper::{Happening, Keeper, Revival};
use super::store::Answer;

const ADD: u32 = 0;
const HOLD: u32 = 1;
const RELEASE: u32 = 2;

/// Adds up what it is sent, keeps requests, and answers them when it is told to or when its alarm rings.
#[derive(Clone, Default, PartialEq, Debug)]
struct Adder<const WRITE_AHEAD: bool> {
    total: u64,
    held: Vec<u64>,
}

impl<const WRITE_AHEAD: bool> Adder<WRITE_AHEAD> {
    fn release(&mut self, host: &mut dyn Host) {
        for token in self.held.drain(..) {
            host.reply(Token(token), self.total.cast_signed());
        }
    }
}

impl<const WRITE_AHEAD: bool> Service for Adder<WRITE_AHEAD> {
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        match label {
            ADD => {
                let mut value = [0; 8];
                let copied = cx.host.copy_in(cx.token, 0, 0, &mut value[..words[0] as usize % 9]);
                if let Err(errno) = copied {
                    return errno.into();
                }
                self.total = self.total.wrapping_add(u64::from_le_bytes(value)).wrapping_add(cx.host.now());
                Outcome::Done((self.total >> 1).cast_signed())
            }
            HOLD => {
                self.held.push(cx.token.0);
                cx.host.set_alarm(words[0]);
                Outcome::Later
            }
            RELEASE => {
                self.release(cx.host);
                Outcome::Done(0)
            }
            // Anything else opens a connection.
            _ => {
                self.total = self.total.rotate_left(1) ^ cx.host.call(1, 2, *words).map_or(7, |words| words[0]);
                Outcome::Open { badge: self.total, close_on_exec: words[0] & 1 == 1 }
            }
        }
    }

    fn closed(&mut self, _: &mut dyn Host, badge: u64) {
        self.total ^= badge;
    }

    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        self.held.retain(|&held| held != token.0);
        host.reply(token, Errno::EINTR.negated());
    }

    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        self.total = self.total.wrapping_mul(bits | 1);
        let mut text = [0; 5];
        self.total += host.read_log(&mut text) as u64 + u64::from(text[0]);
    }

    fn alarm(&mut self, host: &mut dyn Host) {
        self.release(host);
    }
}

impl<const WRITE_AHEAD: bool> Durable for Adder<WRITE_AHEAD> {
    const VERSION: u32 = 4;
    const WRITE_AHEAD: bool = WRITE_AHEAD;

    fn changes(&self, _: u32, _: u64) -> bool {
        true
    }

    fn holds(&self, token: Token) -> bool {
        self.held.contains(&token.0)
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let words = [self.total].into_iter().chain(self.held.iter().copied());
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        into.get_mut(..bytes.len()).ok_or(Errno::ENOSPC)?.copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        let mut words = from.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        if version != Self::VERSION {
            return Err(Errno::EINVAL);
        }
        self.total = words.next().ok_or(Errno::EINVAL)?;
        self.held = words.collect();
        Ok(())
    }
}

/// A world that is never the same twice, and in which a process can die at its n-th look.
#[derive(Clone, Default)]
struct World {
    time: u64,
    replies: BTreeMap<u64, i64>,
    alarm: u64,
    dies_in: Option<u32>,
}

impl World {
    fn look(&mut self) -> u64 {
        if let Some(looks) = &mut self.dies_in {
            assert!(*looks > 0, "killed");
            *looks -= 1;
        }
        self.time = self.time.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.time
    }
}

impl Host for World {
    fn now(&mut self) -> u64 {
        self.look()
    }
    fn copy_in(&mut self, _: Token, _: u8, _: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let bytes = self.look().to_le_bytes();
        if bytes[0] & 7 == 0 {
            return Err(Errno::EFAULT);
        }
        into.copy_from_slice(&bytes[..into.len()]);
        Ok(into.len())
    }
    fn copy_out(&mut self, _: Token, _: u8, _: u64, from: &[u8]) -> Result<usize, Errno> {
        Ok(from.len())
    }
    fn reply(&mut self, token: Token, result: i64) {
        assert!(self.replies.insert(token.0, result).is_none(), "answered twice");
    }
    fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
        match self.look() {
            word if word & 3 == 0 => Err(Errno::ENOENT),
            word => Ok([word; 6]),
        }
    }
    fn set_alarm(&mut self, at: u64) {
        self.alarm = at;
    }
    fn log(&mut self, _: &str) {}
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, into: &mut [u8]) -> usize {
        let bytes = self.look().to_le_bytes();
        let count = usize::from(bytes[7]) % (into.len() + 1);
        into[..count].copy_from_slice(&bytes[..count]);
        count
    }
}

/// What happens, as numbers: what, an argument, and whether the process dies after it or at its n-th look.
type Step = (u8, u64, Option<u32>);

fn happening(number: u64, (what, value, _): Step, held: &[u64]) -> Happening {
    match what {
        0..4 => Happening::Request(Token(number), value, u32::from(what), [value; 6]),
        4 => Happening::Closed(value),
        5 => Happening::Cancelled(Token(held.first().copied().unwrap_or(number))),
        6 => Happening::Notified(value),
        _ => Happening::Alarm,
    }
}

/// As the server loop does it.
fn happen<S: Durable>(keeper: &mut Keeper<'_>, service: &mut S, world: &mut dyn Host, what: Happening) {
    match what {
        Happening::Request(token, badge, label, words) => {
            keeper.request(service, world, true, (token, badge, label, words), |_| ());
        }
        what => keeper.happen(service, world, what),
    }
}

fn outlives<const W: bool>(steps: &[Step], memory: usize) -> Result<(), TestCaseError> {
    let mut memory = vec![0; memory];
    // The twin has a keeper too, on memory of its own, and never dies.
    let mut twin_memory = vec![0; memory.len()];
    let (mut twin, mut twin_world, mut twin_keeper) =
        (Adder::<W>::default(), World::default(), Keeper::new(&mut twin_memory));
    let (mut service, mut world) = (Adder::<W>::default(), World::default());
    twin_keeper.begin(&twin, &mut twin_world, 0);
    Keeper::new(&mut memory).begin(&service, &mut world, 0);
    for (number, &step) in (1..).zip(steps) {
        let what = happening(number, step, &twin.held);
        let mut keeper = Keeper::new(&mut memory);
        let mut revived = Adder::<W>::default();
        prop_assert_eq!(keeper.revive(&mut revived), Revival::Resumed(world.alarm));
        prop_assert_eq!(&revived, &service);
        if let Some(looks) = step.2 {
            // It dies in the middle: that has not happened, and nobody has heard of it.
            let mut cursed = World { dies_in: Some(looks), ..world.clone() };
            let mut victim = revived.clone();
            let run = AssertUnwindSafe(|| happen(&mut keeper, &mut victim, &mut cursed, what));
            if catch_unwind(run).is_err() {
                prop_assert_eq!(&cursed.replies, &world.replies);
                let mut again = Adder::<W>::default();
                keeper = Keeper::new(&mut memory);
                prop_assert_eq!(keeper.revive(&mut again), Revival::Resumed(world.alarm));
                prop_assert_eq!(&again, &service);
            } else {
                // It lived: take that as what happened.
                happen(&mut twin_keeper, &mut twin, &mut twin_world, what);
                if matches!(what, Happening::Alarm) {
                    cursed.alarm = keeper.alarm();
                    twin_world.alarm = cursed.alarm;
                }
                (service, world) = (victim, World { dies_in: None, ..cursed });
                continue;
            }
        }
        happen(&mut keeper, &mut revived, &mut world, what);
        happen(&mut twin_keeper, &mut twin, &mut twin_world, what);
        if matches!(what, Happening::Alarm) {
            world.alarm = keeper.alarm();
            twin_world.alarm = world.alarm;
        }
        service = revived;
        prop_assert_eq!(&service, &twin);
        prop_assert_eq!(&world.replies, &twin_world.replies);
        // The answer that perhaps did not leave is known to the next instance.
        let (token, answer) = (keeper.last().token, keeper.last().answer);
        let mut keeper = Keeper::new(&mut memory);
        keeper.revive(&mut Adder::<W>::default());
        prop_assert_eq!((keeper.last().token, keeper.last().answer), (token, answer));
        prop_assert_eq!(keeper.last().replies(), twin_keeper.last().replies());
    }
    Ok(())
}

proptest! {
    #[test]
    fn write_ahead(steps in prop::collection::vec((0u8..8, any::<u64>(), prop::option::of(0u32..3)), 0..60)) {
        outlives::<true>(&steps, 16384)?;
    }

    /// With a journal that is full after a few events.
    #[test]
    fn write_ahead_with_little_memory(steps in prop::collection::vec((0u8..8, any::<u64>(), prop::option::of(0u32..3)), 0..60)) {
        outlives::<true>(&steps, 4096)?;
    }

    #[test]
    fn checkpoints(steps in prop::collection::vec((0u8..8, any::<u64>(), prop::option::of(0u32..3)), 0..60)) {
        outlives::<false>(&steps, 16384)?;
    }
}

#[test]
fn another_version_is_refused() {
    struct Newer(Adder<true>);
    impl Service for Newer {
        fn request(&mut self, _: &mut Cx<'_>, _: u32, _: &Words) -> Outcome<'_> {
            Outcome::Later
        }
    }
    impl Durable for Newer {
        const VERSION: u32 = 5;
        const WRITE_AHEAD: bool = true;
        fn changes(&self, _: u32, _: u64) -> bool {
            true
        }
        fn holds(&self, _: Token) -> bool {
            false
        }
        fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
            self.0.export(into)
        }
        fn import(&mut self, version: u32, _: &[u8]) -> Result<(), Errno> {
            if version == Self::VERSION { Ok(()) } else { Err(Errno::EINVAL) }
        }
    }
    let mut memory = vec![0; 4096];
    Keeper::new(&mut memory).begin(&Newer(Adder::default()), &mut World::default(), 0);
    assert_eq!(Keeper::new(&mut memory).revive(&mut Adder::<true>::default()), Revival::Lost(Errno::EINVAL));
    memory.fill(0);
    assert_eq!(Keeper::new(&mut memory).revive(&mut Adder::<true>::default()), Revival::New);
}

/// A service that does something else than it did then is not trusted with the state.
#[test]
fn divergence_is_noticed() {
    let mut memory = vec![0; 4096];
    let (mut service, mut world) = (Adder::<true>::default(), World::default());
    let mut keeper = Keeper::new(&mut memory);
    keeper.begin(&service, &mut world, 0);
    happen(&mut keeper, &mut service, &mut world, Happening::Request(Token(1), 0, ADD, [8; 6]));
    assert!(matches!(keeper.last().answer, Answer::Done(_)));
    let mut other = Other;
    assert_eq!(Keeper::new(&mut memory).revive(&mut other), Revival::Lost(Errno::EINVAL));
}

/// Answers everything with 1, and looks at nothing.
struct Other;

impl Service for Other {
    fn request(&mut self, _: &mut Cx<'_>, _: u32, _: &Words) -> Outcome<'_> {
        Outcome::Done(1)
    }
}

impl Durable for Other {
    const VERSION: u32 = 4;
    const WRITE_AHEAD: bool = true;
    fn changes(&self, _: u32, _: u64) -> bool {
        true
    }
    fn holds(&self, _: Token) -> bool {
        false
    }
    fn export(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }
    fn import(&mut self, _: u32, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

/// While the state does not fit, nothing is kept; when it fits again, all of it is. What is in between is the state of
/// before, never a mixture.
#[test]
fn a_state_that_does_not_fit() {
    let mut memory = vec![0; 4096];
    let (mut service, mut world) = (Adder::<true>::default(), World::default());
    let mut keeper = Keeper::new(&mut memory);
    keeper.begin(&service, &mut world, 0);
    let mut kept = vec![service.clone()];
    for token in 1..400 {
        happen(&mut keeper, &mut service, &mut world, Happening::Request(Token(token), 0, HOLD, [0; 6]));
        kept.push(service.clone());
    }
    assert!(service.held.len() * 8 > 2048, "more than fits");
    let revive = |memory: &mut [u8]| {
        let mut service = Adder::<true>::default();
        assert!(matches!(Keeper::new(memory).revive(&mut service), Revival::Resumed(_)));
        service
    };
    let mut copy = keeper.memory().to_vec();
    let revived = revive(&mut copy);
    assert!(kept.contains(&revived) && revived != service, "a state that has been");
    for token in 1000..5000 {
        happen(&mut keeper, &mut service, &mut world, Happening::Request(Token(token), 0, RELEASE, [0; 6]));
    }
    let mut copy = keeper.memory().to_vec();
    assert_eq!(revive(&mut copy), service, "it fits again");
}

/// Counts; of its requests, those with label 0 change nothing, which shows only when they have been served.
#[derive(Default)]
struct Counter {
    count: u64,
    looked: bool,
}

impl Service for Counter {
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, _: &Words) -> Outcome<'_> {
        cx.host.now();
        self.looked = label == 0;
        self.count += u64::from(label);
        Outcome::Done(self.count.cast_signed())
    }
}

impl Durable for Counter {
    const VERSION: u32 = 1;
    const WRITE_AHEAD: bool = true;
    fn changes(&self, _: u32, _: u64) -> bool {
        true
    }
    fn has_changed(&mut self) -> bool {
        !std::mem::take(&mut self.looked)
    }
    fn holds(&self, _: Token) -> bool {
        false
    }
    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        into[..8].copy_from_slice(&self.count.to_le_bytes());
        Ok(8)
    }
    fn import(&mut self, _: u32, from: &[u8]) -> Result<(), Errno> {
        self.count = u64::from_le_bytes(from.try_into().map_err(|_| Errno::EINVAL)?);
        Ok(())
    }
}

/// A look between two changes leaves no entry, and the changes around it are kept.
#[test]
fn an_event_that_changed_nothing_is_not_kept() {
    let mut memory = vec![0; 4096];
    let (mut service, mut world) = (Counter::default(), World::default());
    let mut keeper = Keeper::new(&mut memory);
    keeper.begin(&service, &mut world, 0);
    for (token, label) in (1..).zip([3, 0, 4, 0]) {
        happen(&mut keeper, &mut service, &mut world, Happening::Request(Token(token), 0, label, [0; 6]));
    }
    let mut revived = Counter::default();
    let mut keeper = Keeper::new(&mut memory);
    assert_eq!(keeper.revive(&mut revived), Revival::Resumed(0));
    assert_eq!((revived.count, keeper.last().token, keeper.last().answer), (7, Token(3), Answer::Done(7)));
}
