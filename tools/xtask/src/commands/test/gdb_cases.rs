//! `cargo xtask gdb`, without a person: it stops at the core's entry, knows its functions, and those of a server.

use anyhow::{Result, ensure};

use super::{Case, Verdict};
use crate::commands::gdb::Gdb;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::setup::{self, Need};

pub fn case(kernel: Kernel) -> Case<Rig> {
    Case::one(format!("{kernel}/gdb"), move |rig: &Rig| match setup::try_ensure(&[Need::Gdb]) {
        true => check(rig, kernel).into(),
        false => Verdict::Skipped("gdb is not here".into()),
    })
}

fn check(rig: &Rig, kernel: Kernel) -> Result<()> {
    let said = Gdb::batch(rig, kernel, &["continue", "backtrace", "only vfs", "info functions serve_durable"])?;
    for wanted in ["start () at microkernel/core/src/boot/mod.rs", "serve_durable<server_vfs::"] {
        ensure!(said.contains(wanted), "no `{wanted}` in what gdb says:\n{said}");
    }
    ensure!(!said.contains("serve_durable<ktest_"), "`only vfs` keeps other programs:\n{said}");
    Ok(())
}
