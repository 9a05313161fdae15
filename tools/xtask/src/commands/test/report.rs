//! Printing results as they come, and the sum at the end.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Case, Named, Verdict};
use crate::progress;

/// Lines of a failure that are printed, from its beginning and from its end: a machine's log can have thousands.
const SHOWN: (usize, usize) = (20, 60);

/// All tests together; what has not begun by then fails without being run.
const WHOLE: Duration = Duration::from_secs(34 * 60);

/// What has happened so far. Shared by the threads that run cases.
pub struct Report {
    filter: Option<String>,
    started: Instant,
    results: Mutex<Vec<Named>>,
    progress: progress::Step,
}

impl Report {
    /// An empty one; with a filter it keeps only the tests whose name contains it.
    pub fn new(filter: Option<String>) -> Report {
        let progress = progress::step("testing");
        Report { filter, started: Instant::now(), results: Mutex::new(Vec::new()), progress }
    }

    /// Runs a case and prints what came of it.
    pub fn run<T>(&self, case: &Case<T>, on: &T) {
        if self.started.elapsed() > WHOLE {
            let why = format!("not run: the tests together took longer than {} s", WHOLE.as_secs());
            return self.add(&case.name, Verdict::Failed(why));
        }
        self.progress.tick(case.name.clone());
        let started = Instant::now();
        let mut results = (case.work)(on);
        if let Some(filter) = &self.filter {
            results.retain(|(name, _)| name.contains(filter) || case.name.contains(filter));
        }
        let seconds = progress::seconds(started);
        self.print(&results, if case.several { None } else { Some(&seconds) });
        self.results.lock().expect("no holder panics").extend(results);
    }

    /// Adds a result that no case stands for.
    pub fn add(&self, name: &str, verdict: Verdict) {
        let result = (name.to_owned(), verdict);
        self.print(std::slice::from_ref(&result), None);
        self.results.lock().expect("no holder panics").push(result);
    }

    /// Prints the failures, then a line for each, which no log hides, and the sum; 1 when there are failures, or nothing
    /// was tested.
    pub fn finish(self) -> u8 {
        drop(self.progress);
        let results = self.results.into_inner().expect("no holder panics");
        if results.is_empty() {
            eprintln!("error: no test has `{}` in its name; see --list", self.filter.unwrap_or_default());
            return 1;
        }
        let failures: Vec<&Named> =
            results.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).collect();
        for (name, verdict) in &failures {
            if let Verdict::Failed(why) = verdict {
                let why = why.trim_end();
                let shown = if self.filter.is_some() { why.to_owned() } else { shortened(why) };
                println!("\nFAIL {name}\n{shown}");
            }
        }
        println!();
        for (name, verdict) in &failures {
            println!("{}", line(name, verdict, None));
        }
        println!("{}", sum(&results));
        u8::from(!failures.is_empty())
    }

    fn print(&self, results: &[Named], seconds: Option<&str>) {
        self.progress.print(|| {
            for (name, verdict) in results {
                println!("{}", line(name, verdict, seconds));
            }
        });
    }
}

fn line(name: &str, verdict: &Verdict, seconds: Option<&str>) -> String {
    let time = seconds.map(|seconds| format!("  ({seconds})")).unwrap_or_default();
    match verdict {
        Verdict::Passed => format!("ok   {name}{time}"),
        Verdict::Failed(why) => format!("FAIL {name}{time}: {}", why.lines().next().unwrap_or("")),
        Verdict::Skipped(why) => format!("skip {name}: {why}"),
    }
}

/// A failure's text without the middle of a long log.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = SHOWN;
    if lines.len() <= first + last + 1 {
        return text.to_owned();
    }
    let left_out = format!("[{} lines left out; all of them with --filter]", lines.len() - first - last);
    [&lines[..first], &[left_out.as_str()], &lines[lines.len() - last..]].concat().join("\n")
}

fn sum(results: &[Named]) -> String {
    let count = |kind: fn(&Verdict) -> bool| results.iter().filter(|(_, verdict)| kind(verdict)).count();
    let passed = count(|verdict| *verdict == Verdict::Passed);
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let mut text = format!("{passed} passed, {failed} failed");
    let skipped = results.len() - passed - failed;
    if skipped > 0 {
        text.push_str(&format!(", {skipped} skipped"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_names_skips_only_when_there_are_any() {
        let result = |verdict| ("x".to_owned(), verdict);
        let mut results = vec![result(Verdict::Passed), result(Verdict::Failed("y".into()))];
        assert_eq!(sum(&results), "1 passed, 1 failed");
        results.push(result(Verdict::Skipped("z".into())));
        assert_eq!(sum(&results), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_long_log_loses_its_middle() {
        let long: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
        let text = shortened(&long.join("\n"));
        assert_eq!(text.lines().count(), SHOWN.0 + 1 + SHOWN.1);
        assert!(text.starts_with("line 0\n") && text.ends_with("\nline 199"));
        assert!(text.contains("[120 lines left out"));
        assert_eq!(shortened("why\nlog"), "why\nlog");
    }

    #[test]
    fn a_filter_finds_tests_inside_a_case() {
        let several = |_: &()| vec![("micro/a".to_owned(), Verdict::Passed), ("micro/b".to_owned(), Verdict::Passed)];
        let report = Report::new(Some("micro/b".into()));
        report.run(&Case::several("micro/ktest", several), &());
        assert_eq!(report.results.lock().unwrap().len(), 1);
    }
}
