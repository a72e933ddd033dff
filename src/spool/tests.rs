use std::{io, path::Path};

use proptest::prelude::*;

use super::{Sorter, SpoolError, SpoolReader, SpoolWriter};

fn record(index: u64) -> Vec<u8> {
    let mut bytes = index.to_be_bytes().to_vec();
    bytes.resize(8 + (index % 900) as usize, index as u8);
    bytes
}

fn read_all(mut reader: SpoolReader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut record = Vec::new();
    while reader.next(&mut record).unwrap() {
        all.push(record.clone());
    }
    all
}

#[test]
fn small_spools_stay_in_memory_and_large_ones_leave_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = SpoolWriter::new(Path::new("/nonexistent"));
    (0..100).for_each(|i| small.push(&record(i)).unwrap());
    let small = small.finish().unwrap();
    assert_eq!((small.len(), small.disk_bytes()), (100, 0));
    assert_eq!(read_all(small.reader()), (0..100).map(record).collect::<Vec<_>>());

    let mut large = SpoolWriter::new(dir.path());
    (0..5_000).for_each(|i| large.push(&record(i)).unwrap());
    let large = large.finish().unwrap();
    assert!(large.disk_bytes() > 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(read_all(large.reader()), (0..5_000).map(record).collect::<Vec<_>>());
}

#[test]
fn readers_are_independent() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::new(dir.path());
    (0..3_000).for_each(|i| writer.push(&record(i)).unwrap());
    let spool = writer.finish().unwrap();
    let (mut ahead, mut behind, mut bytes) = (spool.reader(), spool.reader(), Vec::new());
    (0..2_000).for_each(|_| assert!(ahead.next(&mut bytes).unwrap()));
    assert!(behind.next(&mut bytes).unwrap());
    assert_eq!(bytes, record(0));
    assert!(ahead.next(&mut bytes).unwrap());
    assert_eq!(bytes, record(2_000));
}

#[test]
fn a_record_larger_than_a_block_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SpoolWriter::new(dir.path());
    let huge: Vec<u8> = (0..4_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for part in [&b"a"[..], &huge, b"", b"z"] {
        writer.push(part).unwrap();
    }
    assert_eq!(read_all(writer.finish().unwrap().reader()), [b"a".to_vec(), huge, Vec::new(), b"z".to_vec()]);
}

#[test]
fn errors_say_what_and_where() {
    let mut writer = SpoolWriter::new(Path::new("/nonexistent"));
    let failed = (0..5_000).try_for_each(|i| writer.push(&record(i))).unwrap_err();
    assert!(matches!(failed, SpoolError::Create { .. }));
    assert_eq!(failed.to_string(), "cannot create a temporary file in `/nonexistent`");
    let full = SpoolError::from_write(Path::new("/data"), io::Error::from(io::ErrorKind::StorageFull));
    assert_eq!(full.to_string(), "no space left for a temporary file in `/data`");
}

#[test]
fn a_flipped_bit_in_a_block_is_noticed() {
    use std::os::unix::fs::FileExt as _;
    let file = tempfile::tempfile().unwrap();
    let mut packed = Vec::new();
    super::block::pack(&record(899), &mut packed).unwrap();
    for position in 0..packed.len() {
        let mut damaged = packed.clone();
        damaged[position] ^= 0x10;
        file.write_all_at(&damaged, 0).unwrap();
        let (mut scratch, mut raw) = (Vec::new(), Vec::new());
        let result = super::block::read(&file, 0, &mut scratch, &mut raw);
        assert!(result.is_err(), "byte {position}");
    }
}

#[test]
fn more_runs_than_are_merged_at_once_are_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(dir.path(), 2_000);
    let mut expected: Vec<u64> = (0..20_000_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).collect();
    expected.iter().for_each(|i| sorter.push(&i.to_be_bytes()).unwrap());
    assert_eq!(sorter.len(), 20_000);
    expected.sort_unstable();
    let (mut reader, mut bytes) = (sorter.finish().unwrap(), Vec::new());
    for value in expected {
        assert!(reader.next(&mut bytes).unwrap());
        assert_eq!(bytes, value.to_be_bytes());
    }
    assert!(!reader.next(&mut bytes).unwrap());
}

proptest! {
    #[test]
    fn sorting_is_sorting(
        mut records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..300),
        budget in 1_usize..3_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), budget);
        records.iter().for_each(|record| sorter.push(record).unwrap());
        let (mut reader, mut sorted, mut bytes) = (sorter.finish().unwrap(), Vec::new(), Vec::new());
        while reader.next(&mut bytes).unwrap() {
            sorted.push(bytes.clone());
        }
        records.sort();
        prop_assert_eq!(sorted, records);
    }
}
