//! Memory of the core: frames, and the typed tables that kernel objects live in.

pub mod frames;
pub mod list;
pub mod scan;
pub mod slab;
pub mod window;

pub use frames::{DIRECT, ENTRIES, Frames, Phys};
pub use list::List;
pub use scan::Cursor;
pub use slab::{Object, Ref, Slab, Slot};
pub use window::Window;
