//! Programs with tests of their own, such as `/bin/ktest`: each of their tests counted.
//!
//! They print `ok NAME`, `FAIL NAME: why` or `skip NAME: why`, and their totals last. Time in their machines is mostly counted
//! in instructions: a busy host cannot make a deadline late or a service seem to hang, and what fails fails again.

use std::time::Duration;

use super::{Case, Named, Verdict};
use crate::cmdline;
use crate::guest::{Job, Outcome, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;

/// A program with tests of its own, and how they are called here.
#[derive(Clone)]
pub struct Suite {
    /// The run as a whole, which fails when it does not come to a good end.
    pub case: String,
    /// What its tests' names begin with.
    pub prefix: String,
    /// What the line with the totals begins with.
    pub closing: &'static str,
}

/// All of ktest's on one kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    let suite = Suite { case: format!("{kernel}/ktest"), prefix: format!("{kernel}/"), closing: "ktest: " };
    guest_case(kernel, suite, &["/bin/ktest"])
}

/// Tests that make and destroy each kind of object 100,000 times.
const LEAKS: &[&str] = &[
    "/bin/ktest",
    "quotas_leak_nothing",
    "memory_leaks_nothing",
    "spaces_leak_nothing",
    "mappings_leak_nothing",
    "threads_leak_nothing",
    "endpoints_leak_nothing",
    "connections_leak_nothing",
    "revoked_connections_leak_nothing",
    "tables_leak_nothing",
    "submissions_leak_nothing",
    "copies_leak_nothing",
    "interrupts_leak_nothing",
    "port_grants_leak_nothing",
    "the_core_is_sound",
];

/// Those of ktest's on one kernel: with interrupts and ports, and in a machine whose time passes as on the host, for they
/// promise no times and are many. Without heartbeats, since on a busy host a service could seem to hang.
pub fn leaks_case(kernel: Kernel) -> Case<Rig> {
    let prefix = format!("{kernel}/leaks/");
    let suite = Suite { case: format!("{kernel}/ktest-leaks"), prefix, closing: "ktest: " };
    Case::several(suite.case.clone(), move |rig| {
        run(rig, kernel, &suite, LEAKS, |job| {
            job.deterministic = false;
            job.options.extend([cmdline::HARDWARE, cmdline::NO_HEARTBEATS].map(str::to_owned));
        })
    })
}

/// Processors that lack something: instructions for the bases of segments, and with them the core's short cuts; XSAVE, and
/// what only protects.
const LESSER: [(&str, &str); 2] = [("no-fsgsbase", "max,-fsgsbase"), ("no-xsave", "max,-xsave,-smep,-smap,-umip")];

/// Tests of what the core does otherwise there: messages, registers and selectors over switches and traps, copies.
const ANYWHERE: &[&str] = &[
    "/bin/ktest",
    "words_between_spaces",
    "server_in_ring_3",
    "data_in_a_reply",
    "copies_in_and_out",
    "posix_calls_preserve_registers",
    "core_calls_preserve_registers",
    "vector_registers_survive_switches",
    "vector_registers_do_not_leak",
    "all_registers_survive_strangers",
    "control_words_survive_strangers",
    "a_spy_sees_nothing",
    "a_spy_sees_nothing_of_avx",
    "fs_base_survives_strangers",
    "fs_base_is_not_shown",
    "segment_bases_are_not_shown",
    "selectors_of_others_are_not_shown",
    "selectors_of_the_interrupted_are_not_shown",
    "null_selectors_are_harmless",
    "iretq_to_nowhere",
    "privilege_level_is_not_raised_by_iretq",
    "system_call_at_the_end_of_user_space",
    "stack_pointers_that_lead_nowhere",
    "stack_pointers_at_an_interrupt",
    "flags_before_system_calls",
    "every_interrupt_number",
    "input_pointers",
    "output_pointers",
    "core_output_pointers",
    "files_survive",
    "random_core_calls",
    "the_core_is_sound",
];

/// Those of ktest's on one kernel and lesser processors.
pub fn processor_cases(kernel: Kernel) -> Vec<Case<Rig>> {
    let case = |(name, processor): (&str, &'static str)| {
        let (case, prefix) = (format!("{kernel}/ktest-{name}"), format!("{kernel}/{name}/"));
        let suite = Suite { case, prefix, closing: "ktest: " };
        let change = move |job: &mut Job| job.processor = processor.into();
        Case::several(suite.case.clone(), move |rig| run(rig, kernel, &suite, ANYWHERE, change))
    };
    LESSER.into_iter().map(case).collect()
}

/// All of the program's on one kernel.
pub fn guest_case(kernel: Kernel, suite: Suite, program: &'static [&'static str]) -> Case<Rig> {
    guest_case_with(kernel, suite, program, &[])
}

/// The same with more words for the kernel.
pub fn guest_case_with(
    kernel: Kernel,
    suite: Suite,
    program: &'static [&'static str],
    options: &'static [&'static str],
) -> Case<Rig> {
    let change = move |job: &mut Job| job.options.extend(options.iter().map(|&word| word.to_owned()));
    Case::several(suite.case.clone(), move |rig| run(rig, kernel, &suite, program, change))
}

fn run(rig: &Rig, kernel: Kernel, suite: &Suite, program: &[&str], change: impl Fn(&mut Job)) -> Vec<Named> {
    let outcome = Job::new(rig, kernel, program).and_then(|mut job| {
        job.deterministic = true;
        job.timeout = Duration::from_secs(1200); // a quarter of it on a quiet machine
        change(&mut job);
        rig.run(&job, &mut std::io::sink())
    });
    match outcome {
        Ok(outcome) => judge(suite, &outcome, || rig.explain(kernel, &outcome)),
        Err(error) => vec![(suite.case.clone(), Verdict::Failed(format!("{error:#}")))],
    }
}

/// Each test's verdict, the log with the first that failed; one more verdict for the run itself
/// when it did not come to a good end without any test saying why.
pub fn judge(suite: &Suite, outcome: &Outcome, explain: impl Fn() -> String) -> Vec<Named> {
    let output = String::from_utf8_lossy(&outcome.stdout);
    let mut results = parse(&suite.prefix, &output);
    let finished = output.lines().any(|line| line.starts_with(suite.closing)) && outcome.end == End::Orderly;
    let first_failure = results.iter_mut().find_map(|(_, verdict)| match verdict {
        Verdict::Failed(why) => Some(why),
        _ => None,
    });
    let explained = first_failure.is_some();
    if let Some(why) = first_failure {
        why.push_str(&format!("\n{}", explain()));
    }
    if !finished || results.is_empty() || (outcome.status != Some(0) && !explained) {
        results.push((suite.case.clone(), Verdict::Failed(explain())));
    }
    results
}

fn parse(prefix: &str, output: &str) -> Vec<Named> {
    let result = |line: &str| {
        let (word, rest) = line.trim_end().split_once(' ')?;
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        let verdict = match word {
            "ok" => Verdict::Passed,
            "FAIL" => Verdict::Failed(why.to_owned()),
            "skip" => Verdict::Skipped(why.to_owned()),
            _ => return None,
        };
        Some((format!("{prefix}{name}"), verdict))
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
        let suite = Suite { case: "micro/ktest".into(), prefix: "micro/".into(), closing: "ktest: " };
        judge(&suite, &outcome(stdout, status), || "log".to_owned())
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
