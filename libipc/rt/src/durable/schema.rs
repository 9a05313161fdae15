//! Versions of a state, and why a program refuses one.
//!
//! A state lies in memory as the program that served it last left it, so there is one rule for a crash and for a swap,
//! whether the older program is alive, hung or dead: **a newer version only adds**, in words and in places of an
//! `export` that older ones leave alone. Then an older program can take a newer one's state as well, and the way back
//! from a swap is open. What it added is lost on that way, and made anew on the next way forth:
//! [`Durable::resume`](super::Durable::resume) is told the version. Where that cannot be, the newer one says so in
//! [`Schema::readable_by`], and older ones refuse before they touch anything.

use core::fmt;

use super::lasting::LAYOUT;

/// What a program says of the state that it writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Version of what it writes, from 1 on.
    pub version: u32,
    /// The oldest version that it reads.
    pub reads_from: u32,
    /// The oldest program, by its version, that can read what it writes.
    pub readable_by: u32,
}

impl Schema {
    /// A version that reads all that were before it, and can be read by them.
    pub const fn additive(version: u32) -> Schema {
        Schema { version, reads_from: 1, readable_by: 1 }
    }

    /// Whether a program with this schema can take over a state of a version that can be read from another on.
    pub(super) fn check(self, version: u32, readable_by: u32) -> Result<(), Refusal> {
        if version < self.reads_from || readable_by > self.version {
            Err(Refusal::Version { version, readable_by, schema: self })
        } else {
            Ok(())
        }
    }
}

/// Why a state cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is laid out in another way, or was made for memory of another size.
    Layout {
        /// Version of its layout.
        layout: u32,
        /// Its size in pages.
        pages: u32,
    },
    /// Its checksum is wrong.
    Damaged,
    /// Its version cannot be read.
    Version {
        /// The state's.
        version: u32,
        /// The oldest program that can read it.
        readable_by: u32,
        /// What this program reads.
        schema: Schema,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Layout { layout, pages } => {
                write!(
                    f,
                    "it has {pages} pages in layout {layout}; this program reads layout {LAYOUT} and as many pages as it is given"
                )
            }
            Refusal::Damaged => write!(f, "its checksum is wrong, so it is damaged"),
            Refusal::Version { version, schema, .. } if version < schema.reads_from => {
                let Schema { version: own, reads_from, .. } = schema;
                write!(f, "it is of version {version}, and this program, version {own}, reads none before {reads_from}")
            }
            Refusal::Version { version, readable_by, schema } => {
                let own = schema.version;
                write!(
                    f,
                    "it is of version {version}, which needs a program of version {readable_by}; this one is version {own}"
                )
            }
        }
    }
}
