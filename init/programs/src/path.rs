//! Paths: from a word a person typed to what the system takes.

use alloc::ffi::CString;
use alloc::string::String;
use parley_abi::Errno;

/// `path` with its NUL. EINVAL: it has a NUL inside.
pub fn c_string(path: &str) -> Result<CString, Errno> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// `name` inside directory `folder`.
pub fn join(folder: &str, name: &str) -> String {
    let mut path = String::from(folder);
    if !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(name);
    path
}

/// Where the program that a person calls `word` lies: a path if it has a slash, otherwise in /bin.
pub fn of_program(word: &str) -> String {
    if word.contains('/') { String::from(word) } else { join("/bin", word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_with_one_slash() {
        assert_eq!(join("/", "bin"), "/bin");
        assert_eq!(join("/dev", "null"), "/dev/null");
    }

    #[test]
    fn a_slash_means_a_path() {
        assert_eq!(of_program("ls"), "/bin/ls");
        assert_eq!(of_program("./ls"), "./ls");
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(c_string("a\0b"), Err(Errno::EINVAL));
    }
}
