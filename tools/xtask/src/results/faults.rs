//! How often a fault in a service takes the machine down, by where the service lives.
//!
//! Measured by `cargo xtask torture --kind resident`, which takes minutes, and kept in `tests/torture/results.json`.

use crate::kernel::Kernel;
use crate::torture::{Fault, Kind, Run};

/// Head and lines of the table, and how its figures came about. `None`: there are none.
pub fn table(runs: &[Run]) -> Option<(Vec<Vec<String>>, String)> {
    let run = |kernel: Kernel| runs.iter().find(|run| (run.kind, run.kernel) == (Kind::Resident, kernel));
    let cell = |kernel: Kernel, fault: Fault| {
        let Some(Run { counts, .. }) = run(kernel) else { return "-".to_owned() };
        match counts.get(&fault.machines()) {
            0 => "-".to_owned(),
            machines => format!("{} of {machines} ({})", counts.get(&fault.down()), counts.get(&fault.to_string())),
        }
    };
    let head = ["fault", "micro", "hybrid", "mono"].map(str::to_owned).to_vec();
    let line = |fault: Fault| [fault.to_string()].into_iter().chain(Kernel::ALL.map(|kernel| cell(kernel, fault)));
    let lines = Fault::ALL.into_iter().map(|fault| line(fault).collect());
    let sources = Kernel::ALL.into_iter().filter_map(run).map(|run| format!("`{}` at {}", run.command, run.commit));
    let sources = sources.collect::<Vec<_>>();
    let legend = format!(
        "Machines taken down by faults in a service, of how many, and in brackets the faults that these had\n\
         (exceptions, or bits). Measured by:\n{}\n",
        sources.join("\n")
    );
    (!sources.is_empty()).then(|| (std::iter::once(head).chain(lines).collect(), legend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_counts_under_its_fault() {
        let fault = Fault { flips: false, ring: 0 };
        let mut run = Run { command: "the command".into(), ..Run::new(Kind::Resident, Kernel::Mono, "abc") };
        run.counts.add(fault.machines(), 30);
        run.counts.add(fault.down(), 29);
        run.counts.add(fault.to_string(), 31);
        let (lines, legend) = table(&[run]).unwrap();
        assert_eq!(lines[2], ["exceptions in ring 0", "-", "-", "29 of 30 (31)"]);
        assert_eq!(lines[1][3], "-");
        assert!(legend.ends_with("`the command` at abc\n"), "{legend}");
        assert_eq!(table(&[]), None);
    }
}
