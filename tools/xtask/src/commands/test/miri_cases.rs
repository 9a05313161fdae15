//! Miri: host tests interpreted, so that undefined behaviour is an error and not luck.
//!
//! The packages are those with `unsafe` code that is not assembly, and what speaks to them. Of a property
//! test one case is run: Miri is a thousand times slower than the processor, and looks at each access and
//! not at results.

use std::time::Duration;

use super::host_cases::check_within;
use super::{Case, Verdict};
use crate::setup::nightly;
use crate::workspace::Workspace;

const PACKAGES: [&str; 8] = [
    "parley-abi",
    "parley-proto",
    "parley-loopback",
    "parley-posix",
    "parley-rt",
    "parley-core",
    "server-proc",
    "server-ping",
];

/// With what has to be compiled first.
const LIMIT: Duration = Duration::from_secs(4 * 60);

/// One for each package.
pub fn cases() -> Vec<Case<Workspace>> {
    PACKAGES.map(|package| Case::one(format!("miri/{package}"), move |w: &Workspace| run(w, package))).into()
}

fn run(workspace: &Workspace, package: &str) -> Verdict {
    if let Err(why) = nightly::miri() {
        return Verdict::Skipped(why.to_owned());
    }
    let mut cargo = nightly::cargo();
    cargo.current_dir(&workspace.root);
    cargo.args(["miri", "test", "--lib", "--no-fail-fast", "-p", package, "--target-dir"]);
    cargo.arg(workspace.target.join("miri"));
    cargo.env("MIRIFLAGS", flags(package));
    cargo.envs([("PROPTEST_CASES", "1"), ("PROPTEST_RNG_SEED", "1"), ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")]);
    check_within(&mut cargo, LIMIT).into()
}

/// proptest reads its environment, and in a system's interfaces addresses are integers. The core makes each
/// pointer from one: rules of aliasing then say nothing and take minutes. Its tests leak their frames.
fn flags(package: &str) -> &'static str {
    match package {
        "parley-core" => {
            "-Zmiri-disable-isolation -Zmiri-permissive-provenance -Zmiri-disable-stacked-borrows -Zmiri-ignore-leaks"
        }
        _ => "-Zmiri-disable-isolation -Zmiri-permissive-provenance",
    }
}
