//! What the core's trace records: one event, 32 bytes, each time somebody enters or leaves ring 0.
//!
//! The ring holds the last [`EVENTS`] of them; [`crate::call::TRACE`] switches it on, and
//! [`crate::call::TRACE_READ`] reads it, oldest first.

/// Events that the ring holds.
pub const EVENTS: usize = 2048;

/// [`Event::thread`] of an event while nobody runs.
pub const NOBODY: u32 = u32::MAX;

/// One event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Event {
    /// When, in nanoseconds since boot.
    pub time: u64,
    /// Whose: number of the thread, or [`NOBODY`].
    pub thread: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// What [`kind`] says.
    pub words: [u64; 2],
}

/// Kinds of events, with their two words.
pub mod kind {
    /// Older events were overwritten before they were read. Words: how many; 0.
    pub const LOST: u32 = 0;
    /// A system call. Words: rax (number, flags, label); rdi.
    pub const CALL: u32 = 1;
    /// The thread leaves ring 0 after a system call, its own or one it made long ago. Words: rax; r13, the token
    /// if it received a request.
    pub const RETURN: u32 = 2;
    /// The call was a request. Words: label (bits 0 to 31) and number of the endpoint (bits 32 to 63); badge.
    pub const MESSAGE: u32 = 3;
    /// The call answers a request. Words: its token; the first word of the answer.
    pub const REPLY: u32 = 4;
    /// Another thread goes on: the event's own. Words: who ran before; 0.
    pub const SWITCH: u32 = 5;
    /// An exception in ring 3. Words: vector (bits 0 to 7) and error code (from bit 32 on); rip.
    pub const FAULT: u32 = 6;
    /// An interrupt. Words: vector; 0.
    pub const INTERRUPT: u32 = 7;
    /// Names of the kinds, for traces.
    pub const NAMES: [&str; 8] = ["lost", "call", "return", "message", "reply", "switch", "fault", "interrupt"];
}

/// First argument of [`crate::call::TRACE`].
pub mod mode {
    /// Stop, and give the ring's memory back.
    pub const OFF: u64 = 0;
    /// Begin with an empty ring.
    pub const ON: u64 = 1;
    /// Stop, and keep what was recorded.
    pub const PAUSE: u64 = 2;
}

// SAFETY: integers without padding.
unsafe impl crate::Plain for Event {}
