//! What init tells about processes and services.

use crate::linux::Plain;

/// What `init::process` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// Number of its address space, as in `ThreadInfo`.
    pub space: u32,
    /// Unused, 0.
    pub pad: u32,
    /// File name of the program, padded with NUL.
    pub name: [[u8; 16]; 2],
}

/// What `init::service` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ServiceInfo {
    /// Name, padded with NUL.
    pub name: [u8; 16],
    /// 1 if it is resident in ring 0, 0 if it is a process.
    pub resident: u32,
    /// Its process id, if it is a process.
    pub pid: u32,
    /// 0 stopped, 1 running, 2 failed, 3 a driver that is unloaded as soon as nobody has it open any more.
    pub state: u32,
    /// Which instance of it runs or ran last, from 1 on; 0 for a resident one.
    pub generation: u32,
    /// When that instance was started, in nanoseconds since boot.
    pub since: u64,
    /// How the instance before ended: an exit status, 256 + the vector of the exception that killed it, or one of
    /// [`reason`].
    pub reason: u32,
    /// How often it was started again after a death that nobody had asked for.
    pub restarts: u32,
    /// Number of the address space of the instance, as in `ThreadInfo`.
    pub space: u32,
    /// Number of its endpoint, as in `ThreadInfo`.
    pub endpoint: u32,
    /// Pages it uses, and may use.
    pub pages: u32,
    /// See [`ServiceInfo::pages`].
    pub pages_granted: u32,
    /// 1 if the caller may change it, 0 if not.
    pub may_control: u32,
    /// 1 if it is a driver that is loaded and unloaded, 0 if it runs from boot on.
    pub loadable: u32,
    /// Requests that the instance had served at its last heartbeat.
    pub served: u64,
    /// Checksum of its program.
    pub checksum: u32,
    /// The service has answered since it was started.
    pub ready: u32,
    /// Memory that init holds on to for a while: bits of [`kept`].
    pub kept: u32,
    /// Bytes of memory that init holds for its state; 0: it keeps none.
    pub state_granted: u32,
    /// Bytes of that which records and checkpoints take.
    pub state_records: u32,
    /// Bytes of that which the contents of files take.
    pub state_contents: u32,
    /// Bytes of that which the undo log has taken at the most.
    pub state_log: u32,
    /// Unused, 0.
    pub pad: u32,
}

/// What init gives back by itself in time, for [`ServiceInfo::kept`].
pub mod kept {
    /// The program before the last swap, or what was copied of the state then: the new one may still fail.
    pub const FORMER: u32 = 1;
    /// A program that is being read for a swap.
    pub const NEXT: u32 = 2;
    /// Instances, of this service or another, that are dead and not yet taken apart.
    pub const DEAD: u32 = 4;
}

/// Ends of an instance that are neither an exit status nor an exception, for [`ServiceInfo::reason`].
pub mod reason {
    /// It did not answer.
    pub const HUNG: u32 = 1024;
    /// Its memory was nearly used up.
    pub const OVERRUN: u32 = 1025;
    /// It panicked.
    pub const PANICKED: u32 = 1026;
    /// It answered nobody, or copied from a buffer that no request has.
    pub const VIOLATION: u32 = 1027;
}

/// What `init::report` tells, as text.
pub mod topic {
    /// What has happened to the service, line by line.
    pub const LOG: u32 = 0;
    /// What its last instance died of, with a backtrace.
    pub const DEATH: u32 = 1;
    /// What the manifest says of it.
    pub const POLICY: u32 = 2;
}

/// What `init::control` can do to a service.
pub mod verb {
    /// End it; callers wait until it is started again.
    pub const STOP: u32 = 0;
    /// Start it.
    pub const START: u32 = 1;
    /// End it if it runs, and start it.
    pub const RESTART: u32 = 2;
    /// End it as a fault would, without a word to it, and start it. The restart policy does not count that.
    pub const KILL: u32 = 3;
    /// Have it run in circles and answer nobody, to see what happens.
    pub const HANG: u32 = 4;
    /// End a driver that nobody uses; its devices are gone. EBUSY: somebody does.
    pub const UNLOAD: u32 = 5;
    /// As UNLOAD, whoever uses it: requests in progress end with EIO, later ones with ENXIO.
    pub const FORCE: u32 = 6;
    /// Have it wait for what never comes, and answer nobody.
    pub const STALL: u32 = 7;
}

// SAFETY: 32-bit integers and bytes, 48 bytes, no padding.
unsafe impl Plain for ProcessInfo {}
// SAFETY: bytes and integers, 112 bytes, no padding.
unsafe impl Plain for ServiceInfo {}

const _: () = assert!(size_of::<ProcessInfo>() == 48 && size_of::<ServiceInfo>() == 112);
