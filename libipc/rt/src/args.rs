//! Arguments and auxiliary vector, as the creator left them on the stack.
//!
//! The strings live as long as the process, so they are handed out as `'static`.

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Keys of the auxiliary vector: Linux's (`include/uapi/linux/auxvec.h`), and Parley's from 0x1000 on.
pub mod auxv {
    /// Ends the vector.
    pub const NULL: u64 = 0;
    /// Address of the program headers.
    pub const PHDR: u64 = 3;
    /// Size of a program header.
    pub const PHENT: u64 = 4;
    /// Number of program headers.
    pub const PHNUM: u64 = 5;
    /// Bytes in a page.
    pub const PAGESZ: u64 = 6;
    /// First instruction of the program.
    pub const ENTRY: u64 = 9;
    /// Address of 16 random bytes.
    pub const RANDOM: u64 = 25;
    /// Time stamp counter ticks a second.
    pub const PARLEY_TSC_HZ: u64 = 0x1000;
    /// Time stamp counter at nanosecond zero.
    pub const PARLEY_TSC_START: u64 = 0x1001;
    /// Length in bytes of the boot archive in slot ARCHIVE.
    pub const PARLEY_ARCHIVE_LEN: u64 = 0x1002;
    /// Pages of the memory object in slot STATE; 0: there is none.
    pub const PARLEY_STATE_PAGES: u64 = 0x1003;
    /// Port of the power management timer, for a process that may use it; 0: there is none.
    pub const PARLEY_PM_TIMER: u64 = 0x1004;
}

/// The arguments of the process.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    /// At argc; argv, envp and auxv follow.
    stack: *const u64,
}

static STACK: AtomicPtr<u64> = AtomicPtr::new(ptr::null_mut());

/// Keeps the arguments for [`Args::of_process`].
pub(crate) fn remember(args: Args) {
    STACK.store(args.stack.cast_mut(), Ordering::Relaxed);
}

impl Args {
    /// # Safety
    /// `stack` points to argc, argv, NULL, envp, NULL, auxv, AT_NULL; they and the strings stay in place
    /// and unchanged for the life of the process.
    pub(crate) const unsafe fn from_stack(stack: *const u64) -> Args {
        Args { stack }
    }

    /// The arguments of this process; `None` before it has begun.
    pub fn of_process() -> Option<Args> {
        let stack = STACK.load(Ordering::Relaxed);
        (!stack.is_null()).then_some(Args { stack })
    }

    /// How many arguments there are, the program's name included.
    pub fn len(&self) -> usize {
        self.word(0) as usize
    }

    /// There is not even a name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Argument number `index`; 0 is the name of the program. `None` past the last, or if it is not UTF-8.
    pub fn get(&self, index: usize) -> Option<&'static str> {
        self.get_c(index)?.to_str().ok()
    }

    /// Argument number `index` as it is.
    pub fn get_c(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.len() {
            return None;
        }
        let text = ptr::with_exposed_provenance::<c_char>(self.word(1 + index) as usize);
        // SAFETY: `from_stack` was promised that argv holds argc strings that stay.
        Some(unsafe { CStr::from_ptr(text) })
    }

    /// `argv` as C's `main` wants it: a pointer for each argument, then a null pointer.
    pub fn argv(&self) -> *const *const c_char {
        self.stack.wrapping_add(1).cast()
    }

    /// `envp` as C's `main` wants it: a pointer for each `NAME=value`, then a null pointer.
    pub fn envp(&self) -> *const *const c_char {
        self.stack.wrapping_add(2 + self.len()).cast()
    }

    /// All arguments, the program's name first. One that is not UTF-8 reads as "?".
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + use<> {
        let args = *self;
        (0..args.len()).map(move |index| args.get(index).unwrap_or("?"))
    }

    /// File name of the program: the part of argument 0 after its last slash.
    pub fn name(&self) -> &'static str {
        self.get(0).and_then(|path| path.rsplit('/').next()).unwrap_or("?")
    }

    /// The entry of the auxiliary vector with this key ([`auxv`]).
    pub fn auxiliary(&self, key: u64) -> Option<u64> {
        let mut at = self.after_null(2 + self.len());
        while self.word(at) != auxv::NULL {
            if self.word(at) == key {
                return Some(self.word(at + 1));
            }
            at += 2;
        }
        None
    }

    /// Index of the first word after the next NULL at or after `at`.
    fn after_null(&self, mut at: usize) -> usize {
        while self.word(at) != 0 {
            at += 1;
        }
        at + 1
    }

    fn word(&self, index: usize) -> u64 {
        // SAFETY: `from_stack` was promised the layout, and every caller stops at the word that ends it.
        unsafe { *self.stack.add(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(strings: &[&'static CStr]) -> Vec<u64> {
        let mut words = vec![strings.len() as u64];
        words.extend(strings.iter().map(|text| text.as_ptr().expose_provenance() as u64));
        words.extend([0, 0]);
        words.extend([auxv::PAGESZ, 4096, auxv::PARLEY_TSC_HZ, 1_000_000_000, auxv::NULL, 0]);
        words
    }

    #[test]
    fn arguments_and_vector_are_found() {
        let words = stack(&[c"/bin/ls", c"-l"]);
        // SAFETY: laid out as a creator would, and alive until the end of the test.
        let args = unsafe { Args::from_stack(words.as_ptr()) };
        assert_eq!(args.iter().collect::<Vec<_>>(), ["/bin/ls", "-l"]);
        assert_eq!((args.name(), args.get(2)), ("ls", None));
        assert_eq!((args.argv().cast(), args.envp().cast()), (&raw const words[1], &raw const words[4]));
        assert_eq!(args.auxiliary(auxv::PARLEY_TSC_HZ), Some(1_000_000_000));
        assert_eq!(args.auxiliary(auxv::RANDOM), None);
    }

    #[test]
    fn nothing_at_all_is_fine() {
        let words = stack(&[]);
        // SAFETY: as above.
        let args = unsafe { Args::from_stack(words.as_ptr()) };
        assert!(args.is_empty() && args.iter().next().is_none());
        assert_eq!((args.name(), args.auxiliary(auxv::PAGESZ)), ("?", Some(4096)));
    }
}
