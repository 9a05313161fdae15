//! What the core left for init, taken over.

use alloc::vec::Vec;
use core::ptr;

use parley_abi::boot::{INFO_AT, Info, MAGIC};
use parley_abi::call::Rights;
use parley_abi::slot;
use parley_rt::sys;

use crate::archive::Archive;
use crate::cmdline;
use crate::console::shut_down;

/// The page that the core mapped. Panics, which the core reports, if it is another version's.
pub fn info() -> &'static Info {
    let info = ptr::with_exposed_provenance::<Info>(INFO_AT as usize);
    // SAFETY: the core maps an `Info` there, readable, before init's first instruction, and never
    // changes it; the assertion catches a core of another version.
    let info = unsafe { &*info };
    assert_eq!(info.magic, MAGIC, "init and the core are of different versions");
    info
}

/// The kernel command line; empty if it is not UTF-8.
fn line(info: &Info) -> &str {
    let bytes = info.cmdline.get(..info.cmdline_len as usize).unwrap_or_default();
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// The program that the command line names, as an argument block. A line that makes no sense shuts the
/// machine down.
pub fn program(info: &Info) -> Option<Vec<u8>> {
    cmdline::program(line(info)).unwrap_or_else(|errno| {
        shut_down(format_args!("kernel command line, words after `--`: {errno}"));
    })
}

/// Whether a person at the console reads the kernel log there.
pub fn log_is_on_console(info: &Info) -> bool {
    cmdline::log_is_on_console(line(info))
}

/// Whether the program that init starts may have interrupts and ports.
pub fn grants_hardware(info: &Info) -> bool {
    cmdline::grants_hardware(line(info))
}

/// Whether services are asked whether they are there.
pub fn has_heartbeats(info: &Info) -> bool {
    cmdline::has_heartbeats(line(info))
}

/// The boot archive. Without one there is nothing to run, so the machine is shut down.
pub fn archive(info: &Info) -> Archive<'static> {
    let bytes = match parley_rt::map_archive(info.archive_len) {
        Ok(bytes) => bytes,
        Err(errno) => shut_down(format_args!("boot archive: cannot be mapped: {errno}")),
    };
    match Archive::new(bytes) {
        Ok(archive) => archive,
        Err(error) => shut_down(format_args!(
            "boot archive: {} bytes, not a ustar archive or a damaged one: {error:?}; build the image again",
            bytes.len()
        )),
    }
}

/// Makes the endpoint where requests and faults of all other processes arrive.
pub fn own_endpoint() {
    let made = sys::endpoint_create(slot::QUOTA).and_then(|endpoint| {
        let rights = Rights::RECEIVE.union(Rights::MINT).union(Rights::NOTIFY);
        let copied = sys::handle_copy(endpoint, u64::from(slot::ENDPOINT), rights);
        sys::handle_drop(endpoint)?;
        copied
    });
    if let Err(errno) = made {
        shut_down(format_args!("cannot make an endpoint: {errno}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::boot::CMDLINE_MAX;

    fn with(text: &[u8], length: u64) -> Info {
        let mut info = Info {
            magic: MAGIC,
            tsc_hz: 0,
            tsc_start: 0,
            archive_len: 0,
            pm_timer: 0,
            resident: 0,
            kernel: [0; 16],
            cmdline_len: length,
            cmdline: [0; CMDLINE_MAX],
        };
        info.cmdline[..text.len()].copy_from_slice(text);
        info
    }

    #[test]
    fn the_command_line_is_what_its_length_says() {
        assert_eq!(line(&with(b"a -- b", 6)), "a -- b");
        assert_eq!(line(&with(b"a", 1 << 40)), "");
        assert_eq!(line(&with(&[0xff], 1)), "");
    }
}
