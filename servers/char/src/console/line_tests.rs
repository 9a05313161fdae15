//! The line discipline, key by key, and against a model of lines and of a screen.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn type_in(line: &mut LineDiscipline, keys: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for &key in keys {
        line.input(key, &mut |bytes| shown.extend_from_slice(bytes));
    }
    shown
}

fn read(line: &mut LineDiscipline, most: usize) -> Option<Vec<u8>> {
    let (first, second) = line.front(most)?;
    let bytes = [first, second].concat();
    line.consume(bytes.len());
    Some(bytes)
}

/// Types keys and reads one line.
fn line_of(keys: &[u8]) -> Vec<u8> {
    let mut line = LineDiscipline::new();
    type_in(&mut line, keys);
    read(&mut line, LINE_MAX).expect("a line")
}

#[test]
fn lines_are_read_whole_or_not_at_all() {
    let mut line = LineDiscipline::new();
    assert_eq!(type_in(&mut line, b"ls"), b"ls");
    assert_eq!(read(&mut line, 80), None);
    assert_eq!(type_in(&mut line, b"\r"), b"\n");
    assert_eq!(read(&mut line, 80).as_deref(), Some(&b"ls\n"[..]));
    assert_eq!(read(&mut line, 80), None);
}

#[test]
fn a_long_line_is_read_in_parts() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, b"hello\nx\n");
    assert_eq!(read(&mut line, 4).as_deref(), Some(&b"hell"[..]));
    assert_eq!(read(&mut line, 4).as_deref(), Some(&b"o\n"[..]));
    assert_eq!(read(&mut line, 4).as_deref(), Some(&b"x\n"[..]));
}

#[test]
fn keys_edit() {
    assert_eq!(line_of(b"lx\x7fs\r"), b"ls\n");
    assert_eq!(line_of(b"\x08\x08a\r"), b"a\n");
    assert_eq!(line_of(b"rubbish\x15ls\r"), b"ls\n");
    assert_eq!(line_of(b"cat one two  \x17\r"), b"cat one \n");
    assert_eq!(line_of(b"word\x17\x17\r"), b"\n");
    assert_eq!(line_of(b"a\x12b\r"), b"ab\n");
}

#[test]
fn erasing_takes_whole_characters() {
    assert_eq!(line_of("aä\x7fb\r".as_bytes()), b"ab\n");
    assert_eq!(line_of("a€\x7f😀\x7f\x7fb\r".as_bytes()), b"b\n");
    assert_eq!(line_of(b"a\x80\x7f\r"), b"a\n", "a stray byte is a character");
    assert_eq!(line_of(b"\xc3\xa4\xa4\x7f\r"), "ä\n".as_bytes(), "and so is one too many");
    assert_eq!(line_of(b"a\xe2\x82\x7f\r"), b"a\n", "an unfinished one goes as a whole");
}

#[test]
fn erasing_cleans_the_screen() {
    let mut line = LineDiscipline::new();
    assert_eq!(type_in(&mut line, "ä\x7f".as_bytes()), [&b"\xc3\xa4"[..], ERASE].concat());
    assert_eq!(type_in(&mut line, b"\x1b\x7f"), [&b"^["[..], ERASE, ERASE].concat());
    assert_eq!(type_in(&mut line, b"\t\x7f"), [&b" "[..], ERASE].concat());
    assert_eq!(type_in(&mut line, b"\x7f"), b"");
}

#[test]
fn end_of_file_is_an_empty_line_and_a_flush() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, b"\x04ab\x04c\n");
    assert_eq!(read(&mut line, 9).as_deref(), Some(&b""[..]));
    assert_eq!(read(&mut line, 9).as_deref(), Some(&b"ab"[..]));
    assert_eq!(read(&mut line, 9).as_deref(), Some(&b"c\n"[..]));
}

#[test]
fn interrupts_discard_and_count() {
    let mut line = LineDiscipline::new();
    assert_eq!(type_in(&mut line, b"oops\x03"), b"oops^C\n");
    assert_eq!((line.interrupts(), line.edited()), (1, &b""[..]));
    assert_eq!(read(&mut line, 9), None);
}

