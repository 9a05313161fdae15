//! Reading a session script.
//!
//!     # what this session shows
//!     kernels: micro mono       only on these (default: all)
//!     boot: loglevel=debug      further words for the kernel command line
//!     timeout: 30               seconds that each expectation may take (default: 20)
//!     > ls /bin                 wait for the prompt, type this and Enter
//!     >> y\r                    type exactly this, at once
//!     < sh                      this comes next (anything may come before it)
//!     ! not found               ... but not this
//!     ^C                        press Ctrl-C
//!     ^T until -> init          press Ctrl-T, and again every few seconds, until this comes
//!     off                       the machine shuts down in good order
//!
//! `\n`, `\r`, `\t`, `\e`, `\\` and `\xNN` mean what they do elsewhere; carriage returns of the console are
//! dropped before matching, so that `< \nhello` is `hello` at the beginning of a line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::kernel::Kernel;

/// One line's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Wait for the prompt, type, Enter.
    Command(Vec<u8>),
    /// Type as it is.
    Keys(Vec<u8>),
    /// This must come.
    Expect(Vec<u8>),
    /// This must not come before what is expected next.
    Never(Vec<u8>),
    /// Press this key until this comes: for what a look may be too early to see.
    Until(u8, Vec<u8>),
    /// The machine must end, orderly.
    Off,
}

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Where it applies.
    pub kernels: Vec<Kernel>,
    /// Further words for the kernel command line.
    pub boot: String,
    /// How long each expectation may take.
    pub timeout: Duration,
    /// What happens, with line numbers.
    pub steps: Vec<(usize, Step)>,
}

impl Script {
    /// Every script in the folder, by name.
    pub fn all(folder: &Path) -> Result<Vec<Script>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "session")).collect();
        paths.sort();
        paths.iter().map(|path| Script::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Script> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        parse(&name, path, &text)
    }
}

fn parse(name: &str, path: &Path, text: &str) -> Result<Script> {
    let mut script = Script {
        name: name.to_owned(),
        path: path.to_owned(),
        kernels: Kernel::ALL.to_vec(),
        boot: String::new(),
        timeout: Duration::from_secs(20),
        steps: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let complaint = || format!("{}:{number}: `{line}`", path.display());
        if !header(&mut script, line).with_context(complaint)? {
            script.steps.extend(step(line).with_context(complaint)?.map(|step| (number, step)));
        }
    }
    Ok(script)
}

/// Takes a line `name: value`; false when it is none.
fn header(script: &mut Script, line: &str) -> Result<bool> {
    match line.split_once(": ") {
        Some(("kernels", names)) => {
            let kernel = |name| Kernel::from_name(name).with_context(|| format!("no kernel is called `{name}`"));
            script.kernels = names.split_whitespace().map(kernel).collect::<Result<_>>()?;
        }
        Some(("boot", words)) => script.boot = words.trim().to_owned(),
        Some(("timeout", seconds)) => script.timeout = Duration::from_secs(seconds.trim().parse()?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn step(line: &str) -> Result<Option<Step>> {
    let line = line.trim_end();
    let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
    let step = match sign {
        "" => return Ok(None),
        sign if sign.starts_with('#') => return Ok(None),
        ">" => Step::Command(unescape(rest)?),
        ">>" => Step::Keys(unescape(rest)?),
        "<" => Step::Expect(unescape(rest)?),
        "!" => Step::Never(unescape(rest)?),
        "off" => Step::Off,
        sign => match sign.as_bytes() {
            [b'^', key] => match rest.strip_prefix("until ") {
                Some(wanted) => Step::Until(key & 0x1f, unescape(wanted)?),
                None => Step::Keys(vec![key & 0x1f]),
            },
            _ => bail!("a line begins with one of # > >> < ! ^X off, or is a header"),
        },
    };
    Ok(Some(step))
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let mut length = 1;
        bytes.push(match after.chars().next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('e') => 0x1b,
            Some('\\') => b'\\',
            Some('x') => {
                length = 3;
                let digits = after.get(1..3).context("`\\x` wants two digits")?;
                u8::from_str_radix(digits, 16).context("`\\x` wants hexadecimal digits")?
            }
            _ => bail!("unknown escape; there are \\n \\r \\t \\e \\\\ \\xNN"),
        });
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_script() {
        let text = "# shows ls\nkernels: micro mono\nboot: loglevel=debug\ntimeout: 7\n\n> ls\n! error: x\n< sh\n^C\n^T until a b\noff\n";
        let script = parse("x", Path::new("x.session"), text).unwrap();
        assert_eq!(script.kernels, [Kernel::Micro, Kernel::Mono]);
        assert_eq!((script.boot.as_str(), script.timeout.as_secs()), ("loglevel=debug", 7));
        let steps: Vec<_> = script.steps.into_iter().map(|(_, step)| step).collect();
        let expected = [
            Step::Command(b"ls".into()),
            Step::Never(b"error: x".into()),
            Step::Expect(b"sh".into()),
            Step::Keys(vec![3]),
            Step::Until(20, b"a b".into()),
            Step::Off,
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = format!("{:#}", parse("x", Path::new("x.session"), "\n? what").unwrap_err());
        assert!(error.starts_with("x.session:2: `? what`"), "{error}");
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\n\e[A\x7f\\").unwrap(), b"a\n\x1b[A\x7f\\");
        assert!(unescape(r"\x7").is_err() && unescape(r"\q").is_err());
    }
}
