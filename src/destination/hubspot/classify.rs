//! What an answer says about each row: a pure function of status, headers and body.
//!
//! | answer | meaning |
//! | --- | --- |
//! | 204 to an archive | all delivered |
//! | 200, 201, 207 | rows by `objectWriteTraceId`, in `results` and `errors`; those that no entry names are unknown |
//! | the same with nothing in it | unknown (`Protocol`): HubSpot then wrote nothing, but does not say so |
//! | 2xx that is no JSON | unknown (`Protocol`) |
//! | 400, 404, 409, other 4xx that name rows | these are refused, the others were not tried |
//! | the same without names | `BatchRefused`, or the refusal of the one row |
//! | a conflict about the match of a create | `Exists`, with the record that HubSpot names |
//! | 404 about the object or path | `NotFound` |
//! | 400 about a match that is not unique | `Settings` |
//! | 429 with policy `DAILY` | `QuotaSpent` |
//! | else | see [`Answer::common_fault`] |

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    config::normalise,
    encode::SentRow,
    problem::{OBJECT_NOT_FOUND, Problem},
};
use crate::{
    destination::{
        Outcome,
        answer::{Answer, AnswerProblem, refuse},
    },
    model::Operation,
    wire::{Fault, FaultKind, VendorText},
};

/// What was asked.
pub(super) struct Question<'a> {
    pub(super) object: &'a str,
    pub(super) operation: Operation,
    pub(super) id_property: &'a str,
    pub(super) rows: &'a [SentRow<'a>],
}

/// The answer to a batch.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    results: Option<Vec<Item<'a>>>,
    errors: Option<Vec<Value>>,
}

/// A record that was written. Its properties stay unparsed: only an answer without trace ids needs them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    object_write_trace_id: Value,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

/// What an answer has said about one row so far.
enum Said {
    Nothing,
    Once(Outcome),
    /// Two things that exclude each other.
    Contradiction,
}

/// One outcome for each row sent, in their order.
///
/// # Errors
/// A fault, when the answer is about the request as a whole.
pub(super) fn classify(question: &Question<'_>, answer: &Answer<'_>) -> Result<Vec<Outcome>, Fault> {
    match answer.status.as_u16() {
        204 if question.operation == Operation::Delete => Ok(question.all(|| Outcome::Delivered { record_id: None })),
        200 | 201 | 207 => from_lists(question, answer),
        202..=299 => Err(answer.protocol(AnswerProblem::Contract("a status that HubSpot does not document"))),
        _ => refused(question, answer),
    }
}

/// The fault of an answer that is not a success, for requests without rows.
pub(super) fn fault(answer: &Answer<'_>) -> Fault {
    let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    let problem = Problem(&body);
    let fault = common_fault(answer, problem);
    let kind = if answer.status.is_success() { FaultKind::Protocol } else { FaultKind::NotFound };
    fault.unwrap_or_else(|| described(answer.fault(kind), problem))
}

fn common_fault(answer: &Answer<'_>, problem: Problem<'_>) -> Option<Fault> {
    let fault = match answer.status.as_u16() {
        // When the day ends is for the account to say: it knows the zone.
        429 if problem.policy() == "DAILY" => answer.fault(FaultKind::QuotaSpent { until: None }),
        // The account moves between data centres; `Retry-After` says how long.
        477 => answer.fault(FaultKind::Throttled),
        _ => answer.common_fault()?,
    };
    let scopes = (fault.kind == FaultKind::Forbidden).then(|| problem.missing_scopes()).flatten();
    let mut fault = described(fault, problem);
    fault.code = scopes.or(fault.code);
    Some(fault)
}

fn described(mut fault: Fault, problem: Problem<'_>) -> Fault {
    fault.code = problem.code(None);
    fault.text = VendorText::new(problem.message());
    fault
}

/// An answer with lists of results and errors.
fn from_lists(question: &Question<'_>, answer: &Answer<'_>) -> Result<Vec<Outcome>, Fault> {
    let body: Body<'_> = answer.object()?;
    let (results, errors) = (body.results.unwrap_or_default(), body.errors.unwrap_or_default());
    let names = Names::of(question);
    let mut said: Vec<Said> = question.rows.iter().map(|_| Said::Nothing).collect();

    let strangers = results.iter().filter(|item| !names.deliver(item, results.len(), &mut said)).count();
    let mut unnamed = Vec::new();
    for problem in errors.iter().map(Problem) {
        if !names.refuse(problem, &mut said) {
            unnamed.push(problem);
        }
    }
    let nothing = said.iter().all(|said| matches!(said, Said::Nothing));
    if results.is_empty() && nothing {
        return all_refused(question, answer, unnamed.first().copied());
    }
    // Every row ends in one of the lists: a single row that is missing is the one that the unnamed error is about.
    let missing = said.iter().filter(|said| matches!(said, Said::Nothing)).count();
    let blame = unnamed.first().filter(|_| missing == 1 && strangers == 0);
    let outcome = |(row, said): (&SentRow<'_>, Said)| match (said, blame) {
        (Said::Once(outcome), _) => outcome,
        (Said::Nothing, Some(problem)) => question.refusal(row, *problem),
        (Said::Nothing, None) | (Said::Contradiction, _) => Outcome::Unknown,
    };
    Ok(question.rows.iter().zip(said).map(outcome).collect())
}

