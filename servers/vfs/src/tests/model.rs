//! A model of the namespace, which random histories of names must agree with.
//!
//! The model is a sorted map from whole paths to what is there: nothing of inodes, mounts or links.

use alloc::string::String;
use alloc::vec::Vec;
use parley_abi::Errno;
use parley_abi::linux::{mode, open};
use proptest::prelude::*;
use std::collections::BTreeMap;

use super::{Client, EMPTY};

#[derive(Clone, Debug)]
enum Step {
    Create(String),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
}

/// Up to three names out of three, so that steps often meet.
fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|names| std::format!("/{}", names.join("/")))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::Mkdir),
        1 => path().prop_map(Step::Rmdir),
        1 => path().prop_map(Step::Unlink),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
    ]
}

/// Paths that exist: `None` for a directory, the file's mark otherwise.
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Option<u8>>,
}

fn parent(path: &str) -> &str {
    &path[..path.rfind('/').unwrap()]
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

impl Model {
    /// ENOENT or ENOTDIR for the first directory on the way that is none.
    fn way(&self, path: &str) -> Result<(), Errno> {
        for (at, _) in path.match_indices('/').skip(1) {
            match self.names.get(&path[..at]) {
                None => return Err(Errno::ENOENT),
                Some(Some(_)) => return Err(Errno::ENOTDIR),
                Some(None) => {}
            }
        }
        Ok(())
    }
    fn get(&self, path: &str) -> Result<Option<u8>, Errno> {
        self.way(path)?;
        self.names.get(path).copied().ok_or(Errno::ENOENT)
    }
    fn is_empty(&self, dir: &str) -> bool {
        !self.names.keys().any(|path| is_below(path, dir))
    }
    fn create(&mut self, path: &str, what: Option<u8>) -> Result<(), Errno> {
        match self.get(path) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => self.way(path).map(|()| {
                self.names.insert(path.into(), what);
            }),
            Err(errno) => Err(errno),
        }
    }
    fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        match self.get(path)? {
            Some(_) => Err(Errno::ENOTDIR),
            None if !self.is_empty(path) => Err(Errno::ENOTEMPTY),
            None => {
                self.names.remove(path);
                Ok(())
            }
        }
    }
    fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        self.get(path)?.ok_or(Errno::EISDIR)?;
        self.names.remove(path);
        Ok(())
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let directory = self.get(from)?.is_none();
        self.way(to)?;
        if directory && is_below(to, from) {
            return Err(Errno::EINVAL);
        }
        match self.names.get(to) {
            Some(None) if !directory => return Err(Errno::EISDIR),
            Some(Some(_)) if directory => return Err(Errno::ENOTDIR),
            _ if from == to => return Ok(()),
            Some(None) if !self.is_empty(to) => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let moved: Vec<String> =
            self.names.keys().filter(|path| *path == from || is_below(path, from)).cloned().collect();
        for path in moved {
            let what = self.names.remove(&path).unwrap();
            self.names.insert(std::format!("{to}{}", &path[from.len()..]), what);
        }
        Ok(())
    }
}

fn create(c: &mut Client, path: &str, mark: u8) -> Result<(), Errno> {
    let file = c.open(path.as_bytes(), open::WRONLY | open::CREAT | open::EXCL)?;
    c.write(file, &[mark]).unwrap();
    c.close(file);
    Ok(())
}

/// Each name of the model is there, is what it should be, and is listed; nothing else is.
fn compare(c: &mut Client, model: &Model) -> Result<(), TestCaseError> {
    for (path, what) in &model.names {
        let stat = c.stat(path.as_bytes());
        prop_assert!(stat.is_ok(), "{path} is missing");
        prop_assert_eq!(stat.unwrap().mode & mode::IFMT, if what.is_some() { mode::IFREG } else { mode::IFDIR });
        if let Some(mark) = what {
            let file = c.open(path.as_bytes(), 0).unwrap();
            prop_assert_eq!(c.read(file, 9), Ok([*mark].to_vec()));
            c.close(file);
        }
    }
    let directories = model.names.iter().filter(|(_, what)| what.is_none()).map(|(path, _)| path.as_str());
    for dir in directories.chain([""]) {
        let below: Vec<&String> = model.names.keys().filter(|path| parent(path) == dir).collect();
        let mut listed = c.names(if dir.is_empty() { b"/" } else { dir.as_bytes() }, 64);
        listed.retain(|name| ![&b"."[..], b"..", b"dev"].contains(&&name[..]));
        listed.sort();
        let names: Vec<Vec<u8>> = below.iter().map(|path| path.as_bytes()[dir.len() + 1..].to_vec()).collect();
        prop_assert_eq!(listed, names);
        let sub = below.iter().filter(|path| model.names[**path].is_none()).count() as u64;
        let stat = c.stat(if dir.is_empty() { b"/" } else { dir.as_bytes() }).unwrap();
        if let Some(end) = dir.rfind('/') {
            let above = c.stat(std::format!("{}/", &dir[..end]).as_bytes());
            prop_assert_eq!(c.stat(std::format!("{dir}/..").as_bytes()), above, "`..` of `{}`", dir);
        }
        prop_assert_eq!(stat.nlink, 2 + sub + dir.is_empty() as u64, "links of `{}`", dir);
    }
    Ok(())
}

proptest! {
    #[test]
    fn names_behave_as_their_model(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut c, mut model) = (Client::new(&EMPTY), Model::default());
        for (mark, step) in steps.iter().enumerate() {
            let mark = mark as u8;
            let (got, expected) = match step {
                Step::Create(path) => (create(&mut c, path, mark), model.create(path, Some(mark))),
                Step::Mkdir(path) => (c.mkdir(path.as_bytes()).map(|_| ()), model.create(path, None)),
                Step::Rmdir(path) => (c.rmdir(path.as_bytes()).map(|_| ()), model.rmdir(path)),
                Step::Unlink(path) => (c.unlink(path.as_bytes()).map(|_| ()), model.unlink(path)),
                Step::Rename(from, to) =>
                    (c.rename(from.as_bytes(), to.as_bytes()).map(|_| ()), model.rename(from, to)),
            };
            prop_assert_eq!(got, expected, "{:?}", step);
        }
        compare(&mut c, &model)?;
    }
}
