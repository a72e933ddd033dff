//! The table of results.

use std::fmt;

use serde_json::{Value, json};

use crate::sample::Series;

/// Lines, and what they were measured on.
pub(crate) struct Table {
    machine: String,
    group: &'static str,
    lines: Vec<Line>,
    failures: Vec<&'static str>,
}

/// One thing that was measured.
#[derive(Debug, Default)]
pub(crate) struct Line {
    group: &'static str,
    what: String,
    ours: String,
    peer: String,
    ratio: Option<f64>,
    aim: String,
    met: Option<bool>,
    figures: Value,
}

impl Line {
    /// Something measured, with what was found.
    pub(crate) fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), ..Self::default() }
    }

    /// Wall times of two contenders; the aim is a greatest ratio.
    pub(crate) fn versus(
        what: impl Into<String>,
        ours: &Series,
        peer: &str,
        theirs: &Series,
        aim: Option<f64>,
    ) -> Self {
        let ratio = ours.over(theirs);
        let mut line = Self::new(what, format!("{:.3} s, {:.2} CPU-s", ours.wall(), ours.cpu().median));
        line.peer = format!("{peer}: {:.3} s, {:.2} CPU-s", theirs.wall(), theirs.cpu().median);
        line.ratio = Some(ratio.median);
        if let Some(most) = aim {
            line.aim = format!("<= {most} x");
            line.met = Some(ratio.median <= most);
        }
        let ratios = [ratio.median, ratio.least, ratio.most];
        line.figures = json!({ "ours": ours.json(), "peer": theirs.json(), "ratio": ratios });
        line
    }

    /// A figure that should be at most so much.
    pub(crate) fn at_most(what: impl Into<String>, figure: f64, most: f64, unit: &str) -> Self {
        let line = Self::new(what, format!("{figure:.2} {unit}"));
        line.aim(format!("<= {most} {unit}"), figure <= most).with(json!(figure))
    }

    /// A figure that should be at least so much.
    pub(crate) fn at_least(what: impl Into<String>, figure: f64, least: f64, unit: &str) -> Self {
        let line = Self::new(what, format!("{figure:.1} {unit}"));
        line.aim(format!(">= {least} {unit}"), figure >= least).with(json!(figure))
    }

    /// Another's figure.
    pub(crate) fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }

    /// What it should be, and whether it is.
    pub(crate) fn aim(mut self, aim: impl Into<String>, met: bool) -> Self {
        self.aim = aim.into();
        self.met = Some(met);
        self
    }

    /// Figures for the JSON file.
    pub(crate) fn with(mut self, figures: Value) -> Self {
        self.figures = figures;
        self
    }

    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2} x")).unwrap_or_default();
        let Self { what, ours, peer, aim, .. } = self;
        write!(f, "| {what} | {ours} | {peer} | {ratio} | {aim} | {} |", self.verdict())
    }
}

impl Table {
    /// No lines yet.
    pub(crate) fn new(machine: String) -> Self {
        Self { machine, group: "", lines: Vec::new(), failures: Vec::new() }
    }

    /// The lines that follow belong to this group.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
    }

    /// The present group could not be measured to its end.
    pub(crate) fn failed(&mut self) {
        self.failures.push(self.group);
    }

    /// Whether every group was measured to its end.
    pub(crate) fn complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Adds a line, and prints it at once.
    pub(crate) fn add(&mut self, line: Line) {
        eprintln!("{line}");
        self.lines.push(Line { group: self.group, ..line });
    }

    /// Says that something was left out, and why.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        self.add(Line::new(what, format!("not measured: {why}")));
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let line = |line: &Line| {
            json!({
                "group": line.group, "what": line.what, "ours": line.ours, "peer": line.peer, "ratio": line.ratio,
                "aim": line.aim, "met": line.met, "figures": line.figures,
            })
        };
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        json!({ "machine": self.machine, "lines": lines, "failed": self.failures })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n\n| what | ours | peer | ratio | aim | |\n| --- | --- | --- | --- | --- | --- |",
            self.machine
        )?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        self.failures.iter().try_for_each(|group| writeln!(f, "\n`{group}` failed, see above"))
    }
}