/// Nothing was written, and no row is named.
fn all_refused(
    question: &Question<'_>,
    answer: &Answer<'_>,
    problem: Option<Problem<'_>>,
) -> Result<Vec<Outcome>, Fault> {
    let Some(problem) = problem else {
        return Err(answer.protocol(AnswerProblem::Contract("neither results nor errors: no row is accounted for")));
    };
    if let [row] = question.rows {
        return Ok(vec![question.refusal(row, problem)]);
    }
    let kind = match problem.category() {
        "RATE_LIMITS" | "RATE_LIMIT" => FaultKind::Throttled,
        "MISSING_SCOPES" => FaultKind::Forbidden,
        "INVALID_AUTHENTICATION" | "EXPIRED_AUTHENTICATION" => FaultKind::Credentials,
        _ => FaultKind::BatchRefused,
    };
    Err(described(answer.fault(kind), problem))
}

/// An answer that is not 2xx.
fn refused(question: &Question<'_>, answer: &Answer<'_>) -> Result<Vec<Outcome>, Fault> {
    let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    let problem = Problem(&body);
    if let Some(fault) = common_fault(answer, problem) {
        // Alone, a row that is too large has no other half to blame.
        return match question.rows {
            [_] if fault.kind == FaultKind::TooLarge => {
                Ok(vec![Outcome::Rejected(refuse("TOO_LARGE", "the record alone is larger than HubSpot takes"))])
            }
            _ => Err(fault),
        };
    }
    if let Some(outcomes) = named_by(question, problem) {
        return Ok(outcomes);
    }
    if is_about_object(answer, problem) {
        return Err(described(answer.fault(FaultKind::NotFound), problem));
    }
    // `Unable to perform update/upsert by non-unique 0-2 property domain`: no row can mend a match that is not unique.
    if problem.message().contains("by non-unique") {
        return Err(described(answer.fault(FaultKind::Settings), problem));
    }
    match question.rows {
        [row] => Ok(vec![question.refusal(row, problem)]),
        _ => Err(described(answer.fault(FaultKind::BatchRefused), problem)),
    }
}

/// A 4xx refuses the whole batch: rows that it names are refused, the others were not tried.
fn named_by(question: &Question<'_>, problem: Problem<'_>) -> Option<Vec<Outcome>> {
    let names = Names::of(question);
    let mut said: Vec<Said> = question.rows.iter().map(|_| Said::Nothing).collect();
    let mut any = names.refuse(problem, &mut said);
    for inner in problem.inner() {
        any |= names.refuse(inner, &mut said);
    }
    let outcome = |said| match said {
        Said::Once(outcome) => outcome,
        Said::Nothing => Outcome::Retry(refuse("NOT_TRIED", "another row made HubSpot refuse the batch")),
        Said::Contradiction => Outcome::Unknown,
    };
    any.then(|| said.into_iter().map(outcome).collect())
}

/// An unknown object type or path. HubSpot calls it a validation error (`Unable to infer object type from: x`) or a 404.
fn is_about_object(answer: &Answer<'_>, problem: Problem<'_>) -> bool {
    let message = problem.message();
    let is_record = problem.category() == OBJECT_NOT_FOUND && !message.contains("resource not found");
    message.contains("infer object type") || (answer.status.as_u16() == 404 && !is_record)
}

impl Question<'_> {
    fn all(&self, outcome: impl Fn() -> Outcome) -> Vec<Outcome> {
        self.rows.iter().map(|_| outcome()).collect()
    }

    /// What an error means for a row that it is about.
    fn refusal(&self, row: &SentRow<'_>, problem: Problem<'_>) -> Outcome {
        let rejection = || problem.rejection(row.record);
        if self.operation == Operation::Insert && problem.is_about_existing(self.id_property) {
            return Outcome::Exists { record_id: problem.existing_id() };
        }
        match (problem.category(), self.operation) {
            (OBJECT_NOT_FOUND, Operation::Update | Operation::Clear | Operation::Delete) => missing(self.operation),
            ("RATE_LIMITS" | "RATE_LIMIT" | "OBJECT_LOCKED", _) => Outcome::Retry(rejection()),
            // An error of HubSpot's own says nothing about what was written.
            ("INTERNAL_ERROR" | "SERVER_ERROR", _) => Outcome::Unknown,
            (_, _) => Outcome::Rejected(rejection()),
        }
    }
}

