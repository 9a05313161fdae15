//! `doctor`: what this machine has, what it lacks, and what that means.

use anyhow::Result;
use clap::Args;
use comfy_table::{Table, presets};

use crate::limine::{Limine, fetch};
use crate::qemu::probe;
use crate::setup::{Need, toolchain};
use crate::workspace::Workspace;

/// Show what is there, what is missing, and which accelerator is used and why
#[derive(Args)]
pub struct Doctor {}

impl Doctor {
    /// 0 when everything that `compare` needs is there; nothing is installed.
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["what", "state", "for"]);
        for [what, state, purpose] in rust_lines() {
            table.add_row([what, state, purpose]);
        }
        for need in Need::ALL {
            table.add_row([need.package().to_owned(), state(need), need.purpose().to_owned()]);
        }
        table.add_row(["limine".to_owned(), limine(&workspace), "booting as on real machines".to_owned()]);
        println!("{table}");
        let (accel, why) = probe();
        println!("accelerator: {accel}, because {why}; compare always counts instructions under tcg");
        let essential = [Need::Qemu, Need::Gcc, Need::Binutils];
        let ready = essential.iter().all(|need| need.locate().is_some()) && core_state().is_some();
        println!("{}", if ready { "ready for `cargo xtask compare`" } else { "not ready for `cargo xtask compare`" });
        Ok(u8::from(!ready))
    }
}

fn rust_lines() -> [[String; 3]; 2] {
    let rustc = toolchain::version().unwrap_or_else(|_| missing("rustc"));
    let core = core_state().unwrap_or_else(|| format!("missing; rustup target add {}", toolchain::TARGET));
    [
        ["rustc".to_owned(), rustc, "everything".to_owned()],
        [toolchain::TARGET.to_owned(), core, "kernels, servers, programs".to_owned()],
    ]
}

fn core_state() -> Option<String> {
    if toolchain::target_is_installed() {
        return Some("installed".to_owned());
    }
    toolchain::library_source().map(|source| format!("built from {}", source.display()))
}

fn state(need: Need) -> String {
    need.locate().map_or_else(|| missing(need.package()), |path| path.display().to_string())
}

fn missing(package: &str) -> String {
    format!("missing; apt install {package}")
}

fn limine(workspace: &Workspace) -> String {
    match Limine::local(workspace) {
        Ok(Some(limine)) => format!("{} ({})", limine.folder.display(), limine.source),
        Ok(None) => format!("not here; {} is fetched when needed", fetch::TAG),
        Err(error) => format!("{error:#}"),
    }
}
