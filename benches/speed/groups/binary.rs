//! The program's file and how fast it starts.

use std::process::Command;

use crate::{
    Group,
    arguments::Arguments,
    sample::{Series, measure},
    support::program,
    table::{Line, Table},
};

pub(crate) const GROUP: Group = Group { name: "binary", about: "size and cold start of the program", run: binary };

const STARTS: usize = 30;

fn binary(_arguments: &Arguments, table: &mut Table) {
    let bytes = std::fs::metadata(program()).expect("a program").len();
    table.add(Line::at_most("size of the program", bytes as f64 / (1024.0 * 1024.0), 30.0, "MiB"));
    let start = |_| {
        let mut command = Command::new(program());
        command.arg("--version");
        measure(command, false)
    };
    let starts = Series((0..STARTS).map(start).collect());
    let millis = starts.wall().median * 1000.0;
    table.add(Line::at_most("`syncline --version`", millis, 10.0, "ms").with(starts.json()));
}
