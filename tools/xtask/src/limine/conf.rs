//! Limine's configuration: the one a person sees, and the unattended one of tests.

use crate::kernel::Kernel;

/// A configuration that starts one kernel at once, with this command line.
pub fn unattended(kernel: Kernel, cmdline: &str) -> String {
    let mut conf = String::from("timeout: 0\nquiet: yes\nserial: yes\nserial_baudrate: 115200\n");
    conf.push_str(&entry(kernel, cmdline));
    conf
}

/// One entry, as in `limine.conf` at the top of the repository.
fn entry(kernel: Kernel, cmdline: &str) -> String {
    format!(
        "\n/Parley {kernel}\n    protocol: limine\n    kernel_path: boot():/boot/{kernel}.elf\n    \
         module_path: boot():/boot/boot.tar\n    cmdline: {cmdline}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_s_configuration_has_the_same_entries() {
        let committed = include_str!("../../../../limine.conf");
        for kernel in Kernel::ALL {
            let expected = entry(kernel, "log=com1 loglevel=info");
            assert!(committed.contains(expected.trim()), "limine.conf lacks:\n{expected}");
        }
    }
}
