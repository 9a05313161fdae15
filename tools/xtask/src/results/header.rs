//! Under what conditions the figures were measured: without them they mean nothing.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;

use crate::host;
use crate::kernel::Kernel;
use crate::qemu::{Accel, DETERMINISTIC};
use crate::setup::{qemu_program, toolchain};
use crate::workspace::Workspace;

/// The operations every kernel must have figures for; the benchmark may have more.
const PROMISED: [&str; 21] = [
    "null_syscall",
    "unknown_syscall",
    "ipc_round_trip_0",
    "ipc_round_trip_2",
    "ipc_round_trip_6",
    "getpid",
    "clock_gettime",
    "gettimeofday",
    "read_zero_1",
    "read_zero_4096",
    "write_null_1",
    "write_null_4096",
    "pread_file_1",
    "pread_file_4096",
    "pwrite_file_1",
    "pwrite_file_4096",
    "lseek",
    "open_close",
    "stat",
    "dup_close",
    "console_write_1",
];

/// The header of results.json and results.md.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Header {
    /// First line of QEMU's version.
    pub qemu_version: String,
    /// What the guest sees, and on what.
    pub cpu_model: String,
    /// `tcg` or `kvm`.
    pub accelerator: String,
    /// Commit measured, with `-dirty` when the tree differed from it.
    pub git_revision: String,
    /// What the figures count: executed guest instructions, or processor cycles under KVM.
    pub unit: String,
    /// QEMU's flags that make a run repeatable.
    pub flags: String,
    /// UTC.
    pub date: String,
    /// The compiler of everything measured.
    pub rustc: String,
    /// Instructions from reset to the benchmark's start, by kernel.
    pub boot_instructions: BTreeMap<String, u64>,
}

/// How the machines are set for measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What executes the instructions.
    pub accel: Accel,
    /// Whether they are counted.
    pub deterministic: bool,
}

impl Setting {
    /// What the time-stamp counter counts: an instruction is never called a cycle.
    pub fn unit(self) -> &'static str {
        match self {
            Setting { deterministic: true, .. } => "instructions",
            Setting { accel: Accel::Kvm, .. } => "cycles",
            Setting { accel: Accel::Tcg, .. } => "ticks",
        }
    }
}

impl Header {
    /// The conditions on this machine, now.
    pub fn collect(workspace: &Workspace, setting: Setting) -> Result<Header> {
        let version = host::output(Command::new(qemu_program()).arg("--version"))?;
        Ok(Header {
            qemu_version: version.lines().next().unwrap_or_default().to_owned(),
            cpu_model: cpu_model(setting.accel),
            accelerator: setting.accel.to_string(),
            git_revision: git_revision(workspace),
            unit: setting.unit().to_owned(),
            flags: if setting.deterministic { DETERMINISTIC.join(" ") } else { String::new() },
            date: date(SystemTime::now()),
            rustc: toolchain::version()?,
            boot_instructions: BTreeMap::new(),
        })
    }

    /// How much each kernel executed before the benchmark began.
    pub fn boots(&self) -> String {
        let boot = |kernel: Kernel| Some(format!("{kernel} {}", self.boot_instructions.get(kernel.name())?));
        Kernel::ALL.into_iter().filter_map(boot).collect::<Vec<_>>().join(", ")
    }

    /// Names and values, for the Markdown report.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("QEMU", self.qemu_version.clone()),
            ("CPU", self.cpu_model.clone()),
            ("accelerator", self.accelerator.clone()),
            ("flags", self.flags.clone()),
            ("unit", self.unit.clone()),
            ("revision", self.git_revision.clone()),
            ("compiler", self.rustc.clone()),
            ("boot, instructions", self.boots()),
            ("date", self.date.clone()),
        ]
    }
}

/// The operations the table always has.
pub fn promised_rows() -> &'static [&'static str] {
    &PROMISED
}

fn cpu_model(accel: Accel) -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let host = model.map_or("unknown", |(_, model)| model.trim());
    match accel {
        Accel::Kvm => host.to_owned(),
        Accel::Tcg => format!("QEMU max, translated (host: {host})"),
    }
}

/// The commit of the tree, with `-dirty` when it differs from it.
pub fn git_revision(workspace: &Workspace) -> String {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root).args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
    host::output(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// ISO 8601 in UTC, to the second.
fn date(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days since 1970, by Howard Hinnant's `civil_from_days`
/// (years begin in March there, so that the leap day is the last).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_right_around_leap_days() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
    }

    #[test]
    fn only_counted_instructions_are_called_so() {
        let unit = |accel, deterministic| Setting { accel, deterministic }.unit();
        assert_eq!(unit(Accel::Tcg, true), "instructions");
        assert_eq!(unit(Accel::Kvm, false), "cycles");
        assert_eq!(unit(Accel::Tcg, false), "ticks");
    }
}
