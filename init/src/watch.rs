//! Heartbeats: how init finds out that a server hangs.
//!
//! A server that dies is heard of; one that hangs is silent. So init sets [`HEARTBEAT_BIT`] on its endpoint once a
//! period, and the run time answers from the server's own loop. Whoever has not answered within another period is
//! killed, and what follows is what follows from any death. Both ways are notifications: they need no memory, take no
//! thread away, and cannot pile up. A server that waits for another cannot answer either; so the lowest is looked at
//! first, and when it is started again, those above get another period.
//!
//! [`HEARTBEAT_BIT`]: parley_abi::news::HEARTBEAT_BIT

/// How long an instance may take until it is ready, in nanoseconds: the vfs reads the whole boot archive.
pub const START: u64 = 5_000_000_000;

/// What is known of one service's heartbeat. Times are nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// When it has to have answered; 0: it was not asked.
    until: u64,
    /// When it is to be asked; 0: not at all.
    next: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// It is to be asked.
    Ask,
    /// It has not answered.
    Hung,
}

impl Watch {
    /// An instance was started at `now`: its first answer is that it is ready.
    pub fn started(now: u64) -> Watch {
        Watch { until: now + START, next: 0 }
    }

    /// It has answered at `now`, and does so every `period`.
    pub fn heard(&mut self, now: u64, period: u64) {
        *self = Watch { until: 0, next: if period == 0 { 0 } else { now + period } };
    }

    /// It was asked at `now`.
    pub fn asked(&mut self, now: u64, period: u64) {
        *self = Watch { until: now + period, next: 0 };
    }

    /// Somebody whom it calls hung until `now`: if it was asked, its time begins again.
    pub fn excuse(&mut self, now: u64, period: u64) {
        if self.until != 0 {
            self.until = self.until.max(now + period);
        }
    }

    /// What is to be done at `now`.
    pub fn due(&self, now: u64) -> Due {
        match *self {
            Watch { until, .. } if until != 0 && until <= now => Due::Hung,
            Watch { next, .. } if next != 0 && next <= now => Due::Ask,
            _ => Due::Nothing,
        }
    }

    /// When to look again; `None`: never.
    pub fn alarm(&self) -> Option<u64> {
        Some(self.until.max(self.next)).filter(|&at| at != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_answers_is_asked_again() {
        let mut watch = Watch::started(10);
        assert_eq!((watch.due(10), watch.alarm()), (Due::Nothing, Some(10 + START)));
        watch.heard(20, 100);
        assert_eq!((watch.due(119), watch.due(120), watch.alarm()), (Due::Nothing, Due::Ask, Some(120)));
        watch.asked(120, 100);
        assert_eq!((watch.due(219), watch.due(220)), (Due::Nothing, Due::Hung));
        watch.excuse(210, 100);
        assert_eq!((watch.due(309), watch.due(310)), (Due::Nothing, Due::Hung));
    }

    #[test]
    fn who_is_not_asked_cannot_hang() {
        let mut watch = Watch::default();
        assert_eq!((watch.due(u64::MAX), watch.alarm()), (Due::Nothing, None));
        watch.heard(5, 0);
        watch.excuse(6, 7);
        assert_eq!((watch.due(u64::MAX), watch.alarm()), (Due::Nothing, None));
    }

    proptest! {
        /// Whoever answers before its time is up is never taken for hung, and who does not always is, within two periods.
        #[test]
        fn silence_is_noticed_and_nothing_else(period in 1u64..1000, delays in prop::collection::vec(0u64..1000, 1..20)) {
            let (mut watch, mut now) = (Watch::started(0), 1);
            watch.heard(now, period);
            for delay in delays {
                now = watch.alarm().unwrap();
                prop_assert_eq!(watch.due(now), Due::Ask);
                watch.asked(now, period);
                if delay >= period {
                    prop_assert_eq!(watch.due(now + period), Due::Hung);
                    prop_assert_eq!(watch.alarm(), Some(now + period));
                    return Ok(());
                }
                now += delay;
                prop_assert_eq!(watch.due(now), Due::Nothing);
                watch.heard(now, period);
            }
        }
    }
}
