//! `service!`: what is derived from an interface table.
//!
//! A row reads
//! `number name(arguments) via fd|root|peer as NR, [opens,] [repeats,] prompt|pending [ERRORS];`
//! where `via fd` takes the connection from the first argument, `via root` uses the process's connection
//! to the service, and `via peer` is for other services only ([`crate::Host::call`], no number). `repeats` says that
//! the row can be served twice with no more effect than once: if a server dies while it serves such a row, the next
//! one serves it again. If one that keeps no state (`durable` in `libipc/rt`) dies while it serves another row, the caller
//! gets EIO, for nobody knows how far it came.

use parley_abi::Errno;
use parley_abi::msg::WORDS;
use parley_abi::row::{LEASES, LeaseRow, Op, Row, SHORT_TEXT, Shape};

use crate::arg::Layout;

/// How a row finds its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From the first argument.
    Fd,
    /// The process's connection to the service.
    Root,
    /// Not by programs: from service to service.
    Peer,
}

/// One row of an interface, for call tables, traces and documentation.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Name of the row.
    pub name: &'static str,
    /// Interface and number: the label of its messages.
    pub label: u32,
    /// System call number, unless it is a row between services.
    pub number: Option<u16>,
    /// How it finds its connection.
    pub via: Via,
    /// Slot of the connection, for [`Via::Root`].
    pub slot: u32,
    /// The reply may carry a handle.
    pub opens: bool,
    /// May be answered later.
    pub pending: bool,
    /// Serving it twice has no more effect than serving it once.
    pub repeats: bool,
    /// Names and layouts of the arguments.
    pub args: &'static [(&'static str, Layout)],
    /// Errors beside those that every call can give.
    pub errors: &'static [Errno],
    /// The manual.
    pub doc: &'static str,
}

impl Method {
    /// The row of the call table.
    pub const fn row(&self) -> Row {
        let (op, slot) = match self.via {
            Via::Fd => (Op::SendTo, 0),
            Via::Root => (Op::Send, self.slot as u16),
            Via::Peer => (Op::None, 0),
        };
        Row { op, opens: self.opens as u8, slot, label: self.label, leases: leases(self.args) }
    }
}

/// Which words of the message are buffers.
const fn leases(args: &[(&str, Layout)]) -> [LeaseRow; LEASES] {
    let mut leases = [LeaseRow { shape: Shape::None, word: 0, size: 0 }; LEASES];
    let (mut next, mut word, mut index, mut text) = (0, 0, 0, false);
    while index < args.len() {
        let layout = args[index].1;
        if !matches!(layout.shape, Shape::None) {
            leases[next] = LeaseRow { shape: layout.shape, word: word as u8, size: layout.size };
            text = text || word == 0 && matches!(layout.shape, Shape::Text);
            next += 1;
        }
        word += layout.words;
        index += 1;
    }
    assert!(word <= WORDS, "a row has more words than a message");
    assert!(!text || word + SHORT_TEXT <= WORDS, "where word 0 is text, the last words are the core's");
    leases
}

