//! One machine's description, and the QEMU command line it becomes.
//!
//! The machine is as bare as QEMU makes it (`-nodefaults`): two serial ports, the exit device
//! and what boots it. COM1 is the console, COM2 the kernel log.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Accel;

/// What the firmware or QEMU starts.
#[derive(Clone, Debug)]
pub enum Boot {
    /// QEMU loads the direct-boot loader, which finds kernel, archive and command line in one tar.
    Direct {
        /// The loader's ELF.
        loader: PathBuf,
        /// The outer archive.
        initrd: PathBuf,
    },
    /// A CD in a SATA drive.
    Cd {
        /// The image.
        iso: PathBuf,
        /// UEFI code and a private copy of its variables; without them SeaBIOS boots.
        uefi: Option<(PathBuf, PathBuf)>,
    },
}

/// What COM1 is connected to.
#[derive(Clone, Debug)]
pub enum Console {
    /// A file: writing never waits, which keeps the instruction count the same each time.
    File(PathBuf),
    /// Our pipes: for a script that types.
    Pipes,
    /// This terminal, with QEMU's monitor behind Ctrl-A.
    Terminal,
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it boots.
    pub boot: Boot,
    /// What executes its instructions.
    pub accel: Accel,
    /// Its processor, as `-cpu` names it, and what that shall lack.
    pub processor: String,
    /// RAM in MiB.
    pub memory: u32,
    /// Count instructions and take no input from the host's clock: each run is the same.
    pub deterministic: bool,
    /// COM1.
    pub console: Console,
    /// COM2; `None` leaves the machine without it.
    pub log: Option<PathBuf>,
    /// A unix socket for gdb; the machine then waits at its first instruction.
    pub gdb: Option<PathBuf>,
}

/// The flags behind every figure in `compare`'s table, also named in its header.
pub const DETERMINISTIC: [&str; 6] = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"];

/// The processor unless told otherwise: everything that QEMU has, as `-cpu` names it.
pub const PROCESSOR: &str = "max";

const BARE: [&str; 11] = [
    "-machine",
    "q35",
    "-smp",
    "1",
    "-display",
    "none",
    "-nodefaults",
    "-no-user-config",
    "-device",
    "isa-debug-exit,iobase=0xf4,iosize=0x04",
    "-accel",
];

impl Machine {
    /// QEMU's arguments.
    pub fn args(&self) -> Vec<OsString> {
        let mut args = Args(BARE.iter().map(OsString::from).collect());
        args.word(self.accel.name());
        args.pair("-cpu", &self.processor);
        args.pair("-m", format!("{}M", self.memory));
        if self.deterministic {
            DETERMINISTIC.iter().for_each(|word| args.word(word));
        }
        if !matches!(self.console, Console::Terminal) {
            // A reset ends the run; only a person wants the machine back.
            args.word("-no-reboot");
        }
        self.console(&mut args);
        self.log(&mut args);
        self.boot(&mut args);
        if let Some(socket) = &self.gdb {
            args.word("-S");
            args.pair("-chardev", option("socket,server=on,wait=off,id=gdb,path=", socket));
            args.pair("-gdb", "chardev:gdb");
        }
        args.0
    }

    fn console(&self, args: &mut Args) {
        let chardev = match &self.console {
            Console::File(path) => option("file,id=con,path=", path),
            Console::Pipes => "stdio,id=con,signal=off".into(),
            Console::Terminal => "stdio,id=con,signal=off,mux=on".into(),
        };
        args.pair("-chardev", chardev);
        if matches!(self.console, Console::Terminal) {
            args.pair("-mon", "chardev=con,mode=readline");
        }
        args.pair("-serial", "chardev:con");
    }

    fn log(&self, args: &mut Args) {
        if let Some(path) = &self.log {
            args.pair("-chardev", option("file,id=log,path=", path));
            args.pair("-serial", "chardev:log");
        }
    }

    fn boot(&self, args: &mut Args) {
        match &self.boot {
            Boot::Direct { loader, initrd } => {
                args.pair("-kernel", loader);
                args.pair("-initrd", initrd);
            }
            Boot::Cd { iso, uefi } => {
                if let Some((code, vars)) = uefi {
                    let rom = "if=pflash,format=raw,readonly=on,file=";
                    args.pair("-drive", option(rom, code));
                    args.pair("-drive", option("if=pflash,format=raw,file=", vars));
                }
                let drive = "if=none,id=cd,media=cdrom,format=raw,readonly=on,file=";
                args.pair("-drive", option(drive, iso));
                args.pair("-device", "ide-cd,drive=cd,bootindex=0");
            }
        }
    }
}

struct Args(Vec<OsString>);

impl Args {
    fn word(&mut self, word: &str) {
        self.0.push(word.into());
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.word(name);
        self.0.push(value.into());
    }
}

/// `prefix` and a path; QEMU wants commas in option values doubled.
fn option(prefix: &str, path: &Path) -> OsString {
    format!("{prefix}{}", path.display().to_string().replace(',', ",,")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            boot: Boot::Direct { loader: "loader".into(), initrd: "a,b.tar".into() },
            accel: Accel::Tcg,
            processor: PROCESSOR.into(),
            memory: 64,
            deterministic: true,
            console: Console::File("c,om1".into()),
            log: Some("com2".into()),
            gdb: None,
        }
    }

    fn line(machine: &Machine) -> String {
        let words = machine.args().into_iter().map(|word| word.into_string().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_measuring_machine() {
        let line = line(&machine());
        assert!(
            line.contains("-no-reboot")
                && line.contains("-accel tcg -cpu max -m 64M -icount shift=0,sleep=off -rtc base=2026-01-01")
        );
        assert!(line.contains("file,id=con,path=c,,om1 -serial chardev:con"), "{line}");
        assert!(line.contains("-serial chardev:log -kernel loader -initrd a,b.tar"), "{line}");
    }

    #[test]
    fn com1_comes_before_com2() {
        let line = line(&machine());
        assert!(line.find("chardev:con").unwrap() < line.find("chardev:log").unwrap());
    }

    #[test]
    fn ctrl_c_reaches_the_guest_at_the_terminal() {
        let line = line(&Machine { console: Console::Terminal, log: None, ..machine() });
        assert!(line.contains("stdio,id=con,signal=off,mux=on -mon chardev=con"), "{line}");
        assert!(!line.contains("-no-reboot"), "{line}");
    }

    #[test]
    fn a_uefi_machine_has_its_own_variables() {
        let uefi = Some(("code".into(), "vars".into()));
        let line = line(&Machine { boot: Boot::Cd { iso: "p.iso".into(), uefi }, ..machine() });
        assert!(line.contains("readonly=on,file=code -drive if=pflash,format=raw,file=vars"));
        assert!(line.contains("-device ide-cd,drive=cd"), "{line}");
    }
}
