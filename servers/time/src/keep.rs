//! What outlives an instance: the offset of the date, and who sleeps until when.
//!
//! By write-ahead: with a thousand sleepers, a checkpoint after each arrival would copy a thousand. All that the service
//! does follows from what [`Host`](parley_proto::Host) tells it; the clock chip is read at the very first start only.

use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::{Durable, time};
use parley_rt::state::{Reader, Writer};
use serde::{Deserialize, Serialize};
use server_drivers::Rtc;

use crate::Time;
use crate::sleepers::{Sleeper, Sleepers};

/// Version 1: this, then the sleepers.
#[derive(Serialize, Deserialize)]
struct State {
    /// Nanoseconds between 1970 and boot.
    offset: u64,
    arrivals: u64,
    alarm: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    wake: u64,
    order: u64,
    token: u64,
    left: Option<u8>,
}

impl<R: Rtc> Durable for Time<R> {
    const VERSION: u32 = 1;
    const WRITE_AHEAD: bool = true;

    fn changes(&self, label: u32, _badge: u64) -> bool {
        label == time::label::nanosleep
    }

    fn holds(&self, token: Token) -> bool {
        self.sleepers.iter().any(|sleeper| sleeper.token == token)
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut writer = Writer::new(into);
        writer.put(&State { offset: self.offset, arrivals: self.sleepers.arrivals(), alarm: self.alarm })?;
        writer.put_all(self.sleepers.iter().map(|&Sleeper { wake, order, token, left }| Kept {
            wake,
            order,
            token: token.0,
            left,
        }))?;
        Ok(writer.used())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        if version != Self::VERSION {
            return Err(Errno::EINVAL);
        }
        let mut reader = Reader::new(from);
        let state: State = reader.take()?;
        let count = reader.take_length()?;
        let mut sleepers = Vec::new();
        sleepers.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            let Kept { wake, order, token, left } = reader.take()?;
            sleepers.push(Sleeper { wake, order, token: Token(token), left });
        }
        reader.finish()?;
        self.sleepers = Sleepers::restore(sleepers, state.arrivals);
        (self.offset, self.alarm) = (state.offset, state.alarm);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use server_drivers::fake::FakeRtc;

    proptest! {
        #[test]
        fn state_survives_the_trip(sleepers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<Option<u8>>()), 0..50), offset: u64) {
            let mut time = Time::new(FakeRtc(None));
            time.offset = offset;
            for &(wake, token, left) in &sleepers {
                time.sleepers.add(wake, Token(token), left).unwrap();
            }
            let mut bytes = [0; 4096];
            let used = time.export(&mut bytes).unwrap();
            let mut next = Time::new(FakeRtc(Some(1)));
            prop_assert_eq!(next.import(2, &bytes[..used]), Err(Errno::EINVAL));
            prop_assert_eq!(next.import(1, &bytes[..used - 1]), Err(Errno::EINVAL));
            prop_assert_eq!(next.import(1, &bytes[..used]), Ok(()));
            prop_assert_eq!(next.offset, offset);
            prop_assert!(sleepers.iter().all(|&(_, token, _)| next.holds(Token(token))));
            let order = |time: &mut Time<FakeRtc>| core::iter::from_fn(|| time.sleepers.pop_due(u64::MAX)).collect::<Vec<_>>();
            prop_assert_eq!(order(&mut next), order(&mut time));
        }
    }
}
