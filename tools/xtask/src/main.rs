//! `cargo xtask`: build, boot, measure and test Parley with one program.
//!
//! Each command is a file in `commands/`. Everything they share is a module beside this one:
//! `setup` finds or installs what is missing, `build` makes the guest files, `archive` packs
//! them, `qemu` boots them, `guest` runs one program in them, `log` and `symbols` explain what
//! went wrong, `limine` makes the bootable image, `results` holds the figures, `trace` takes one
//! of them apart, `size` counts the tree, `torture` does harm.

mod archive;
mod boot;
mod build;
mod children;
mod cmdline;
mod commands;
mod elf_file;
mod exit_record;
mod guest;
mod host;
mod kernel;
mod limine;
mod log;
mod newlines;
mod parallel;
mod plot;
mod progress;
mod qemu;
mod results;
mod session;
mod setup;
mod size;
mod symbols;
mod torture;
mod trace;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Build, boot, measure and test Parley.
///
/// The main job is `cargo xtask compare`: it boots the micro, hybrid and mono kernels, runs one
/// and the same benchmark on each and prints what each design costs. Whatever a command needs
/// (Rust target, QEMU, ...) it installs by itself when it may, and names when it may not.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = children::install_interrupt_handler().and_then(|()| cli.command.run());
    children::kill_all();
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(_) if children::interrupted() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proptest::prelude::*;

    use super::*;

    /// The words that mean something, among others.
    fn word() -> impl Strategy<Value = String> {
        let mut known: Vec<String> =
            ["-", "--", "-1", "0", "18446744073709551616", "all", "micro", ""].map(str::to_owned).into();
        for command in Cli::command().get_subcommands() {
            known.push(command.get_name().to_owned());
            known.extend(command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
        }
        prop_oneof![4 => proptest::sample::select(known), 1 => any::<String>()]
    }

    #[test]
    fn the_options_are_sound() {
        Cli::command().debug_assert();
    }

    proptest! {
        #[test]
        fn any_words_are_parsed_or_refused(words in proptest::collection::vec(word(), 0..8)) {
            let words = std::iter::once("xtask".to_owned()).chain(words);
            if let Err(error) = Cli::try_parse_from(words) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
