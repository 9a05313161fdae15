//! KVM or TCG: decided by the processor, because a device node alone proves nothing.
//!
//! A machine can have a /dev/kvm that opens and then runs nothing (nested containers, shims).
//! So KVM is taken only when /proc/cpuinfo says vmx or svm and the device opens as well.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Read;

use clap::ValueEnum;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// `--accel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AccelChoice {
    /// KVM where it really works, else TCG.
    #[default]
    Auto,
    /// Hardware virtualisation, whatever the checks say.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl AccelChoice {
    /// The accelerator to use on this machine.
    pub fn resolve(self) -> Accel {
        match self {
            AccelChoice::Kvm => Accel::Kvm,
            AccelChoice::Tcg => Accel::Tcg,
            AccelChoice::Auto => probe().0,
        }
    }
}

/// The accelerator this machine offers, and why.
pub fn probe() -> (Accel, String) {
    let mut cpuinfo = String::new();
    let read = File::open("/proc/cpuinfo").and_then(|mut file| file.read_to_string(&mut cpuinfo));
    let opens = || OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop);
    decide(read.is_ok() && has_virtualisation(&cpuinfo), opens)
}

fn decide(cpu: bool, open_kvm: impl Fn() -> std::io::Result<()>) -> (Accel, String) {
    if !cpu {
        return (Accel::Tcg, "/proc/cpuinfo shows neither vmx nor svm".to_owned());
    }
    match open_kvm() {
        Ok(()) => (Accel::Kvm, "the processor has vmx or svm and /dev/kvm opens".to_owned()),
        Err(error) => (Accel::Tcg, format!("/dev/kvm does not open: {error}")),
    }
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.flat_map(str::split_whitespace).any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_node_without_the_processor_flag_is_not_believed() {
        assert_eq!(decide(false, || Ok(())).0, Accel::Tcg);
        assert_eq!(decide(true, || Ok(())).0, Accel::Kvm);
        assert_eq!(decide(true, || Err(std::io::ErrorKind::PermissionDenied.into())).0, Accel::Tcg);
    }

    #[test]
    fn flags_are_whole_words() {
        assert!(has_virtualisation("model: x\nflags\t\t: fpu vmx sse\n"));
        assert!(!has_virtualisation("flags\t\t: fpu novmx\nmodel name: svm\n"));
    }
}
