//! How requests survive their server, as a model: clients, an endpoint, two instances of a server, and init.
//!
//! [`State`] is everything that matters, [`State::actions`] what can happen next, [`State::next`] what becomes of it.
//! `tests/exhaustive.rs` visits every state that can be reached, with a crash, a hang and a refusal possible at every
//! step; [`trace`] replays what the real core recorded, so that model and system cannot drift apart.
//!
//! What it models: `microkernel/core/src/ipc` (requests belong to the endpoint and are marked in progress when received;
//! an answer to a request that is not in progress is dropped), `libipc/rt/src/durable` (an event is finished in the
//! store before its answer leaves; the next instance answers the last one again and puts back the others), and
//! `init/src/{services,swap}.rs` (the old instance ends before the next gets the receive right; a new program that is
//! not ready in time, refuses or dies is replaced by the former one).

pub mod trace;

/// Clients.
pub const CLIENTS: usize = 2;
/// Processes of the server that can exist at a time.
pub const INSTANCES: usize = 2;

/// A request: whose, and which of theirs (its generation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The client.
    pub client: u8,
    /// Its request, from 0 on.
    pub number: u8,
}

/// A client makes one request after the other. Each adds one to its own count in the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// Requests made.
    pub called: u8,
    /// The counts that the answers told, in order.
    pub answers: Vec<u8>,
}

/// What the server's program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// The one that is known to serve.
    Former,
    /// The one that is to take over.
    New,
}

/// Where an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has begun, and has not looked at anything yet.
    Starting,
    /// It goes through the requests that were in progress; these are left.
    Adopting(Vec<Token>),
    /// It waits for a request.
    Receiving,
    /// It has received this one.
    Handling(Token),
    /// The effect and the answer are in the store.
    Finished(Token),
    /// It does nothing any more, and init does not know yet.
    Hung,
    /// It is dead, and init does not know yet.
    Dead,
}

/// A process of the server. It exists from when init starts it until init has taken it down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// What it runs.
    pub program: Program,
    /// Where it is.
    pub phase: Phase,
}

/// What the memory that init holds says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// The clients' counts.
    pub counts: [u8; CLIENTS],
    /// The last event that was finished, and its answer.
    pub last: Option<(Token, u8)>,
}

/// What init is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Init {
    /// The instance in this place serves.
    Watching(u8),
    /// The instance in this place is on trial: the former program is kept.
    Trying(u8),
    /// No instance exists; one of this program is to be started in this place.
    Between(u8, Program),
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Requests of each client.
    pub calls: u8,
    /// Deaths.
    pub crashes: u8,
    /// Instances that hang.
    pub hangs: u8,
    /// New programs that refuse.
    pub refusals: u8,
    /// Swaps.
    pub swaps: u8,
}

/// A mistake in the protocol, to see that the model finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// None.
    None,
    /// An answer leaves before the event is in the store.
    AnswersFirst,
    /// The next instance puts the last request back although it is finished.
    ForgetsTheLast,
    /// The next instance does not look at requests in progress.
    AdoptsNothing,
    /// init starts the next instance before the old one is gone.
    StartsTooEarly,
    /// init does not bring the former program back.
    KeepsTheBroken,
    /// The core delivers answers to requests that are not in progress.
    DeliversStale,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Who calls.
    pub clients: [Client; CLIENTS],
    /// Requests that nobody has received, sorted: which comes first is a matter of priority.
    pub queue: Vec<Token>,
    /// Requests that were received and not answered, sorted.
    pub progress: Vec<Token>,
    /// The processes of the server.
    pub instances: [Option<Instance>; INSTANCES],
    /// What outlives them.
    pub store: Store,
    /// Who looks after them.
    pub init: Init,
    /// What may still happen.
    pub left: Budget,
    /// What is done wrong.
    pub mistake: Mistake,
}

/// Something that happens. Instances are named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client makes its next request.
    Call(u8),
    /// An instance receives a request.
    Receive(u8, Token),
    /// The effect of a request and its answer go into the store, at once.
    Finish(u8),
    /// The answer leaves.
    Answer(u8),
    /// A new instance reads the store and lists the requests in progress.
    Revive(u8),
    /// It answers the next of them, or puts it back.
    Adopt(u8),
    /// It has seen all: it serves, and says so to init.
    Serve(u8),
    /// An instance dies.
    Crash(u8),
    /// It stops doing anything.
    Hang(u8),
    /// A new program does not want the state.
    Refuse(u8),
    /// init hears of the death, or its patience ends: it takes the instance down.
    Bury(u8),
    /// init starts an instance, with the right to receive.
    Start,
    /// Somebody wants a swap: init takes the old instance down, whatever it does.
    Swap,
}

