//! `test`: everything that can be tested, host and QEMU, and one line that sums it up.
//!
//! A test is a [`Case`]: a name and a function. Cases whose work is one run of another test
//! program (cargo test, ktest) report each of its tests. The host's cases come first and one
//! after the other; those in QEMU run two at a time.

mod bad_boot;
mod bench_cases;
mod c_posix;
mod exec_cases;
mod fuzz_cases;
mod gdb_cases;
mod host_cases;
mod image_cases;
mod ktest;
mod miri_cases;
mod model_cases;
mod policies;
mod report;
mod ring0;
mod sessions;
mod short_cuts;
mod torture_cases;

use anyhow::Result;
use clap::Args;

use crate::boot::Loader;
use crate::build::Guest;
use crate::commands::size::{check_lines, check_text};
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::limine::Limine;
use crate::parallel;
use crate::session::Script;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use report::Report;

/// Run all tests, on the host and in QEMU
///
/// One line for each test as it finishes; details of the failures at the end; the last line is
/// `N passed, N failed` (and `, N skipped` when a test could not run here).
#[derive(Args)]
pub struct Test {
    /// Only tests whose name contains this
    #[arg(long, value_name = "SUBSTRING")]
    filter: Option<String>,
    /// Print the names and run nothing
    #[arg(long)]
    list: bool,
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not so, and why.
    Failed(String),
    /// It could not be tried here, and why.
    Skipped(String),
}

impl From<Result<()>> for Verdict {
    fn from(result: Result<()>) -> Verdict {
        result.map_or_else(|error| Verdict::Failed(format!("{error:#}")), |()| Verdict::Passed)
    }
}

/// A named verdict.
pub type Named = (String, Verdict);

type Work<T> = Box<dyn Fn(&T) -> Vec<Named> + Send + Sync>;

/// A test, working on `T`: the tree for the host's, the built guest for those in QEMU.
pub struct Case<T> {
    name: String,
    /// It reports tests of its own, which `--filter` may name.
    several: bool,
    /// It boots through Limine.
    needs_limine: bool,
    work: Work<T>,
}

impl<T: 'static> Case<T> {
    /// One test.
    pub fn one(name: impl Into<String>, work: impl Fn(&T) -> Verdict + Send + Sync + 'static) -> Case<T> {
        let name = name.into();
        let named = name.clone();
        Case { name, several: false, needs_limine: false, work: Box::new(move |on| vec![(named.clone(), work(on))]) }
    }

    /// A program with tests of its own.
    pub fn several(name: impl Into<String>, work: impl Fn(&T) -> Vec<Named> + Send + Sync + 'static) -> Case<T> {
        Case { name: name.into(), several: true, needs_limine: false, work: Box::new(work) }
    }

    /// The same, and only to be tried with Limine's files.
    pub fn through_limine(self) -> Case<T> {
        Case { needs_limine: true, ..self }
    }
}

impl Test {
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        let mut host = host_cases::cases();
        host.extend(miri_cases::cases());
        let mut machines = machine_cases(&workspace)?;
        let mut measuring = bench_cases::cases();
        if let Some(filter) = &self.filter {
            self.select(filter, &mut host, &mut machines, &mut measuring);
        }
        if self.list {
            host.iter().for_each(|case| println!("{}", case.name));
            machines.iter().chain(&measuring).for_each(|case| println!("{}", case.name));
            return Ok(0);
        }
        let report = Report::new(self.filter);
        for case in &host {
            report.run(case, &workspace);
        }
        if !machines.is_empty() || !measuring.is_empty() {
            let limine = machines.iter().any(|case| case.needs_limine);
            match rig(workspace, limine) {
                Ok(rig) => {
                    parallel::map(machines, |case| report.run(&case, &rig));
                    // Alone: it measures two kernels at a time by itself.
                    measuring.iter().for_each(|case| report.run(case, &rig));
                }
                Err(error) => report.add("guest/build", Verdict::Failed(format!("{error:#}"))),
            }
        }
        Ok(report.finish())
    }

    /// Keeps the cases that the filter names; when it names none, those that report several
    /// tests, one of which may be meant.
    fn select(
        &self,
        filter: &str,
        host: &mut Vec<Case<Workspace>>,
        machines: &mut Vec<Case<Rig>>,
        measuring: &mut Vec<Case<Rig>>,
    ) {
        let hit = |name: &str| name.contains(filter);
        let mut rest = machines.iter().chain(measuring.iter());
        let any = host.iter().any(|case| hit(&case.name)) || rest.any(|case| hit(&case.name));
        host.retain(|case| if any { hit(&case.name) } else { case.several });
        machines.retain(|case| if any { hit(&case.name) } else { case.several });
        measuring.retain(|case| hit(&case.name));
    }
}

fn machine_cases(workspace: &Workspace) -> Result<Vec<Case<Rig>>> {
    let scripts = Script::all(&workspace.root.join("tests/system"))?;
    let mut cases = Vec::new();
    for kernel in Kernel::ALL {
        cases.push(ktest::case(kernel));
        cases.push(ktest::leaks_case(kernel));
        cases.extend(ktest::processor_cases(kernel));
        cases.extend(ring0::cases(kernel));
        cases.push(c_posix::case(kernel));
        cases.push(fuzz_cases::case(kernel));
        cases.push(gdb_cases::case(kernel));
        cases.push(short_cuts::case(kernel));
        cases.extend(torture_cases::cases(kernel));
        cases.extend(model_cases::cases(kernel));
        cases.extend(exec_cases::cases(kernel));
        cases.extend(sessions::cases(&scripts, kernel, Loader::Direct));
        cases.extend(bad_boot::cases(kernel));
        cases.extend(image_cases::cases(kernel));
    }
    cases.extend(policies::cases());
    cases.push(short_cuts::ktest_case());
    cases.push(Case::one("micro/text", |rig: &Rig| check_text(&rig.guest).map(drop).into()));
    cases.push(Case::one("micro/lines", |rig: &Rig| check_lines(&rig.workspace).map(drop).into()));
    for loader in [Loader::LimineBios, Loader::LimineUefi] {
        for kernel in Kernel::ALL {
            cases.extend(sessions::cases(&scripts, kernel, loader));
        }
    }
    Ok(cases)
}

/// Builds the guest; Limine is taken along when tests want it and it can be had.
fn rig(workspace: Workspace, with_limine: bool) -> Result<Rig> {
    setup::ensure(&[Need::Qemu])?;
    if with_limine {
        setup::try_ensure(&[Need::Xorriso, Need::Ovmf]);
    }
    let guest = Guest::build(&workspace, &Kernel::ALL)?;
    let limine = with_limine
        .then(|| Limine::obtain(&workspace))
        .and_then(|limine| limine.inspect_err(|error| eprintln!("xtask: no Limine tests: {error:#}")).ok());
    Ok(Rig { workspace, guest, limine })
}
