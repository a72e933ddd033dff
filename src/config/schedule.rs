//! `schedule` of a sync and of the defaults.

use std::{collections::BTreeSet, time::Duration};

use super::{
    reader::Reader,
    tree::{Item, Node},
};
use crate::model::{Cron, CronProblem, spec::Schedule};

const HINT: &str = "write \"manual\", { every = \"15m\" }, { cron = \"0 3 * * *\", timezone = \"Europe/Berlin\" } or \
                    { after = [\"SYNC\"] }";
const CRON_HINT: &str =
    "write minute, hour, day of month, month and day of week: \"0 3 * * 1-5\" is 03:00 on working days";
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
const SHORTEST: Duration = Duration::from_secs(1);
/// The zone of a cron schedule that names none.
const ZONE: &str = "UTC";

/// Decodes `schedule`.
pub(super) fn schedule(reader: &Reader<'_>) -> Option<Schedule> {
    let node = reader.get("schedule")?;
    match &node.value {
        Item::Text(text) if text == "manual" => Some(Schedule::Manual),
        Item::Text(text) => {
            reader.refuse("schedule", node, format!("got `{text}`, expected `manual` or a table"), HINT);
            None
        }
        Item::Table(_) => table(reader, node),
        Item::Int(_) | Item::Float(_) | Item::Bool(_) | Item::DateTime | Item::Array(_) | Item::Environment(_) => {
            reader.wrong("schedule", node, "`manual` or a table", HINT);
            None
        }
    }
}

fn table(outer: &Reader<'_>, node: &Node) -> Option<Schedule> {
    let reader = Reader::of(node, format!("`schedule` of {}", outer.what), outer.sink)?;
    let given = ["every", "cron", "after"].into_iter().filter(|key| reader.has(key)).count();
    let every = reader.duration("every", SHORTEST, LONGEST).map(Schedule::Every);
    let cron = cron(&reader);
    let after = after(&reader);
    if given == 0 {
        reader.missing(&["every", "cron", "after"], "\"15m\"");
    } else if given > 1 {
        let cause = format!("got {given} of `every`, `cron` and `after`, expected one");
        reader.sink.error(&node.origin, format!("{} is not one schedule", reader.what), cause, "remove the others");
    } else if reader.has("timezone") && !reader.has("cron") {
        let cause = "only a `cron` schedule follows a zone's clock";
        reader.sink.error(
            reader.origin_of("timezone"),
            format!("{} needs no `timezone`", reader.what),
            cause,
            "remove it",
        );
    }
    reader.finish();
    if given == 1 { every.or(cron).or(after) } else { None }
}

fn cron(reader: &Reader<'_>) -> Option<Schedule> {
    let text = reader.text("cron");
    let zone = reader.text("timezone");
    let (text, node) = (text?, reader.get("cron")?);
    let zone = if reader.has("timezone") { zone? } else { ZONE.to_owned() };
    match Cron::parse(&text, &zone) {
        Ok(cron) => return Some(Schedule::Cron(Box::new(cron))),
        Err(CronProblem::Zone { near }) => {
            let hint = near.map_or_else(
                || "use a name of the IANA database, such as \"Europe/Berlin\"".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            let node = reader.get("timezone").unwrap_or(node);
            reader.refuse("timezone", node, format!("got `{zone}`, which is no time zone"), hint);
        }
        Err(problem @ (CronProblem::Pattern { .. } | CronProblem::Fields { .. } | CronProblem::Never)) => {
            reader.refuse("cron", node, format!("got `{text}`: {problem}"), CRON_HINT);
        }
    }
    None
}

fn after(reader: &Reader<'_>) -> Option<Schedule> {
    let names = reader.texts("after")?;
    let mut seen = BTreeSet::new();
    if let (Some(twice), Some(node)) = (names.iter().find(|name| !seen.insert(name.as_str())), reader.get("after")) {
        reader.refuse("after", node, format!("`{twice}` is named twice"), "name each sync once");
    }
    Some(Schedule::After(names))
}
