//! Connections: an endpoint and a badge. A file descriptor is a handle to one.

use parley_abi::Errno;
use parley_abi::call::{Rights, kind};
use parley_abi::msg::{Token, event};

use crate::ipc::resident::Rows;
use crate::kernel::Core;
use crate::mem::scan::Cursor;
use crate::mem::slab::{Object, Ref, Slab};
use crate::object::endpoint::{Binding, Endpoint, Event};
use crate::object::handle::Handle;
use crate::object::quota::Quota;
use crate::sched::SUPERVISOR;

/// A connection. It belongs to its endpoint, so it outlives the server behind it.
#[derive(Default)]
pub struct Connection {
    /// Where requests go.
    pub endpoint: Ref<Endpoint>,
    /// What the server knows it by.
    pub badge: u64,
    /// The functions of the resident service that its endpoint is bound to, if it is to one. That never changes.
    pub rows: &'static Rows,
    /// Handles to it. 0: closing, and in the endpoint's list until the server frees it.
    pub refs: u32,
    /// The receiver has been told that it is closing.
    pub told: bool,
    /// Next in the endpoint's list of closing connections.
    pub next: Ref<Connection>,
    /// Who pays.
    pub quota: Ref<Quota>,
}

impl Object for Connection {
    const WINDOW: u64 = 2;
}

/// Set in the object number of a token that names a closing connection. The numbers themselves are multiples of 16.
pub const CLOSING: u32 = 1;

impl Core {
    /// Makes a connection without handles. ENOMEM.
    #[inline]
    pub fn create_connection(
        &mut self,
        quota: Ref<Quota>,
        endpoint: Ref<Endpoint>,
        badge: u64,
    ) -> Result<Ref<Connection>, Errno> {
        let rows = self.rows_behind(endpoint);
        let connection = Connection { endpoint, badge, rows, quota, ..Connection::default() };
        let cost = Slab::<Connection>::COST;
        self.quotas.pay_for(quota, cost, &mut self.connections, &mut self.frames, |_| connection)
    }

    /// The functions of the resident service that an endpoint is bound to.
    pub fn rows_behind(&self, endpoint: Ref<Endpoint>) -> &'static Rows {
        match self.endpoints.get(endpoint).map(|endpoint| endpoint.binding) {
            Some(Binding::Resident(service)) => self.residents[service as usize].rows,
            _ => Default::default(),
        }
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
            Some(Binding::Resident(number)) if self.resident_forgets(number, badge) => return self.free_connection(at),
            Some(_) => {}
        }
        let target = &mut self.endpoints[endpoint];
        self.connections[at].next = core::mem::replace(&mut target.closing, at);
        target.untold += 1;
        // The server works it off in the turn of whoever closed it: nobody more urgent waits for that.
        let most = self.threads.get(self.current).map_or(SUPERVISOR, |current| current.priority);
        self.endpoint_has_event(endpoint, most);
    }

    /// A closing connection that the server has not been told of; it is told now.
    pub fn next_closed(&mut self, endpoint: Ref<Endpoint>) -> Option<Event> {
        let target = self.endpoints.get_mut(endpoint)?;
        if target.untold == 0 {
            return None;
        }
        let mut at = target.closing;
        while let Some(connection) = self.connections.get_mut(at) {
            if !connection.told {
                connection.told = true;
                target.untold -= 1;
                let token = Token::new(at.place | CLOSING, at.generation);
                return Some(Event { badge: connection.badge, token, ..Event::of(event::CLOSED) });
            }
            at = connection.next;
        }
        target.untold = 0;
        None
    }

    /// The server has forgotten the connection that it was told of with `token`. ESTALE: its endpoint has none.
    pub fn forget_closed(&mut self, endpoint: Ref<Endpoint>, token: Token) -> Result<(), Errno> {
        let at = self.connections.at_place(token.thread() & !CLOSING).ok_or(Errno::ESTALE)?;
        let Connection { told, endpoint: its_own, .. } = self.connections[at];
        if at.generation != token.generation() || !told || its_own != endpoint {
            return Err(Errno::ESTALE);
        }
        self.unlink_closing(endpoint, at);
        self.free_connection(at);
        Ok(())
    }

    /// Takes a connection out of its endpoint's list.
    fn unlink_closing(&mut self, endpoint: Ref<Endpoint>, gone: Ref<Connection>) {
        let next = self.connections[gone].next;
        if self.endpoints[endpoint].closing == gone {
            self.endpoints[endpoint].closing = next;
            return;
        }
        let mut at = self.endpoints[endpoint].closing;
        while let Some(connection) = self.connections.get_mut(at) {
            if connection.next == gone {
                connection.next = next;
                return;
            }
            at = connection.next;
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
        if refs == 0 && self.endpoints.get(endpoint).is_some() {
            if !told {
                self.endpoints[endpoint].untold -= 1;
            }
            self.unlink_closing(endpoint, at);
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
