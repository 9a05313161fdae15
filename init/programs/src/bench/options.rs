//! The command line of `bench`.

use alloc::vec::Vec;

/// What the caller wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options<'a> {
    /// Only these rows; all if empty.
    pub rows: Vec<&'a str>,
    /// What a tick of the time stamp counter is called in the output. The program cannot know: under
    /// `-icount shift=0` it is an instruction.
    pub unit: &'a str,
    /// A table for a person instead of lines for a program.
    pub human: bool,
    /// Say of a blackout also how long each request around it took.
    pub samples: bool,
    /// Only name the rows.
    pub list: bool,
}

/// How to call it.
pub const USAGE: &str = "usage: bench [--human] [--unit NAME] [--samples] [--list] [ROW]...";

impl<'a> Options<'a> {
    /// Reads the arguments. `Err` holds the one that makes no sense.
    pub fn parse(args: &[&'a str]) -> Result<Options<'a>, &'a str> {
        let mut options = Options { rows: Vec::new(), unit: "instructions", human: false, samples: false, list: false };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            match arg {
                "--human" => options.human = true,
                "--samples" => options.samples = true,
                "--list" => options.list = true,
                "--unit" => options.unit = args.next().ok_or(arg)?,
                _ if arg.starts_with('-') => return Err(arg),
                row => options.rows.push(row),
            }
        }
        Ok(options)
    }

    /// Is this row to be measured?
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_unless_some_are_named() {
        let all = Options::parse(&[]).unwrap();
        assert!(all.wants("getpid") && all.unit == "instructions" && !all.human);
        let some = Options::parse(&["--unit", "ticks", "getpid", "--human", "--samples"]).unwrap();
        assert!(some.wants("getpid") && !some.wants("stat") && some.human && some.samples);
        assert_eq!(some.unit, "ticks");
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(Options::parse(&["--fast"]), Err("--fast"));
        assert_eq!(Options::parse(&["--unit"]), Err("--unit"));
    }
}
