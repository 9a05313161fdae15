//! QEMU's gdb stub, spoken to directly: run to a breakpoint, step, look at the processor.
//!
//! A debugger would do for a person; for counting instructions we want each step's address, ring and
//! address space, thousands of them a second. The protocol is in GDB's manual, appendix "Remote Serial
//! Protocol"; the registers are numbered as in QEMU's `target/i386/gdbstub.c`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longer than any boot: whoever waits for more waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Attempts to connect that may be refused.
const CONNECTIONS: u32 = 100;

/// Bytes of memory that one packet of QEMU's can hold.
const READ_AT_ONCE: usize = 1024;

/// Numbers of registers, which are also their places in the answer to `g`, eight bytes each.
pub const RAX: usize = 0;
pub const RCX: usize = 2;
pub const RDX: usize = 3;
pub const RSI: usize = 4;
pub const RDI: usize = 5;
pub const RSP: usize = 7;
pub const PROGRAM_COUNTER: usize = 16;

/// Offsets in the answer to `g`: rip and cs behind sixteen registers, cr3 behind the segments, three
/// bases, cr0 and cr2.
const RIP: usize = 8 * PROGRAM_COUNTER;
const CS: usize = 140;
const CR3: usize = 204;

/// Up to here that answer has what a program sees: general registers, rip, flags and selectors.
const VISIBLE: usize = 164;

/// A stopped machine.
pub struct Stub {
    stream: UnixStream,
    received: Vec<u8>,
    knows_registers: bool,
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
        let mut tries = 0..CONNECTIONS;
        let stream = loop {
            match UnixStream::connect(socket) {
                // The socket's file is there a moment before QEMU listens.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && tries.next().is_some() => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => break result.context("cannot reach QEMU's gdb socket")?,
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Stub { stream, received: Vec::new(), knows_registers: false })
    }

    /// Stops the machine from now on whenever it is about to execute `address`, in whatever address space.
    pub fn set_breakpoint(&mut self, address: u64) -> Result<()> {
        self.accepted(&format!("Z0,{address:x},1"))
    }

    /// Lets interrupts of devices come while it is stepped. QEMU holds them back unless told otherwise, and its
    /// timers, which stay so.
    pub fn step_through_interrupts(&mut self) -> Result<()> {
        self.accepted("Qqemu.sstep=0x5")
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

    /// What it pushes to.
    pub fn stack(&mut self) -> Result<u64> {
        Ok(self.words([RSP])?[0])
    }

    /// Makes it push elsewhere.
    pub fn set_stack(&mut self, address: u64) -> Result<()> {
        self.set_register(RSP, address)
    }

    /// These registers, up to [`PROGRAM_COUNTER`].
    pub fn words<const N: usize>(&mut self, numbers: [usize; N]) -> Result<[u64; N]> {
        let registers = self.registers()?;
        let mut words = [0; N];
        for (word, number) in words.iter_mut().zip(numbers) {
            let bytes = registers.get(8 * number..8 * number + 8).and_then(|bytes| bytes.try_into().ok());
            *word = bytes.map(u64::from_le_bytes).context("QEMU's gdb stub names too few registers")?;
        }
        Ok(words)
    }

    /// Gives one of them another value.
    pub fn set_register(&mut self, number: usize, value: u64) -> Result<()> {
        if !self.knows_registers {
            // QEMU lets only those write single registers who have asked what they are.
            self.ask("qXfer:features:read:target.xml:0,100")?;
            self.knows_registers = true;
        }
        self.accepted(&format!("P{number:x}={}", to_hex(&value.to_le_bytes())))
    }

    /// How long [`Stub::go`] and the like wait for the machine to stop, from now on.
    pub fn set_patience(&mut self, patience: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(patience))?)
    }

    /// Lets it run; [`Stub::interrupt`] stops it.
    pub fn resume(&mut self) -> Result<()> {
        self.send("c")
    }

    /// Stops a machine that did not stop by itself.
    pub fn interrupt(&mut self) -> Result<()> {
        self.stream.write_all(&[3]).context("the machine has ended")?;
        self.packet().map(drop)
    }

    /// Changes memory as the processor sees it now, whatever its protection.
    pub fn set_memory(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.accepted(&format!("M{address:x},{:x}:{}", bytes.len(), to_hex(bytes)))
    }

    /// Changes physical memory.
    pub fn set_physical(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.accepted("Qqemu.PhyMemMode:1")?;
        let written = self.set_memory(address, bytes);
        self.accepted("Qqemu.PhyMemMode:0")?;
        written
    }

    /// General registers, instruction pointer, flags and selectors, as bytes that can be compared.
    pub fn registers(&mut self) -> Result<Vec<u8>> {
        let mut registers = from_hex(&self.ask("g")?);
        registers.truncate(VISIBLE);
        Ok(registers)
    }

    /// Lets it run from here, whatever stands here, to the next breakpoint. A pending interrupt comes first.
    pub fn go_on(&mut self) -> Result<()> {
        self.stopped("c")
    }

    /// Lets it run and does not wait for a breakpoint: the run's end is somebody else's to see.
    pub fn let_go(mut self) -> Result<()> {
        self.send("c")
    }

    /// Says a line to QEMU's monitor and returns what that answers.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let mut answer = self.ask(&format!("qRcmd,{}", to_hex(line.as_bytes())))?;
        let mut text = Vec::new();
        // Output comes in packets of its own, which begin with an O; the last one is OK.
        while answer != "OK" {
            let Some(output) = answer.strip_prefix('O') else {
                bail!("QEMU's monitor answered `{answer}` to `{line}`")
            };
            text.extend(from_hex(output));
            answer = self.packet()?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Physical memory.
    pub fn physical(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        self.accepted("Qqemu.PhyMemMode:1")?;
        let bytes = self.memory(address, length);
        self.accepted("Qqemu.PhyMemMode:0")?;
        bytes
    }

    /// Memory as the processor sees it now; nothing where nothing is mapped.
    pub fn memory(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let (from, count) = (address + bytes.len() as u64, (length - bytes.len()).min(READ_AT_ONCE));
            let answer = self.ask(&format!("m{from:x},{count:x}"))?;
            if answer.starts_with('E') {
                return Ok(Vec::new());
            }
            bytes.extend(from_hex(&answer));
        }
        Ok(bytes)
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
        self.send(command)?;
        self.packet()
    }

    fn send(&mut self, command: &str) -> Result<()> {
        let packet = format!("${command}#{:02x}", checksum(command.as_bytes()));
        self.stream.write_all(packet.as_bytes()).context("the machine ended while it was traced")
    }

    fn packet(&mut self) -> Result<String> {
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

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        assert_eq!(from_hex(&to_hex(&[0, 1, 255])), [0, 1, 255]);
        assert_eq!(checksum(b"OK"), 0x9a);
    }
}
