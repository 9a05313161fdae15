//! QEMU's gdb stub, spoken to directly: run to a breakpoint, step, look at the processor.
//!
//! A debugger would do for a person; for counting instructions we want each step's address, ring and
//! address space, thousands of them a second. The protocol is in GDB's manual, appendix "Remote Serial
//! Protocol"; the registers are numbered as in QEMU's `target/i386/gdbstub.c`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longer than any boot: whoever waits for more waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Offsets in the answer to `g`: rip and cs behind sixteen registers, cr3 behind the segments, three
/// bases, cr0 and cr2.
const RIP: usize = 128;
const CS: usize = 140;
const CR3: usize = 204;

/// A stopped machine.
pub struct Stub {
    stream: UnixStream,
    received: Vec<u8>,
}

/// What the processor is about to execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The instruction.
    pub address: u64,
    /// 0: the kernel; 3: a program.
    pub ring: u8,
    /// The page-table root.
    pub space: u64,
}

impl Stub {
    /// Connects to the socket of a machine with [`super::Machine::gdb`], which then stands still.
    pub fn connect(socket: &Path) -> Result<Stub> {
        let stream = UnixStream::connect(socket).context("cannot reach QEMU's gdb socket")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Stub { stream, received: Vec::new() })
    }

    /// Stops the machine from now on whenever it is about to execute `address`, in whatever address space.
    pub fn set_breakpoint(&mut self, address: u64) -> Result<()> {
        self.accepted(&format!("Z0,{address:x},1"))
    }

    /// No longer.
    pub fn clear_breakpoint(&mut self, address: u64) -> Result<()> {
        self.accepted(&format!("z0,{address:x},1"))
    }

    /// Lets it run, over the breakpoint it stands at, to the next one.
    pub fn go(&mut self) -> Result<()> {
        self.step()?;
        self.stopped("c")
    }

    /// One instruction, or one round of a repeated one. Interrupts wait meanwhile.
    pub fn step(&mut self) -> Result<()> {
        self.stopped("s")
    }

    /// Where it stands.
    pub fn place(&mut self) -> Result<Place> {
        let registers = from_hex(&self.ask("g")?);
        let quad = |at: usize| Some(u64::from_le_bytes(registers.get(at..at + 8)?.try_into().ok()?));
        let place = || Some(Place { address: quad(RIP)?, ring: registers.get(CS)? & 3, space: quad(CR3)? });
        place().context("QEMU's gdb stub names too few registers; is this QEMU older than 4.1?")
    }

    /// Memory as the processor sees it now; nothing where nothing is mapped.
    pub fn memory(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        let answer = self.ask(&format!("m{address:x},{length:x}"))?;
        Ok(if answer.starts_with('E') { Vec::new() } else { from_hex(&answer) })
    }

    /// Lets it run for good.
    pub fn detach(mut self) -> Result<()> {
        self.accepted("D")
    }

    fn accepted(&mut self, command: &str) -> Result<()> {
        match self.ask(command)?.as_str() {
            "OK" => Ok(()),
            other => bail!("QEMU's gdb stub answered `{other}` to `{command}`"),
        }
    }

    fn stopped(&mut self, command: &str) -> Result<()> {
        let answer = self.ask(command)?;
        if !answer.starts_with(['T', 'S']) {
            bail!("the machine ended ({answer}) while it was traced");
        }
        Ok(())
    }

    fn ask(&mut self, command: &str) -> Result<String> {
        let packet = format!("${command}#{:02x}", checksum(command.as_bytes()));
        self.stream.write_all(packet.as_bytes()).context("the machine ended while it was traced")?;
        loop {
            if let Some(answer) = take_packet(&mut self.received) {
                self.stream.write_all(b"+").context("the machine ended while it was traced")?;
                return Ok(answer);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).context("the traced machine does not stop")? {
                0 => bail!("the machine ended while it was traced"),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// The first whole packet's contents, taken out of `bytes` together with the acknowledgements before it.
fn take_packet(bytes: &mut Vec<u8>) -> Option<String> {
    let start = bytes.iter().position(|&byte| byte == b'$')?;
    let length = bytes[start..].iter().position(|&byte| byte == b'#')?;
    // Two digits of checksum follow; the socket is local and loses nothing.
    let end = start + length + 3;
    let packet = bytes.get(..end)?;
    let contents = String::from_utf8_lossy(&packet[start + 1..start + length]).into_owned();
    bytes.drain(..end);
    Some(contents)
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

/// Pairs of digits; it ends at the first that is none, such as the `xx` of an unknown register.
fn from_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_in_pieces_behind_acknowledgements() {
        let mut bytes = b"++$OK#9".to_vec();
        assert_eq!(take_packet(&mut bytes), None);
        bytes.extend_from_slice(b"a$T05#b9");
        assert_eq!(take_packet(&mut bytes).as_deref(), Some("OK"));
        assert_eq!(take_packet(&mut bytes).as_deref(), Some("T05"));
        assert!(bytes.is_empty());
    }

    #[test]
    fn bytes_and_checksums_are_hexadecimal() {
        assert_eq!(from_hex("00ff1gxx"), [0, 255]);
        assert_eq!(checksum(b"OK"), 0x9a);
    }
}
