//! `fuzz --host`: the parsers under libFuzzer, which looks for input that takes new paths.
//!
//! The properties are those of `tests/parsers`, which every `cargo test` tries on random input. What the
//! fuzzer finds worth keeping stays in the target folder, where the next run begins.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::host;
use crate::setup::nightly;
use crate::workspace::Workspace;

/// Where the programs are, from the top of the tree.
const PROGRAMS: &str = "tests/parsers/fuzz";

/// Every parser, by `--host` without a name.
pub const ALL: &str = "all";

/// Fuzzes `target`, or each in turn, for `seconds`. 1 if a property broke; how to see it again is printed.
pub fn run(workspace: &Workspace, target: &str, seconds: u64, seed: u64) -> Result<u8> {
    nightly::fuzz().map_err(|why| anyhow::anyhow!("fuzzing on the host {why}"))?;
    let folder = workspace.folder("fuzz")?;
    let names = seeds(workspace, &folder.join("corpus"))?;
    let chosen: Vec<_> = names.iter().filter(|name| target == ALL || *name == target).collect();
    ensure!(!chosen.is_empty(), "no parser is called `{target}`; there are {}", names.join(", "));
    let mut failed = 0;
    for name in chosen {
        println!("--- {name}");
        if let Err(error) = fuzz(workspace, &folder, name, seconds, seed) {
            failed = 1;
            println!("FAIL {name}: {error:#}");
        }
    }
    Ok(failed)
}

/// Writes the sample of each property where its fuzzer begins, and returns the names.
fn seeds(workspace: &Workspace, corpus: &Path) -> Result<Vec<String>> {
    let mut cargo = host::cargo();
    cargo.current_dir(&workspace.root);
    cargo.args(["run", "--quiet", "-p", "parsers", "--example", "seeds", "--"]).arg(corpus);
    Ok(host::output(&mut cargo)?.lines().map(str::to_owned).collect())
}

fn fuzz(workspace: &Workspace, folder: &Path, name: &str, seconds: u64, seed: u64) -> Result<()> {
    let mut cargo = nightly::cargo();
    cargo.current_dir(&workspace.root);
    cargo.args(["fuzz", "run", "--fuzz-dir", PROGRAMS, "--target-dir"]).arg(folder).arg(name);
    cargo.arg(folder.join("corpus").join(name)).arg("--");
    cargo.args([format!("-max_total_time={seconds}"), format!("-seed={seed}"), "-print_final_stats=1".into()]);
    cargo.arg(format!("-artifact_prefix={}/{name}-", folder.display()));
    let status = cargo.status().with_context(|| format!("cannot start `{}`", host::line(&cargo)))?;
    if !status.success() {
        bail!("the input that did it is in {}; give its path after `{name}` to see it again", folder.display());
    }
    Ok(())
}
