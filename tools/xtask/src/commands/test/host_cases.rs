//! The host's tests: format, lints, layering, and `cargo test`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{Case, Named, Verdict, c_posix};
use crate::build::{C_SHIM, guest_packages, without_host_flags};
use crate::host;
use crate::kernel::Kernel;
use crate::setup::toolchain;
use crate::workspace::Workspace;

/// From a fresh clone each of them compiles the world once.
const LIMIT: Duration = Duration::from_secs(8 * 60);

/// What proptest's random inputs follow from: the same with each run here, others by setting it.
const SEED: &str = "PROPTEST_RNG_SEED";

/// Lines of a failed command that are shown.
const SHOWN: usize = 60;

/// All of them.
pub fn cases() -> Vec<Case<Workspace>> {
    vec![
        // -l: the names of the files are enough, `cargo fmt` mends them.
        Case::one("host/rustfmt", |w: &Workspace| lint(w, cargo(w).args(["fmt", "--all", "--check", "--", "-l"]))),
        Case::one("host/clippy", |w: &Workspace| {
            lint(w, cargo(w).args(["clippy", "--all-targets", "--", "-D", "warnings"]))
        }),
        Case::one("bare/clippy", |w: &Workspace| bare_clippy(w).into()),
        Case::one("layers/micro", |w: &Workspace| no_server_in_micro(w).into()),
        Case::several("host/cargo-test", cargo_test),
        c_posix::host_case(),
    ]
}

fn cargo(workspace: &Workspace) -> Command {
    let mut cargo = host::cargo();
    cargo.current_dir(&workspace.root);
    cargo
}

fn lint(_: &Workspace, command: &mut Command) -> Verdict {
    toolchain::ensure_lints().and_then(|()| check(command)).into()
}

fn bare_clippy(workspace: &Workspace) -> Result<()> {
    toolchain::ensure_lints()?;
    let mut clippy = cargo(workspace);
    clippy.arg("clippy");
    toolchain::ensure_core()?.apply(&mut clippy);
    for package in guest_packages(workspace, &Kernel::ALL)?.into_iter().chain([C_SHIM.to_owned()]) {
        clippy.args(["-p", &package]);
    }
    without_host_flags(&mut clippy);
    check(clippy.args(["--", "-D", "warnings"]))
}

/// The micro kernel is the core alone: this is what makes the comparison honest.
fn no_server_in_micro(workspace: &Workspace) -> Result<()> {
    let mut tree = cargo(workspace);
    tree.args(["tree", "-p", "parley-micro", "--prefix", "none", "--target", toolchain::TARGET]);
    let listed = host::output(&mut tree)?;
    let servers: Vec<_> = listed.lines().filter(|line| line.starts_with("server-")).collect();
    if !servers.is_empty() {
        bail!("`cargo tree -p parley-micro` lists {}; ring 0 of micro names no server", servers.join(", "));
    }
    Ok(())
}

fn check(command: &mut Command) -> Result<()> {
    check_within(command, LIMIT)
}

/// Fails with what the command printed when it fails, or with its name when it takes too long.
pub fn check_within(command: &mut Command, limit: Duration) -> Result<()> {
    let captured = host::capture_within(command, limit)?;
    if !captured.success {
        bail!("`{}` failed\n{}", host::line(command), last(&(captured.stdout + &captured.stderr)));
    }
    Ok(())
}

fn cargo_test(workspace: &Workspace) -> Vec<Named> {
    let mut tests = cargo(workspace);
    tests.args(["test", "--no-fail-fast"]);
    if std::env::var_os(SEED).is_none() {
        tests.env(SEED, "1");
    }
    let captured = match host::capture_within(&mut tests, LIMIT) {
        Ok(captured) => captured,
        Err(error) => return vec![("host/cargo-test".into(), Verdict::Failed(format!("{error:#}")))],
    };
    let mut results = parse(&captured.stdout);
    let explained = results.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)));
    if !captured.success && !explained {
        let shown = last(&(captured.stdout + &captured.stderr));
        results.push(("host/cargo-test".into(), Verdict::Failed(format!("`cargo test` failed\n{shown}"))));
    }
    results
}

/// The tests in the output of `cargo test`: `test NAME ... ok`.
fn parse(output: &str) -> Vec<Named> {
    let result = |line: &str| {
        let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let (verdict, rest) = verdict.split_once(", ").unwrap_or((verdict, "marked `ignore`"));
        let verdict = match verdict {
            "ok" => Verdict::Passed,
            "FAILED" => Verdict::Failed(details(output, name)),
            "ignored" => Verdict::Skipped(rest.to_owned()),
            _ => return None,
        };
        Some((format!("host/{name}"), verdict))
    };
    output.lines().filter_map(result).collect()
}

/// What a failed test printed: between `---- NAME stdout ----` and the next empty section.
fn details(output: &str, name: &str) -> String {
    let Some((_, after)) = output.split_once(&format!("---- {name} stdout ----\n")) else {
        return "no output".to_owned();
    };
    let end = after.find("\n---- ").or_else(|| after.find("\nfailures:")).unwrap_or(after.len());
    last(after[..end].trim())
}

fn last(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_lines_become_tests() {
        let output = "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, slow\n\n\
            failures:\n\n---- c stdout ----\npanicked at x.rs:1\nleft: 1\n\nfailures:\n    c\n\n\
            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured\n";
        let expected = [
            ("host/a::b".to_owned(), Verdict::Passed),
            ("host/c".to_owned(), Verdict::Failed("panicked at x.rs:1\nleft: 1".to_owned())),
            ("host/d".to_owned(), Verdict::Skipped("slow".to_owned())),
        ];
        assert_eq!(parse(output), expected);
    }
}
