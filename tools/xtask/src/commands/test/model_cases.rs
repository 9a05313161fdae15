//! Traces of the real system, held against the model of its protocol (`tests/model`).

use anyhow::{Context, Result, bail, ensure};
use parley_abi::trace::Event;
use protocol_model::trace::{Seen, read, replay};

use super::Case;
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;

/// Traces, each with a kill at another instant.
const TRACES: usize = 20;

/// The vfs is a process in these.
pub fn cases(kernel: Kernel) -> Option<Case<Rig>> {
    let case = || Case::one(format!("{kernel}/model/traces"), move |rig: &Rig| follow(rig, kernel).into());
    (kernel != Kernel::Mono).then(case)
}

fn follow(rig: &Rig, kernel: Kernel) -> Result<()> {
    let rounds = TRACES.to_string();
    let mut job = Job::new(rig, kernel, &["/bin/ktest-torture", "--record", "--seed", "1", "--rounds", &rounds])?;
    job.deterministic = true;
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let fine = outcome.end == End::Orderly && outcome.status == Some(0);
    ensure!(fine, "{}", rig.explain(kernel, &outcome));
    let traces = parse(&String::from_utf8_lossy(&outcome.stdout))?;
    ensure!(traces.len() == TRACES, "{} traces instead of {TRACES}", traces.len());
    let (mut put_back, mut servers) = (0, std::collections::BTreeSet::new());
    for (number, events) in traces.iter().enumerate() {
        let seen = read(events).map_err(anyhow::Error::msg).with_context(|| format!("trace {number}"))?;
        let calls = seen.iter().filter(|seen| matches!(seen, Seen::Call(_))).count();
        let answers = seen.iter().filter(|seen| matches!(seen, Seen::Answer(..))).count();
        ensure!(calls > 0 && calls == answers, "trace {number}: {calls} requests and {answers} answers");
        replay(&seen).map_err(anyhow::Error::msg).with_context(|| format!("trace {number}: {seen:?}"))?;
        for seen in seen {
            match seen {
                Seen::PutBack(..) => put_back += 1,
                Seen::Receive(server, _) => drop(servers.insert((number, server))),
                _ => {}
            }
        }
    }
    // Otherwise nothing of what matters was seen.
    ensure!(put_back > 0, "no trace has a request that was put back");
    ensure!(servers.len() > TRACES, "only {} instances received anything in {TRACES} traces", servers.len());
    Ok(())
}

fn parse(output: &str) -> Result<Vec<Vec<Event>>> {
    let mut traces: Vec<Vec<Event>> = Vec::new();
    for line in output.lines() {
        if line.starts_with("trace ") {
            traces.push(Vec::new());
        } else if let (Some(numbers), Some(trace)) = (line.strip_prefix("event "), traces.last_mut()) {
            let numbers: Vec<u64> = numbers.split(' ').map_while(|word| word.parse().ok()).collect();
            let [thread, kind, first, second] = numbers[..] else { bail!("no event: `{line}`") };
            trace.push(Event { time: 0, thread: thread as u32, kind: kind as u32, words: [first, second] });
        }
    }
    Ok(traces)
}
