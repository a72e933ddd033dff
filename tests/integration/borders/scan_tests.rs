//! The scanner and the rules notice what they are for, and nothing else.

use super::{File, code_of, depth_of, module_of, scan, test_modules, too_long, wrong_arrows, wrong_words};

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

fn arrows(path: &str, text: &str) -> Vec<String> {
    wrong_arrows(&file(path, text))
}

fn words(path: &str, text: &str) -> Vec<String> {
    wrong_words(&file(path, text))
}

#[test]
fn a_forbidden_arrow_is_found_in_every_form() {
    for text in [
        "use crate::state::Store;",
        "use crate::{model::Key, state::{Store, Other}};",
        "use crate::{\n    state,\n};",
        "fn f() { crate::state::open(); }",
        "fn f() -> crate :: state :: Store {}",
        "use super::super::state::Store;",
        "pub(crate) use crate::state;",
        "macro_rules! m { () => { $crate::state::open() } }",
    ] {
        assert_eq!(arrows("destination/hubspot.rs", text).len(), 1, "{text}");
    }
    assert_eq!(arrows("main.rs", "use syncline::state;"), ["src/main.rs:1: `main` may not use `state`"]);
    assert_eq!(arrows("wire/mod.rs", "\n\nuse super::cli;"), ["src/wire/mod.rs:3: `wire` may not use `cli`"]);
}

#[test]
fn allowed_arrows_and_mere_mentions_pass() {
    for text in [
        "use crate::{model::{Key, state}, wire::Account, destination::x};",
        "use super::state; use self::run::x;",
        "// use crate::state;\n/* crate::state /* nested */ crate::run */",
        "/// See [`crate::state`].\nconst T: &str = \"crate::state::\\\" crate::run\"; const C: char = '\"';",
        "const R: &str = r#\"crate::state\"# ; fn r#type<'a>(_: &'a str) {}",
        "#[cfg(test)]\nmod tests {\n    use crate::state::Store;\n    fn f() { { } }\n}",
        "#[cfg(test)]\nuse crate::state::Store;",
        "#[cfg(all(test, unix))]\nmod tests {\n    use crate::state::Store;\n}",
    ] {
        assert_eq!(arrows("destination/hubspot.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn code_after_tests_is_still_read() {
    let text = "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::state::Store;";
    assert_eq!(arrows("wire/client.rs", text), ["src/wire/client.rs:3: `wire` may not use `state`"]);
    assert_eq!(arrows("wire/client.rs", "#[cfg(any(test, unix))]\nuse crate::state::Store;").len(), 1);
    assert_eq!(arrows("wire/client.rs", "#[cfg(not(test))]\nuse crate::state::Store;").len(), 1);
}

#[test]
fn pure_modules_may_not_even_use_the_common_ones() {
    assert_eq!(arrows("mapping/cast.rs", "use crate::telemetry;").len(), 1);
    assert_eq!(arrows("mapping/cast.rs", "use crate::model::Key;"), [""; 0]);
    assert_eq!(arrows("model/key.rs", "use crate::clock::Clock;").len(), 1);
    assert_eq!(words("diff/merge.rs", "use tokio::sync::Mutex;").len(), 1);
    assert_eq!(words("plan/guard.rs", "use std::{fs, mem};").len(), 1);
    assert_eq!(words("plan/saved.rs", "use std::{fs, mem};"), [""; 0]);
}

#[test]
fn confined_words_are_found() {
    assert_eq!(words("delivery/attempt.rs", "use reqwest::Client;").len(), 1);
    assert_eq!(words("wire/client.rs", "use reqwest::Client;"), [""; 0]);
    assert_eq!(words("run/mod.rs", "sqlx::query(x)").len(), 1);
    assert_eq!(words("simulator/server.rs", "sqlx::query(x)").len(), 1);
    assert_eq!(words("cli/run.rs", "std::env::var(x)").len(), 1);
    assert_eq!(words("cli/run.rs", "use std::{env, fs}; env!(\"CARGO_PKG_VERSION\")").len(), 1);
    assert_eq!(words("destination/http/mod.rs", "tokio::time::sleep(d).await").len(), 1);
    assert_eq!(words("wire/client.rs", "tokio::time::sleep(d).await"), [""; 0]);
    assert_eq!(words("run/mod.rs", "x.unwrap(); panic!(\"x\"); x.unwrap_or(1); // panic!").len(), 2);
    assert_eq!(words("run/mod.rs", "const A: N = N::new(1).unwrap(); fn unwrap() {} use std::panic;"), [""; 0]);
    assert_eq!(words("run/mod.rs", "const A: N = N::new(1); let b = a.unwrap();").len(), 1);
}

#[test]
fn test_files_are_told_by_their_declaration() {
    let text = "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod fake;\n#[cfg(test)]\nmod x { mod y; }";
    assert_eq!(test_modules(&file("wire/mod.rs", text)), ["wire/tests", "wire/fake"]);
    assert_eq!(test_modules(&file("wire/client.rs", "#[cfg(test)]\nmod tests;")), ["wire/client/tests"]);
}

#[test]
fn long_files_are_found() {
    assert!(too_long(&file("a.rs", &"x\n".repeat(401))).is_some());
    assert!(too_long(&file("a.rs", &"x\n".repeat(400))).is_none());
}

#[test]
fn places_are_told_by_their_paths() {
    assert_eq!((module_of("wire/limiter/mod.rs"), depth_of("wire/limiter/mod.rs")), ("wire", 2));
    assert_eq!((module_of("clock.rs"), depth_of("clock.rs")), ("clock", 1));
    assert_eq!((module_of("lib.rs"), depth_of("lib.rs")), ("lib", 0));
}

#[test]
fn lines_stay_where_they_are() {
    let text = "/* a\nb */ \"x\ny\" r\"\n\" 'c' '\\'' z";
    assert_eq!(code_of(text).matches('\n').count(), text.matches('\n').count());
    assert_eq!(scan::words(&code_of(text)).iter().map(|word| (word.text, word.line)).collect::<Vec<_>>(), [("z", 4)]);
}
