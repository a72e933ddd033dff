//! What the demo prints: headings, short sentences, commands as an operator would type them, figures.

use super::{
    Audit, Stage,
    output::{bold, duration, line, thousands},
    stage::{CUSTOMERS, LIMIT, Rejected},
    steps::Step,
};

/// Widest line of text.
const WIDTH: usize = 110;

/// Prints the demo's story as it happens; with `--output json` it is silent.
pub(super) struct Narrator {
    silent: bool,
}

impl Narrator {
    /// A narrator for text, or a silent one.
    pub(super) const fn new(json: bool) -> Self {
        Self { silent: json }
    }

    /// Before the first step.
    pub(super) fn introduce(&self, stage: &Stage) {
        self.line(&bold("Syncline demo"));
        let folder = stage.path().display();
        let fate = if stage.is_kept() { "is kept" } else { "is removed at the end (`--keep DIR` keeps it)" };
        let (customers, limit) = (thousands(u64::from(CUSTOMERS)), thousands(u64::from(LIMIT.requests)));
        self.say(&format!(
            "A warehouse with {customers} customers (SQLite) and an empty CRM (a simulated HubSpot on {}) are ready, in \
             the folder {folder}, which {fate}. The simulator allows {limit} requests in 10 s, ten times what HubSpot's \
             smallest plan does, so that the demo takes seconds. This is the whole configuration:",
            stage.address
        ));
        self.line("");
        for text in stage.configuration.lines() {
            self.line(format!("      {text}").trim_end());
        }
    }

    /// Begins a step.
    pub(super) fn heading(&self, number: u32, title: &str) {
        self.line("");
        self.line(&bold(&format!("{number}. {title}")));
    }

    /// A paragraph.
    pub(super) fn say(&self, text: &str) {
        self.line("");
        self.wrapped("   ", text);
    }

    /// A command as an operator would type it.
    pub(super) fn command(&self, command: &str) {
        self.line("");
        self.line(&bold(&format!("   $ syncline {command}")));
    }

    /// How a run ended and what HubSpot saw of it.
    pub(super) fn ran(&self, step: &Step) {
        let (status, took) = (step.run.status.name(), duration(step.run.durations.total_ms));
        self.line(&format!("     {status} (exit {}) in {took}: {}", step.exit, counts(step)));
        for trip in &step.run.trips {
            self.line(&format!("     guard `{}`: {}", trip.rule, trip.message));
        }
        for (name, text) in [("reason", &step.run.reason), ("hint", &step.run.hint)] {
            if let Some(text) = text {
                self.line(&format!("     {name}: {text}"));
            }
        }
        self.line(&format!("     HubSpot: {}; holds {} contacts", requests(step), thousands(step.contacts)));
    }

    /// What `syncline rejected` lists.
    pub(super) fn rejected(&self, rows: &[Rejected]) {
        self.command(&format!("rejected {}", super::stage::SYNC));
        for Rejected { key, code, message } in rows {
            self.wrapped("     ", &format!("key {key}: {code}: {message}"));
        }
        self.say("The reason is in HubSpot's own words. The row's values are masked in them: no row data is stored.");
    }

    /// The audit and the figures of the whole.
    pub(super) fn conclude(&self, stage: &Stage, audit: &Audit, requests: u64, elapsed_ms: u64) {
        let Audit { missing, wrong, orphans, .. } = audit;
        let count = |number: usize| thousands(number as u64);
        self.line("");
        self.line(&bold("Audit: model against CRM"));
        self.say(&format!(
            "{} customers and {} contacts, {} values compared one by one, past everything that Syncline knows:",
            count(audit.customers),
            count(audit.contacts),
            count(audit.values)
        ));
        self.line("");
        self.line(&bold(&format!("   {missing} missing, {wrong} wrong, {orphans} orphans")));
        if audit.is_clean() {
            let took = duration(elapsed_ms);
            self.say(&format!("Every figure was as promised. It took {took} and {} requests.", thousands(requests)));
        }
        if stage.is_kept() {
            let folder = stage.path().display();
            self.say("The simulator has ended. Configuration, warehouse and state are there to look at:");
            self.command(&format!("--config {folder}/config runs"));
        }
    }

    /// Breaks a text between words into lines of at most [`WIDTH`] characters.
    fn wrapped(&self, indent: &str, text: &str) {
        let mut current = indent.to_owned();
        for word in text.split(' ') {
            if current.len() > indent.len() && current.chars().count() + word.chars().count() > WIDTH {
                self.line(current.trim_end());
                current = indent.to_owned();
            }
            current.push_str(word);
            current.push(' ');
        }
        self.line(current.trim_end());
    }

    fn line(&self, text: &str) {
        if !self.silent {
            line(text);
        }
    }
}

/// The terms that are not zero.
fn counts(step: &Step) -> String {
    let counts = &step.run.counts;
    let terms = [
        ("read", counts.read),
        ("unchanged", counts.unchanged),
        ("added", counts.added),
        ("changed", counts.changed),
        ("removed", counts.removed),
        ("waiting", counts.waiting + counts.waiting_removals),
        ("invalid", counts.invalid),
        ("delivered", counts.delivered),
        ("rejected", counts.rejected),
        ("skipped", counts.skipped),
        ("unknown", counts.unknown),
        ("guarded", counts.guarded),
        ("left over", counts.left_over),
    ];
    // `read` stands there in any case: a run that read nothing says so.
    let shown = terms.iter().enumerate().filter(|(place, (_, number))| *place == 0 || *number > 0);
    let shown: Vec<String> = shown.map(|(_, (name, number))| format!("{name} {}", thousands(*number))).collect();
    shown.join(", ")
}

fn requests(step: &Step) -> String {
    let seen = &step.requests;
    let kinds = [("upsert", seen.upserts), ("update", seen.updates), ("archive", seen.archives)];
    let mut kinds: Vec<String> =
        kinds.iter().filter(|(_, number)| *number > 0).map(|(kind, number)| format!("{number} {kind}")).collect();
    let others = seen.total - seen.upserts - seen.updates - seen.archives;
    if others > 0 {
        kinds.push(format!("{others} account"));
    }
    let noun = if seen.total == 1 { "request" } else { "requests" };
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("{} {noun}{kinds}", thousands(seen.total))
}
