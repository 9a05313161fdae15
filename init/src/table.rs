//! The processes: who is whose child, who waits for whom.
//!
//! Pure bookkeeping. `H` is what keeps a process alive; in the machine it is [`crate::loader::Process`].

use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::msg::Token;

/// init itself.
pub const INIT: u32 = 1;
/// Highest process id; a badge has 31 bits for it.
const LAST: u32 = 0x7fff_ffff;

/// File name of a program, padded with NUL.
pub type Name = [[u8; 16]; 2];

/// What a process is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The service with this number.
    Service(u8),
    /// The first program: the shell, or what the command line names.
    First,
    /// A program that another started.
    Program,
}

/// One process.
#[derive(Debug)]
pub struct Entry<H> {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// What it is for.
    pub role: Role,
    /// What it runs.
    pub name: Name,
    /// Number of its address space.
    pub space: u32,
    state: State<H>,
}

#[derive(Debug)]
enum State<H> {
    Running(H),
    Ended(i32),
}

struct Wait {
    parent: u32,
    child: u32,
    token: Token,
}

/// All of them, by ascending id.
pub struct Table<H> {
    entries: Vec<Entry<H>>,
    waits: Vec<Wait>,
    last: u32,
}

/// What `wait` finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The child has ended with this status and is forgotten.
    Status(i32),
    /// It runs; the token was kept.
    Later,
}

/// A process that has ended: what kept it alive is to be dropped, then the waiters are to be answered.
#[derive(Debug)]
pub struct Ended<H> {
    /// What kept it alive.
    pub handles: H,
    /// What it was for.
    pub role: Role,
    /// Waiters and their answers: a status or a negated errno.
    pub answers: Vec<(Token, i64)>,
}

impl<H> Default for Table<H> {
    fn default() -> Self {
        Table { entries: Vec::new(), waits: Vec::new(), last: INIT }
    }
}

