//! The table of the core's own system calls.
//!
//! Numbers start at [`FIRST`]; below lie the POSIX numbers, whose meaning is a process's call table
//! ([`crate::row`]). Every call returns a value or a negated [`crate::Errno`] in rax and, unless said
//! otherwise, changes no other register but rcx and r11. Long ones (`check`, `map`, `mem_read`, `mem_write`, `revoke`,
//! `table_create`) are made again until they are done, and count their arguments on meanwhile. Arguments: `handle` in
//! rdi, then rsi, rdx, r10, r8, r9. Common errors: EBADF (no such handle, or not of the kind), EPERM (the
//! handle lacks the right), EINVAL (an argument is out of range), ENOMEM (the quota is used up), EFAULT (a
//! pointer is not mapped as it needs to be).

/// First number of the core's own calls.
pub const FIRST: u16 = 0x1000;

macro_rules! calls {
    ($($(#[doc = $doc:literal])* $name:ident = $offset:literal $text:literal),* $(,)?) => {
        $($(#[doc = $doc])* pub const $name: u16 = FIRST + $offset;)*
        /// Number and name of each call, for traces and for the reference page.
        pub const TABLE: &[(u16, &str)] = &[$(($name, $text)),*];
    };
}

calls! {
    /// Does nothing and returns 0: what entering and leaving ring 0 costs.
    NULL = 0 "null",
    /// Send a request and wait for its reply. See [`crate::msg`]. rdi: connection. Errors: EBADF,
    /// EINVAL (flags), EDEADLK (the caller would wait for itself), ETIMEDOUT, ESTALE (the server's
    /// endpoint is gone), EMFILE and ENOMEM (with ACCEPT_HANDLE).
    CALL = 1 "call",
    /// Answer token r13 (if not 0) and receive the next event on endpoint rdi. A reply that is stale is
    /// dropped silently unless NO_RECEIVE asks for its status: ESTALE. EFAULT (with DATA): the reply
    /// was not delivered and the token is still good.
    REPLY_RECV = 2 "reply_recv",
    /// Hand request r13 on to connection rsi, with label (rax) and words rdx r10 r8 r9 and 0, 0; its
    /// leases stay. rdi: the endpoint that owns the token. The reply goes to the original caller.
    FORWARD = 3 "forward",
    /// Send a request without waiting: as CALL, but the answer arrives as DONE with cookie r13 on the
    /// endpoint in slot [`crate::slot::ENDPOINT`]. It lends no buffers.
    SUBMIT = 4 "submit",
    /// Set notification bits rsi of the endpoint behind rdi (endpoint, or connection with NOTIFY).
    NOTIFY = 5 "notify",
    /// Copy from lease r10 (0 or 1) of request rsi, offset r8, into the buffer rdx of r9 bytes; rdi is
    /// the endpoint that owns the token. Text stops after its NUL. Returns bytes copied: at most 32 KiB a
    /// call, otherwise fewer only where the lease ends or, after some bytes, its memory. Errors: ESTALE,
    /// EFAULT (the client's memory), EACCES (no such lease, or it is not readable), EINVAL (the own buffer).
    COPY_IN = 6 "copy_in",
    /// Copy the buffer rdx of r9 bytes to lease r10 at offset r8 of request rsi. As COPY_IN.
    COPY_OUT = 7 "copy_out",
    /// Interrupt the pending call of thread handle rdi: its server receives CANCEL. ESRCH if it does
    /// not wait, or waits for what becomes of its fault.
    CANCEL = 9 "cancel",
    /// For a new server: the first request in progress on endpoint rdi of a thread numbered rsi or higher, in the
    /// registers in which REPLY_RECV delivers a request. The next one is that of thread `token.thread() + 1`
    /// or higher. It changes nothing. ENOENT: there is none.
    REQUESTS = 10 "requests",
    /// For a new server: request rsi, in progress on endpoint rdi, is queued as if nobody had received it; if its
    /// caller was to be interrupted it ends with EINTR instead. rsi 0: connections that are closing are reported
    /// again, and submissions that were received are queued again. ESTALE.
    PUT_BACK = 11 "put_back",
    /// Make the POSIX call whose number is the label, with its arguments in rdi rsi rdx r10 r8 r9, and wait at most until
    /// deadline r14: what a POSIX call by itself, which leaves r14 alone, cannot say. Returns what that call returns.
    /// Rows that send nothing do not wait. Errors beside its own: ETIMEDOUT, ENOSYS.
    ROW = 12 "row",

    /// Drop handle rdi.
    HANDLE_DROP = 16 "handle_drop",
    /// Copy handle rdi to slot rsi of the own table (which must be free; u64::MAX: lowest free slot from
    /// [`crate::slot::FREE`]), keeping rights rdx only. Bits 8 to 15 of rdx, if they are not 0, are one more than the
    /// ceiling of a thread's handle, if that is not lower already. Returns the slot.
    HANDLE_COPY = 17 "handle_copy",
    /// Copy handle rsi to slot rdx of the table of space rdi, keeping rights r10 only: as HANDLE_COPY.
    HANDLE_GRANT = 18 "handle_grant",
    /// Move handle rsi to slot rdx of the table of space rdi, keeping rights r10 only: as HANDLE_GRANT, and the
    /// own slot is free. The only way to hand on an interrupt, of which there is one handle.
    HANDLE_MOVE = 23 "handle_move",
    /// Kind (bits 0 to 7) and rights (bits 8 to 15) of handle rdi, the object number in bits 32 to 63. Of a space, how many
    /// threads it has in bits 16 to 31, 65535 for more.
    HANDLE_INFO = 19 "handle_info",
    /// Make a connection to endpoint rdi with badge rsi and rights rdx. Returns its slot.
    MINT = 20 "mint",
    /// Close the connections of endpoint rdi that have badge rsi: calls on their handles give ESTALE. rdx: 0;
    /// it counts the connections that were looked at.
    REVOKE = 21 "revoke",

    /// Create a quota of rsi pages, taken from quota rdi. Returns its slot.
    QUOTA_CREATE = 32 "quota_create",
    /// Destroy quota rdi, everything it paid for, and every quota below it. EDEADLK: it pays for the caller.
    QUOTA_DESTROY = 33 "quota_destroy",
    /// Pages used (bits 0 to 31) and pages granted (bits 32 to 63) of quota rdi.
    QUOTA_INFO = 34 "quota_info",
    /// Create a memory object of rsi pages, paid by quota rdi. Returns its slot.
    MEM_CREATE = 35 "mem_create",
    /// Copy r10 bytes from rdx into memory object rdi at offset rsi.
    MEM_WRITE = 36 "mem_write",
    /// Copy r10 bytes from memory object rdi at offset rsi to rdx.
    MEM_READ = 37 "mem_read",
    /// Create an address space, paid by quota rdi. Returns its slot.
    SPACE_CREATE = 38 "space_create",
    /// Map r9 pages of memory object rsi, from page r8 of it, at rdx in space rdi, with protection r10
    /// ([`crate::call::prot`]). EEXIST: something is mapped there.
    MAP = 39 "map",
    /// Unmap rdx pages at rsi in space rdi. What is not mapped there is passed over.
    UNMAP = 40 "unmap",
    /// Give space rdi the call table rsi.
    SPACE_TABLE = 41 "space_table",
    /// Faults of space rdi become requests on connection rsi. The handle to the space needs WRITE beside
    /// MANAGE. The space keeps the connection open until its last thread has ended.
    SPACE_FAULTS = 42 "space_faults",
    /// Name space rdi, for people: rsi and rdx are 16 characters, padded with NUL. The handle needs WRITE
    /// beside MANAGE.
    SPACE_NAME = 52 "space_name",
    /// Make a call table of rdx rows (16 bytes each, at rsi), paid by quota rdi; r10: 0. Returns its slot.
    /// With a slot in r10 it goes on with a table that is not complete, which is how a long one is made.
    TABLE_CREATE = 43 "table_create",
    /// Create a stopped thread in space rdi, paid by quota rsi, with entry rdx, stack pointer r10,
    /// argument r8 (in rdi), priority r9 (at most the creator's). Returns its slot.
    THREAD_CREATE = 44 "thread_create",
    /// Start thread rdi.
    THREAD_START = 45 "thread_start",
    /// Stop thread rdi for good.
    THREAD_KILL = 46 "thread_kill",
    /// Set the priority of thread rdi to rsi, at most the ceiling of the handle: what its maker's priority was, unless a
    /// copy was given less. EPERM.
    THREAD_PRIORITY = 47 "thread_priority",
    /// Set the FS base of the calling thread to rdi (a user address). What a program puts there, or into the GS
    /// base, by instructions of its own is lost when another thread runs.
    SET_FS_BASE = 48 "set_fs_base",
    /// End the calling thread.
    THREAD_EXIT = 49 "thread_exit",
    /// Let other threads of the same priority run.
    YIELD = 50 "yield",
    /// Create an endpoint, paid by quota rdi. Returns its slot.
    ENDPOINT_CREATE = 51 "endpoint_create",

    /// Make an interrupt handle for global interrupt rsi with system handle rdi. EBUSY: taken.
    IRQ_CREATE = 64 "irq_create",
    /// Interrupt rdi sets notification bits rdx on endpoint rsi.
    IRQ_BIND = 65 "irq_bind",
    /// The interrupt rdi was handled: a level-triggered line is unmasked.
    IRQ_ACK = 66 "irq_ack",
    /// Grant ports rdx to rdx + r10 - 1 to space rsi, with system handle rdi. ENOSPC: no bitmap free.
    PORT_GRANT = 67 "port_grant",
    /// Write rdx bytes at rsi to the kernel log, with system handle rdi. Returns how many: at most 256.
    LOG = 68 "log",
    /// Take up to rdx bytes of the kernel log into rsi, with system handle rdi; from the first such call
    /// on, the core no longer writes to the console and sets bit [`LOG_BIT`] on endpoint r10. Returns how many;
    /// after EFAULT none are lost.
    LOG_READ = 69 "log_read",
    /// Power off (rsi = 0) or reset (rsi = 1), with system handle rdi.
    POWER = 70 "power",
    /// Nanoseconds since boot.
    CLOCK = 71 "clock",
    /// Fill the [`crate::counters::Counters`] at rdi.
    COUNTERS = 72 "counters",
    /// Describe the first thread whose number is at least rsi to the [`ThreadInfo`] at rdx, with system handle
    /// rdi. Returns the number of the next thread, 0 after the last. ESRCH: there is none.
    THREAD_INFO = 73 "thread_info",
    /// Fill the [`MemInfo`] at rsi, with system handle rdi.
    MEM_INFO = 74 "mem_info",
    /// Go on taking apart what has no handles left. Calls that drop handles continue as this one until
    /// nothing is left to do; it can also be made by itself, and then does nothing.
    REAP = 22 "reap",
    /// Verify the core's own invariants after number rsi, with system handle rdi (MANAGE). 0, or the number of the first
    /// that fails. Others run between one and the next; each looks at every object there is, and takes as long.
    CHECK = 75 "check",
    /// Switch the trace to mode rsi ([`crate::trace::mode`]), with system handle rdi (MANAGE). ENOMEM: no
    /// memory for its ring.
    TRACE = 76 "trace",
    /// Take up to rdx events ([`crate::trace::Event`]) of the trace into rsi, oldest first, with system handle
    /// rdi (MANAGE). Returns how many: at most 8; 0 when there are no more.
    TRACE_READ = 77 "trace_read",
    /// Begin to write into the kernel log, a line every millisecond, what each thread does and whom it
    /// waits for, with system handle rdi (WRITE).
    THREADS_DUMP = 78 "threads_dump",
}

/// Notification bit that tells the console driver that the kernel log has grown.
pub const LOG_BIT: u64 = 1 << 63;

bitflags::bitflags! {
    /// What a handle allows. Copies can only lose rights.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Rights: u8 {
        /// Connection: send requests.
        const CALL = 1 << 0;
        /// Connection or endpoint: set notification bits.
        const NOTIFY = 1 << 1;
        /// Endpoint: receive, answer, free connections.
        const RECEIVE = 1 << 2;
        /// Endpoint: mint and revoke connections.
        const MINT = 1 << 3;
        /// Memory: map or copy for reading. System: read information.
        const READ = 1 << 4;
        /// Memory: map or copy for writing. System: write and read the log, list all threads in it.
        const WRITE = 1 << 5;
        /// Memory: map for execution. System: power, interrupts, ports.
        const EXECUTE = 1 << 6;
        /// Space, thread, quota: change it. System: trace what everybody does, verify the core.
        const MANAGE = 1 << 7;
    }
}

/// Kinds of handles, as HANDLE_INFO reports them.
pub mod kind {
    #![allow(missing_docs)]
    pub const CONNECTION: u8 = 1;
    pub const ENDPOINT: u8 = 2;
    pub const QUOTA: u8 = 3;
    pub const MEM: u8 = 4;
    pub const SPACE: u8 = 5;
    pub const THREAD: u8 = 6;
    pub const TABLE: u8 = 7;
    pub const IRQ: u8 = 8;
    pub const SYSTEM: u8 = 9;
}

/// Protection bits of MAP. Writable and executable at once is EINVAL.
pub mod prot {
    #![allow(missing_docs)]
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 2;
    pub const EXECUTE: u64 = 4;
}

/// What THREAD_INFO tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ThreadInfo {
    /// Number of the thread.
    pub thread: u32,
    /// Number of its address space.
    pub space: u32,
    /// See [`state`].
    pub state: u32,
    /// Priority it was given, 0 (idle) to 31. While it serves a request it runs at the caller's, unless it was given 31.
    pub priority: u32,
    /// Endpoint it waits for, or u32::MAX.
    pub waits_for: u32,
    /// Pages its address space uses.
    pub pages: u32,
    /// Processor time in nanoseconds: what it needed itself, and what servers needed for its requests.
    pub cpu_time: u64,
}

/// What a thread does, in [`ThreadInfo`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum State {
    /// Not started, or stopped for good.
    #[default]
    Stopped = 0,
    /// Running, or in a ready queue.
    Ready = 1,
    /// Waits on an endpoint for an event.
    Receiving = 2,
    /// Its request is queued on an endpoint.
    Calling = 3,
    /// Its request was taken and is not yet answered.
    Awaiting = 4,
}

/// Names of the [`State`]s, by number.
pub const STATE_NAMES: [&str; 5] = ["stopped", "ready", "receiving", "calling", "waiting"];

/// What MEM_INFO tells, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct MemInfo {
    /// Pages the machine offers.
    pub total: u64,
    /// Pages nobody uses.
    pub free: u64,
    /// Pages in the core's own tables.
    pub tables: u64,
    /// Threads that exist.
    pub threads: u64,
    /// Address spaces that exist.
    pub spaces: u64,
    /// Connections that exist.
    pub connections: u64,
}

// SAFETY: six 32-bit integers.
unsafe impl crate::Plain for ThreadInfo {}
// SAFETY: six 64-bit integers.
unsafe impl crate::Plain for MemInfo {}
