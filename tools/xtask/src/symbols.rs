//! Turning the addresses in a guest's log into functions, files and lines.
//!
//! The guest prints `  at 0xffffffff80012345` for the kernel and `  at 0x401234 (vfs)` for a
//! program; it carries no symbols itself. The full ELF files are still on the host.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use addr2line::{Loader, demangle_auto};

use crate::build::Guest;
use crate::elf_file::ElfFile;
use crate::kernel::Kernel;

/// The lowest address of ring 0.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// The folders of this repository's sources.
const OURS: [&str; 6] = ["/microkernel/", "/servers/", "/libipc/", "/init/", "/tests/", "/tools/"];

/// Where an instruction belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The symbol before it.
    pub symbol: String,
    /// Bytes behind the symbol.
    pub offset: u64,
    /// The functions it was written in, the innermost first; the outermost is the one that was not inlined.
    pub inlined: Vec<Written>,
}

/// A function in the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its name, without a path: the line tables have none.
    pub name: String,
    /// Its file, from the source folder on.
    pub file: String,
}

impl Written {
    /// Whether it is in this repository rather than in Rust's library or somebody's crate.
    pub fn is_ours(&self) -> bool {
        OURS.iter().any(|root| self.file.starts_with(&root[1..]))
    }
}

/// What explains the addresses in one kernel's log.
pub struct Symbols<'a> {
    guest: &'a Guest,
    kernel: Kernel,
    loaders: HashMap<String, Option<Loader>>,
}

impl<'a> Symbols<'a> {
    /// Files are opened when an address first needs them.
    pub fn new(guest: &'a Guest, kernel: Kernel) -> Symbols<'a> {
        Symbols { guest, kernel, loaders: HashMap::new() }
    }

    /// The text with function, file and line behind each address that is known.
    pub fn annotate(&mut self, text: &str) -> String {
        let mut annotated = String::new();
        let mut innermost = true;
        for line in text.lines() {
            annotated.push_str(line);
            let site = parse(line);
            if let Some(site) = &site {
                annotated.push_str(&self.explain(site, innermost).unwrap_or_default());
            }
            // The first address of a backtrace is where it happened; the others are return
            // addresses, one past the call.
            innermost = site.is_none();
            annotated.push('\n');
        }
        annotated
    }

    /// The function around an instruction of `program`, by its file name; of the kernel for the empty name.
    pub fn locate(&mut self, program: &str, address: u64) -> Option<Located> {
        let loader = self.loader_of(program)?;
        let symbol = loader.find_symbol_info(address)?;
        let start = symbol.address();
        let name = demangle_auto(symbol.name().into(), None);
        let mut located = Located { symbol: tidy(&name), offset: address - start, inlined: Vec::new() };
        located.inlined = functions(loader, address).unwrap_or_default();
        if located.symbol.starts_with("__") {
            // The linker's name for a boundary; what begins there may have one of its own.
            let own = ElfFile::read(self.file(program)?).ok()?.name_at(start);
            located.symbol = own.unwrap_or(located.symbol);
        }
        Some(located)
    }

    fn explain(&mut self, site: &Site, innermost: bool) -> Option<String> {
        let loader = self.loader(site)?;
        let call = describe(loader, site.address - 1);
        // Where a function ends in a call that never returns, the return address is outside it.
        if innermost { describe(loader, site.address).or(call) } else { call }
    }

    fn loader(&mut self, site: &Site) -> Option<&Loader> {
        let key = if site.address >= KERNEL_HALF { "" } else { site.program.as_deref()? };
        self.loader_of(key)
    }

    fn loader_of(&mut self, key: &str) -> Option<&Loader> {
        if !self.loaders.contains_key(key) {
            let loader = self.file(key).and_then(|path| Loader::new(path).ok());
            self.loaders.insert(key.to_owned(), loader);
        }
        self.loaders[key].as_ref()
    }

    /// The full ELF of a program by its file name; of the kernel for the empty name.
    pub fn file(&self, name: &str) -> Option<&'a Path> {
        if name.is_empty() {
            return Some(&self.guest.kernel(self.kernel).symbols);
        }
        let named = |&(path, _): &(&str, _)| path.rsplit('/').next() == Some(name);
        self.guest.programs().find(named).map(|(_, program)| program.symbols.as_path())
    }
}

