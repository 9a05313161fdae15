//! Every instruction of an operation, one a line, disassembled where the host can.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::parts::instructions;
use super::{Recording, Who};
use crate::host;
use crate::symbols::Symbols;

/// Address, who, symbol and offset, and the instruction.
pub fn listing(recording: &Recording, operation: usize, symbols: &mut Symbols) -> String {
    let mut text = String::new();
    let mut codes: HashMap<String, HashMap<u64, String>> = HashMap::new();
    for one in instructions(recording, operation, symbols) {
        let (name, key) = match one.step.who {
            Who::Kernel => ("kernel", ""),
            Who::Program(space) => {
                let space = &recording.spaces[space];
                (space.name(), space.program.as_deref().unwrap_or("?"))
            }
        };
        let address = one.step.address;
        let code =
            codes.entry(key.to_owned()).or_insert_with(|| symbols.file(key).map(disassemble).unwrap_or_default());
        let instruction = code.get(&address).map_or("", String::as_str);
        let place = one.located.map_or_else(String::new, |l| format!("{}+{:#x}", l.symbol, l.offset));
        writeln!(text, "{address:#018x}  {name:<8}  {:<11}  {place:<60}  {instruction}", one.phase.name())
            .expect("a String takes anything");
    }
    text
}

/// The file's instructions by address; none without objdump.
fn disassemble(file: &Path) -> HashMap<u64, String> {
    let mut objdump = Command::new("objdump");
    objdump.args(["-d", "--no-show-raw-insn", "-M", "intel"]).arg(file);
    let listed = host::output(&mut objdump).unwrap_or_default();
    listed.lines().filter_map(parse).collect()
}

/// A line such as `401000:`, a tab, `push rbp`.
fn parse(line: &str) -> Option<(u64, String)> {
    let (address, instruction) = line.split_once(":\t")?;
    Some((u64::from_str_radix(address.trim(), 16).ok()?, instruction.split_whitespace().collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objdump_s_lines_are_read() {
        assert_eq!(parse("  401000:\tmov    rbp,rsp"), Some((0x40_1000, "mov rbp,rsp".to_owned())));
        assert_eq!(parse("0000000000401000 <main>:"), None);
    }
}