#[test]
fn full_lines_and_full_queues_ring_the_bell() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, &[b'x'; LINE_MAX - 1]);
    assert_eq!(type_in(&mut line, b"y"), BELL);
    assert_eq!(type_in(&mut line, b"\r"), b"\n");
    assert_eq!(line.front(LINE_MAX * 2).map(|(first, _)| first.len()), Some(LINE_MAX));
    for _ in 1..QUEUE / LINE_MAX {
        type_in(&mut line, &[b'x'; LINE_MAX]);
        type_in(&mut line, b"\r");
    }
    assert_eq!(type_in(&mut line, b"\r"), BELL, "the queue is full");
    assert_eq!(read(&mut line, 1).as_deref(), Some(&b"x"[..]));
    assert_eq!(type_in(&mut line, b"\r"), b"\n", "and has room again");
    let mut line = LineDiscipline::new();
    assert_eq!(type_in(&mut line, &[b'\r'; LINES + 1]).last(), Some(&BELL[0]));
}

/// What shows after `bytes` went to a terminal: its last row, as characters.
fn last_row(bytes: &[u8]) -> String {
    let (mut row, mut column): (Vec<char>, usize) = (Vec::new(), 0);
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\n' => (row, column) = (Vec::new(), 0),
            '\u{8}' => column = column.saturating_sub(1),
            '\u{7}' => {}
            _ => {
                row.resize(row.len().max(column + 1), ' ');
                row[column] = character;
                column += 1;
            }
        }
    }
    row.truncate(column);
    row.into_iter().collect()
}

/// The same keys, as a string would be edited.
fn model(keys: &[char]) -> (Vec<String>, String) {
    let (mut lines, mut edit) = (Vec::new(), String::new());
    for &key in keys {
        match key {
            '\r' | '\n' => lines.push(std::mem::take(&mut edit) + "\n"),
            '\u{4}' => lines.push(std::mem::take(&mut edit)),
            '\u{3}' | '\u{15}' => edit.clear(),
            '\u{8}' | '\u{7f}' => drop(edit.pop()),
            '\u{17}' => {
                let word = edit.trim_end_matches(' ');
                edit.truncate(word.rfind(' ').map_or(0, |blank| blank + 1));
            }
            '\u{12}' => {}
            _ => edit.push(key),
        }
    }
    (lines, edit)
}

fn key() -> impl Strategy<Value = char> {
    prop_oneof![
        8 => proptest::char::range('a', 'e'),
        3 => Just(' '),
        2 => prop_oneof![Just('ä'), Just('€'), Just('😀')],
        4 => prop_oneof![Just('\u{7f}'), Just('\u{8}'), Just('\u{17}')],
        2 => prop_oneof![Just('\u{15}'), Just('\u{3}'), Just('\u{4}'), Just('\u{12}'), Just('\r')],
    ]
}

proptest! {
    #[test]
    fn lines_and_screen_match_the_model(keys in proptest::collection::vec(key(), 0..60)) {
        let mut line = LineDiscipline::new();
        // A line flushed by ^D stays on the screen before the next one: only the text after it counts.
        let typed: String = keys.iter().map(|&key| if key == '\u{4}' { '\r' } else { key }).collect();
        let shown = type_in(&mut line, typed.as_bytes());
        prop_assert_eq!(last_row(&shown), model(&typed.chars().collect::<Vec<char>>()).1);

        let mut line = LineDiscipline::new();
        type_in(&mut line, keys.iter().collect::<String>().as_bytes());
        let (lines, edit) = model(&keys);
        prop_assert_eq!(line.edited(), edit.as_bytes());
        for expected in lines {
            prop_assert_eq!(read(&mut line, LINE_MAX), Some(expected.into_bytes()));
        }
        prop_assert_eq!(read(&mut line, LINE_MAX), None);
    }

    #[test]
    fn no_bytes_break_it(keys in proptest::collection::vec(any::<u8>(), 0..5000), most in 1usize..100) {
        let mut line = LineDiscipline::new();
        type_in(&mut line, &keys);
        let mut total = 0;
        while let Some(bytes) = read(&mut line, most) {
            prop_assert!(bytes.len() <= most);
            total += bytes.len();
        }
        prop_assert!(total <= QUEUE);
    }
}
