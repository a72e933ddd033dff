//! What the command line asks for.

use std::path::PathBuf;

/// What is wanted.
pub(crate) enum Wanted {
    /// Groups, all when none is named.
    Groups(Vec<String>, Arguments),
    /// To be the destination that costs next to nothing.
    Sink,
    /// To be the peer that reads with sqlx alone.
    SqlxLoop { url: String, sql: String },
    /// `cargo test --all-targets` starts benches too.
    Nothing,
}

/// Options of the measurements.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// Rows of the model; `start` and `cold` scale theirs.
    pub(crate) rows: u64,
    /// How often each contender runs.
    pub(crate) rounds: usize,
    /// Where the figures go as JSON.
    pub(crate) json: Option<PathBuf>,
    /// Where the curves go as SVG.
    pub(crate) chart: Option<PathBuf>,
    /// The program to measure instead of the one that cargo built, as an absolute path.
    pub(crate) binary: Option<PathBuf>,
    /// Seconds of backlog in `quota`.
    pub(crate) backlog: u64,
    /// Syncs in `many`.
    pub(crate) syncs: u64,
    /// Minutes of `many`.
    pub(crate) minutes: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { rows: 1_000_000, rounds: 5, json: None, chart: None, binary: None, backlog: 60, syncs: 500, minutes: 5 }
    }
}

/// Understands the arguments of the process.
pub(crate) fn wanted(
    mut given: impl Iterator<Item = String>,
    groups: impl Iterator<Item = &'static str> + Clone,
) -> Result<Wanted, String> {
    let (mut arguments, mut names, mut asked) = (Arguments::default(), Vec::new(), false);
    while let Some(word) = given.next() {
        match word.as_str() {
            // What `cargo bench` adds.
            "--bench" => asked = true,
            "sink" => return Ok(Wanted::Sink),
            "sqlx-loop" => {
                let url = given.next().ok_or("`sqlx-loop` needs a URL")?;
                return Ok(Wanted::SqlxLoop { url, sql: given.next().ok_or("`sqlx-loop` needs a query")? });
            }
            option if option.starts_with("--") => {
                let value = given.next().ok_or_else(|| format!("`{option}` needs a value"))?;
                arguments.set(option, &value)?;
            }
            name if groups.clone().any(|group| group == name) => names.push(word),
            name => return Err(format!("there is no group `{name}`")),
        }
    }
    Ok(if asked || !names.is_empty() { Wanted::Groups(names, arguments) } else { Wanted::Nothing })
}

impl Arguments {
    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let number = || value.replace('_', "").parse::<u64>().map_err(|_| format!("`{option} {value}`: not a number"));
        match option {
            "--rows" => self.rows = number()?.max(1_000),
            "--rounds" => self.rounds = usize::try_from(number()?.max(1)).map_err(|error| error.to_string())?,
            "--backlog" => self.backlog = number()?.max(10),
            "--syncs" => self.syncs = number()?.max(1),
            "--minutes" => self.minutes = number()?.max(1),
            "--chart" => self.chart = Some(value.into()),
            "--json" => self.json = Some(value.into()),
            "--binary" => self.binary = Some(std::path::absolute(value).map_err(|error| error.to_string())?),
            other => return Err(format!("there is no option `{other}`")),
        }
        Ok(())
    }
}
