//! State that is written down and read again is the same state.

use parley_proto::Durable;
use proptest::prelude::*;

use super::*;

/// A client of another instance, which has the state of `client`'s.
fn successor(client: &Client) -> Client {
    let mut bytes = std::vec![0; 1 << 20];
    let used = client.vfs.export(&mut bytes).unwrap();
    let mut next = Client { vfs: Vfs::new(&EMPTY), host: TestHost::default() };
    assert_eq!(next.vfs.import(2, &bytes[..used]), Err(Errno::EINVAL), "a version that is unknown");
    assert_eq!(next.vfs.import(1, &bytes[..used - 1]), Err(Errno::EINVAL), "a state that is cut");
    next.vfs.import(1, &bytes[..used]).unwrap();
    let mut again = std::vec![0; 1 << 20];
    assert_eq!(next.vfs.export(&mut again).map(|used| &again[..used]), Ok(&bytes[..used]));
    next
}

proptest! {
    /// Requests without sense, each to another instance, have the answers that one instance gives.
    #[test]
    fn successors_go_on(steps in prop::collection::vec((0usize..9, 0usize..4, any::<u16>()), 1..60)) {
        let mut client = Client::new(&EMPTY);
        let mut twin = Client::new(&EMPTY);
        let mut badges = std::vec![root_badge(2, 1)];
        for (what, name, number) in steps {
            client = successor(&client);
            let names = [&b"/a\0"[..], b"/b\0", b"/a/c\0", b"/dev/null\0"];
            let badge = badges[usize::from(number) % badges.len()];
            let (label, words) = match what {
                0 | 1 => (vfs::label::open, [0, 0o102, 0o644, 0, 0, 0]),
                2 => (vfs::label::mkdir, [0, 0o755, 0, 0, 0, 0]),
                3 => (vfs::label::unlink, [0; 6]),
                4 => (vfs::label::rename, [0; 6]),
                5 => (file::label::write, [0, 3000, 0, 0, 0, 0]),
                6 => (file::label::pwrite, [0, 100, u64::from(number), 0, 0, 0]),
                7 => (file::label::read, [0, 100, 0, 0, 0, 0]),
                _ => (file::label::lseek, [u64::from(number), 0, 0, 0, 0, 0]),
            };
            let both = [&mut client, &mut twin].map(|client| {
                client.host.leases = match label >> 8 {
                    vfs::ID => [names[name].to_vec(), names[usize::from(number) % 4].to_vec()],
                    _ => [std::vec![number as u8; 3000], Vec::new()],
                };
                let to = if label >> 8 == vfs::ID { root_badge(2, 1) } else { badge };
                (client.request(to, label, words, 0), client.host.leases.clone())
            });
            prop_assert_eq!(&both[0], &both[1]);
            if let Did::Opened(badge) = both[0].0 {
                badges.push(badge);
            }
        }
    }
}
