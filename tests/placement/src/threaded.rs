//! The threaded placement: each server in a thread of its own, messages through channels.
//!
//! The client interprets the call table as the core does and waits for the answer; a server copies to and
//! from the client's memory while it waits, and a forwarded request takes its way back along.

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_abi::row::{Op, Row};
use parley_abi::slot::{SERVICE, service};
use parley_loopback::lease::{Leases, of_message, writable};
use parley_loopback::{Connection, Descriptors};
use parley_proto::{Cx, Host, Outcome, Service, calltable, root_badge};
use server_vfs::Vfs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};

use crate::arena::Arena;
use crate::devices::char_service;
use crate::{Call, Placement, boot};

const TOKEN: Token = Token::new(1, 1);
const PROCESS: u64 = root_badge(1, 0);

/// What a server's thread receives.
enum Event {
    Request(Request),
    Closed(u64),
}

struct Request {
    label: u32,
    words: Words,
    badge: u64,
    leases: Leases,
    answer: Sender<Answer>,
}

enum Answer {
    Result(i64),
    Words(Words),
    Open(Connection),
}

/// A server's way to its peers and to the client that waits.
struct ThreadHost {
    arena: Arena,
    leases: Leases,
    devices: Option<Sender<Event>>,
}

impl ThreadHost {
    fn deliver(&mut self, bytes: &[u8]) -> Result<i64, Errno> {
        let lease = writable(&self.leases).ok_or(Errno::EACCES)?;
        lease.copy_out(&mut self.arena, 0, bytes).map(|copied| copied as i64)
    }
}

impl Host for ThreadHost {
    fn now(&mut self) -> u64 {
        0
    }
    fn copy_in(&mut self, _token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.leases.get(lease as usize).ok_or(Errno::EACCES)?.copy_in(&mut self.arena, offset, into)
    }
    fn copy_out(&mut self, _token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        self.leases.get(lease as usize).ok_or(Errno::EACCES)?.copy_out(&mut self.arena, offset, from)
    }
    fn reply(&mut self, _token: Token, _result: i64) {
        panic!("nothing here is answered later");
    }
    fn call(&mut self, to: u8, label: u32, words: Words) -> Result<Words, Errno> {
        // Nobody tells the date here: files are made in 1970.
        let devices = self.devices.as_ref().filter(|_| to == service::CHAR).ok_or(Errno::ENXIO)?;
        match ask(devices, label, words, PROCESS, Leases::default()) {
            Answer::Words(words) => Ok(words),
            Answer::Result(result) => Errno::check(result).map(|_| Words::default()),
            Answer::Open(_) => Err(Errno::EINVAL),
        }
    }
    fn set_alarm(&mut self, _at: u64) {}
    fn log(&mut self, _: core::fmt::Arguments<'_>) {}
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _into: &mut [u8]) -> usize {
        0
    }
}

/// Sends a request and waits for its answer.
fn ask(to: &Sender<Event>, label: u32, words: Words, badge: u64, leases: Leases) -> Answer {
    let (answer, answered) = channel();
    to.send(Event::Request(Request { label, words, badge, leases, answer })).expect("the server runs");
    answered.recv().expect("the server answers")
}

/// A server's loop: until nobody can call any more.
fn serve(number: u8, mut server: impl Service, mut host: ThreadHost, events: Receiver<Event>) {
    server.start(&mut host).expect("the server starts");
    for event in events {
        match event {
            Event::Closed(badge) => server.closed(&mut host, badge),
            Event::Request(request) => serve_one(number, &mut server, &mut host, request),
        }
    }
}

fn serve_one(number: u8, server: &mut impl Service, host: &mut ThreadHost, mut request: Request) {
    host.leases = request.leases;
    match server.at_hand(request.badge, request.label, &request.words) {
        Some(Outcome::Done(result)) => return request.answer.send(Answer::Result(result)).expect("the client waits"),
        Some(Outcome::Data(bytes)) => {
            let result = host.deliver(bytes).unwrap_or_else(Errno::negated);
            return request.answer.send(Answer::Result(result)).expect("the client waits");
        }
        _ => {}
    }
    let mut cx = Cx { host, token: TOKEN, badge: request.badge };
    let answer = match server.request(&mut cx, request.label, &request.words) {
        Outcome::Done(result) => Answer::Result(result),
        Outcome::Data(bytes) => Answer::Result(host.deliver(bytes).unwrap_or_else(Errno::negated)),
        Outcome::Fill(bytes) => Answer::Result(host.deliver(bytes).map_or_else(Errno::negated, |_| 0)),
        Outcome::Open { badge, .. } => Answer::Open(Connection { service: number, badge }),
        Outcome::Words(words) => Answer::Words(words),
        Outcome::Later => panic!("nothing here is answered later"),
        Outcome::Forward { label, words: [a, b, c, d], .. } => {
            (request.label, request.words, request.badge) = (label, [a, b, c, d, 0, 0], PROCESS);
            let devices = host.devices.as_ref().expect("only the vfs forwards");
            return devices.send(Event::Request(request)).expect("the devices run");
        }
    };
    request.answer.send(answer).expect("the client waits");
}

