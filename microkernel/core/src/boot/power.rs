//! Switching the machine off, or on again.

use parley_abi::Errno;

use crate::arch::ports::{in16, out8, out16, out32};
use crate::kernel::Core;
use crate::panic::{DEBUG_EXIT, ORDERLY, stop};
use crate::syscall::Done;

/// What the firmware says about power.
#[derive(Clone, Copy, Debug, Default)]
pub struct Power {
    /// Port of the PM1a control register; 0: none.
    pub control: u16,
    /// Sleep type of S5, "soft off".
    pub sleep_type: u8,
    /// Port of the power management timer; 0: none.
    pub timer: u16,
    /// Port of the reset register; 0: none.
    pub reset: u16,
    /// What to write to it.
    pub reset_value: u8,
    /// The emulator's debug exit is there: use it.
    pub debug_exit: bool,
}

/// Enables a sleep state (ACPI specification, PM1 control registers).
const SLEEP_ENABLE: u16 = 1 << 13;
/// Reset control register of PCI chipsets, and "full reset".
const PCI_RESET: u16 = 0xcf9;
const FULL_RESET: u8 = 0x0e;

/// Finds the sleep type of S5: in `Name (_S5_, Package {type, ...})` of the DSDT. AML is not interpreted;
/// the package is a constant on every machine (ACPI specification, \_Sx objects).
pub fn sleep_type(code: &[u8]) -> Option<u8> {
    const PACKAGE: u8 = 0x12;
    const BYTE: u8 = 0x0a;
    let at = code.windows(4).position(|bytes| bytes == b"_S5_")? + 4;
    let package = code.get(at..)?;
    if *package.first()? != PACKAGE {
        return None;
    }
    let length_bytes = (*package.get(1)? >> 6) as usize + 1;
    let element = package.get(1 + length_bytes + 1..)?;
    match *element.first()? {
        BYTE => element.get(1).copied(),
        small @ (0 | 1) => Some(small),
        _ => None,
    }
}

impl Core {
    /// Powers off. ENXIO: the firmware offers no way.
    pub fn power_off(&mut self) -> Result<Done, Errno> {
        if self.power.debug_exit {
            out32(DEBUG_EXIT, ORDERLY);
        }
        if self.power.control == 0 {
            return Err(Errno::ENXIO);
        }
        let kept = in16(self.power.control) & !(7 << 10) & !SLEEP_ENABLE;
        out16(self.power.control, kept | (self.power.sleep_type as u16) << 10 | SLEEP_ENABLE);
        stop()
    }

    /// Resets the machine.
    pub fn reset(&mut self) -> Result<Done, Errno> {
        if self.power.reset != 0 {
            out8(self.power.reset, self.power.reset_value);
        }
        out8(PCI_RESET, FULL_RESET);
        stop()
    }
}

#[cfg(test)]
mod tests {
    use super::sleep_type;

    #[test]
    fn the_package_is_found_in_the_dsdt() {
        let qemu = b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00";
        let other = b"..\x08_S5_\x12\x07\x04\x0a\x05\x0a\x05";
        assert_eq!((sleep_type(qemu), sleep_type(other)), (Some(0), Some(5)));
        for length in 0..other.len() - 4 {
            assert_eq!(sleep_type(&other[..length]), None);
        }
        assert_eq!(sleep_type(b"_S5_x"), None);
    }

    proptest::proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "no unsafe code takes part")]
        fn no_table_is_read_past_its_end(rest in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for start in [&b"_S5_"[..], b"_S5_\x12", b"_S5_\x12\xc0"] {
                let code = [start, &rest].concat();
                let found = sleep_type(&code);
                proptest::prop_assert!(found.is_none_or(|found| found < 2 || rest.contains(&found)));
            }
        }
    }
}
