//! What a history is made of: a shape, and operations that hold everything they need.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// The frame of a history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Keys 1 to this.
    pub(super) keys: u8,
    /// Addresses (match values) 0 to this, exclusive.
    pub(super) emails: u8,
    /// Values 0 to this, exclusive.
    pub(super) names: u8,
    /// Most rows of a request.
    pub(super) batch: u8,
    /// Requests at once.
    pub(super) workers: u8,
    /// Whether the guard's rules are tight.
    pub(super) guard: bool,
}

/// A history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) shape: Shape,
    pub(super) ops: Vec<Op>,
}

/// One step of a history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    /// The model gets a row, or has it changed.
    Set { key: u8, email: u8, name: u8 },
    /// A row vanishes.
    Remove { key: u8 },
    /// A row of the same key stands beside the row.
    Duplicate { key: u8, name: u8 },
    /// Two rows exchange their addresses.
    Swap { a: u8, b: u8 },
    /// A row is there under another key.
    Rekey { from: u8, to: u8 },
    /// Every row vanishes, as after a failed load.
    Empty,
    /// What `Empty` took is back.
    Refill,
    /// A row without a key stands in the model, or no more.
    NullKey { there: bool },
    /// A run, and what happens to its requests.
    Run { steps: Vec<Step> },
    /// The source fails after so many rows.
    PartialRun { rows: u8 },
    /// A run whose process ends while a request hangs.
    Crash { steps: Vec<Step>, hang: Hang, reopen: bool },
    /// A run whose process ends at some moment.
    CrashAnywhere { polls: u16 },
    /// A request that was given up is applied after all.
    Late { pick: u8 },
    /// The vendor refuses a value from now on.
    Refuse { name: u8 },
    /// The vendor takes every value again.
    Accept,
    /// The operator approves what the guard holds.
    Approve,
    /// The operator has rows sent again.
    Resync(Again),
    /// Time passes.
    Advance { seconds: u32 },
    /// The clock is set back.
    SetBack { seconds: u32 },
    /// The mapping is edited.
    Remap { tag: u8 },
    /// Another instance sends what it had in hand, and says so.
    Second(Stale),
    /// Somebody deletes a record at the vendor.
    Vandal { pick: u8 },
    /// Somebody makes a record at the vendor.
    Alien { email: u8 },
    /// Faults stop, time passes, and everything is compared.
    Quiesce { late: bool },
}

/// What is sent again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Again {
    Whole,
    Key(u8),
    Target,
    Trust,
}

/// What another instance sends: a record that the key once had.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Stale {
    pub(super) key: u8,
    /// Which of the records that were ever sent for the key.
    pub(super) pick: u8,
}

/// When the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hang {
    /// The request never arrives.
    Lost,
    /// The request is applied.
    Applied,
    /// The request is applied when the history says so.
    Later,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Apply,
    /// Applied, the answer is lost.
    Lose,
    /// The first rows are applied, the answer is lost.
    LosePart(u8),
    /// No answer; applied when the history says so.
    Late,
    /// No connection.
    Unreached,
    /// It waited too long for its turn.
    Expired,
    /// Refused as a whole.
    Spoiled,
    /// A server's error, with or without effect.
    Error {
        applied: bool,
    },
    /// The answer names the first rows only; the others are applied or not.
    Omit {
        named: u8,
        applied: bool,
    },
    /// The answer names more rows than there are.
    Surplus,
    /// One row is to be tried again.
    Locked(u8),
    /// A request that was given up is applied right before this one.
    Overtaken(u8),
    /// Another instance sends after this request is applied and before its answer.
    Meanwhile(Stale),
}

/// A history of a seed.
pub(super) fn generate(seed: u64) -> History {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let keys = *rng.choice([1, 1, 1, 2, 2, 3, 4, 5].iter()).unwrap_or(&1);
    let emails = if keys == 1 { rng.u8(1..3) } else { keys + rng.u8(0..2) };
    let shape = Shape {
        keys,
        emails,
        names: rng.u8(2..4),
        batch: rng.u8(1..4),
        workers: rng.u8(1..3),
        guard: rng.u8(0..4) == 0,
    };
    let ops = (0..rng.usize(5..50)).map(|_| op(rng, &shape)).collect();
    History { shape, ops }
}

fn op(rng: &mut Rng, shape: &Shape) -> Op {
    let key = |rng: &mut Rng| rng.u8(1..=shape.keys);
    let name = |rng: &mut Rng| rng.u8(0..shape.names);
    match rng.u32(0..100) {
        0..24 => Op::Set { key: key(rng), email: rng.u8(0..shape.emails), name: name(rng) },
        24..31 => Op::Remove { key: key(rng) },
        31 => Op::Duplicate { key: key(rng), name: name(rng) },
        32..34 => Op::Swap { a: key(rng), b: key(rng) },
        34..36 => Op::Rekey { from: key(rng), to: key(rng) },
        36 => Op::Empty,
        37..39 => Op::Refill,
        39..41 => Op::NullKey { there: rng.bool() },
        41..60 => Op::Run { steps: steps(rng, shape) },
        60..62 => Op::PartialRun { rows: rng.u8(0..=shape.keys) },
        62..69 => Op::Crash {
            steps: steps(rng, shape),
            hang: *rng.choice([Hang::Lost, Hang::Applied, Hang::Later].iter()).unwrap_or(&Hang::Applied),
            reopen: rng.u8(0..4) == 0,
        },
        69 => Op::CrashAnywhere { polls: rng.u16(1..60) },
        70..75 => Op::Late { pick: rng.u8(..) },
        75..77 => Op::Refuse { name: name(rng) },
        77 => Op::Accept,
        78..80 => Op::Approve,
        80..82 => Op::Resync(match rng.u8(0..4) {
            0 => Again::Whole,
            1 => Again::Key(key(rng)),
            2 => Again::Target,
            _ => Again::Trust,
        }),
        82..88 => Op::Advance { seconds: *rng.choice([5, 40, 99, 101, 900, 90_000].iter()).unwrap_or(&40) },
        88 => Op::SetBack { seconds: *rng.choice([5, 60, 3600].iter()).unwrap_or(&60) },
        89..91 => Op::Remap { tag: rng.u8(0..2) },
        91..93 => Op::Second(stale(rng, shape)),
        93 => Op::Vandal { pick: rng.u8(..) },
        94 => Op::Alien { email: rng.u8(0..shape.emails) },
        _ => Op::Quiesce { late: rng.bool() },
    }
}

fn stale(rng: &mut Rng, shape: &Shape) -> Stale {
    Stale { key: rng.u8(1..=shape.keys), pick: rng.u8(..) }
}

fn steps(rng: &mut Rng, shape: &Shape) -> Vec<Step> {
    (0..rng.usize(0..5)).map(|_| step(rng, shape)).collect()
}

fn step(rng: &mut Rng, shape: &Shape) -> Step {
    match rng.u8(0..16) {
        0..2 => Step::Lose,
        2 => Step::LosePart(rng.u8(0..shape.batch)),
        3..6 => Step::Late,
        6 => Step::Unreached,
        7 => Step::Expired,
        8 => Step::Spoiled,
        9 => Step::Error { applied: rng.bool() },
        10 => Step::Omit { named: rng.u8(0..shape.batch), applied: rng.bool() },
        11 => Step::Surplus,
        12 => Step::Locked(rng.u8(0..shape.batch)),
        13 => Step::Overtaken(rng.u8(..)),
        14 => Step::Meanwhile(stale(rng, shape)),
        _ => Step::Apply,
    }
}