/// The client, and the threads.
pub struct Threaded {
    vfs: Option<Sender<Event>>,
    devices: Option<Sender<Event>>,
    threads: Vec<JoinHandle<()>>,
    descriptors: Descriptors,
    arena: Arena,
}

impl Threaded {
    /// Starts the threads.
    pub fn new(arena: Arena) -> Threaded {
        let (vfs, vfs_events) = channel();
        let (devices, device_events) = channel();
        let host = |devices| ThreadHost { arena: arena.clone(), leases: Leases::default(), devices };
        let (below, above) = (host(None), host(Some(devices.clone())));
        let threads = vec![
            spawn(move || serve(service::CHAR, Boxed(char_service()), below, device_events)),
            spawn(move || serve(service::VFS, Vfs::new(boot::archive()), above, vfs_events)),
        ];
        let descriptors = Descriptors::new();
        Threaded { vfs: Some(vfs), devices: Some(devices), threads, descriptors, arena }
    }

    fn server(&self, service: u8) -> Result<&Sender<Event>, Errno> {
        let server = match service {
            service::VFS => &self.vfs,
            service::CHAR => &self.devices,
            _ => return Err(Errno::EBADF),
        };
        server.as_ref().ok_or(Errno::EBADF)
    }

    fn close(&mut self, closed: Option<Connection>) -> Result<(), Errno> {
        let Some(connection) = closed else { return Ok(()) };
        self.server(connection.service)?.send(Event::Closed(connection.badge)).map_err(|_| Errno::EIO)
    }

    fn interpret(&mut self, number: u16, args: Words) -> Result<i64, Errno> {
        let row = calltable::TABLE.get(number as usize).copied().ok_or(Errno::ENOSYS)?;
        let [first, second, c, d, e, f] = args;
        match row.op {
            Op::None | Op::Reflect => Err(Errno::ENOSYS),
            Op::Yield => Ok(0),
            Op::Send => {
                let to = Connection { service: (row.slot as u32).wrapping_sub(SERVICE) as u8, badge: PROCESS };
                self.send(&row, to, args)
            }
            Op::SendTo => self.send(&row, self.descriptors.get(first)?, [second, c, d, e, f, 0]),
            Op::Drop => {
                let closed = self.descriptors.close(first)?;
                self.close(closed).map(|()| 0)
            }
            Op::Copy => self.descriptors.dup(first).map(i64::from),
            Op::CopyTo => {
                let (fd, closed) = self.descriptors.dup2(first, second)?;
                self.close(closed).map(|()| fd.into())
            }
        }
    }

    fn send(&mut self, row: &Row, to: Connection, words: Words) -> Result<i64, Errno> {
        if row.opens != 0 {
            self.descriptors.check_room()?;
        }
        match ask(self.server(to.service)?, row.label, words, to.badge, of_message(row, &words)) {
            Answer::Result(result) => Errno::check(result),
            Answer::Words(_) => Ok(0),
            Answer::Open(connection) => self.descriptors.open(connection).map(i64::from),
        }
    }
}

impl Placement for Threaded {
    fn name(&self) -> &'static str {
        "threaded"
    }

    fn call(&mut self, call: &Call) -> i64 {
        self.interpret(call.number, call.args).unwrap_or_else(Errno::negated)
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }
}

impl Drop for Threaded {
    /// Hangs up, upon which the threads end; a panic in one of them is one of the test's.
    fn drop(&mut self) {
        (self.vfs, self.devices) = (None, None);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a server panicked");
        }
    }
}

/// A boxed server is a server.
struct Boxed<S: ?Sized>(Box<S>);

impl<S: Service + ?Sized> Service for Boxed<S> {
    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        self.0.start(host)
    }
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        self.0.request(cx, label, words)
    }
    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        self.0.closed(host, badge);
    }
}
