//! A row of a call table: what a POSIX number means, as data.
//!
//! The core knows no POSIX. `syscall` with a number below [`crate::call::FIRST`] takes the row of that
//! number in the process's call table, which its creator installed; `libipc/proto` generates the rows.

/// Rows in a call table; numbers from here up to [`crate::call::FIRST`] are ENOSYS.
pub const ROWS: usize = 512;

/// What the core does for a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Op {
    /// No such call: ENOSYS.
    #[default]
    None = 0,
    /// Send a message to the connection in `slot`.
    Send = 1,
    /// Send a message to the connection whose slot is in rdi.
    SendTo = 2,
    /// Drop the handle in rdi (`close`).
    Drop = 3,
    /// Copy the handle in rdi to the lowest free slot (`dup`).
    Copy = 4,
    /// Copy the handle in rdi to slot rsi, dropping what was there (`dup2`).
    CopyTo = 5,
    /// Let another thread of the same priority run (`sched_yield`).
    Yield = 6,
    /// Go on at the address in `label`, with the address behind the `syscall` instruction in rax: code of ring 3, mapped
    /// there by the process's creator, does what the number means.
    Reflect = 7,
}

/// How a leased buffer is described by the words of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Shape {
    /// No buffer.
    #[default]
    None = 0,
    /// Word `word` is the address, word `word + 1` the length; the server may read it.
    Read = 1,
    /// Word `word` is the address, word `word + 1` the length; the server may write it.
    Write = 2,
    /// Word `word` is the address of `size` bytes that the server may read.
    ReadFixed = 3,
    /// Word `word` is the address of `size` bytes that the server may write.
    WriteFixed = 4,
    /// Word `word` is the address of a string that ends with NUL within `size` bytes. If that is word 0, the core lays a
    /// string of less than 24 bytes into the last [`SHORT_TEXT`] words of the message, with zeros behind it. They are
    /// zeros for a longer one.
    Text = 5,
}

impl Shape {
    const ALL: [Shape; 6] = [Shape::None, Shape::Read, Shape::Write, Shape::ReadFixed, Shape::WriteFixed, Shape::Text];

    /// The `Shape` with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Shape> {
        if (number as usize) < Shape::ALL.len() { Some(Shape::ALL[number as usize]) } else { None }
    }
}

impl Op {
    const ALL: [Op; 8] = [Op::None, Op::Send, Op::SendTo, Op::Drop, Op::Copy, Op::CopyTo, Op::Yield, Op::Reflect];

    /// The `Op` with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Op> {
        if (number as usize) < Op::ALL.len() { Some(Op::ALL[number as usize]) } else { None }
    }
}

/// One buffer of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct LeaseRow {
    /// How address and length are found.
    pub shape: Shape,
    /// Which word of the message holds the address.
    pub word: u8,
    /// Bytes, for the fixed shapes and for text.
    pub size: u16,
}

/// Words of a message that belong to the text of word 0.
pub const SHORT_TEXT: usize = 3;
/// Leases a message can carry.
pub const LEASES: usize = 2;

/// One row: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Row {
    /// What the core does.
    pub op: Op,
    /// 1 if the reply may carry a handle, otherwise 0.
    pub opens: u8,
    /// The slot of the connection, for [`Op::Send`].
    pub slot: u16,
    /// The label of the message, or the address of [`Op::Reflect`].
    pub label: u32,
    /// The buffers that the message lends.
    pub leases: [LeaseRow; LEASES],
}

const _: () = assert!(size_of::<Row>() == 16);

impl Row {
    /// A row that answers ENOSYS.
    pub const NONE: Row = {
        let nothing = LeaseRow { shape: Shape::None, word: 0, size: 0 };
        Row { op: Op::None, opens: 0, slot: 0, label: 0, leases: [nothing; LEASES] }
    };

    /// The row as sixteen bytes, as `table_create` takes it.
    pub const fn to_bytes(self) -> [u8; 16] {
        // SAFETY: a row is integers, and enumerations of a byte, without padding.
        unsafe { core::mem::transmute(self) }
    }

    /// Reads a row that somebody claims is one; `None` if any field is out of range.
    pub const fn from_bytes(bytes: &[u8; 16]) -> Option<Row> {
        let Some(op) = Op::from_number(bytes[0]) else { return None };
        let slot = u16::from_le_bytes([bytes[2], bytes[3]]);
        if bytes[1] > 1 || slot as u32 >= crate::slot::END {
            return None;
        }
        let (Some(a), Some(b)) =
            (lease([bytes[8], bytes[9], bytes[10], bytes[11]]), lease([bytes[12], bytes[13], bytes[14], bytes[15]]))
        else {
            return None;
        };
        let label = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Some(Row { op, opens: bytes[1], slot, label, leases: [a, b] })
    }
}

const fn lease(bytes: [u8; 4]) -> Option<LeaseRow> {
    let Some(shape) = Shape::from_number(bytes[0]) else { return None };
    let word_limit = match shape {
        Shape::Read | Shape::Write => crate::msg::WORDS as u8 - 1,
        _ => crate::msg::WORDS as u8,
    };
    if bytes[1] >= word_limit {
        return None;
    }
    let size = u16::from_le_bytes([bytes[2], bytes[3]]);
    // The core looks for the NUL of a text in one go: it must not be far.
    if matches!(shape, Shape::Text) && size as usize > crate::PATH_MAX {
        return None;
    }
    Some(LeaseRow { shape, word: bytes[1], size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_trip() {
        let row = Row {
            op: Op::Send,
            opens: 1,
            slot: 1030,
            label: 77,
            leases: [
                LeaseRow { shape: Shape::Text, word: 0, size: 4096 },
                LeaseRow { shape: Shape::Write, word: 4, size: 0 },
            ],
        };
        assert_eq!(Row::from_bytes(&row.to_bytes()), Some(row));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Row::from_bytes(&[0xff; 16]), None);
        let mut bytes = Row::NONE.to_bytes();
        bytes[8] = Shape::Write as u8;
        bytes[9] = 5;
        assert_eq!(Row::from_bytes(&bytes), None, "word 6 does not exist");
        let mut bytes = Row::NONE.to_bytes();
        bytes[8] = Shape::Text as u8;
        bytes[10..12].copy_from_slice(&4096u16.to_le_bytes());
        assert!(Row::from_bytes(&bytes).is_some(), "text of PATH_MAX bytes");
        bytes[10..12].copy_from_slice(&4097u16.to_le_bytes());
        assert_eq!(Row::from_bytes(&bytes), None, "text that is too long to look through");
    }
}
