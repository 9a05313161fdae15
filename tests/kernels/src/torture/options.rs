//! What the command line says.

/// Who does the harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nobody.
    None,
    /// This program, through `init::control` and `init::swap`.
    Kills,
    /// This program: services hang as well.
    Hangs,
    /// This program: one swap at each boundary of a system call of the script ([`crate::sweep`]).
    Swaps,
    /// The host, whenever this program calls [`crate::mark::strike`].
    Host,
}

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// A turn of every kind of work.
    Everything,
    /// One write to a file.
    Write,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From which all choices follow.
    pub seed: u64,
    /// The first round: to make one again without those before it.
    pub first: u64,
    /// Of what is systematic, every Nth place only.
    pub step: usize,
    /// How many rounds.
    pub rounds: u64,
    /// Operations of each worker in a round.
    pub operations: u32,
    /// Who does the harm.
    pub faults: Faults,
    /// One fixed sequence again and again instead of random rounds.
    pub script: Option<Script>,
    /// The host types on the terminal when it is asked to.
    pub typed: bool,
    /// Go on after a round in which calls failed.
    pub lenient: bool,
    /// Record traces instead.
    pub record: bool,
}

impl Options {
    /// Reads the arguments, in any order. `None`: something else is there.
    pub fn parse(args: parley_rt::Args) -> Option<Options> {
        let mut options = Options {
            seed: 1,
            first: 0,
            step: 1,
            rounds: 10,
            operations: 40,
            faults: Faults::Kills,
            script: None,
            typed: false,
            lenient: false,
            record: false,
        };
        let mut words = args.iter().skip(1);
        while let Some(name) = words.next() {
            match name {
                "--seed" => options.seed = words.next()?.parse().ok()?,
                "--first" => options.first = words.next()?.parse().ok()?,
                "--step" => options.step = words.next()?.parse().ok().filter(|step| *step > 0)?,
                "--rounds" => options.rounds = words.next()?.parse().ok()?,
                "--operations" => options.operations = words.next()?.parse().ok()?,
                "--script" => {
                    options.script = match words.next()? {
                        "everything" => Some(Script::Everything),
                        "write" => Some(Script::Write),
                        _ => return None,
                    }
                }
                "--typed" => options.typed = true,
                "--lenient" => options.lenient = true,
                "--record" => options.record = true,
                "--faults" => {
                    options.faults = match words.next()? {
                        "none" => Faults::None,
                        "kills" => Faults::Kills,
                        "hangs" => Faults::Hangs,
                        "swaps" => Faults::Swaps,
                        "host" => Faults::Host,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        Some(options)
    }
}
