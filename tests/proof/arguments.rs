//! What the command line asks of the harness.

use std::{cell::Cell, collections::BTreeMap};

/// What is wanted.
pub(crate) enum Wanted {
    /// All proofs whose names contain the text, with their small budgets.
    Small(Option<String>),
    /// One proof with its own arguments.
    One(String, Arguments),
    /// The names.
    List,
}

/// Arguments of one proof: `--KEY VALUE` in any order.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    values: BTreeMap<String, String>,
    seed: Cell<Option<u64>>,
}

/// Options of the usual test programs, which `cargo test` passes to every target.
const FOREIGN: &[&str] = &["--nocapture", "--quiet", "-q", "--exact", "--ignored", "--include-ignored"];

/// Understands the arguments of the process.
pub(crate) fn wanted(
    arguments: impl Iterator<Item = String>,
    mut names: impl Iterator<Item = &'static str>,
) -> Result<Wanted, String> {
    let arguments: Vec<String> = arguments.collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(Wanted::List);
    }
    let Some(first) = arguments.iter().find(|argument| !FOREIGN.contains(&argument.as_str())) else {
        return Ok(Wanted::Small(None));
    };
    if names.any(|name| name == first) {
        let own = arguments.iter().filter(|argument| *argument != first && !FOREIGN.contains(&argument.as_str()));
        return Ok(Wanted::One(first.clone(), Arguments::parse(own.map(String::as_str))?));
    }
    // A filter of `cargo test` goes to every target; options without a name are a mistake.
    let foreign = first.starts_with("--test-threads") || first.starts_with("--skip");
    match (foreign, first.starts_with('-')) {
        (true, _) => Ok(Wanted::Small(None)),
        (false, true) => Err(format!("`{first}` stands without the name of a proof")),
        (false, false) => Ok(Wanted::Small(Some(first.clone()))),
    }
}

impl Arguments {
    /// Those of a list that is known to be right.
    pub(crate) fn of(list: &[&str]) -> Self {
        Self::parse(list.iter().copied()).expect("pairs of keys and values")
    }

    fn parse<'a>(mut list: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        while let Some(key) = list.next() {
            let name = key.strip_prefix("--").ok_or_else(|| format!("expected --KEY VALUE, got `{key}`"))?;
            let value = list.next().ok_or_else(|| format!("`{key}` needs a value"))?;
            values.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self { values, seed: Cell::new(None) })
    }

    /// `--KEY NUMBER`, or `default`.
    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.text(key).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("--{key}: not a number: {text}")))
    }

    /// `--KEY TEXT`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// `--seed`, or a random one that is printed with the result.
    pub(crate) fn seed(&self) -> u64 {
        let seed = self.seed.get().unwrap_or_else(|| self.number("seed", fastrand::u64(..1 << 53)));
        self.seed.set(Some(seed));
        seed
    }

    /// The seed, when something has used it.
    pub(crate) fn used_seed(&self) -> Option<u64> {
        self.seed.get()
    }
}
