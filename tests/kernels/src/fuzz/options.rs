//! What the command line says.

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From which all choices follow.
    pub seed: u64,
    /// How many.
    pub steps: u64,
    /// The first block: to make one again without those before it.
    pub block: u64,
}

impl Options {
    /// Reads `--seed S --steps N [--block B]`, in any order. `None`: something else is there.
    pub fn parse(args: parley_rt::Args) -> Option<Options> {
        let mut options = Options { seed: 1, steps: 20_000, block: 0 };
        let mut words = args.iter().skip(1);
        while let Some(name) = words.next() {
            let value = words.next()?.parse().ok()?;
            match name {
                "--seed" => options.seed = value,
                "--steps" => options.steps = value,
                "--block" => options.block = value,
                _ => return None,
            }
        }
        Some(options)
    }
}
