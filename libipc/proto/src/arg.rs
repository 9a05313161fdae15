//! Arguments: how a typed parameter lies in the words of a message.
//!
//! Each type knows its words, its lease if it is a buffer, how a server takes it out and how a caller
//! puts it in. So a table states a parameter once, as a type.

use core::marker::PhantomData;
use parley_abi::Errno;
use parley_abi::linux::Plain;
use parley_abi::msg::{WORDS, Words};
use parley_abi::row::{SHORT_TEXT, Shape};
use parley_abi::text;

use crate::seam::Cx;

/// How one argument lies in a message: what the call table needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Kind of buffer, or [`Shape::None`] for a number.
    pub shape: Shape,
    /// Bytes, for the fixed shapes and text.
    pub size: u16,
    /// Words it takes.
    pub words: usize,
}

/// A parameter of a row.
pub trait Arg: Sized {
    /// How it lies in a message.
    const LAYOUT: Layout;
    /// What a caller gives for it.
    type Given<'a>;
    /// Takes it out of a request.
    fn take(from: &mut Taker<'_>) -> Self;
    /// Puts it into a request.
    fn put(given: Self::Given<'_>, to: &mut Putter);
}

/// Walks over the words of a request.
pub struct Taker<'a> {
    words: &'a Words,
    word: usize,
    lease: u8,
}

impl<'a> Taker<'a> {
    /// Starts at word 0.
    pub fn new(words: &'a Words) -> Self {
        Taker { words, word: 0, lease: 0 }
    }
    fn word(&mut self) -> u64 {
        self.word += 1;
        self.words.get(self.word - 1).copied().unwrap_or(0)
    }
    /// The words behind those of the row's parameters, where word 0 is text.
    fn last(&self) -> [u64; SHORT_TEXT] {
        self.words.last_chunk().copied().unwrap_or_default()
    }
    fn lease(&mut self) -> u8 {
        self.lease += 1;
        self.lease - 1
    }
}

/// Collects the words of a request.
#[derive(Default)]
pub struct Putter {
    words: Words,
    used: usize,
}

impl Putter {
    /// The words put so far, the rest 0.
    pub fn words(&self) -> &Words {
        &self.words
    }
    fn word(&mut self, value: u64) {
        self.words[self.used] = value;
        self.used += 1;
    }
}

/// Sends a call: by `syscall` in a program, by a function call in the loop-back placement.
pub trait Caller {
    /// Calls number `number` of the call table with what would be in rdi rsi rdx r10 r8 r9.
    fn invoke(&mut self, number: u16, args: Words) -> i64;

    /// Calls a row that takes its connection from the first argument.
    fn invoke_on(&mut self, number: u16, fd: u32, words: &Words) -> Result<i64, Errno> {
        let [a, b, c, d, e, _] = *words;
        Errno::check(self.invoke(number, [fd as u64, a, b, c, d, e]))
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Arg for $type {
            const LAYOUT: Layout = Layout { shape: Shape::None, size: 0, words: 1 };
            type Given<'a> = $type;
            fn take(from: &mut Taker<'_>) -> Self { from.word() as $type }
            fn put(given: $type, to: &mut Putter) { to.word(given as u64) }
        }
    )*};
}
number!(u32, i32, u64, i64);

/// A buffer that the server reads: address and length.
#[derive(Clone, Copy, Debug)]
pub struct In {
    lease: u8,
    /// Bytes the client says there are.
    pub len: u64,
}

/// A buffer that the server writes: address and length.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    lease: u8,
    /// Bytes the client says there are.
    pub len: u64,
}

/// A string that ends with NUL, at most `PATH_MAX` bytes with it.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    lease: u8,
    /// It, if it is short and the message has it; otherwise the first is 0.
    short: [u64; SHORT_TEXT],
}

/// A structure that the server reads. The pointer may be null.
#[derive(Clone, Copy, Debug)]
pub struct InOf<T> {
    lease: u8,
    /// The client gave no structure.
    pub is_null: bool,
    what: PhantomData<T>,
}

/// A structure that the server writes. The pointer may be null.
#[derive(Clone, Copy, Debug)]
pub struct OutOf<T> {
    lease: u8,
    /// The client gave no structure.
    pub is_null: bool,
    what: PhantomData<T>,
}

impl In {
    /// Copies from `offset` of the buffer; the bytes copied are fewer than asked where it ends.
    pub fn read(&self, cx: &mut Cx<'_>, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        cx.host.copy_in(cx.token, self.lease, offset, into)
    }
    /// Number of the lease, to be kept with the token for a later copy.
    pub fn lease(&self) -> u8 {
        self.lease
    }
}

impl Out {
    /// Copies to `offset` of the buffer; the bytes copied are fewer than given where it ends.
    pub fn write(&self, cx: &mut Cx<'_>, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        cx.host.copy_out(cx.token, self.lease, offset, from)
    }
    /// Number of the lease, to be kept with the token for a later copy.
    pub fn lease(&self) -> u8 {
        self.lease
    }
}

