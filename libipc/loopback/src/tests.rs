//! One service of the test's own, and the vfs, called through real addresses.

use parley_abi::Errno;
use parley_abi::linux::{Stat, nr, open};
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service;
use parley_proto::{Cx, Host, Outcome, Service, file, ping, vfs};

use crate::{Loopback, Own, Reply};

fn own() -> Own {
    // SAFETY: the tests call through the stubs, and with addresses of their own buffers.
    unsafe { Own::new() }
}

/// Answers late, and tries what a service must not.
#[derive(Default)]
struct Slow {
    waiting: Option<Token>,
}

impl Service for Slow {
    fn request(&mut self, cx: &mut Cx<'_>, _label: u32, words: &Words) -> Outcome<'_> {
        match words[0] {
            0 => {
                self.waiting = Some(cx.token);
                cx.host.set_alarm(words[1]);
                Outcome::Later
            }
            1 => {
                cx.host.reply(cx.token, 11);
                Outcome::Later
            }
            _ => Outcome::from(cx.host.call(words[1] as u8, ping::label::ping, [0; 6]).map(|_| 0)),
        }
    }
    fn alarm(&mut self, host: &mut dyn Host) {
        if let Some(token) = self.waiting.take() {
            host.reply(token, 77);
        }
    }
    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        host.reply(token, Errno::EINTR.negated());
    }
}

const PING: u16 = nr::OWN;

#[test]
fn answers_may_come_later() {
    let (mut slow, time) = (Slow::default(), core::cell::Cell::new(0));
    let clock = || time.get();
    let mut loopback = Loopback::new(own());
    loopback.bind(service::PING, &mut slow).set_clock(&clock).start().unwrap();
    let Reply::Later(token) = loopback.call(PING, [0, 500, 0, 0, 0, 0]) else { panic!("answered at once") };
    time.set(499);
    loopback.run_alarms();
    assert_eq!(loopback.take_reply(token), None);
    time.set(500);
    loopback.run_alarms();
    assert_eq!((loopback.take_reply(token), loopback.take_reply(token)), (Some(77), None));
    assert_eq!(loopback.call(PING, [1, 0, 0, 0, 0, 0]), Reply::Now(11));
}

#[test]
fn waiting_can_be_cut_short() {
    let mut slow = Slow::default();
    let mut loopback = Loopback::new(own());
    loopback.bind(service::PING, &mut slow);
    let Reply::Later(token) = loopback.call(PING, [0; 6]) else { panic!("answered at once") };
    loopback.cancel(token);
    assert_eq!(loopback.take_reply(token), Some(Errno::EINTR.negated()));
}

#[test]
fn nobody_calls_upward_or_itself() {
    let mut slow = Slow::default();
    let mut loopback = Loopback::new(own());
    loopback.bind(service::PING, &mut slow);
    for target in [service::VFS, service::PING, service::PEER, 200] {
        let result = loopback.call(PING, [2, target as u64, 0, 0, 0, 0]);
        assert_eq!(result, Reply::Now(Errno::ENXIO.negated()));
    }
    assert_eq!(loopback.call(nr::GETPID, [0; 6]), Reply::Now(Errno::EBADF.negated()));
    assert_eq!(loopback.call(511, [0; 6]), Reply::Now(Errno::ENOSYS.negated()));
    assert_eq!(loopback.call(u16::MAX, [0; 6]), Reply::Now(Errno::ENOSYS.negated()));
}

#[test]
fn the_stubs_reach_the_vfs() {
    static EMPTY: [u8; 1536] = [0; 1536];
    let mut server = server_vfs::Vfs::new(&EMPTY);
    let mut via = Loopback::new(own());
    via.bind(service::VFS, &mut server).start().unwrap();
    assert_eq!(vfs::open(&mut via, c"/f", open::RDWR | open::CREAT, 0o600), Ok(0));
    assert_eq!(file::write(&mut via, 0, b"hello"), Ok(5));
    let mut buffer = [0; 9];
    assert_eq!(file::pread(&mut via, 0, &mut buffer, 1), Ok(4));
    assert_eq!(&buffer, b"ello\0\0\0\0\0");
    let mut stat = Stat::default();
    assert_eq!(vfs::stat(&mut via, c"/f", Some(&mut stat)), Ok(0));
    assert_eq!((stat.size, stat.mode), (5, 0o100600));
    assert_eq!(vfs::stat(&mut via, c"/f", None), Err(Errno::EFAULT));
    assert_eq!(vfs::unlink(&mut via, c"/g"), Err(Errno::ENOENT));
}
