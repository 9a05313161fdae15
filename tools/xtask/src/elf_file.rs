//! What we want to know of a built ELF file: its code by address, and how large it is.

use std::path::Path;

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, STT_FUNC};
use elf::endian::LittleEndian;

/// An ELF file in memory.
pub struct ElfFile {
    bytes: Vec<u8>,
}

/// Bytes of a program in memory, by what the processor may do with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Executable.
    pub text: u64,
    /// Only readable.
    pub rodata: u64,
    /// Writable, with contents in the file.
    pub data: u64,
    /// Writable, zero at the start.
    pub bss: u64,
}

/// A named place.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// As the compiler mangled it.
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// It is code.
    pub is_function: bool,
}

impl ElfFile {
    /// Reads the file; an error when it is no ELF file of this machine's kind.
    pub fn read(path: &Path) -> Result<ElfFile> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = ElfFile { bytes };
        file.parse().with_context(|| format!("{} is no ELF file", path.display()))?;
        Ok(file)
    }

    /// Where the program begins.
    pub fn entry(&self) -> u64 {
        self.parse().map_or(0, |elf| elf.ehdr.e_entry)
    }

    /// Executable bytes with the address of the first, segment by segment.
    pub fn code(&self) -> Vec<(u64, &[u8])> {
        let Ok(elf) = self.parse() else { return Vec::new() };
        let segments = elf.segments().into_iter().flatten();
        let executable = segments.filter(|segment| segment.p_type == PT_LOAD && segment.p_flags & PF_X != 0);
        executable.filter_map(|segment| Some((segment.p_vaddr, elf.segment_data(&segment).ok()?))).collect()
    }

    /// Whether `bytes` is the code at `address`.
    pub fn has_code(&self, address: u64, bytes: &[u8]) -> bool {
        self.code().into_iter().any(|(start, code)| {
            let from = address.checked_sub(start).and_then(|offset| code.get(usize::try_from(offset).ok()?..));
            from.is_some_and(|rest| rest.starts_with(bytes))
        })
    }

    /// A symbol at exactly this address that is not one of the linker's.
    pub fn name_at(&self, address: u64) -> Option<String> {
        let (symbols, names) = self.parse().ok()?.symbol_table().ok()??;
        let here = symbols.iter().filter(|symbol| symbol.st_value == address);
        let mut own = here.filter_map(|symbol| names.get(symbol.st_name as usize).ok());
        own.find(|name| !name.is_empty() && !name.starts_with("__")).map(str::to_owned)
    }

    /// The address of a symbol.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        let (symbols, names) = self.parse().ok()?.symbol_table().ok()??;
        let mut hits = symbols.iter().filter(|symbol| names.get(symbol.st_name as usize).is_ok_and(|own| own == name));
        hits.next().map(|symbol| symbol.st_value)
    }

    /// All symbols that have a size.
    pub fn symbols(&self) -> Vec<Symbol> {
        let Some((symbols, names)) = self.parse().ok().and_then(|elf| elf.symbol_table().ok().flatten()) else {
            return Vec::new();
        };
        let sized = symbols.iter().filter(|symbol| symbol.st_size > 0);
        let named = sized.filter_map(|symbol| {
            Some(Symbol {
                name: names.get(symbol.st_name as usize).ok()?.to_owned(),
                address: symbol.st_value,
                size: symbol.st_size,
                is_function: symbol.st_symtype() == STT_FUNC,
            })
        });
        named.collect()
    }

    /// The sections' sizes, added up. Alignment between them is not counted.
    pub fn sizes(&self) -> Result<Sizes> {
        let mut sizes = Sizes::default();
        let elf = self.parse()?;
        for section in elf.section_headers().into_iter().flatten() {
            let has = |flag: u32| section.sh_flags & u64::from(flag) != 0;
            let sum = match () {
                () if !has(SHF_ALLOC) => continue,
                () if has(SHF_EXECINSTR) => &mut sizes.text,
                () if !has(SHF_WRITE) => &mut sizes.rodata,
                () if section.sh_type == SHT_NOBITS => &mut sizes.bss,
                () => &mut sizes.data,
            };
            *sum += section.sh_size;
        }
        Ok(sizes)
    }

    fn parse(&self) -> Result<ElfBytes<'_, LittleEndian>> {
        Ok(ElfBytes::minimal_parse(&self.bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_an_elf_file() {
        let file = ElfFile::read(&std::env::current_exe().unwrap()).unwrap();
        assert!(file.sizes().unwrap().text > 10_000);
        assert!(file.symbols().iter().any(|symbol| symbol.is_function && symbol.name.contains("this_test_is")));
        let (address, code) = file.code()[0];
        assert!(file.has_code(address + 16, &code[16..32]));
        assert!(!file.has_code(0, &code[..16]));
    }

    #[test]
    fn text_is_none() {
        let text = tempfile::NamedTempFile::new().unwrap();
        assert!(ElfFile::read(text.path()).is_err());
    }
}