impl Text {
    /// Writes the string into `into` and returns it without its NUL.
    ///
    /// ENAMETOOLONG: no NUL within `into`. EFAULT: not mapped. (A copy of text ends with its NUL.)
    #[inline(always)]
    pub fn read<'b>(&self, cx: &mut Cx<'_>, into: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        if self.short[0] == 0 || into.len() < size_of_val(&self.short) {
            return self.copy(cx, into);
        }
        for (to, word) in into.as_chunks_mut().0.iter_mut().zip(self.short) {
            *to = word.to_le_bytes();
        }
        Ok(&into[..self.length()])
    }

    /// Bytes of a short one.
    #[inline(always)]
    fn length(&self) -> usize {
        let nul = self.short.iter().zip(0..).find_map(|(&word, number)| Some(number * 8 + text::first_zero(word)?));
        nul.unwrap_or(0)
    }

    #[inline(never)]
    fn copy<'b>(&self, cx: &mut Cx<'_>, into: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        let copied = cx.host.copy_in(cx.token, self.lease, 0, into)?;
        match into[..copied].split_last() {
            Some((0, text)) => Ok(text),
            _ => Err(Errno::ENAMETOOLONG),
        }
    }
}

impl<T: Plain> InOf<T> {
    /// The structure. EFAULT: null, or not mapped.
    pub fn read(&self, cx: &mut Cx<'_>) -> Result<T, Errno> {
        let mut value = T::default();
        let bytes = value.bytes_mut();
        let wanted = bytes.len();
        match cx.host.copy_in(cx.token, self.lease, 0, bytes)? {
            copied if copied == wanted => Ok(value),
            _ => Err(Errno::EFAULT),
        }
    }
}

impl<T: Plain> OutOf<T> {
    /// Writes the structure. EFAULT: null, or not mapped.
    pub fn write(&self, cx: &mut Cx<'_>, value: &T) -> Result<(), Errno> {
        match cx.host.copy_out(cx.token, self.lease, 0, value.bytes())? {
            copied if copied == value.bytes().len() => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }
    /// Number of the lease, to be kept with the token for a later copy.
    pub fn lease(&self) -> u8 {
        self.lease
    }
}

impl Arg for In {
    const LAYOUT: Layout = Layout { shape: Shape::Read, size: 0, words: 2 };
    type Given<'a> = &'a [u8];
    fn take(from: &mut Taker<'_>) -> Self {
        from.word();
        In { lease: from.lease(), len: from.word() }
    }
    fn put(given: &[u8], to: &mut Putter) {
        to.word(given.as_ptr().expose_provenance() as u64);
        to.word(given.len() as u64);
    }
}

impl Arg for Out {
    const LAYOUT: Layout = Layout { shape: Shape::Write, size: 0, words: 2 };
    type Given<'a> = &'a mut [u8];
    fn take(from: &mut Taker<'_>) -> Self {
        from.word();
        Out { lease: from.lease(), len: from.word() }
    }
    fn put(given: &mut [u8], to: &mut Putter) {
        to.word(given.as_mut_ptr().expose_provenance() as u64);
        to.word(given.len() as u64);
    }
}

impl Arg for Text {
    const LAYOUT: Layout = Layout { shape: Shape::Text, size: parley_abi::PATH_MAX as u16, words: 1 };
    type Given<'a> = &'a core::ffi::CStr;
    fn take(from: &mut Taker<'_>) -> Self {
        let short = if from.word == 0 { from.last() } else { Default::default() };
        from.word();
        Text { lease: from.lease(), short }
    }
    fn put(given: &core::ffi::CStr, to: &mut Putter) {
        to.word(given.as_ptr().expose_provenance() as u64);
    }
}

impl<T: Plain> Arg for InOf<T> {
    const LAYOUT: Layout = Layout { shape: Shape::ReadFixed, size: size_of::<T>() as u16, words: 1 };
    type Given<'a> = Option<&'a T>;
    fn take(from: &mut Taker<'_>) -> Self {
        InOf { is_null: from.word() == 0, lease: from.lease(), what: PhantomData }
    }
    fn put(given: Option<&T>, to: &mut Putter) {
        to.word(given.map_or(0, |value| core::ptr::from_ref(value).expose_provenance() as u64));
    }
}

impl<T: Plain> Arg for OutOf<T> {
    const LAYOUT: Layout = Layout { shape: Shape::WriteFixed, size: size_of::<T>() as u16, words: 1 };
    type Given<'a> = Option<&'a mut T>;
    fn take(from: &mut Taker<'_>) -> Self {
        OutOf { is_null: from.word() == 0, lease: from.lease(), what: PhantomData }
    }
    fn put(given: Option<&mut T>, to: &mut Putter) {
        to.word(given.map_or(0, |value| core::ptr::from_mut(value).expose_provenance() as u64));
    }
}

const _: () = assert!(WORDS == 6);