impl<H> Table<H> {
    /// An id that no process has, not used again soon, with room for its entry.
    /// ENOMEM: no room. EAGAIN: no id is left.
    pub fn reserve(&mut self) -> Result<u32, Errno> {
        self.make_room()?;
        for _ in 0..=self.entries.len() {
            self.last = if self.last == LAST { INIT + 1 } else { self.last + 1 };
            if self.find(self.last).is_err() {
                return Ok(self.last);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Makes room for one more. ENOMEM.
    pub fn make_room(&mut self) -> Result<(), Errno> {
        self.entries.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    /// Adds a running process, with an id from [`Table::reserve`].
    pub fn insert(&mut self, pid: u32, parent: u32, role: Role, name: Name, space: u32, handles: H) {
        let at = self.find(pid).unwrap_or_else(|at| at);
        self.entries.insert(at, Entry { pid, parent, role, name, space, state: State::Running(handles) });
    }

    /// The process with this id, running or not.
    pub fn get(&self, pid: u32) -> Option<&Entry<H>> {
        self.find(pid).ok().map(|at| &self.entries[at])
    }

    /// The process with this id, if it is running.
    pub fn running(&self, pid: u32) -> Option<&Entry<H>> {
        self.get(pid).filter(|entry| matches!(entry.state, State::Running(_)))
    }

    /// What keeps the process with this id alive, if it is running.
    pub fn handles(&self, pid: u32) -> Option<&H> {
        match &self.get(pid)?.state {
            State::Running(handles) => Some(handles),
            State::Ended(_) => None,
        }
    }

    /// The running process with the lowest id above `after`.
    pub fn next(&self, after: u32) -> Option<&Entry<H>> {
        self.entries.iter().find(|entry| entry.pid > after && matches!(entry.state, State::Running(_)))
    }

    /// The running process with the highest id that is such a one.
    pub fn last_where(&self, is: impl Fn(&Entry<H>) -> bool) -> Option<u32> {
        let running = |entry: &&Entry<H>| matches!(entry.state, State::Running(_)) && is(entry);
        self.entries.iter().rev().find(running).map(|entry| entry.pid)
    }

    /// `parent` waits for `child`. ECHILD: not a child of it. ENOMEM: no room to remember the token.
    pub fn wait(&mut self, parent: u32, child: u32, token: Token) -> Result<Waited, Errno> {
        let at = self.find(child).map_err(|_| Errno::ECHILD)?;
        let entry = &self.entries[at];
        if entry.parent != parent {
            return Err(Errno::ECHILD);
        }
        if let State::Ended(status) = entry.state {
            self.entries.remove(at);
            return Ok(Waited::Status(status));
        }
        self.waits.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.waits.push(Wait { parent, child, token });
        Ok(Waited::Later)
    }

    /// Forgets a waiter; whether there was one.
    pub fn cancel(&mut self, token: Token) -> bool {
        let before = self.waits.len();
        self.waits.retain(|wait| wait.token != token);
        self.waits.len() < before
    }

    /// Process `pid` has ended with `status`. Its children become init's, which waits for nobody, so that
    /// those that have ended are forgotten. `None`: it does not run.
    pub fn end(&mut self, pid: u32, status: i32) -> Option<Ended<H>> {
        let at = self.find(pid).ok()?;
        if !matches!(self.entries[at].state, State::Running(_)) {
            return None;
        }
        self.waits.retain(|wait| wait.parent != pid);
        self.orphan_children(pid);
        let at = self.find(pid).ok()?;
        let answers = self.answers(pid, status);
        let (parent, role) = (self.entries[at].parent, self.entries[at].role);
        let ended = core::mem::replace(&mut self.entries[at].state, State::Ended(status));
        if !answers.is_empty() || parent == INIT {
            self.entries.remove(at);
        }
        match ended {
            State::Running(handles) => Some(Ended { handles, role, answers }),
            State::Ended(_) => None,
        }
    }

    fn orphan_children(&mut self, pid: u32) {
        let is_child = |entry: &Entry<H>| entry.parent == pid;
        self.entries.retain(|entry| !(is_child(entry) && matches!(entry.state, State::Ended(_))));
        self.entries.iter_mut().filter(|entry| is_child(entry)).for_each(|entry| entry.parent = INIT);
    }

    /// Takes out the waiters for `pid`: the first gets the status, and for the others there is no child
    /// any more. A waiter for whom there is no room stays unanswered until it is cancelled.
    fn answers(&mut self, pid: u32, status: i32) -> Vec<(Token, i64)> {
        let mut answers = Vec::new();
        if answers.try_reserve(self.waits.len()).is_err() {
            return answers;
        }
        self.waits.retain(|wait| {
            if wait.child == pid {
                let answer = if answers.is_empty() { i64::from(status) } else { Errno::ECHILD.negated() };
                answers.push((wait.token, answer));
            }
            wait.child != pid
        });
        answers
    }

    fn find(&self, pid: u32) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&pid, |entry| entry.pid)
    }
}

/// The part of a path after its last slash, cut to what fits with a NUL.
pub fn name(path: &[u8]) -> Name {
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut name = Name::default();
    for (to, from) in name.as_flattened_mut()[..31].iter_mut().zip(file) {
        *to = *from;
    }
    name
}

/// A name without its padding.
pub fn text(name: &Name) -> &str {
    let bytes = name.as_flattened();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start(table: &mut Table<u32>, parent: u32) -> u32 {
        let pid = table.reserve().unwrap();
        table.insert(pid, parent, Role::Program, name(b"/bin/x"), 0, pid);
        pid
    }

    #[test]
    fn a_waiter_is_answered_when_its_child_ends() {
        let mut table = Table::default();
        let parent = start(&mut table, INIT);
        let child = start(&mut table, parent);
        assert_eq!(table.wait(parent, child, Token(5)), Ok(Waited::Later));
        assert_eq!(table.end(child, 3).unwrap().answers, [(Token(5), 3)]);
        assert_eq!(table.wait(parent, child, Token(6)), Err(Errno::ECHILD), "reaped");
    }

    #[test]
    fn a_status_waits_for_its_waiter() {
        let mut table = Table::default();
        let parent = start(&mut table, INIT);
        let child = start(&mut table, parent);
        assert!(table.end(child, 256 + 14).unwrap().answers.is_empty());
        assert!(table.end(child, 0).is_none(), "only once");
        assert_eq!(table.wait(parent, child, Token(1)), Ok(Waited::Status(270)));
    }

    #[test]
    fn strangers_cannot_wait() {
        let mut table = Table::default();
        let (a, b) = (start(&mut table, INIT), start(&mut table, INIT));
        assert_eq!(table.wait(a, b, Token(1)), Err(Errno::ECHILD));
        assert_eq!(table.wait(a, 999, Token(1)), Err(Errno::ECHILD));
    }

    #[test]
    fn orphans_become_init_s() {
        let mut table = Table::default();
        let parent = start(&mut table, INIT);
        let (ended, running) = (start(&mut table, parent), start(&mut table, parent));
        table.end(ended, 0);
        table.wait(parent, running, Token(9)).unwrap();
        assert!(table.end(parent, 0).unwrap().answers.is_empty());
        assert!(table.get(ended).is_none() && table.get(parent).is_none());
        assert_eq!(table.get(running).unwrap().parent, INIT);
        assert!(table.end(running, 0).unwrap().answers.is_empty(), "the waiter is gone too");
    }

    #[test]
    fn ids_come_round() {
        let mut table: Table<u32> = Table::default();
        let pid = start(&mut table, INIT);
        table.last = LAST - 1;
        assert_eq!((table.reserve(), table.reserve()), (Ok(LAST), Ok(pid + 1)));
    }

    #[test]
    fn names_are_cut_to_fit() {
        assert_eq!(text(&name(b"/bin/ls")), "ls");
        assert_eq!(text(&name(&[b'a'; 60])).len(), 31);
    }

    proptest! {
        #[test]
        fn nobody_is_lost(steps in prop::collection::vec((0u8..4, 0usize..8, 0usize..8), 0..60)) {
            let (mut table, mut pids, mut token) = (Table::default(), vec![INIT], 0);
            let mut waiting = std::collections::BTreeSet::new();
            for (step, a, b) in steps {
                let (one, other) = (pids[a % pids.len()], pids[b % pids.len()]);
                token += 1;
                match step {
                    0 => pids.push(start(&mut table, one)),
                    1 => if let Some(ended) = table.end(other, 1) {
                        for (token, _) in ended.answers {
                            prop_assert!(waiting.remove(&token.0), "answered twice");
                        }
                    },
                    2 => if table.wait(one, other, Token(token)) == Ok(Waited::Later) {
                        waiting.insert(token);
                    },
                    _ => prop_assert!(!table.cancel(Token(token))),
                }
                prop_assert!(table.entries.is_sorted_by_key(|entry| entry.pid));
                prop_assert!(table.waits.iter().all(|wait| table.get(wait.child).is_some()));
            }
        }
    }
}
