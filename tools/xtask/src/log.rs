//! The part of a guest's log that a person wants to see after a failure.

/// Lines shown when nothing in the log says where it went wrong.
const TAIL: usize = 40;

/// Lines shown before the first sign of trouble, and at most after it.
const BEFORE: usize = 12;
const AFTER: usize = 80;

/// Words by which the kernel, the loader and init announce trouble.
const SIGNS: [&str; 6] = ["panic", " error ", " error]", "killed:", "fault:", "cannot boot"];

/// The log from a little before the point where it went wrong, or its end.
pub fn excerpt(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let trouble = lines.iter().position(|line| is_trouble(line));
    let (from, to) = match trouble {
        Some(at) => (at.saturating_sub(BEFORE), lines.len().min(at + AFTER)),
        None => (lines.len().saturating_sub(TAIL), lines.len()),
    };
    let mut shown = String::new();
    if from > 0 {
        shown.push_str(&format!("  ... {from} lines before\n"));
    }
    for line in &lines[from..to] {
        shown.push_str(&format!("  {}\n", line.trim_end()));
    }
    if to < lines.len() {
        shown.push_str(&format!("  ... {} lines after\n", lines.len() - to));
    }
    shown
}

/// The lines of level `error`, for a run that ended in good order all the same.
pub fn errors(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.starts_with('[') && line.contains(" error] "))
}

fn is_trouble(line: &str) -> bool {
    let line = line.to_lowercase();
    SIGNS.iter().any(|sign| line.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_log_shows_its_end() {
        let log: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = excerpt(&log);
        assert!(shown.starts_with("  ... 60 lines before\n  line 60\n"), "{shown}");
        assert!(shown.ends_with("line 99\n"));
    }

    #[test]
    fn a_panic_is_shown_from_where_it_began() {
        let mut log: String = (0..50).map(|n| format!("line {n}\n")).collect();
        log.push_str("PANIC: no init\n");
        log.extend((0..100).map(|n| format!("after {n}\n")));
        let shown = excerpt(&log);
        assert!(shown.contains("line 38\n") && !shown.contains("line 37\n"), "{shown}");
        assert!(shown.contains("PANIC") && shown.contains("lines after"));
    }
}