/// The functions at this address, the innermost first.
fn functions(loader: &Loader, address: u64) -> Option<Vec<Written>> {
    let mut frames = loader.find_frames(address).ok()?;
    let mut written = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let file = frame.location.and_then(|place| place.file).map_or("?", shorten);
        let name = frame.function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
        written.extend(name.map(|name| Written { name, file: file.to_owned() }));
    }
    Some(written)
}

/// A path without `<impl ...>` segments: the module before them says enough.
fn tidy(path: &str) -> String {
    match (path.find("<impl "), path.find(">::")) {
        (Some(start), Some(end)) if start > 0 && start < end => format!("{}{}", &path[..start], &path[end + 3..]),
        _ => path.to_owned(),
    }
}

/// The functions at this address, the innermost first, with their lines.
fn describe(loader: &Loader, address: u64) -> Option<String> {
    let symbol = || loader.find_symbol(address).map(|name| demangle_auto(name.into(), None).into_owned());
    let mut frames = loader.find_frames(address).ok()?;
    let mut text = String::new();
    while let Ok(Some(frame)) = frames.next() {
        if !text.is_empty() {
            text.push_str("\n      inlined into");
        }
        let function = frame.function.and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
        write!(text, "  {}", function.or_else(symbol).as_deref().unwrap_or("?")).ok()?;
        if let Some(place) = frame.location {
            write!(text, "  {}:{}", shorten(place.file.unwrap_or("?")), place.line.unwrap_or(0)).ok()?;
        }
    }
    if text.is_empty() { symbol().map(|name| format!("  {name}")) } else { Some(text) }
}

/// An address in a log, with the program it belongs to when that was said.
#[derive(Debug, PartialEq)]
struct Site {
    address: u64,
    program: Option<String>,
}

fn parse(line: &str) -> Option<Site> {
    let (_, after) = line.split_once("at 0x")?;
    let end = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
    let address = u64::from_str_radix(&after[..end], 16).ok().filter(|&address| address > 0)?;
    let name = after[end..].trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
    Some(Site { address, program: name.map(|(name, _)| name.to_owned()) })
}

/// The path from the source folder on: what comes before is the same in every line.
fn shorten(file: &str) -> &str {
    let start = OURS.iter().chain(&["/library/"]).filter_map(|root| file.rfind(root)).min();
    start.map_or(file, |at| &file[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_with_and_without_a_program() {
        let kernel = parse("  at 0xffffffff80012345").unwrap();
        assert_eq!(kernel, Site { address: 0xffff_ffff_8001_2345, program: None });
        let user = parse("[1.2] fault:   at 0x0000000000401234 (vfs)").unwrap();
        assert_eq!(user, Site { address: 0x401234, program: Some("vfs".into()) });
        assert_eq!(parse("at 0x0 (vfs)"), None);
        assert_eq!(parse("looked at 0xyz"), None);
    }

    #[test]
    fn blocks_of_methods_are_no_part_of_a_path() {
        assert_eq!(tidy("core::ipc::call::<impl core::kernel::Core>::hand_over"), "core::ipc::call::hand_over");
        assert_eq!(tidy("<core::Core>::next"), "<core::Core>::next");
    }

    #[test]
    fn paths_begin_at_the_source_folder() {
        assert_eq!(shorten("/home/me/parley/servers/vfs/src/lib.rs"), "servers/vfs/src/lib.rs");
        assert_eq!(shorten("lib.rs"), "lib.rs");
    }
}
