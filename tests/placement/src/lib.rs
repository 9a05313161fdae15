//! One script of POSIX calls, every placement, equal answers.
//!
//! A [`Script`] is data: numbers and arguments, and the client's memory that the arguments point into. Each
//! [`Placement`] runs it against the same servers: [`direct`] calls their methods, [`looped`] goes through
//! the loop-back placement, [`threaded`] gives each server a thread of its own and sends real messages.
//! After every call the results and the whole of the client's memory must be the same in all of them. The
//! same servers on the booted kernels are tested by tests/system.

pub mod arena;
pub mod boot;
pub mod devices;
pub mod direct;
pub mod looped;
pub mod script;
pub mod threaded;

use arena::Arena;
pub use script::{Call, Script};

/// A way to put servers and client together.
pub trait Placement {
    /// Its name, for reports.
    fn name(&self) -> &'static str;
    /// Calls number `call.number` with `call.args`; a result or a negated errno.
    fn call(&mut self, call: &Call) -> i64;
    /// The client's memory.
    fn arena(&self) -> &Arena;
}

/// Every placement, freshly started, with the script's memory.
pub fn all(script: &Script) -> Vec<Box<dyn Placement>> {
    let arena = || Arena::new(script.image());
    vec![
        Box::new(direct::Direct::new(arena())),
        Box::new(looped::Looped::new(arena())),
        Box::new(threaded::Threaded::new(arena())),
    ]
}

/// Runs a script in every placement. The error names the first call whose answers differ from each other or
/// from what the script expects.
pub fn run(script: &Script) -> Result<(), String> {
    let mut placements = all(script);
    for (index, call) in script.calls().iter().enumerate() {
        let results: Vec<i64> = placements.iter_mut().map(|placement| placement.call(call)).collect();
        let expected = call.expected.unwrap_or(results[0]);
        for (placement, &result) in placements.iter().zip(&results) {
            if result != expected {
                let name = placement.name();
                return Err(format!("step {index}, {call}: {name} says {result}, not {expected} (all: {results:?})"));
            }
        }
        let memory = placements[0].arena().snapshot();
        for placement in &placements[1..] {
            if placement.arena().snapshot() != memory {
                return Err(format!("step {index}, {call}: {} leaves other bytes than direct", placement.name()));
            }
        }
        for (address, bytes) in &call.leaves {
            let found = placements[0].arena().get(*address, bytes.len());
            if found != *bytes {
                return Err(format!("step {index}, {call}: the buffer holds {found:?}, not {bytes:?}"));
            }
        }
    }
    Ok(())
}
