//! The `syncline` binary: parses arguments, sets telemetry up and turns the outcome into an exit code.

fn main() {}
