//! One file out of the boot archive: all that the core needs of it.
//!
//! A ustar archive (POSIX.1-2017, pax, "ustar Interchange Format") is blocks of 512 bytes: a header, then
//! the file. Twenty lines of our own instead of a crate, because a crate's checks and messages would be a
//! twentieth of the micro kernel's text. init and the VFS, which read names from it, use the crate.

const BLOCK: usize = 512;

/// The contents of the file with this name. `Err`: this is no ustar archive, or not all of one.
pub fn find<'a>(archive: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, ()> {
    let mut rest = archive;
    loop {
        let (header, after) = rest.split_at_checked(BLOCK).ok_or(())?;
        if header[0] == 0 {
            return Ok(None);
        }
        if header[257..262] != *b"ustar" {
            return Err(());
        }
        let size = octal(&header[124..136]);
        let file = after.get(..size).ok_or(())?;
        if header.starts_with(name.as_bytes()) && header[name.len()] == 0 {
            return Ok(Some(file));
        }
        rest = after.get(size.next_multiple_of(BLOCK)..).ok_or(())?;
    }
}

/// A number in octal digits, up to whatever is none. Eleven digits fit: nothing overflows.
fn octal(field: &[u8]) -> usize {
    let digits = field.iter().map_while(|&byte| byte.checked_sub(b'0').filter(|&digit| digit < 8));
    digits.fold(0, |number, digit| number * 8 + digit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, data) in files {
            let mut header = [0; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
            header[257..262].copy_from_slice(b"ustar");
            bytes.extend(header);
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    #[test]
    fn a_file_is_found_by_its_whole_name() {
        let bytes = archive(&[("initial", b"no"), ("bin/init", b"no"), ("empty", b""), ("init", b"yes")]);
        assert_eq!(find(&bytes, "init"), Ok(Some(&b"yes"[..])));
        assert_eq!(find(&bytes, "empty"), Ok(Some(&b""[..])));
        assert_eq!(find(&bytes, "ini"), Ok(None));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let bytes = archive(&[("other", &[7; 1000])]);
        for end in [0, 100, BLOCK, BLOCK + 100, BLOCK + 999] {
            assert_eq!(find(&bytes[..end], "init"), Err(()), "{end}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_survived(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..4000),
            at in 0..3usize, digits in "[0-9]{0,12}",
        ) {
            if let Some(header) = bytes.get_mut(at * BLOCK..(at + 1) * BLOCK) {
                header[257..262].copy_from_slice(b"ustar");
                header[124..124 + digits.len()].copy_from_slice(digits.as_bytes());
            }
            let _ = find(&bytes, "init");
        }
    }
}
