//! A command line, taken apart into words.
//!
//! The POSIX shell's quoting ("Shell Command Language", 2.2) and nothing else of it: single quotes keep
//! everything, double quotes keep everything but `\"` and `\\`, a backslash keeps the next character,
//! and `>` or `>>` outside quotes names a file for the output. Pipes and the like are refused by name.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Where the output goes instead of the console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// The file.
    pub path: String,
    /// It is added to (`>>`), not replaced.
    pub append: bool,
}

/// A line, taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// The command and its arguments.
    pub words: Vec<String>,
    /// `> FILE` or `>> FILE`; the last one counts.
    pub redirect: Option<Redirect>,
}

/// Why a line is not a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A quote that is never closed.
    Unclosed(char),
    /// A backslash with nothing behind it.
    TrailingBackslash,
    /// `>` with no file behind it.
    NoTarget,
    /// An operator of other shells, which would only look as if it worked.
    Operator(char),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unclosed(quote) => write!(out, "missing closing {quote}"),
            Error::TrailingBackslash => out.write_str("nothing after the backslash at the end"),
            Error::NoTarget => out.write_str("no file name after >"),
            Error::Operator(sign) => write!(out, "this shell has no {sign} (in quotes it is a character)"),
        }
    }
}

enum Item {
    Word(String),
    Into,
    Append,
}

/// Takes `line` apart.
pub fn parse(line: &str) -> Result<Line, Error> {
    let mut parsed = Line::default();
    let mut rest = line.chars().peekable();
    while let Some(item) = item(&mut rest)? {
        let append = match item {
            Item::Word(word) => {
                parsed.words.push(word);
                continue;
            }
            Item::Into => false,
            Item::Append => true,
        };
        let Some(Item::Word(path)) = self::item(&mut rest)? else { return Err(Error::NoTarget) };
        parsed.redirect = Some(Redirect { path, append });
    }
    Ok(parsed)
}

type Chars<'a> = core::iter::Peekable<core::str::Chars<'a>>;

/// The next word or operator; `None` at the end of the line.
fn item(rest: &mut Chars<'_>) -> Result<Option<Item>, Error> {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    match rest.peek() {
        None => Ok(None),
        Some('>') => {
            rest.next();
            let append = rest.next_if_eq(&'>').is_some();
            Ok(Some(if append { Item::Append } else { Item::Into }))
        }
        Some(_) => word(rest).map(|word| Some(Item::Word(word))),
    }
}

/// A word: up to blank, `>` or the end, with its quotes taken away.
fn word(rest: &mut Chars<'_>) -> Result<String, Error> {
    let mut word = String::new();
    while let Some(next) = rest.next_if(|&c| !c.is_whitespace() && c != '>') {
        match next {
            '\'' | '"' => quoted(rest, next, &mut word)?,
            '\\' => word.push(rest.next().ok_or(Error::TrailingBackslash)?),
            '|' | '&' | ';' | '<' => return Err(Error::Operator(next)),
            plain => word.push(plain),
        }
    }
    Ok(word)
}

/// What follows an opening `quote`, up to the closing one.
fn quoted(rest: &mut Chars<'_>, quote: char, word: &mut String) -> Result<(), Error> {
    loop {
        match rest.next() {
            None => return Err(Error::Unclosed(quote)),
            Some(next) if next == quote => return Ok(()),
            Some('\\') if quote == '"' => match rest.next() {
                None => return Err(Error::Unclosed(quote)),
                Some(escaped @ ('"' | '\\')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
            },
            Some(plain) => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        parse(line).unwrap().words
    }

    #[test]
    fn blanks_separate() {
        assert_eq!(words("  ls \t -l   /bin "), ["ls", "-l", "/bin"]);
        assert!(words("   ").is_empty());
    }

    #[test]
    fn quotes_keep() {
        assert_eq!(words(r#"echo 'a  b' "c d"e \ f '' "#), ["echo", "a  b", "c de", " f", ""]);
        assert_eq!(words(r#"echo "a\"b\\c\n" '\'"#), ["echo", r#"a"b\c\n"#, r"\"]);
        assert_eq!(words(r"echo \> '>'"), ["echo", ">", ">"]);
    }

    #[test]
    fn output_goes_to_a_file() {
        let line = parse("echo hi>/a >> '/b c'").unwrap();
        assert_eq!(line.words, ["echo", "hi"]);
        assert_eq!(line.redirect, Some(Redirect { path: "/b c".into(), append: true }));
        assert!(!parse("echo hi > x").unwrap().redirect.unwrap().append);
    }

    #[test]
    fn errors_name_what_is_missing() {
        assert_eq!(parse("echo 'a"), Err(Error::Unclosed('\'')));
        assert_eq!(parse("echo \"a\\"), Err(Error::Unclosed('"')));
        assert_eq!(parse("echo \\"), Err(Error::TrailingBackslash));
        assert_eq!(parse("echo >"), Err(Error::NoTarget));
        assert_eq!(parse("echo > > x"), Err(Error::NoTarget));
        assert_eq!(parse("ls|cat"), Err(Error::Operator('|')));
        assert_eq!(words(r"echo '|' \;"), ["echo", "|", ";"]);
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_or_refused(line in any::<String>()) {
            let _ = parse(&line);
        }

        #[test]
        fn what_is_quoted_comes_back(word in "[^']*") {
            prop_assert_eq!(words(&format!("'{word}'")), [word]);
        }
    }
}
