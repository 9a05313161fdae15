//! What the shell can do itself: one table.

use parley_posix::println;

use super::{Shell, machine, names, processes, program, trace};
use crate::commands::{MISUSED, cat, date, echo, ls, stat, svc};

/// How a builtin is called: arguments without its name in, exit status out.
pub type Run = fn(&mut Shell, &[&str]) -> i32;

struct Builtin {
    name: &'static str,
    help: &'static str,
    run: Run,
}

macro_rules! builtins {
    ($($name:literal $help:literal $run:expr),* $(,)?) => {
        &[$(Builtin { name: $name, help: $help, run: $run }),*]
    };
}

const BUILTINS: &[Builtin] = builtins! {
    "help" "this list" help,
    "history" "lines typed so far; !N repeats line N, !! the last" history,
    "ls" "[-al] [PATH]...  names in a directory" |_, args| ls::run(args),
    "cat" "FILE...  files to the console" |_, args| cat::run(args),
    "echo" "WORD...  the words; > FILE or >> FILE sends them there" |_, args| echo::run(args),
    "stat" "PATH...  what is known about a file" |_, args| stat::run(args),
    "mkdir" "DIRECTORY...  make directories" |_, args| names::mkdir(args),
    "rmdir" "DIRECTORY...  remove empty directories" |_, args| names::rmdir(args),
    "rm" "FILE...  remove files" |_, args| names::rm(args),
    "mv" "FROM TO  rename" |_, args| names::mv(args),
    "touch" "FILE...  make empty files" |_, args| names::touch(args),
    "ps" "processes and threads" |_, args| processes::ps(args),
    "svc" "list | VERB NAME | swap NAME FILE  services; alone: the verbs" |_, args| svc::run(args),
    "mem" "memory in use" |_, args| machine::mem(args),
    "uptime" "time since the start" |_, args| machine::uptime(args),
    "date" "date and time, UTC" |_, args| date::run(args),
    "sleep" "SECONDS  wait" |_, args| machine::sleep(args),
    "pid" "process id of this shell" |_, args| machine::pid(args),
    "bench" "[ROW]...  what operations cost here, in ticks of the TSC" bench,
    "trace" "on|off|dump, or PROGRAM [ARG]...  who entered the core, and why" |_, args| trace::trace(args),
    "run" "PATH [ARG]...  run a program; WORD alone runs /bin/WORD" run,
    "exit" "end this shell; init starts another" exit,
    "poweroff" "switch the machine off" |_, args| machine::poweroff(args),
    "reboot" "start the machine again" |_, args| machine::reboot(args),
};

/// The builtin called `name`.
pub fn find(name: &str) -> Option<Run> {
    BUILTINS.iter().find(|builtin| builtin.name == name).map(|builtin| builtin.run)
}

fn help(_: &mut Shell, _: &[&str]) -> i32 {
    for builtin in BUILTINS {
        println!("{:<9} {}", builtin.name, builtin.help);
    }
    0
}

fn history(shell: &mut Shell, _: &[&str]) -> i32 {
    shell.history.lines().for_each(|(number, line)| println!("{number:>4}  {line}"));
    0
}

fn bench(_: &mut Shell, args: &[&str]) -> i32 {
    // Only `cargo xtask compare` runs the machine so that a tick is an instruction.
    let mut words = alloc::vec!["--human", "--unit", "ticks"];
    words.extend(args);
    program::run("bench", &words)
}

fn run(_: &mut Shell, args: &[&str]) -> i32 {
    let Some((path, args)) = args.split_first() else {
        parley_posix::eprintln!("usage: run PATH [ARG]...");
        return MISUSED;
    };
    program::run(path, args)
}

fn exit(shell: &mut Shell, _: &[&str]) -> i32 {
    shell.leaving = true;
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_help_fits_the_screen() {
        for (index, builtin) in BUILTINS.iter().enumerate() {
            assert!(BUILTINS[..index].iter().all(|other| other.name != builtin.name), "{}", builtin.name);
            assert!(builtin.help.len() + 10 < 80, "{}", builtin.name);
        }
    }

    #[test]
    fn unknown_words_are_not_found() {
        assert!(find("ls").is_some() && find("").is_none() && find("lss").is_none());
    }
}
