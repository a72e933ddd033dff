//! Inputs made of others.

use fastrand::Rng;

/// Largest input.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// Numbers at limits, as texts and, below, as bytes.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "256",
    "32767",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1e308",
    "1e400",
    "-1e-400",
    "0.1",
    "NaN",
    "inf",
    "-inf",
    "00",
    "1_000",
    "0x10",
    "+5",
];
/// Words of the grammars that the targets read.
const WORDS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{0}",
    "\r\n",
    "\n",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    ",",
    ":",
    "=",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"results\":[",
    "\"errors\":[",
    "\"id\":\"101\"",
    "\"objectWriteTraceId\":\"1\"",
    "\"context\":{\"objectWriteTraceId\":[\"1\"]}",
    "\"category\":\"VALIDATION_ERROR\"",
    "\"category\":\"OBJECT_NOT_FOUND\"",
    "\"message\":",
    "\"status\":\"ok\"",
    "\"status\":",
    "\"email\":\"1@example.com\"",
    "canary-7f3a",
    "\"access_token\":\"t\"",
    "\"expires_in\":",
    "\"refresh_token\":",
    "\"error\":\"invalid_grant\"",
    "\"token_type\":\"bearer\"",
    "*",
    "*/",
    "-",
    "/",
    "?",
    "L",
    "W",
    "#",
    "@daily",
    "MON",
    "JAN",
    "31",
    "29 2",
    "|",
    "Europe/Lisbon",
    "Australia/Lord_Howe",
    "{{",
    "}}",
    "{%",
    "%}",
    "{# ",
    "| upper",
    "| length",
    "| join(',')",
    "| replace('a', 'b')",
    "name",
    "list",
    "for x in range(",
    "endfor",
    "if",
    "set x =",
    "~",
    "**",
    "macro m(x)",
    "call",
    "endmacro",
    "[:-1]",
    "\"ab\" * ",
    "http://",
    "https://",
    "@",
    "%2e",
    "%00",
    "[::ffff:127.0.0.1]",
    "[::1]",
    "127.1",
    "0x7f.1",
    "2130706433",
    "169.254.169.254",
    "localhost",
    "\u{ff0e}",
    ":80",
    ":99999",
    "//",
    "..",
    "#x",
    "[sources.w]\n",
    "[models.m]\n",
    "[destinations.d]\n",
    "[syncs.s]\n",
    "[syncs.s.fields]\n",
    "[defaults]\n",
    "[state]\n",
    "type = ",
    "primary_key = ",
    "schedule = ",
    "{ every = \"1h\" }",
    "{ cron = \"* * * * *\" }",
    "guard = ",
    "\"100%\"",
    "\"2h\"",
    "mode = \"mirror\"\n",
    "{ env = \"T\" }",
    "{ value = 1 }",
    "when_null = ",
    "limits = [",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "1979-05-27T07:32:00Z",
    "\"\"\"",
    "'''",
];

/// A mutation of `input`, with `other` to splice from.
pub(super) fn mutate(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << rng.u32(0..4) {
        step(&mut bytes, other, rng);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn step(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    match rng.u32(0..12) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u32(0..8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = [0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.u8(..)][rng.usize(..7)];
            }
        }
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..(at + rng.usize(..16)).min(bytes.len()))),
        5 => insert(bytes, at, WORDS[rng.usize(..WORDS.len())].as_bytes()),
        6 => insert(bytes, at, NUMBERS[rng.usize(..NUMBERS.len())].as_bytes()),
        7 => number(bytes, rng),
        8 => binary(bytes, at, rng),
        9 => {
            let from = rng.usize(..=other.len());
            let piece = &other[from..(from + rng.usize(..64)).min(other.len())];
            insert(bytes, at, piece);
        }
        10 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.usize(..=other.len())..]);
        }
        _ => repeat(bytes, at, rng),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// Puts a number at a limit in the place of one that stands there.
fn number(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let digit = |at: &usize| bytes[*at].is_ascii_digit();
    let starts: Vec<usize> = (0..bytes.len()).filter(digit).filter(|at| *at == 0 || !digit(&(at - 1))).collect();
    let Some(start) = rng.choice(starts) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + length, NUMBERS[rng.usize(..NUMBERS.len())].bytes());
}

/// Overwrites some bytes with a number at a limit, as fixed width or as varint.
fn binary(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let number = [0, 1, 0x7F, 0x80, 0xFFFF, 1 << 31, 1 << 62, 1 << 63, u64::MAX][rng.usize(..9)];
    let width = [1, 2, 4, 8][rng.usize(..4)];
    let mut piece = number.to_le_bytes()[..width].to_vec();
    if rng.bool() {
        piece = vec![0xFF; rng.usize(..10)];
        piece.push(rng.u8(..0x80));
    }
    let end = (at + piece.len()).min(bytes.len());
    bytes.splice(at..end, piece);
}

/// Repeats a piece: sometimes until the input is as large as it may be.
fn repeat(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let piece = bytes[at..(at + rng.usize(..24)).min(bytes.len())].to_vec();
    let most = if rng.u32(0..64) == 0 { MAX_BYTES } else { 256 };
    let times = (most / piece.len().max(1)).min(rng.usize(..=most));
    insert(bytes, at, &piece.repeat(times));
}
