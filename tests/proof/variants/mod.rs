//! Every rule broken on purpose, each in a process of its own: the proofs that are there for it must fail, and for its sake.
//!
//! A proof that fails because nothing starts has caught nothing. So each entry of [`table`] says by which words or figure the
//! broken rule shows, and every proof has to catch one.

mod table;

use std::{
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use syncline::proof::Rule;
use tokio::time::Instant;

use self::table::{Catch, Sees, catches};
use crate::{PROOFS, Proof, arguments::Arguments, report::Report};

/// `variants --rule NAME --proof NAME --seed S --n N --lanes L`; `--control yes`: breaks nothing, then all must pass.
pub(crate) const PROOF: Proof = Proof {
    name: "variants",
    about: "every rule broken on purpose is caught, and every proof catches one",
    // Each entry has its own seed.
    small: &[],
    run,
};

/// Processes at once: many wait for intents and leases to end.
const LANES: u64 = 4;
/// What takes longest begins first.
const LONGEST: &str = "days";

/// One broken rule before one proof.
type Variant = (Rule, &'static Catch);

/// How it went.
struct Ended {
    variant: Variant,
    seconds: f64,
    /// What was seen, or why that is not what it should be.
    saw: Result<String, String>,
}

fn run(arguments: &Arguments) -> Report {
    let (rule, proof) = (arguments.text("rule"), arguments.text("proof"));
    let all = Rule::ALL.iter().flat_map(|rule| catches(*rule).iter().map(move |catch| (*rule, catch)));
    let asked = |of: Option<&str>, name: &str| of.is_none_or(|wanted| wanted == name);
    let mut chosen: Vec<Variant> =
        all.filter(|(of, catch)| asked(rule, of.name()) && asked(proof, catch.proof)).collect();
    chosen.sort_by_key(|(_, catch)| catch.proof != LONGEST);
    let mut report = Report::new();
    report.demand(!chosen.is_empty(), "no variant has these names");
    if rule.is_none() && proof.is_none() {
        everything_is_there(&mut report);
    }
    let ended = side_by_side(&chosen, arguments);
    report.figure("variants", ended.len());
    for Ended { variant: (rule, catch), seconds, saw } in ended {
        let scenario = catch.arguments.iter().skip_while(|word| **word != "--scenario").nth(1);
        let name = format!("{} by {} {}", rule.name(), catch.proof, scenario.unwrap_or(&""));
        let name = name.trim_end().to_owned();
        match saw {
            Ok(saw) => report.figure(&name, format!("{saw} ({seconds:.1} s)")),
            Err(why) => report.breaks(format!("{name}: {why}; `{}`", words(rule, catch, arguments).join(" "))),
        }
    }
    report
}

/// Each rule is caught by something, and each proof catches something.
fn everything_is_there(report: &mut Report) {
    let all = || Rule::ALL.iter().flat_map(|rule| catches(*rule));
    for rule in Rule::ALL {
        report.demand(!catches(*rule).is_empty(), format!("nothing catches `{}`", rule.name()));
    }
    for proof in PROOFS.iter().filter(|proof| proof.name != PROOF.name) {
        report.demand(all().any(|catch| catch.proof == proof.name), format!("`{}` catches nothing", proof.name));
    }
}

fn side_by_side(chosen: &[Variant], arguments: &Arguments) -> Vec<Ended> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.number("lanes", LANES) {
            let arguments = arguments.clone();
            let (next, all) = (&next, &all);
            scope.spawn(move || {
                while let Some(&variant) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let saw = play(variant, &arguments);
                    let ended = Ended { variant, seconds: began.elapsed().as_secs_f64(), saw };
                    all.lock().expect("no panic while locked").push(ended);
                }
            });
        }
    });
    all.into_inner().expect("no panic while locked")
}

/// Runs the proof in a process of its own, as a broken rule stays broken, and judges its line.
fn play((rule, catch): Variant, arguments: &Arguments) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let ended = Command::new(program).args(words(rule, catch, arguments)).output();
    let ended = ended.map_err(|error| format!("it did not start: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let lines = said.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.into_iter().find(|line| line["proof"] == catch.proof);
    let Some(found) = found else {
        let told = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("no result: {}", told.lines().rev().take(3).collect::<Vec<_>>().join(" | ")));
    };
    if arguments.text("control").is_some() {
        let passed = found["pass"] == true;
        return passed.then(|| "passes unbroken".to_owned()).ok_or_else(|| format!("fails unbroken: {found}"));
    }
    judge(&catch.sees, &found)
}

/// The words of a command of this program.
fn words(rule: Rule, catch: &Catch, arguments: &Arguments) -> Vec<String> {
    let mut words = vec![catch.proof.to_owned()];
    let pairs = catch.arguments.as_chunks::<2>().0;
    for [key, value] in pairs {
        let own = arguments.text(key.trim_start_matches('-'));
        words.extend([(*key).to_owned(), own.unwrap_or(value).to_owned()]);
    }
    if arguments.text("control").is_none() {
        words.extend(["--rule".to_owned(), rule.name().to_owned()]);
    }
    words
}

/// A failure is a catch only when it shows what the rule was to prevent.
fn judge(sees: &Sees, found: &Value) -> Result<String, String> {
    let parts = found.as_object().into_iter().flat_map(|parts| parts.values());
    if let Some(why) = parts.filter_map(|part| part["skipped"].as_str()).next() {
        return Ok(format!("skipped: {why}"));
    }
    if found["pass"] != false {
        return Err(format!("not caught: {found}"));
    }
    match sees {
        Sees::Says(words) => {
            let mut broken = found["broken"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let said = broken.find(|what| what.contains(words));
            said.map(shortened).ok_or_else(|| format!("caught, but nothing says `{words}`: {}", found["broken"]))
        }
        Sees::Counts(pointers) => {
            let count = |pointer: &&&str| found.pointer(pointer).and_then(Value::as_u64).is_some_and(|count| count > 0);
            let seen = pointers.iter().find(count);
            let told =
                |pointer: &str| format!("{} = {}", &pointer[1..], found.pointer(pointer).unwrap_or(&Value::Null));
            seen.map(|pointer| told(pointer)).ok_or_else(|| format!("caught, but {pointers:?} are zero: {found}"))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(160).collect()
}
