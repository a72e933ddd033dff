//! What the figures were measured on.

use std::{fs, thread};

/// Cores, memory, processor and load of the machine.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let gib = memory.unwrap_or(0) as f64 / (1024.0 * 1024.0);
    format!("{cores} cores ({model}), {gib:.0} GiB, load {} before", load())
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}
