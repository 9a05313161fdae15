//! The manifest in the boot archive: what each service gets and how it is supervised.
//!
//! People write `init/services.toml`; the build checks it. Here it is read once and kept for ever.

use alloc::boxed::Box;

use parley_abi::call::Rights;
use parley_manifest::{Damage, Manifest, PATH};

pub use parley_manifest::{Entry, From, Overrun, Start, Then};

use crate::archive::Archive;
use crate::console::shut_down;

/// Pages that pay for what outlives the instances of a service: its endpoint, and news for it.
pub const BASE_PAGES: u64 = 64;
/// Rights of programs to the system object: `ps`, `mem` and the counters.
pub const PROGRAM_SYSTEM: Rights = Rights::READ;
/// Rights of what init itself starts for a person, the shell: the trace as well.
pub const PERSON_SYSTEM: Rights = Rights::READ.union(Rights::MANAGE);

/// The manifest. Without one init knows nobody to start, so the machine is shut down. Without `heartbeats` nobody is
/// asked whether he is there.
pub fn of(archive: &Archive<'_>, heartbeats: bool) -> &'static Manifest {
    let Some(file) = archive.find(PATH) else {
        shut_down(format_args!("boot archive: no {PATH}; build the image again with cargo xtask"));
    };
    let mut manifest = match Manifest::decode(file) {
        Ok(manifest) => manifest,
        Err(Damage::NoManifest) => shut_down(format_args!(
            "boot archive: {PATH} is no manifest of this version ({} bytes); build the image again",
            file.len()
        )),
        Err(Damage::Checksum) => shut_down(format_args!(
            "boot archive: {PATH} is damaged: its checksum is wrong ({} bytes); build the image again",
            file.len()
        )),
    };
    if let Err(wrong) = manifest.check() {
        shut_down(format_args!("boot archive: {PATH}: {} {}; build the image again", wrong.key, wrong.what));
    }
    if !heartbeats {
        manifest.services.iter_mut().for_each(|entry| entry.heartbeat = 0);
    }
    Box::leak(Box::new(manifest))
}
