//! Memory of the core: frames, and the typed tables that kernel objects live in.

pub mod frames;
pub mod scan;
pub mod slab;
pub mod window;
