//! UEFI firmware for QEMU: where distributions put OVMF.

use std::path::{Path, PathBuf};

/// Code and variable store belong together; Debian 12 and later have only the 4M pair.
const PAIRS: [(&str, &str); 5] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
];

/// The firmware's code and an empty variable store, if this machine has them.
pub fn find() -> Option<(PathBuf, PathBuf)> {
    let there = |&&(code, vars): &&(&str, &str)| Path::new(code).exists() && Path::new(vars).exists();
    PAIRS.iter().find(there).map(|&(code, vars)| (code.into(), vars.into()))
}

/// The code alone, as proof that it is there.
pub fn code() -> Option<PathBuf> {
    find().map(|(code, _)| code)
}
