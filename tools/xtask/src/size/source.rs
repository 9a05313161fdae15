//! Counting one source file: lines of code, functions, `unsafe`.
//!
//! The tree is formatted by rustfmt and has no `/* */` comments, so lines and words are enough: a line
//! counts unless it is blank, a comment, or below `#[cfg(test)]`.

use std::ops::AddAssign;

/// What a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that are neither blank nor comments nor tests.
    pub lines: usize,
    /// Functions, with methods and declarations in traits.
    pub functions: usize,
    /// `unsafe { }`.
    pub blocks: usize,
    /// Of these, without a `// SAFETY:` comment above.
    pub unexplained: usize,
    /// `unsafe fn`.
    pub unsafe_functions: usize,
    /// `unsafe impl`, `unsafe trait` and `unsafe extern` blocks.
    pub unsafe_items: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.lines += other.lines;
        self.functions += other.functions;
        self.blocks += other.blocks;
        self.unexplained += other.unexplained;
        self.unsafe_functions += other.unsafe_functions;
        self.unsafe_items += other.unsafe_items;
    }
}

/// What was counted, and the modules in files of their own that are only compiled for tests.
pub fn count(text: &str) -> (Counts, Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut counts = Counts::default();
    let mut test_modules = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim_start().starts_with("#[cfg(test)]") {
            let (module, end) = test_item(&lines, at);
            test_modules.extend(module);
            at = end;
            continue;
        }
        count_line(&lines, at, &mut counts);
        at += 1;
    }
    (counts, test_modules)
}

fn count_line(lines: &[&str], at: usize, counts: &mut Counts) {
    let code = code(lines[at]);
    if code.is_empty() {
        return;
    }
    counts.lines += 1;
    let words: Vec<&str> = words(&code);
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied().unwrap_or("");
        match (*word, next) {
            ("fn", name) if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => counts.functions += 1,
            ("unsafe", "fn") => counts.unsafe_functions += 1,
            ("unsafe", "extern") if words.contains(&"fn") => counts.unsafe_functions += 1,
            ("unsafe", "impl" | "trait" | "extern") => counts.unsafe_items += 1,
            ("unsafe", "{") => {
                counts.blocks += 1;
                counts.unexplained += usize::from(!is_explained(lines, at));
            }
            _ => {}
        }
    }
}

/// Whether a comment before the statement that line `at` belongs to says why it is safe.
fn is_explained(lines: &[&str], at: usize) -> bool {
    let mut statement_began = false;
    for line in lines[..at].iter().rev().map(|line| line.trim()) {
        if line.starts_with("//") {
            if line.contains("SAFETY:") {
                return true;
            }
            statement_began = true;
        } else if statement_began || line.is_empty() || line.ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

/// The name of the module if the item at `#[cfg(test)]` is one in another file, and the line behind it. An item ends with a
/// closing bracket as far left as it began, or if it opens none, with its first semicolon.
fn test_item(lines: &[&str], at: usize) -> (Option<String>, usize) {
    let indentation = &lines[at][..lines[at].len() - lines[at].trim_start().len()];
    let closings = ["}", "};", ")", ");", "];"].map(|bracket| format!("{indentation}{bracket}"));
    let begins = (at + 1..lines.len()).find(|&index| !lines[index].trim_start().starts_with("#["));
    let Some(begins) = begins else { return (None, lines.len()) };
    let opens = lines[begins].ends_with(['{', '(', '[']);
    for (index, line) in lines.iter().enumerate().skip(begins) {
        if closings.iter().any(|closing| line == closing) || (!opens && line.ends_with(';')) {
            let module = line.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            return (module.map(str::to_owned), index + 1);
        }
    }
    (None, lines.len())
}

/// The line without comment and without what strings contain.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut in_string = false;
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            other => code.push(other),
        }
    }
    // A line of nothing but a string is code all the same.
    if code.trim().is_empty() && line.contains('"') { "\"".to_owned() } else { code.trim().to_owned() }
}

/// Identifiers and braces; other characters only separate, but `unsafe(` in an attribute is no `unsafe`.
fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        if !first.is_whitespace() {
            words.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_tests_do_not_count() {
        let text = "//! Why.\n\nfn one() {} // end\n\"a // b\";\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\n    \
                    fn two() {}\n}\nstruct S;\n";
        let (counts, modules) = count(text);
        assert_eq!((counts.lines, counts.functions), (3, 1));
        assert_eq!(modules, ["tests"]);
    }

    #[test]
    fn what_follows_a_test_item_counts() {
        for item in [
            "static A: &str = \"\";",
            "static A: S = S {\n    a: 1,\n};",
            "static A: S =\n    S { a: 1 };",
            "#[allow(dead_code)]\nuse a::{\n    b,\n};",
            "const A: [u8; 2] = [\n    1,\n    2,\n];",
            "fn f(\n    a: u8,\n) -> u8 {\n    a\n}",
        ] {
            let (counts, _) = count(&format!("#[cfg(test)]\n{item}\nstruct S;\nstruct T;\n"));
            assert_eq!(counts.lines, 2, "{item}");
        }
    }

    #[test]
    fn every_kind_of_unsafe_is_told_apart() {
        let text = "#[unsafe(no_mangle)]\nstatic A: &str = \"unsafe { }\";\nunsafe impl Sync for S {}\n\
                    pub unsafe extern \"C\" fn f() {}\nunsafe extern \"C\" {\n}\nconst fn g(h: fn(u8)) {}\n";
        let (counts, _) = count(text);
        assert_eq!((counts.blocks, counts.unsafe_functions, counts.unsafe_items), (0, 1, 2));
        assert_eq!(counts.functions, 2);
    }

    #[test]
    fn a_safety_comment_belongs_to_the_statement_below() {
        let text =
            "fn f() {\n    // SAFETY: one\n    let x = g(\n        unsafe { h() },\n    );\n    unsafe { h() }\n}\n";
        let (counts, _) = count(text);
        assert_eq!((counts.blocks, counts.unexplained), (2, 1));
    }
}
