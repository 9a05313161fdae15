//! The call table of a process, made from the tables of the services.
//!
//! init installs it in each address space; from then on the core turns a POSIX number into a message,
//! or into one of its own handle operations, without knowing POSIX.

use parley_abi::linux::nr;
use parley_abi::row::{Op, ROWS, Row};

use crate::table::Method;
use crate::tables::{chardev, file, init, ping, process, time, vfs};

/// Every interface: name and rows.
pub const INTERFACES: &[(&str, &[Method])] = &[
    ("file", file::METHODS),
    ("vfs", vfs::METHODS),
    ("chardev", chardev::METHODS),
    ("time", time::METHODS),
    ("process", process::METHODS),
    ("ping", ping::METHODS),
    ("init", init::METHODS),
];

/// Calls that are operations of the core itself on the caller's handles.
pub const HANDLE_CALLS: &[(u16, Op, &str)] = &[
    (nr::CLOSE, Op::Drop, "close"),
    (nr::DUP, Op::Copy, "dup"),
    (nr::DUP2, Op::CopyTo, "dup2"),
    (nr::SCHED_YIELD, Op::Yield, "sched_yield"),
];

/// Where the shim lies in every program: in pages of its own, below where programs are linked. Its linker script
/// (`libipc/posix/shim/link.ld`) says the same.
pub const SHIM: u32 = 0x10_0000;

/// Calls that the shim makes of others, with their entries in it.
pub const REFLECTED: &[(u16, u32, &str)] = &[(nr::POLL, SHIM, "poll"), (nr::PPOLL, SHIM + 16, "ppoll")];

/// The table, by number.
pub const TABLE: [Row; ROWS] = build();

const fn build() -> [Row; ROWS] {
    let mut table = [Row::NONE; ROWS];
    let mut interface = 0;
    while interface < INTERFACES.len() {
        let methods = INTERFACES[interface].1;
        let mut index = 0;
        while index < methods.len() {
            if let Some(number) = methods[index].number {
                assert!(matches!(table[number as usize].op, Op::None), "two rows have one number");
                table[number as usize] = methods[index].row();
            }
            index += 1;
        }
        interface += 1;
    }
    let mut index = 0;
    while index < HANDLE_CALLS.len() {
        let (number, op, _) = HANDLE_CALLS[index];
        table[number as usize] = Row { op, ..Row::NONE };
        index += 1;
    }
    index = 0;
    while index < REFLECTED.len() {
        let (number, label, _) = REFLECTED[index];
        table[number as usize] = Row { op: Op::Reflect, label, ..Row::NONE };
        index += 1;
    }
    table
}

/// The row whose messages have this label.
pub fn method(label: u32) -> Option<&'static Method> {
    INTERFACES.iter().flat_map(|(_, methods)| methods.iter()).find(|method| method.label == label)
}

/// Name of a call, for traces.
pub fn name(number: u16) -> Option<&'static str> {
    let rows = INTERFACES.iter().flat_map(|(_, methods)| methods.iter());
    let row = rows.filter(|method| method.number == Some(number)).map(|method| method.name).next();
    let others = HANDLE_CALLS.iter().map(|call| (call.0, call.2)).chain(REFLECTED.iter().map(|call| (call.0, call.2)));
    row.or_else(|| others.into_iter().find(|call| call.0 == number).map(|call| call.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::row::Shape;

    #[test]
    fn read_is_a_message_to_the_descriptor() {
        let row = TABLE[nr::READ as usize];
        assert_eq!((row.op, row.label), (Op::SendTo, file::label::read));
        assert_eq!((row.leases[0].shape, row.leases[0].word), (Shape::Write, 0));
        assert_eq!(row.leases[1].shape, Shape::None);
    }

    #[test]
    fn stat_lends_a_path_and_a_structure() {
        let [path, stat] = TABLE[nr::STAT as usize].leases;
        assert_eq!((path.shape, path.word, path.size), (Shape::Text, 0, 4096));
        assert_eq!((stat.shape, stat.word, stat.size), (Shape::WriteFixed, 1, 144));
    }

    #[test]
    fn every_row_survives_the_core_s_check() {
        for row in TABLE {
            assert_eq!(Row::from_bytes(&row.to_bytes()), Some(row));
        }
    }

    #[test]
    fn only_what_changes_nothing_repeats() {
        let repeats = |label| method(label).is_some_and(|method| method.repeats);
        for label in [file::label::pread, vfs::label::stat, process::label::getpid, time::label::epoch] {
            assert!(repeats(label), "{label:#x}");
        }
        // lseek relative to the offset, and read, move it; pwrite may have been overtaken by another.
        for label in [file::label::read, file::label::write, file::label::pwrite, file::label::lseek, vfs::label::open]
        {
            assert!(!repeats(label), "{label:#x}");
        }
        assert!(!repeats(u32::MAX));
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(name(nr::OPEN), Some("open"));
        assert_eq!(name(nr::DUP2), Some("dup2"));
        assert_eq!(name(500), None);
    }
}
