//! Makes a failing history small: fewer operations, fewer steps, plainer ones.

use super::op::{History, Op, Step};

/// The smallest failing history that leaving things out leads to. `fails`: whether a history still breaks a promise.
pub(super) fn shrink(history: History, mut fails: impl FnMut(&History) -> bool) -> History {
    let mut best = history;
    loop {
        let before = size(&best);
        best = fewer(best, &mut fails);
        best = plainer(best, &mut fails);
        if size(&best) == before {
            return best;
        }
    }
}

fn size(history: &History) -> usize {
    let steps = |op: &Op| match op {
        Op::Run { steps } | Op::Crash { steps, .. } => steps.len(),
        _ => 0,
    };
    history.ops.len() + history.ops.iter().map(steps).sum::<usize>()
}

/// Leaves out ever smaller pieces.
fn fewer(mut best: History, fails: &mut impl FnMut(&History) -> bool) -> History {
    let mut piece = best.ops.len().max(1);
    loop {
        let mut at = 0;
        while at < best.ops.len() {
            let mut ops = best.ops.clone();
            ops.drain(at..(at + piece).min(ops.len()));
            let less = History { ops, ..best.clone() };
            if fails(&less) { best = less } else { at += piece }
        }
        if piece == 1 {
            return best;
        }
        piece /= 2;
    }
}

/// Tries plainer forms of each operation.
fn plainer(mut best: History, fails: &mut impl FnMut(&History) -> bool) -> History {
    for at in 0..best.ops.len() {
        for form in forms(&best.ops[at]) {
            let mut less = best.clone();
            less.ops[at] = form;
            if fails(&less) {
                best = less;
                break;
            }
        }
    }
    for shape in shapes(&best) {
        if fails(&shape) {
            best = shape;
        }
    }
    best
}

fn forms(op: &Op) -> Vec<Op> {
    let shorter = |steps: &[Step]| -> Vec<Vec<Step>> {
        let without =
            |at: usize| steps.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, step)| *step);
        (0..steps.len()).map(|at| without(at).collect()).collect()
    };
    match op {
        Op::Run { steps } => shorter(steps).into_iter().map(|steps| Op::Run { steps }).collect(),
        Op::Crash { steps, hang, reopen } => {
            let same = |steps, reopen| Op::Crash { steps, hang: *hang, reopen };
            let mut all: Vec<Op> = shorter(steps).into_iter().map(|steps| same(steps, *reopen)).collect();
            all.extend(reopen.then(|| same(steps.clone(), false)));
            all
        }
        _ => Vec::new(),
    }
}

fn shapes(history: &History) -> Vec<History> {
    let shape = &history.shape;
    let mut all = Vec::new();
    if shape.workers > 1 {
        all.push(super::op::Shape { workers: 1, ..shape.clone() });
    }
    if shape.guard {
        all.push(super::op::Shape { guard: false, ..shape.clone() });
    }
    all.into_iter().map(|shape| History { shape, ops: history.ops.clone() }).collect()
}
