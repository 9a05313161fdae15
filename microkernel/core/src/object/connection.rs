//! Connections: an endpoint and a badge. A file descriptor is a handle to one.

use parley_abi::{Errno, Rights, Token, event, kind};

use crate::mem::{Cursor, Object, Ref, Slab};
use crate::object::{Binding, Endpoint, Event, Handle, Quota};
use crate::sched::SUPERVISOR;
use crate::{Core, IMAGE};

/// A connection. It belongs to its endpoint, so it outlives the server behind it.
#[derive(Default)]
pub struct Connection {
    /// Where requests go.
    pub endpoint: Ref<Endpoint>,
    /// What the server knows it by.
    pub badge: u64,
    /// For the entry code of resident services: what they say of the endpoint's binding. That never changes.
    pub rows: u64,
    /// Handles to it. 0: closing, and in the endpoint's list until the server frees it.
    pub refs: u32,
    /// The receiver has been told that it is closing.
    pub told: bool,
    /// Who pays.
    pub quota: Ref<Quota>,
}

/// An endpoint, and the badge it is called with.
pub type Address = (Ref<Endpoint>, u64);

/// How long a server that waits need not hear of a closed connection, in nanoseconds: it is told with the next request, or
/// else when a thread blocks or its turn ends, so a close wakes nobody.
const HEARD_WITHIN: u64 = 1_000_000;

impl Object for Connection {
    const WINDOW: u64 = 2;
}

impl Core {
    /// Makes a connection without handles. ENOMEM.
    #[inline]
    pub fn create_connection(&mut self, quota: Ref<Quota>, to: Address) -> Result<Ref<Connection>, Errno> {
        let (endpoint, badge) = to;
        let rows = self.rows_behind(endpoint);
        let connection = Connection { endpoint, badge, rows, quota, ..Connection::default() };
        let cost = Slab::<Connection>::COST;
        self.quotas.pay_for(quota, cost, &mut self.connections, &mut self.frames, |slot| *slot = connection)
    }

    /// What resident services say of an endpoint's binding.
    pub fn rows_behind(&self, endpoint: Ref<Endpoint>) -> u64 {
        IMAGE.residents.rows(self.endpoints.get(endpoint).map(|endpoint| endpoint.binding))
    }

    /// A handle to it.
    pub fn connection_handle(at: Ref<Connection>, rights: Rights) -> Handle {
        Handle::new(kind::CONNECTION, at, rights)
    }

    /// The last handle is gone: tell the server. The connection is free once the server has forgotten it.
    pub fn close_connection(&mut self, at: Ref<Connection>) {
        let Connection { endpoint, badge, .. } = self.connections[at];
        match self.endpoints.get(endpoint).map(|target| target.binding) {
            None => return self.free_connection(at),
            Some(Binding::Resident(number)) if IMAGE.residents.forgets(self, number, badge) => {
                return self.free_connection(at);
            }
            Some(_) => {}
        }
        let target = &mut self.endpoints[endpoint];
        target.closing.push_front(&mut self.connections, at);
        target.untold += 1;
        let waits = target.crowd();
        // The server works it off in the turn of whoever closed it: nobody more urgent waits for that.
        let most = self.threads.get(self.current).map_or(SUPERVISOR, |current| current.priority);
        if !waits {
            return self.endpoint_has_event(endpoint, most);
        }
        if self.unheard.is_none_or(|news| news.0 != endpoint) {
            self.spread_news();
            let due = self.clock.now() + HEARD_WITHIN;
            self.unheard = Some((endpoint, due, most));
            self.apic.bring_forward(&self.clock, due);
        }
    }

    /// A server hears now of the closed connections that no request has told it of.
    pub fn spread_news(&mut self) {
        if let Some((endpoint, _, most)) = self.unheard.take()
            && self.endpoints.get(endpoint).is_some_and(|target| target.untold != 0)
        {
            self.endpoint_has_event(endpoint, most);
        }
    }

    /// A closing connection that the server has not been told of; it is told now.
    pub fn next_closed(&mut self, endpoint: Ref<Endpoint>) -> Option<Event> {
        let target = self.endpoints.get_mut(endpoint)?;
        if target.untold == 0 {
            return None;
        }
        let at = target.closing.iter(&self.connections).find(|&at| !self.connections[at].told);
        target.untold = at.map_or(0, |_| target.untold - 1);
        let connection = &mut self.connections[at?];
        connection.told = true;
        let token = Token::new(at?.place, at?.generation);
        Some(Event { badge: connection.badge, token, ..Event::of(event::CLOSED) })
    }

    /// A server has forgotten the connection that it was told of with this token, unless another is to be told again.
    pub fn forget_closed(&mut self, token: Token) {
        let at = Ref::new(token.thread(), token.generation());
        if self.connections.get(at).is_some_and(|connection| connection.told) {
            self.remove_connection(at);
        }
    }

    /// Frees the slot; handles to it are stale.
    pub fn free_connection(&mut self, at: Ref<Connection>) {
        let Some(connection) = self.connections.get(at) else { return };
        let quota = connection.quota;
        self.connections.remove(at);
        self.quotas.refund(quota, Slab::<Connection>::COST);
    }

    /// Whoever paid for the connection is gone. The server is told as if the last handle had gone, as
    /// far as the endpoint's own quota can keep the news; handles that others hold are stale.
    pub fn drop_connection_by_force(&mut self, at: Ref<Connection>) {
        let Connection { endpoint, badge, rows, refs, quota, .. } = self.connections[at];
        let heir = self.endpoints.get(endpoint).map_or(quota, |target| target.quota);
        if heir == quota || self.quotas.charge(heir, Slab::<Connection>::COST).is_err() {
            return self.remove_connection(at);
        }
        if refs == 0 {
            self.quotas.refund(quota, Slab::<Connection>::COST);
            self.connections[at].quota = heir;
            return;
        }
        self.free_connection(at);
        let news = Connection { endpoint, badge, rows, quota: heir, ..Connection::default() };
        match self.connections.insert(&mut self.frames, news) {
            Some(news) => self.close_connection(news),
            None => self.quotas.refund(heir, Slab::<Connection>::COST),
        }
    }

    /// Removes a connection wherever it is linked.
    fn remove_connection(&mut self, at: Ref<Connection>) {
        let Connection { endpoint, refs, told, .. } = self.connections[at];
        if let Some(endpoint) = self.endpoints.get_mut(endpoint).filter(|_| refs == 0) {
            endpoint.untold -= !told as u32;
            endpoint.closing.remove(&mut self.connections, at);
        }
        self.free_connection(at);
    }

    /// Looks on for connections of the endpoint that have `badge`, and makes the next one stale. False: there
    /// are no more.
    pub fn revoke_step(&mut self, endpoint: Ref<Endpoint>, badge: u64, cursor: &mut Cursor) -> bool {
        let meant = |at: &Connection| at.endpoint == endpoint && at.badge == badge && at.refs > 0;
        cursor.step(&self.connections, meant).act(|at| self.free_connection(at))
    }
}
