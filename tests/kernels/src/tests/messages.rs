//! What a message carries.

use parley_abi::Errno;
use parley_abi::call::CALL;
use parley_abi::msg::{FOREVER, Flags, POLL};
use parley_abi::slot::{self, service};
use parley_programs::peer::Peer;
use parley_programs::threads::own_priority;
use parley_proto::ping;
use parley_rt::sys::{self, Reply};

use crate::tool::client::{Client, Message, receive};
use crate::tool::machine::soon;
use crate::tool::random::Random;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![words_between_spaces, label_badge_and_words, server_in_ring_3, invalid_flags];

fn words_between_spaces() -> Verdict {
    let peer = Peer::start(own_priority())?;
    let mut random = Random::new(1);
    for round in 0..50 {
        let words = random.words();
        ensure_eq!(peer.call(words, soon())?, words, "round {round}");
    }
    Ok(())
}

fn label_badge_and_words() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let mut random = Random::new(2);
    for label in [0, 1, 77, 0x7fff_ffff, 0xfffe_ffff] {
        let (badge, words, reply) = (random.next(), random.words(), random.words());
        let connection = scope.connection(endpoint, badge)?;
        let client = Client::start(Message { label, ..Message::new(connection, words) })?;
        let request = receive(endpoint)?;
        ensure_eq!((request.label, request.badge, request.words), (label, badge, words), "the request");
        ensure!(request.token.0 != 0, "a request without a token");
        let answered = Reply { label: 9, ..Reply::words(request.token, reply) };
        sys::reply(endpoint, &answered)?;
        ensure_eq!(client.result()?, Ok((9, reply)), "the reply");
    }
    Ok(())
}

/// The ping server adds its words up; its second instance is in ring 3 on every kernel.
fn server_in_ring_3() -> Verdict {
    let peer = slot::of_service(service::PEER);
    let words = [1, 20, 300, 4000, 50_000, 600_000];
    let (_, sum) = sys::call(peer, Flags::empty(), ping::label::ping, words, soon())?;
    ensure_eq!(sum[0], 654_321, "the sum of the words");
    let (_, unknown) = sys::call(peer, Flags::empty(), 0xdead, words, soon())?;
    ensure_eq!(unknown[0] as i64, Errno::ENOSYS.negated(), "an unknown label");
    Ok(())
}

fn invalid_flags() -> Verdict {
    let peer = Peer::start(own_priority())?;
    let to = u64::from(peer.connection());
    let both = Flags::LEND_READ | Flags::LEND_WRITE;
    let both_2 = Flags::LEND_READ_2 | Flags::LEND_WRITE_2;
    let unlisted = (0..16).map(|bit| 1 << bit).filter(|&bit| !Flags::all().bits() & bit != 0);
    let listed = [both, both_2, Flags::DATA, Flags::OPEN, Flags::NO_RECEIVE, Flags::all()];
    for bits in unlisted.chain(listed.map(|flags| flags.bits())) {
        let rax = u64::from(CALL) | u64::from(bits) << 16;
        // SAFETY: the words describe empty buffers.
        let status = unsafe { sys::raw(rax, to, [0; 6], 0, soon()).rax as i64 };
        ensure_eq!(status, Errno::EINVAL.negated(), "a call with flags {bits:#x}");
    }
    let endpoint = sys::endpoint_create(slot::QUOTA)?;
    for bits in (0..16).map(|bit| 1u64 << bit).filter(|&bit| u64::from(!Flags::all().bits()) & bit != 0) {
        let rax = u64::from(parley_abi::call::REPLY_RECV) | bits << 16;
        // SAFETY: it answers nobody and receives into registers.
        let status = unsafe { sys::raw(rax, u64::from(endpoint), [0; 6], 0, POLL).rax as i64 };
        ensure_eq!(status, Errno::EINVAL.negated(), "reply_recv with flags {bits:#x}");
    }
    sys::handle_drop(endpoint)?;
    ensure_eq!(peer.call([5; 6], FOREVER)?, [5; 6], "a call afterwards");
    Ok(())
}
