//! Archives: init's, and the one around it that the direct loader gets.

use direct_boot::archive::Outer;
use parley_init::archive::Archive;

/// `part` is a part of `whole`, and not a copy or something else.
fn lies_within(part: &[u8], whole: &[u8]) -> bool {
    whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

/// A file that is found lies in the archive.
pub fn archive(bytes: &[u8]) {
    let Ok(archive) = Archive::new(bytes) else { return };
    for name in ["svc/vfs", "svc/ping", ""] {
        assert!(archive.find(name).is_none_or(|data| lies_within(data, bytes)), "{name}");
    }
}

/// The three entries lie in the archive, and the command line is a C string without white space around it.
pub fn outer(bytes: &[u8]) {
    let Ok(outer) = Outer::parse(bytes) else { return };
    for part in [outer.kernel, outer.cmdline, outer.module] {
        assert!(lies_within(part, bytes));
    }
    assert_eq!(outer.cmdline.trim_ascii(), outer.cmdline);
    assert!(!outer.cmdline.contains(&0));
}
