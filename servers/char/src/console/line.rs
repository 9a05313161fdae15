//! The line discipline: keys become lines.
//!
//! Canonical input as in termios(3): a line can be edited until it is ended, and only whole lines can be
//! read. Pure logic: bytes come in one by one, what is to be shown goes to a closure.
//!
//! | key | does |
//! |---|---|
//! | CR, LF | ends the line, which is read with a LF at its end |
//! | DEL, BS | erases a character, all bytes of it |
//! | ^W | erases a word and the blanks behind it |
//! | ^U | erases the line |
//! | ^R | shows the line again |
//! | ^D | on an empty line: end of file. Otherwise: what was typed so far can be read, without a LF |
//! | ^T | is none of a line: the console has the core say what every thread does |
//! | ^C | discards the line, and is counted; the console answers EINTR to who waits for one |
//!
//! A tab is shown as one blank, since the column it would end at is not known here. Every character is
//! taken to be one column wide.

use heapless::{Deque, Vec};

/// Longest line in bytes, its LF included.
pub const LINE_MAX: usize = 1024;
/// Bytes in lines that nobody has read yet.
pub const QUEUE: usize = 4096;
/// Lines that nobody has read yet.
pub const LINES: usize = 64;

const BELL: &[u8] = b"\x07";
const ERASE: &[u8] = b"\x08 \x08";

const fn control(key: u8) -> u8 {
    key & 0x1f
}

/// What every thread does, as BSD has it for one program (VSTATUS).
pub const STATUS: u8 = control(b'T');
const END_OF_FILE: u8 = control(b'D');
const INTERRUPT: u8 = control(b'C');
const KILL: u8 = control(b'U');
const WORD_ERASE: u8 = control(b'W');
const REDRAW: u8 = control(b'R');
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// Where what is to be shown goes.
pub type Echo<'a> = dyn FnMut(&[u8]) + 'a;

/// A line being typed, and lines that wait to be read.
pub struct LineDiscipline {
    edit: Vec<u8, LINE_MAX>,
    queue: Deque<u8, QUEUE>,
    /// Lengths of the lines in the queue. An end of file is a line of length 0.
    lines: Deque<usize, LINES>,
    interrupts: u64,
}

impl LineDiscipline {
    /// Nothing typed yet.
    pub const fn new() -> LineDiscipline {
        LineDiscipline { edit: Vec::new(), queue: Deque::new(), lines: Deque::new(), interrupts: 0 }
    }

    /// Nothing was typed that nobody has read.
    pub fn is_empty(&self) -> bool {
        self.edit.is_empty() && self.lines.is_empty()
    }

    /// All of it: the line being typed, the bytes of finished lines in two pieces since they lie in a ring, the
    /// lengths of those lines, and how often ^C was typed.
    pub fn parts(&self) -> (&[u8], [&[u8]; 2], Vec<usize, LINES>, u64) {
        let (first, second) = self.queue.as_slices();
        (&self.edit, [first, second], self.lines.iter().copied().collect(), self.interrupts)
    }

    /// What [`LineDiscipline::parts`] took apart. `None`: that cannot be.
    pub fn of(edit: &[u8], queue: [&[u8]; 2], lines: &[usize], interrupts: u64) -> Option<LineDiscipline> {
        let mut line = LineDiscipline { interrupts, ..LineDiscipline::new() };
        line.edit.extend_from_slice(edit).ok()?;
        queue.into_iter().flatten().try_for_each(|&byte| line.queue.push_back(byte)).ok()?;
        lines.iter().try_for_each(|&length| line.lines.push_back(length)).ok()?;
        let bytes = lines.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
        (bytes == Some(line.queue.len())).then_some(line)
    }

    /// How often ^C was typed.
    pub const fn interrupts(&self) -> u64 {
        self.interrupts
    }

    /// The line as typed so far.
    pub fn edited(&self) -> &[u8] {
        &self.edit
    }

    /// Takes one byte from the keyboard.
    pub fn input(&mut self, byte: u8, echo: &mut Echo<'_>) {
        match byte {
            b'\r' | b'\n' => self.end_line(echo),
            BACKSPACE | DELETE => self.erase_character(echo),
            WORD_ERASE => self.erase_word(echo),
            KILL => self.truncate(0, echo),
            REDRAW => self.redraw(echo),
            END_OF_FILE => self.end_of_file(echo),
            INTERRUPT => self.interrupt(echo),
            _ => self.insert(byte, echo),
        }
    }

