//! Kernel objects, a file for each: what a handle can lead to.

pub mod connection;
pub mod doomed;
pub mod endpoint;
pub mod handle;
pub mod irq;
pub mod memory;
pub mod quota;
pub mod region;
pub mod space;
pub mod submission;
pub mod table;
pub mod thread;

pub use connection::{Address, Connection};
pub use endpoint::{BUSY, Binding, CROWDED, Endpoint, Event, RESIDENT};
pub use handle::{Handle, Handles, NOTHING, PER_PAGE, RESERVED};
pub use irq::Irq;
pub use memory::Memory;
pub use quota::Quota;
pub use region::Region;
pub use space::Space;
pub use submission::{SUBMITTED, Stage, Submission};
pub use table::{Packed, SEND_BIT, SEND_TO_BIT, Table};
pub use thread::{How, Kind, NewThread, State, Thread};