macro_rules! service {
    (
        $(#[doc = $about:literal])*
        interface $id:literal $module:ident, trait $trait:ident, slot $slot:expr;
        $(
            $(#[doc = $doc:literal])*
            $number:literal $name:ident ( $($arg:ident : $type:ty),* )
                via $via:ident $(as $nr:expr)? , $($flag:ident),* [$($error:ident),*];
        )*
    ) => {
        $(#[doc = $about])*
        pub mod $module {
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use $crate::arg::Arg;
            use $crate::arg::Taker;
            #[allow(unused_imports)]
            use $crate::arg::Putter;
            use parley_abi::Errno;
            use parley_abi::msg::Words;
            use $crate::seam::{Cx, Outcome};
            use $crate::table::{Method, Via};

            /// Number of the interface: bits 8 to 15 of its labels.
            pub const ID: u32 = $id;

            /// Labels of the rows.
            #[allow(non_upper_case_globals)]
            pub mod label {
                $($(#[doc = $doc])* pub const $name: u32 = $id << 8 | $number;)*
            }

            /// What a server of this interface implements: one method a row.
            pub trait $trait {
                $(
                    $(#[doc = $doc])*
                    #[allow(clippy::too_many_arguments)]
                    fn $name(&mut self, cx: &mut Cx<'_> $(, $arg: $type)*) -> Outcome<'_>;
                )*
            }

            /// Takes a request apart and calls the row's method. ENOSYS: no such row.
            #[inline(always)]
            pub fn dispatch<'s, S: $trait + ?Sized>(
                server: &'s mut S, cx: &mut Cx<'_>, label: u32, words: &Words,
            ) -> Outcome<'s> {
                #[allow(unused_mut, unused_variables)]
                let mut taker = Taker::new(words);
                match label {
                    $(label::$name => {
                        $(let $arg = <$type as Arg>::take(&mut taker);)*
                        server.$name(cx $(, $arg)*)
                    })*
                    _ => Outcome::from(Errno::ENOSYS),
                }
            }

            /// The arguments of each row, taken out of the words of a request.
            pub mod take {
                use super::*;
                $($(#[doc = $doc])*
                #[allow(unused_mut, unused_variables, clippy::unused_unit)]
                #[inline(always)]
                pub fn $name(words: &Words) -> ($($type,)*) {
                    let mut taker = Taker::new(words);
                    ($(<$type as Arg>::take(&mut taker),)*)
                })*
            }

            /// The rows as types.
            #[allow(non_camel_case_types)]
            pub mod row {
                $($(#[doc = $doc])* pub struct $name;
                impl $crate::seam::RowType for $name {
                    const ROW: parley_abi::row::Row = super::METHODS[super::place::$name as usize].row();
                })*
            }

            #[allow(non_camel_case_types)]
            enum place { $($name),* }

            /// Hands all rows over.
            pub fn rows(sink: &mut impl $crate::seam::RowSink) {
                $(sink.add::<row::$name>();)*
            }

            /// All rows.
            pub const METHODS: &[Method] = &[$(
                Method {
                    name: stringify!($name),
                    label: $id << 8 | $number,
                    number: service!(@number $($nr)?),
                    via: service!(@via $via),
                    slot: $slot,
                    opens: service!(@has opens $($flag)*),
                    pending: service!(@has pending $($flag)*),
                    repeats: service!(@has repeats $($flag)*),
                    args: &[$((stringify!($arg), <$type as Arg>::LAYOUT)),*],
                    errors: &[$(Errno::$error),*],
                    doc: concat!($($doc, "\n"),*),
                }
            ),*];

            $(service!(@stub $via $name [$($nr)?] ($($arg : $type),*) $(#[doc = $doc])*);)*
        }
    };

    (@number) => { None };
    (@number $nr:expr) => { Some($nr) };
    (@via fd) => { Via::Fd };
    (@via root) => { Via::Root };
    (@via peer) => { Via::Peer };
    (@has opens opens $($rest:ident)*) => { true };
    (@has pending pending $($rest:ident)*) => { true };
    (@has repeats repeats $($rest:ident)*) => { true };
    (@has $what:ident $other:ident $($rest:ident)*) => { service!(@has $what $($rest)*) };
    (@has $what:ident) => { false };

    (@stub fd $name:ident [$nr:expr] ($($arg:ident : $type:ty),*) $(#[doc = $doc:literal])*) => {
        $(#[doc = $doc])*
        pub fn $name(
            via: &mut impl $crate::arg::Caller, fd: u32 $(, $arg: <$type as Arg>::Given<'_>)*
        ) -> Result<i64, Errno> {
            #[allow(unused_mut)]
            let mut putter = Putter::default();
            $(<$type as Arg>::put($arg, &mut putter);)*
            via.invoke_on($nr, fd, putter.words())
        }
    };
    (@stub root $name:ident [$nr:expr] ($($arg:ident : $type:ty),*) $(#[doc = $doc:literal])*) => {
        $(#[doc = $doc])*
        pub fn $name(
            via: &mut impl $crate::arg::Caller $(, $arg: <$type as Arg>::Given<'_>)*
        ) -> Result<i64, Errno> {
            #[allow(unused_mut)]
            let mut putter = Putter::default();
            $(<$type as Arg>::put($arg, &mut putter);)*
            Errno::check(via.invoke($nr, *putter.words()))
        }
    };
    (@stub peer $($rest:tt)*) => {};
}
