//! `plot`: what clients see of swaps and crashes, as pictures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::compare;
use crate::build::Guest;
use crate::cmdline::NO_HEARTBEATS;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::plot::{BLACKOUTS, COPIES, Copy, Data, KILLED, Timeline, pictures};
use crate::qemu::Accel;
use crate::results::{Baseline, Header, Setting};
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{parallel, progress};

/// Draw what clients see while servers are swapped, die, and die again and again
///
/// Measures on the micro kernel, counted in instructions, and writes blackouts.svg (the requests of a client around a swap and
/// a crash of each service), copies.svg (what is left of the throughput of a copy) and data.json, from which both are drawn.
/// It takes some minutes. Examples:
///
///   cargo xtask plot                                     target/plot/blackouts.svg and so on
///   cargo xtask plot --folder tests/bench/plots          those that the documents show
///   cargo xtask plot --from tests/bench/plots/data.json  drawn again, nothing is measured
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Plot {
    /// Where the files go; with --from, where that file is; otherwise target/plot
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Draw these data instead of measuring
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

impl Plot {
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        let folder = match (self.folder, self.from.as_deref().and_then(Path::parent)) {
            (Some(folder), _) => folder,
            (None, Some(folder)) => folder.to_owned(),
            (None, None) => workspace.folder("plot")?,
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut written = vec![folder.join("data.json")];
        let data = match &self.from {
            Some(file) => Data::read(file)?,
            None => measure_all(workspace)?,
        };
        data.write(&written[0])?;
        for (name, drawn) in pictures(&data)? {
            let path = folder.join(name);
            std::fs::write(&path, drawn).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
        }
        for path in written {
            println!("written: {}", path.display());
        }
        Ok(0)
    }
}

fn measure_all(workspace: Workspace) -> Result<Data> {
    setup::ensure(&[Need::Qemu])?;
    let guest = Guest::build(&workspace, &[Kernel::Micro])?;
    let rig = Rig { workspace, guest, limine: None };
    let blackouts: Vec<String> = BLACKOUTS.into_iter().flatten().map(str::to_owned).collect();
    let killed = |row: &str| KILLED.map(|every| format!("{row}_killed_{every}"));
    let copies = COPIES.iter().flat_map(|(row, _)| [(*row).to_owned()].into_iter().chain(killed(row))).collect();
    measure(&rig, vec![blackouts, copies])
}

/// Measures these rows of the benchmark on the micro kernel, each group in a machine of its own.
pub fn measure(rig: &Rig, groups: Vec<Vec<String>>) -> Result<Data> {
    let step = progress::step("measuring what clients see; minutes".to_owned());
    let started = Instant::now();
    let setting = Setting { accel: Accel::Tcg, deterministic: true };
    let limits = Baseline::read(&Baseline::limits(&rig.workspace))?;
    let header = Header::collect(&rig.workspace, setting)?;
    let commit = header.git_revision.get(..12).unwrap_or(&header.git_revision);
    let dirty = if header.git_revision.ends_with("-dirty") { "-dirty" } else { "" };
    let (qemu, _) = header.qemu_version.split_once(" (").unwrap_or((&header.qemu_version, ""));
    let conditions = format!("micro kernel, {qemu}, instructions counted, commit {commit}{dirty}");
    let mut data = Data { conditions, ..Data::default() };
    let benches = parallel::map(groups, |rows| {
        let args: Vec<&str> = ["--samples"].into_iter().chain(rows.iter().map(String::as_str)).collect();
        let mut job = compare::job(rig, Kernel::Micro, setting, &args)?;
        job.options.push(NO_HEARTBEATS.into());
        job.timeout = Duration::from_secs(500);
        compare::bench(rig, &job)
    });
    for bench in benches {
        let bench = bench?;
        for (row, requests) in bench.timelines {
            let limit = limits.get(&row, Kernel::Micro.name());
            let limit = limit.with_context(|| format!("tests/bench/limits.json has no {row}"))?;
            data.blackouts.insert(row, Timeline { limit, requests });
        }
        for row in bench.rows.iter().filter(|row| row.row.starts_with("copy_")) {
            let figure = |number: &serde_json::Number| number.as_u64().context("a copy's figures are whole numbers");
            data.copies.insert(row.row.clone(), Copy { page: figure(&row.median)?, pages: figure(&row.n)? });
        }
    }
    step.print(|| eprintln!("xtask: measured in {}", progress::seconds(started)));
    Ok(data)
}