impl State {
    /// A server that serves, and clients that have not called yet.
    pub fn new(left: Budget, mistake: Mistake) -> State {
        let first = Instance { program: Program::Former, phase: Phase::Receiving };
        State {
            clients: Default::default(),
            queue: Vec::new(),
            progress: Vec::new(),
            instances: [Some(first), None],
            store: Store::default(),
            init: Init::Watching(0),
            left,
            mistake,
        }
    }

    /// Everything that can happen now.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (client, at) in self.clients.iter().zip(0..) {
            if !self.is_waiting(at) && client.called < self.left.calls {
                actions.push(Action::Call(at));
            }
        }
        for (instance, at) in self.instances.iter().zip(0..) {
            if let Some(instance) = instance {
                self.actions_of(instance, at, &mut actions);
            }
        }
        match self.init {
            Init::Between(..) => actions.push(Action::Start),
            Init::Watching(_) if self.left.swaps > 0 => actions.push(Action::Swap),
            _ => {}
        }
        actions
    }

    fn actions_of(&self, instance: &Instance, at: u8, actions: &mut Vec<Action>) {
        let lives = !matches!(instance.phase, Phase::Dead | Phase::Hung);
        match &instance.phase {
            Phase::Starting => actions.push(Action::Revive(at)),
            Phase::Adopting(left) if left.is_empty() => actions.push(Action::Serve(at)),
            Phase::Adopting(_) => actions.push(Action::Adopt(at)),
            Phase::Receiving => actions.extend(self.queue.iter().map(|&token| Action::Receive(at, token))),
            Phase::Handling(_) if self.mistake == Mistake::AnswersFirst => actions.push(Action::Answer(at)),
            Phase::Handling(_) => actions.push(Action::Finish(at)),
            Phase::Finished(_) if self.mistake == Mistake::AnswersFirst => actions.push(Action::Finish(at)),
            Phase::Finished(_) => actions.push(Action::Answer(at)),
            Phase::Hung | Phase::Dead => actions.push(Action::Bury(at)),
        }
        if lives && self.left.crashes > 0 {
            actions.push(Action::Crash(at));
        }
        if lives && self.left.hangs > 0 {
            actions.push(Action::Hang(at));
        }
        if instance.phase == Phase::Starting && instance.program == Program::New && self.left.refusals > 0 {
            actions.push(Action::Refuse(at));
        }
    }

    /// What becomes of it. `None`: that cannot happen now.
    pub fn next(&self, action: Action) -> Option<State> {
        let mut state = self.clone();
        state.apply(action)?;
        Some(state)
    }

    fn apply(&mut self, action: Action) -> Option<()> {
        match action {
            Action::Call(client) => {
                let number = self.clients[usize::from(client)].called;
                self.clients[usize::from(client)].called += 1;
                insert(&mut self.queue, Token { client, number });
            }
            Action::Receive(at, token) => {
                if self.phase(at)? != &Phase::Receiving {
                    return None;
                }
                take(&mut self.queue, token)?;
                insert(&mut self.progress, token);
                self.set(at, Phase::Handling(token));
            }
            Action::Finish(at) => {
                let (Phase::Handling(token) | Phase::Finished(token)) = *self.phase(at)? else { return None };
                let count = &mut self.store.counts[usize::from(token.client)];
                *count += 1;
                self.store.last = Some((token, *count));
                let then =
                    if self.mistake == Mistake::AnswersFirst { Phase::Receiving } else { Phase::Finished(token) };
                self.set(at, then);
            }
            Action::Answer(at) => {
                let (Phase::Handling(token) | Phase::Finished(token)) = *self.phase(at)? else { return None };
                let early = self.mistake == Mistake::AnswersFirst;
                let count = self.store.counts[usize::from(token.client)] + u8::from(early);
                self.deliver(token, count);
                self.set(at, if early { Phase::Finished(token) } else { Phase::Receiving });
            }
            Action::Revive(at) => {
                let found = if self.mistake == Mistake::AdoptsNothing { Vec::new() } else { self.progress.clone() };
                self.set(at, Phase::Adopting(found));
            }
            Action::Adopt(at) => {
                let Phase::Adopting(left) = self.phase(at)?.clone() else { return None };
                let (token, rest) = left.split_first()?;
                self.adopt(*token);
                self.set(at, Phase::Adopting(rest.to_vec()));
            }
            Action::Serve(at) => {
                if self.phase(at)? != &Phase::Adopting(Vec::new()) {
                    return None;
                }
                self.set(at, Phase::Receiving);
                self.instances[usize::from(at)].as_mut()?.program = Program::Former;
                self.init = Init::Watching(at);
            }
            Action::Crash(at) => {
                self.left.crashes -= 1;
                self.set(at, Phase::Dead);
            }
            Action::Hang(at) => {
                self.left.hangs -= 1;
                self.set(at, Phase::Hung);
            }
            Action::Refuse(at) => {
                self.left.refusals -= 1;
                self.set(at, Phase::Dead);
            }
            Action::Bury(at) => {
                let trial = self.init == Init::Trying(at);
                if trial && self.mistake == Mistake::KeepsTheBroken {
                    self.init = Init::Watching(at);
                    self.instances[usize::from(at)] = None;
                    return Some(());
                }
                self.end(at, Program::Former);
            }
            Action::Start => {
                let Init::Between(at, program) = self.init else { return None };
                self.instances[usize::from(at)] = Some(Instance { program, phase: Phase::Starting });
                self.init = if program == Program::New { Init::Trying(at) } else { Init::Watching(at) };
            }
            Action::Swap => {
                let Init::Watching(at) = self.init else { return None };
                // There must be something to replace.
                self.instances[usize::from(at)].as_ref()?;
                self.left.swaps -= 1;
                self.end(at, Program::New);
            }
        }
        Some(())
    }

    /// init takes an instance down; the next one will be in the other place.
    fn end(&mut self, at: u8, next: Program) {
        if self.mistake != Mistake::StartsTooEarly {
            self.instances[usize::from(at)] = None;
        }
        self.init = Init::Between(1 - at, next);
    }

    fn adopt(&mut self, token: Token) {
        match self.store.last {
            Some((last, count)) if last == token && self.mistake != Mistake::ForgetsTheLast => {
                self.deliver(token, count);
            }
            // Nobody waits any more.
            _ if take(&mut self.progress, token).is_none() => {}
            _ => insert(&mut self.queue, token),
        }
    }

    /// The core's part of an answer.
    fn deliver(&mut self, token: Token, count: u8) {
        if take(&mut self.progress, token).is_some() || self.mistake == Mistake::DeliversStale {
            self.clients[usize::from(token.client)].answers.push(count);
        }
    }

    fn is_waiting(&self, client: u8) -> bool {
        let client = &self.clients[usize::from(client)];
        client.answers.len() < usize::from(client.called)
    }

    fn phase(&self, at: u8) -> Option<&Phase> {
        self.instances[usize::from(at)].as_ref().map(|instance| &instance.phase)
    }

    fn set(&mut self, at: u8, phase: Phase) {
        if let Some(instance) = &mut self.instances[usize::from(at)] {
            instance.phase = phase;
        }
    }
}

