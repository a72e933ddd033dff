//! Names, lines and what a crash leaves; the files themselves are tried with a real folder.

use std::{fs, io::Cursor, path::Path};

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Files, check_sync,
    encode::{accepts, head, lines},
    pattern::{Pattern, numbered},
    scan::{Whole, format_of, whole},
    store::Partial,
    stray::{recover_all, recover_strays},
};
use crate::{
    destination::{Batch, BatchRow, tests::sync},
    model::{
        Operation, RecordRef, RunId, Value, encode_field,
        spec::{FieldSource, FieldSpec, FileFormat, FileSpec, WhenNull},
    },
};

fn record(fields: &[(&str, Value<'_>)]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in fields {
        encode_field(name, *value, &mut out).unwrap();
    }
    out.into()
}

fn batch(operation: Operation, records: Vec<Bytes>) -> Batch {
    let row = |record| BatchRow { correlation: 0, record_id: None, idempotency_key: Some(0xAB), record };
    Batch {
        run: RunId(7),
        object: "people".into(),
        fields: ["address.city".to_owned(), "id".to_owned(), "name".to_owned()].into(),
        operation,
        match_fields: vec!["id".into()],
        rows: records.into_iter().map(row).collect(),
        idempotency_key: 1,
    }
}

fn text(format: FileFormat, batch: &Batch) -> String {
    let mut bytes = head(format, &batch.fields).unwrap();
    bytes.extend(lines(format, batch).unwrap());
    String::from_utf8(bytes).unwrap()
}

fn two_rows() -> Batch {
    let full =
        record(&[("address.city", Value::Text("Bern")), ("id", Value::Int(1)), ("name", Value::Text("a \"b\",\nc"))]);
    batch(Operation::Upsert, vec![full, record(&[("id", Value::Int(2)), ("name", Value::Null)])])
}

#[test]
fn lines_hold_operation_and_record() {
    insta::assert_snapshot!(text(FileFormat::JsonLines, &two_rows()), @r#"
    {"idempotency_key":"000000000000000000000000000000ab","operation":"upsert","record":{"address":{"city":"Bern"},"id":1,"name":"a \"b\",\nc"}}
    {"idempotency_key":"000000000000000000000000000000ab","operation":"upsert","record":{"id":2,"name":null}}
    "#);
    insta::assert_snapshot!(text(FileFormat::Csv, &two_rows()), @r#"
    operation,address.city,id,name
    upsert,Bern,1,"a ""b"",
    c"
    upsert,,2,
    "#);
    let removal = batch(Operation::Delete, vec![record(&[("id", Value::Int(3))])]);
    assert_eq!(String::from_utf8(lines(FileFormat::Csv, &removal).unwrap()).unwrap(), "delete,,3,\n");
}

#[test]
fn paths_need_a_run_in_the_name() {
    for wrong in ["out/x.csv", "{run}/x.csv", "out/{run}-{run}.csv", "out/{day}-{run}", "out/.{run}", "{run}/{run}.csv"]
    {
        assert!(Pattern::new(wrong).is_err(), "{wrong}");
    }
    for (path, root, folder, name) in [
        ("out/{object}-{run}.csv", "out", "out", "people-0000000012.csv"),
        ("{run}.csv", ".", ".", "0000000012.csv"),
        ("/a/{object}/b/{run}", "/a", "/a/people/b", "0000000012"),
        ("/{run}.csv", "/", "/", "0000000012.csv"),
    ] {
        let pattern = Pattern::new(path).unwrap();
        assert_eq!(pattern.root(), Path::new(root), "{path}");
        assert_eq!(pattern.folder("people"), Path::new(folder), "{path}");
        assert_eq!(pattern.name("people", RunId(12)), name, "{path}");
    }
    let pattern = Pattern::new("out/{object}-{run}.csv").unwrap();
    let found = |hidden: &str| pattern.name_of_hidden("people", hidden);
    assert_eq!(found(".people-0000000012.csv.partial").as_deref(), Some("people-0000000012.csv"));
    for other in ["people-0000000012.csv", ".people-x.csv.partial", ".people-.csv.partial", ".cars-1.csv.partial"] {
        assert_eq!(found(other), None, "{other}");
    }
    assert_eq!((numbered("a.b.csv", 2).as_str(), numbered("a", 3).as_str()), ("a.b-2.csv", "a-3"));
}

#[test]
fn a_sync_must_fit() {
    let spec = |format| FileSpec { path: "out/{object}-{run}".into(), format };
    for object in ["../etc", "a/b", "", ".", ".hidden", "a\0"] {
        assert_eq!(check_sync(&spec(FileFormat::Csv), &sync(object, &["id"])).unwrap_err().key, "object", "{object:?}");
    }
    let mut sync = sync("people", &["id"]);
    let source = FieldSource::Column { column: "o".into(), cast: None };
    sync.fields.push(FieldSpec { name: "operation".into(), source, when_null: WhenNull::Skip });
    assert_eq!(check_sync(&spec(FileFormat::Csv), &sync).unwrap_err().key, "fields");
    assert_eq!(check_sync(&spec(FileFormat::JsonLines), &sync), Ok(()));
}

#[test]
fn what_no_file_can_hold_is_not_accepted() {
    let of = |format, name: &str, value| accepts(format, RecordRef::new(&record(&[(name, value)]))).is_ok();
    for (format, name, value, expected) in [
        (FileFormat::Csv, "a", Value::Text("\0"), false),
        (FileFormat::JsonLines, "a", Value::Text("\0"), true),
        (FileFormat::Csv, "operation", Value::Int(1), false),
        (FileFormat::JsonLines, "operation", Value::Int(1), true),
        (FileFormat::JsonLines, "a", Value::Bytes(b"x"), false),
        (FileFormat::Csv, "a", Value::Bytes(b"x"), false),
    ] {
        assert_eq!(of(format, name, value), expected, "{format:?} {name} {value:?}");
    }
}

/// A folder, and what is in it by name.
struct Folder(tempfile::TempDir, Pattern);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pattern = Pattern::new(&format!("{}/out/{{object}}-{{run}}.jsonl", folder.path().display())).unwrap();
        Self(folder, pattern)
    }

    fn partial(&self, run: i64) -> std::io::Result<Partial> {
        let name = self.1.name("people", RunId(run));
        Partial::create(&self.1.folder("people"), &name, FileFormat::JsonLines)
    }

    fn recover(&self) {
        recover_all(&self.1, "people", FileFormat::JsonLines).unwrap();
    }

    fn files(&self) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.0.path().join("out")) else { return Vec::new() };
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }
}

