//! The guest's own tests: `/bin/ktest` on each kernel, each of its tests counted.

use std::time::Duration;

use super::{Case, Named, Verdict};
use crate::guest::{Job, Outcome, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;

const PROGRAM: &str = "/bin/ktest";

/// All of them on one kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    Case::several(format!("{kernel}/ktest"), move |rig| run(rig, kernel))
}

fn run(rig: &Rig, kernel: Kernel) -> Vec<Named> {
    let outcome = Job::new(rig, kernel, &[PROGRAM]).and_then(|mut job| {
        job.timeout = Duration::from_secs(180);
        rig.run(&job, &mut std::io::sink())
    });
    match outcome {
        Ok(outcome) => judge(kernel, &outcome, || rig.explain(kernel, &outcome)),
        Err(error) => vec![(format!("{kernel}/ktest"), Verdict::Failed(format!("{error:#}")))],
    }
}

/// Each test's verdict, the log with the first that failed; one more verdict for the run itself
/// when it did not come to a good end without any test saying why.
fn judge(kernel: Kernel, outcome: &Outcome, explain: impl Fn() -> String) -> Vec<Named> {
    let output = String::from_utf8_lossy(&outcome.stdout);
    let mut results = parse(kernel, &output);
    let finished = output.lines().any(|line| line.starts_with("ktest: ")) && outcome.end == End::Orderly;
    let first_failure = results.iter_mut().find_map(|(_, verdict)| match verdict {
        Verdict::Failed(why) => Some(why),
        _ => None,
    });
    let explained = first_failure.is_some();
    if let Some(why) = first_failure {
        why.push_str(&format!("\n{}", explain()));
    }
    if !finished || results.is_empty() || (outcome.status != Some(0) && !explained) {
        results.push((format!("{kernel}/ktest"), Verdict::Failed(explain())));
    }
    results
}

/// `ok NAME`, `FAIL NAME: why`, `skip NAME: why`.
fn parse(kernel: Kernel, output: &str) -> Vec<Named> {
    let result = |line: &str| {
        let (word, rest) = line.trim_end().split_once(' ')?;
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        let verdict = match word {
            "ok" => Verdict::Passed,
            "FAIL" => Verdict::Failed(why.to_owned()),
            "skip" => Verdict::Skipped(why.to_owned()),
            _ => return None,
        };
        Some((format!("{kernel}/{name}"), verdict))
    };
    output.lines().filter_map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stdout: &str, status: Option<u8>) -> Outcome {
        Outcome { end: End::Orderly, status, stdout: stdout.into(), log: String::new() }
    }

    fn verdicts(stdout: &str, status: Option<u8>) -> Vec<Named> {
        judge(Kernel::Micro, &outcome(stdout, status), || "log".to_owned())
    }

    #[test]
    fn each_line_is_a_test() {
        let output = "ok ipc\r\nskip x: no FPU\nktest: 1 passed, 0 failed, 1 skipped\n";
        let expected =
            [("micro/ipc".to_owned(), Verdict::Passed), ("micro/x".to_owned(), Verdict::Skipped("no FPU".to_owned()))];
        assert_eq!(verdicts(output, Some(0)), expected);
    }

    #[test]
    fn a_run_that_stops_halfway_fails() {
        let last = verdicts("ok ipc\n", None).pop().unwrap();
        assert_eq!(last, ("micro/ktest".to_owned(), Verdict::Failed("log".to_owned())));
        assert_eq!(verdicts("", Some(0)).len(), 1);
    }

    #[test]
    fn the_first_failure_carries_the_log() {
        let results = verdicts("FAIL a: bad\nFAIL b: worse\nktest: 0 passed, 2 failed, 0 skipped", Some(1));
        assert_eq!(results[0].1, Verdict::Failed("bad\nlog".to_owned()));
        assert_eq!(results[1].1, Verdict::Failed("worse".to_owned()));
    }
}
