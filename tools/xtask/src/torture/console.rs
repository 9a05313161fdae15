//! What the terminal must have shown: every numbered line, in order.
//!
//! A driver that dies while it writes may have its successor write the same line again, so a line may be there more than
//! once, and in pieces before it is there whole. It may not be missing, and none may come before its turn.

/// Checks the lines `line 00000000`, `line 00000001`, ... in `output`; returns how many there are. The error says what
/// is missing.
pub fn check(output: &str) -> Result<u64, String> {
    let mut next = 0;
    for number in output.lines().filter_map(number_at_end) {
        match number {
            number if number == next => next += 1,
            number if number > next => return Err(format!("the terminal shows line {number}, but not line {next}")),
            _ => {}
        }
    }
    Ok(next)
}

/// The number of a whole line, with the beginning of the same line before it perhaps.
fn number_at_end(line: &str) -> Option<u64> {
    let digits = line.rfind("line ").map(|at| &line[at + 5..])?;
    if digits.len() == 8 { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_lines_are_none_too_many() {
        let output = "line 00000000\nline 000000line 00000001\nline 00000001\ntorture: round 3\nline 00000002\n";
        assert_eq!(check(output), Ok(3));
    }

    #[test]
    fn a_line_is_missed() {
        assert!(check("line 00000000\nline 00000002\n").is_err());
        assert_eq!(check("line 0000"), Ok(0));
    }
}