#[test]
fn a_file_is_hidden_until_it_is_whole() {
    let folder = Folder::new();
    let mut partial = folder.partial(1).unwrap();
    partial.append(b"1\n").unwrap();
    partial.append(b"2\n").unwrap();
    assert_eq!(folder.files(), [(".people-0000000001.jsonl.partial".to_owned(), "1\n2\n".to_owned())]);
    // What is still written is nobody else's to publish.
    folder.recover();
    assert_eq!(folder.files().len(), 1);
    assert!(folder.partial(1).is_err());
    partial.publish().unwrap();
    drop(partial);
    assert_eq!(folder.files(), [("people-0000000001.jsonl".to_owned(), "1\n2\n".to_owned())]);
    folder.partial(2).unwrap().publish().unwrap();
    assert_eq!(folder.files().len(), 1, "an empty file is not published");
}

#[test]
fn what_a_crash_left_is_published_up_to_its_last_whole_row() {
    let folder = Folder::new();
    let mut partial = folder.partial(1).unwrap();
    partial.append(b"1\n").unwrap();
    drop(partial);
    let left = folder.0.path().join("out/.people-0000000001.jsonl.partial");
    fs::write(&left, b"1\n2\n{\"torn").unwrap();
    fs::write(folder.0.path().join("out/.people-0000000002.jsonl.partial"), b"torn").unwrap();
    fs::write(folder.0.path().join("out/.cars-0000000002.jsonl.partial"), b"1\n").unwrap();
    folder.recover();
    let expected = [
        (".cars-0000000002.jsonl.partial".to_owned(), "1\n".to_owned()),
        ("people-0000000001.jsonl".to_owned(), "1\n2\n".to_owned()),
    ];
    assert_eq!(folder.files(), expected);
    // The same run again, as after a state that was put back: neither is lost.
    fs::write(&left, b"3\n").unwrap();
    let mut again = folder.partial(1).unwrap();
    again.append(b"4\n").unwrap();
    again.publish().unwrap();
    let published: Vec<String> = folder.files().into_iter().skip(1).map(|(_, text)| text).collect();
    assert_eq!(published.concat(), "3\n4\n1\n2\n");
}

#[test]
fn what_was_written_under_an_earlier_path_or_format_is_published() {
    let folder = Folder::new();
    let out = folder.0.path().join("out");
    fs::create_dir_all(out.join("people")).unwrap();
    let json = "{\"operation\":\"upsert\",\"record\":{\"id\":1}}\n";
    fs::write(out.join("people/.0000000001.jsonl.partial"), json.repeat(2) + "{\"torn").unwrap();
    fs::write(out.join(".old-0000000002.CSV.partial"), "a\n1\n\"torn\n").unwrap();
    fs::write(out.join(".old-0000000003.partial"), "operation,id\nupsert,1\n").unwrap();
    // Of a run under the present path, when the format was another one: the header would pass for a row.
    fs::write(out.join(".people-0000000004.jsonl.partial"), "operation,id\n").unwrap();
    // Nobody knows what these are, but nothing of a run is in them.
    fs::write(out.join(".old-0000000005.dat.partial"), "").unwrap();
    fs::write(out.join(".download.partial"), "x").unwrap();
    folder.recover();
    recover_strays(&folder.1.root()).unwrap();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_else(|_| panic!("{name}"));
    assert_eq!(read("people/0000000001.jsonl"), json.repeat(2));
    assert_eq!(read("old-0000000002.CSV"), "a\n1\n");
    assert_eq!(read("old-0000000003"), "operation,id\nupsert,1\n");
    let mut left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let expected =
        [".download.partial", ".old-0000000005.dat.partial", "old-0000000002.CSV", "old-0000000003", "people"];
    assert_eq!(left, expected);
}