/// What it means that nothing stands at a known record id: there is nothing left to clear or to delete.
pub(super) fn missing(operation: Operation) -> Outcome {
    if operation.is_removal() { Outcome::Delivered { record_id: None } } else { Outcome::Gone }
}

/// How entries of an answer name rows.
struct Names<'a> {
    question: &'a Question<'a>,
    by_trace: HashMap<u64, usize>,
    by_address: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn of(question: &'a Question<'a>) -> Self {
        let rows = || question.rows.iter().enumerate();
        Self {
            question,
            by_trace: rows().map(|(at, row)| (row.correlation, at)).collect(),
            by_address: rows().map(|(at, row)| (row.address.as_ref(), at)).collect(),
        }
    }

    /// Notes a written record; false when it names no row.
    fn deliver(&self, item: &Item<'_>, results: usize, said: &mut [Said]) -> bool {
        let Some(slot) = self.row_of(item, results).and_then(|at| said.get_mut(at)) else { return false };
        let record_id = text_of(&item.id).filter(|id| !id.is_empty());
        slot.add(Outcome::Delivered { record_id: record_id.map(|id| id.into_owned().into_boxed_str()) });
        true
    }

    /// By trace id if there is one; else by record id, or for an upsert by the match value among the properties. A
    /// merged record answers under another id: then only a request of one row can be answered without trace id.
    fn row_of(&self, item: &Item<'_>, results: usize) -> Option<usize> {
        if let Some(trace) = text_of(&item.object_write_trace_id) {
            return self.by_trace.get(&trace.parse().ok()?).copied();
        }
        let found = if self.question.rows.first().is_some_and(|row| row.by_match) {
            self.row_of_properties(item)
        } else {
            text_of(&item.id).and_then(|id| self.by_address.get(id.as_ref()).copied())
        };
        found.or((self.question.rows.len() == 1 && results == 1).then_some(0))
    }

    fn row_of_properties(&self, item: &Item<'_>) -> Option<usize> {
        let properties: HashMap<String, Value> = serde_json::from_str(item.properties?.get()).ok()?;
        let value = text_of(properties.get(self.question.id_property)?)?;
        let value = normalise(self.question.object, self.question.id_property, &value);
        self.by_address.get(value.as_str()).copied()
    }

    /// Notes an error for each row that it names; false when it names none.
    ///
    /// The `ids` of the context are the asked ones only when nothing was found; in a conflict they are the owner's.
    fn refuse(&self, problem: Problem<'_>, said: &mut [Said]) -> bool {
        let by_trace =
            problem.context("objectWriteTraceId").filter_map(|id| self.by_trace.get(&id.parse().ok()?).copied());
        let mut rows: Vec<usize> = by_trace.collect();
        if rows.is_empty() && problem.category() == OBJECT_NOT_FOUND {
            let ids = problem.context("ids").chain(problem.context("id"));
            rows.extend(ids.filter_map(|id| self.by_address.get(id).copied()));
        }
        for at in &rows {
            if let (Some(slot), Some(row)) = (said.get_mut(*at), self.question.rows.get(*at)) {
                slot.add(self.question.refusal(row, problem));
            }
        }
        !rows.is_empty()
    }
}

impl Said {
    fn add(&mut self, new: Outcome) {
        let agrees = match (&*self, &new) {
            (Self::Nothing, _) => {
                *self = Self::Once(new);
                return;
            }
            (Self::Once(Outcome::Delivered { record_id: one }), Outcome::Delivered { record_id: other }) => {
                one == other
            }
            // Several errors of one row: the first stands.
            (Self::Once(Outcome::Rejected(_) | Outcome::Retry(_)), Outcome::Rejected(_) | Outcome::Retry(_)) => true,
            (Self::Once(Outcome::Gone), Outcome::Gone) => true,
            (Self::Once(Outcome::Exists { .. }), Outcome::Exists { .. }) => true,
            (Self::Once(_) | Self::Contradiction, _) => false,
        };
        if !agrees {
            *self = Self::Contradiction;
        }
    }
}

/// A text, or a number as text.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
