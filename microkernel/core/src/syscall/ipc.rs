//! Calls that send, and what else belongs to messages.

use parley_abi::slot::ENDPOINT;
use parley_abi::{Errno, Flags, LEASES, LeaseRow, Rights, Row, Shape, Token, Words, kind};

use super::Done;
use crate::kernel::Core;
use crate::mem::{Cursor, Ref};
use crate::object::{Connection, Endpoint, How, Kind, Packed, State, Submission, Thread};

const CALL_FLAGS: Flags = Flags::LEND_READ
    .union(Flags::LEND_WRITE)
    .union(Flags::LEND_READ_2)
    .union(Flags::LEND_WRITE_2)
    .union(Flags::ACCEPT_HANDLE);

/// The buffers that the flags of a call lend. EINVAL: one both ways.
fn leases(flags: Flags) -> Result<[LeaseRow; LEASES], Errno> {
    let lease = |read, write, word| match (flags.contains(read), flags.contains(write)) {
        (false, false) => Ok(LeaseRow::default()),
        (true, false) => Ok(LeaseRow { shape: Shape::Read, word, size: 0 }),
        (false, true) => Ok(LeaseRow { shape: Shape::Write, word, size: 0 }),
        (true, true) => Err(Errno::EINVAL),
    };
    Ok([lease(Flags::LEND_READ, Flags::LEND_WRITE, 0)?, lease(Flags::LEND_READ_2, Flags::LEND_WRITE_2, 2)?])
}

impl Core {
    pub(super) fn sys_call(&mut self, flags: Flags, label: u32) -> Result<Done, Errno> {
        if !CALL_FLAGS.contains(flags) {
            return Err(Errno::EINVAL);
        }
        let leases = if flags.is_empty() { Default::default() } else { leases(flags)? };
        let opens = flags.contains(Flags::ACCEPT_HANDLE) as u8;
        let row = Packed::new(&Row { label, leases, opens, ..Row::NONE });
        let frame = &self.thread().frame;
        let (slot, deadline) = (frame.args[0], frame.r14);
        self.send(slot, How::in_registers(Kind::Native, 1), row, deadline).map(|_| Done::Registers)
    }

    pub(super) fn sys_forward(&mut self, label: u32) -> Result<Done, Errno> {
        let frame = &self.thread().frame;
        let ([endpoint, to, a, b, c, d, _], token) = (frame.args, Token(frame.r13));
        let endpoint: Ref<Endpoint> = self.object(endpoint, kind::ENDPOINT, Rights::RECEIVE)?;
        let to: Ref<Connection> = self.object(to, kind::CONNECTION, Rights::CALL)?;
        let caller = self.awaiting(endpoint, token)?;
        let connection = self.connections.get(to).ok_or(Errno::EBADF)?;
        let (target, badge) = (connection.endpoint, connection.badge);
        if self.endpoints.get(target).is_none() {
            return Err(Errno::EBADF);
        }
        self.forward(caller, target, badge, label, [a, b, c, d]);
        Ok(Done::Value(0))
    }

    pub(super) fn sys_submit(&mut self, flags: Flags, label: u32) -> Result<Done, Errno> {
        if !flags.is_empty() {
            return Err(Errno::EINVAL);
        }
        let frame = &self.thread().frame;
        let (slot, words, cookie) = (frame.args[0], frame.words(1), frame.r13);
        let to: Ref<Connection> = self.object(slot, kind::CONNECTION, Rights::CALL)?;
        let submitter: Ref<Endpoint> = self.object(ENDPOINT as u64, kind::ENDPOINT, Rights::RECEIVE)?;
        let connection = self.connections.get(to).ok_or(Errno::ESTALE)?;
        let (server, badge) = (connection.endpoint, connection.badge);
        let quota = self.spaces[self.current_space()].quota;
        let new = Submission { label, words, badge, cookie, server, submitter, quota, ..Submission::default() };
        self.submit(new).map(Done::from)
    }

    pub(super) fn sys_notify(&mut self, &[slot, bits, ..]: &Words) -> Result<Done, Errno> {
        let endpoint = match self.endpoint(slot, Rights::NOTIFY) {
            Err(Errno::EBADF) => {
                let at: Ref<Connection> = self.object(slot, kind::CONNECTION, Rights::NOTIFY)?;
                self.connections
                    .get(at)
                    .filter(|at| self.endpoints.get(at.endpoint).is_some())
                    .ok_or(Errno::ESTALE)?
                    .endpoint
            }
            other => other?,
        };
        self.notify(endpoint, bits);
        Ok(Done::Value(0))
    }

    pub(super) fn sys_cancel(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        let at: Ref<Thread> = self.object(slot, kind::THREAD, Rights::MANAGE)?;
        let thread = self.threads.get(at).ok_or(Errno::ESRCH)?;
        let (state, endpoint, token) = (thread.state, thread.waits_for, thread.token);
        match state {
            // It waits for what becomes of its fault: no call of its own that could end early.
            _ if thread.request.how.kind == Kind::Fault => return Err(Errno::ESRCH),
            State::Calling => {
                self.abandon_request(at);
                self.fail_request(at, Errno::EINTR);
            }
            State::Awaiting if self.threads[at].cancelled == token.generation() => {}
            State::Awaiting => {
                self.threads[at].cancelled = token.generation();
                self.send_cancel(endpoint, token);
            }
            _ => return Err(Errno::ESRCH),
        }
        Ok(Done::Value(0))
    }

    pub(super) fn sys_mint(&mut self, &[slot, badge, rights, ..]: &Words) -> Result<Done, Errno> {
        let endpoint = self.endpoint(slot, Rights::MINT)?;
        let rights = u8::try_from(rights).ok().and_then(Rights::from_bits).ok_or(Errno::EINVAL)?;
        let quota = self.spaces[self.current_space()].quota;
        let at = self.create_connection(quota, (endpoint, badge))?;
        let installed = self.install_anywhere(Core::connection_handle(at, rights & (Rights::CALL | Rights::NOTIFY)));
        if installed.is_err() {
            self.free_connection(at);
        }
        installed.map(Done::Value)
    }

    /// `revoke`: a few connections at a time; rdx says from where on.
    pub(super) fn sys_revoke(&mut self, &[slot, badge, from, ..]: &Words) -> Result<Done, Errno> {
        let endpoint: Ref<Endpoint> = self.object(slot, kind::ENDPOINT, Rights::MINT)?;
        let mut cursor = Cursor(from as u32);
        if !self.revoke_step(endpoint, badge, &mut cursor) {
            return Ok(Done::Value(0));
        }
        self.thread().frame.args[2] = cursor.0.into();
        Ok(Done::Again)
    }
}