/// A run that ends while a file is left that cannot be published: the own file waits for it.
fn waits_for(leave: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let path = format!("{}/{{object}}-{{run}}.jsonl", out.display());
    let files = Files::new(&FileSpec { path, format: FileFormat::JsonLines }).unwrap();
    files.inner.append(&two_rows()).unwrap();
    leave(&out);
    let error = files.inner.finish("people", RunId(7)).unwrap_err();
    assert!(!out.join("people-0000000007.jsonl").exists());
    for left in [".people-0000000003.jsonl.partial", ".old-0000000003.dat.partial"].map(|name| out.join(name)) {
        drop(fs::remove_dir(&left).or_else(|_| fs::remove_file(&left)));
    }
    files.inner.finish("people", RunId(8)).unwrap();
    assert!(out.join("people-0000000007.jsonl").exists());
    error.to_string()
}

#[test]
fn what_a_crash_left_is_published_before_the_own_file() {
    waits_for(|out| fs::create_dir(out.join(".people-0000000003.jsonl.partial")).unwrap());
    let error = waits_for(|out| fs::write(out.join(".old-0000000003.dat.partial"), "1\n").unwrap());
    assert!(error.contains("out/.old-0000000003.dat.partial"), "{error}");
}

#[test]
fn nothing_published_is_overwritten_and_a_half_done_publishing_ends() {
    let folder = Folder::new();
    let out = folder.0.path().join("out");
    let mut partial = folder.partial(1).unwrap();
    partial.append(b"1\n").unwrap();
    // A name that is taken, though no file is there.
    std::os::unix::fs::symlink("nowhere", out.join("people-0000000001.jsonl")).unwrap();
    partial.publish().unwrap();
    drop(partial);
    assert!(out.join("people-0000000001.jsonl").is_symlink());
    assert_eq!(fs::read_to_string(out.join("people-0000000001-2.jsonl")).unwrap(), "1\n");
    // As a crash leaves it between the two names.
    fs::hard_link(out.join("people-0000000001-2.jsonl"), out.join(".people-0000000001.jsonl.partial")).unwrap();
    folder.recover();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn the_first_row_tells_the_format() {
    for format in [FileFormat::JsonLines, FileFormat::Csv] {
        assert_eq!(format_of(text(format, &two_rows()).as_bytes()), Some(format));
    }
    assert_eq!(format_of(b"{\"id\":1}"), None);
}

#[test]
fn blocks_that_were_never_written_end_a_file() {
    let of = |bytes: &[u8], format| whole(Cursor::new(bytes), format).unwrap();
    assert_eq!(of(b"1\n\0\0\n", FileFormat::JsonLines), Whole { bytes: 2, rows: 1 });
    assert_eq!(of(b"a,b\n1,\"x\n", FileFormat::Csv), Whole { bytes: 4, rows: 0 });
    assert_eq!(of(b"a,b\n1,\"x\n\"\"\n\"\n", FileFormat::Csv), Whole { bytes: 14, rows: 1 });
}

proptest! {
    /// A row is a line whatever its values hold, and a file cut anywhere keeps exactly its whole rows.
    #[test]
    fn a_cut_file_keeps_its_whole_rows(texts in prop::collection::vec("[^\0]{0,12}", 1..6), cut in 0.0..1.0, csv: bool) {
        let format = if csv { FileFormat::Csv } else { FileFormat::JsonLines };
        let rows = texts.iter().map(|text| record(&[("id", Value::Int(1)), ("name", Value::Text(text))]));
        let batch = batch(Operation::Upsert, rows.collect());
        let mut ends = vec![head(format, &batch.fields).unwrap().len()];
        for row in &batch.rows {
            let one = Batch { rows: vec![row.clone()], ..batch.clone() };
            ends.push(ends.last().unwrap() + lines(format, &one).unwrap().len());
        }
        let bytes = text(format, &batch).into_bytes();
        prop_assert_eq!(bytes.len(), *ends.last().unwrap());
        let at = (bytes.len() as f64 * cut) as usize;
        let found = whole(Cursor::new(&bytes[..at]), format).unwrap();
        let fits = ends.iter().filter(|end| **end <= at).count();
        prop_assert_eq!(found.rows, fits.saturating_sub(1) as u64);
        prop_assert_eq!(found.bytes, if fits == 0 { 0 } else { ends[fits - 1] as u64 });
    }
}