    /// The first `most` bytes of the next line, in two pieces since the queue is a ring. Two empty pieces
    /// are the end of the file; `None`: there is no line.
    pub fn front(&self, most: usize) -> Option<(&[u8], &[u8])> {
        let length = (*self.lines.front()?).min(most);
        let (first, second) = self.queue.as_slices();
        let split = length.min(first.len());
        Some((&first[..split], &second[..length - split]))
    }

    /// Drops the first `count` bytes of the next line; the rest is read as a line of its own. At most its
    /// length.
    pub fn consume(&mut self, count: usize) {
        let Some(length) = self.lines.front_mut() else { return };
        let count = count.min(*length);
        *length -= count;
        if *length == 0 {
            self.lines.pop_front();
        }
        for _ in 0..count {
            self.queue.pop_front();
        }
    }

    fn insert(&mut self, byte: u8, echo: &mut Echo<'_>) {
        // The last byte is kept for the LF.
        if self.edit.len() + 1 >= LINE_MAX || self.edit.push(byte).is_err() {
            return echo(BELL);
        }
        show(byte, echo);
    }

    fn end_line(&mut self, echo: &mut Echo<'_>) {
        let length = self.edit.len() + 1;
        if !self.fits(length) {
            return echo(BELL);
        }
        let _ = self.edit.push(b'\n');
        self.enqueue();
        echo(b"\n");
    }

    fn end_of_file(&mut self, echo: &mut Echo<'_>) {
        if !self.fits(self.edit.len()) {
            return echo(BELL);
        }
        self.enqueue();
    }

    fn interrupt(&mut self, echo: &mut Echo<'_>) {
        self.interrupts += 1;
        self.edit.clear();
        echo(b"^C\n");
    }

    fn redraw(&mut self, echo: &mut Echo<'_>) {
        echo(b"^R\n");
        for &byte in &self.edit {
            show(byte, echo);
        }
    }

    fn erase_character(&mut self, echo: &mut Echo<'_>) {
        self.truncate(last_character(&self.edit), echo);
    }

    fn erase_word(&mut self, echo: &mut Echo<'_>) {
        let is_blank = |&byte: &u8| byte == b' ' || byte == b'\t';
        let word_end = self.edit.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
        let word_start = self.edit[..word_end].iter().rposition(is_blank).map_or(0, |blank| blank + 1);
        self.truncate(word_start, echo);
    }

    /// Cuts the line to `length` bytes, character by character so that each vanishes from the screen.
    fn truncate(&mut self, length: usize, echo: &mut Echo<'_>) {
        while self.edit.len() > length {
            let start = last_character(&self.edit);
            for _ in 0..columns(self.edit[start]) {
                echo(ERASE);
            }
            self.edit.truncate(start);
        }
    }

    fn fits(&self, length: usize) -> bool {
        !self.lines.is_full() && self.queue.len() + length <= QUEUE
    }

    /// Moves the edited line to the queue, which has room.
    fn enqueue(&mut self) {
        let _ = self.lines.push_back(self.edit.len());
        for &byte in &self.edit {
            let _ = self.queue.push_back(byte);
        }
        self.edit.clear();
    }
}

impl Default for LineDiscipline {
    fn default() -> Self {
        LineDiscipline::new()
    }
}

/// Where the last character of a line begins: at its UTF-8 lead byte. Bytes that are no UTF-8 are
/// characters of their own. 0 for an empty line.
fn last_character(line: &[u8]) -> usize {
    let last = line.len().saturating_sub(1);
    for start in (last.saturating_sub(3)..=last).rev() {
        match line.get(start) {
            Some(0x80..0xc0) => continue,
            Some(0xc0..) if start + utf8_length(line[start]) > last => return start,
            _ => break,
        }
    }
    last
}

/// Bytes in the character that begins with `lead`.
fn utf8_length(lead: u8) -> usize {
    match lead {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    }
}

/// Shows one byte of input; control characters as a caret and a letter.
fn show(byte: u8, echo: &mut Echo<'_>) {
    match byte {
        b'\t' => echo(b" "),
        0..0x20 => echo(&[b'^', byte | 0x40]),
        _ => echo(&[byte]),
    }
}

/// Columns that a character takes on the screen, by its first byte.
fn columns(first: u8) -> usize {
    if first < 0x20 && first != b'\t' { 2 } else { 1 }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