/// What must hold.
impl State {
    /// No request is answered twice.
    pub fn is_answered_once(&self) -> bool {
        self.clients.iter().all(|client| client.answers.len() <= usize::from(client.called))
    }

    /// Each answer tells that everything up to its request was done, once.
    pub fn is_done_once(&self) -> bool {
        self.clients.iter().all(|client| client.answers.iter().copied().eq(1..=client.answers.len() as u8))
    }

    /// What was answered is in the store.
    pub fn is_nothing_lost(&self) -> bool {
        self.clients.iter().zip(self.store.counts).all(|(client, count)| client.answers.len() <= usize::from(count))
    }

    /// At most one process has the right to receive.
    pub fn is_one_receiver(&self) -> bool {
        self.instances.iter().flatten().count() <= 1
    }

    /// Every request that was ever to be made is made and answered, and somebody serves.
    pub fn is_over(&self) -> bool {
        let all =
            |client: &Client| client.called == self.left.calls && client.answers.len() == usize::from(client.called);
        let serves = self.instances.iter().flatten().any(|instance| instance.phase == Phase::Receiving);
        self.clients.iter().all(all) && serves
    }
}

fn insert(tokens: &mut Vec<Token>, token: Token) {
    let at = tokens.partition_point(|known| *known < token);
    tokens.insert(at, token);
}

fn take(tokens: &mut Vec<Token>, token: Token) -> Option<()> {
    let at = tokens.iter().position(|known| *known == token)?;
    tokens.remove(at);
    Some(())
}
