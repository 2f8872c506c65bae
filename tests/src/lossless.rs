//! What any bytes must come through unharmed: the bodies of the fuzz targets, and of tests over the examples.
//!
//! What must always hold: each function panics where a byte is lost, or an edit does more or less than it was asked.

use pg_conf::hba_file::{HbaFile, Record};
use pg_runbook::Secret;
use pg_runbook::configuration::{ConfFile, Entry, EntryKind};
use pg_runbook::passfile::{Key, PassFile};

/// How many lines of a file are edited: enough for every kind, and few enough to be quick on a long file.
const EDITED: usize = 8;
/// The majors at which the syntax of `pg_hba.conf` changed, and both sides of each.
const MAJORS: [u32; 7] = [10, 12, 13, 14, 15, 16, 18];
const RULE: &str = "host new new all reject";

/// Reads these bytes as a file in the syntax of postgresql.conf, and edits it in every way.
pub fn conf_file(bytes: &[u8]) {
    let file = ConfFile::parse(bytes);
    assert_eq!(file.to_bytes(), bytes, "printing gives back what was read");
    let entries: Vec<&Entry> = file.entries().iter().filter(|entry| assigned(entry).is_some()).collect();
    let values = ["7", "it's \\ here", "", "a b", "caf\u{e9}"];
    // One of them for each file: a fuzzer brings enough files.
    for value in [values[bytes.len() % values.len()], &last_line(bytes)] {
        for entry in some_of(&entries) {
            set_one_value(&file, entry, value);
        }
        for name in ["port", "work_mem", "my.setting"] {
            insert_one_setting(&file, name, value);
        }
    }
    for entry in some_of(&entries) {
        remove_one_setting(&file, entry.line);
    }
}

/// Sets the value of one line, and sees that nothing else moves.
pub fn set_one_value(before: &ConfFile, entry: &Entry, value: &str) {
    let mut after = before.clone();
    after.set_value(entry.line, value).expect("a line that assigns a value takes another");
    expect_read_again(&after);
    let (old, new) = (before.to_bytes(), after.to_bytes());
    let span = entry.value_span();
    let behind = old.len() - span.end;
    assert_eq!(old[..span.start], new[..span.start], "what stands in front of the value stays");
    assert_eq!(old[span.end..], new[new.len() - behind..], "what stands behind the value stays");
    let expected: Vec<_> = before.entries().iter().map(|other| (other.line, with_value(other, entry, value))).collect();
    let found: Vec<_> = after.entries().iter().map(|other| (other.line, other.kind.clone())).collect();
    assert_eq!(found, expected, "line {} says what it was told to, and the others what they did", entry.line);
}

/// Inserts a setting, sees that nothing else moves, and takes it away again.
pub fn insert_one_setting(before: &ConfFile, name: &str, value: &str) {
    let mut after = before.clone();
    let line = after.insert(name, value).expect("a setting can be added to any file");
    expect_read_again(&after);
    let (old, new) = (before.to_bytes(), after.to_bytes());
    assert!(is_inserted(&old, &new), "every byte that was there is still there");
    let mut kinds = kinds(&after);
    let at = after.entries().iter().position(|entry| entry.line == line).expect("it stands where it says");
    let added = EntryKind::Assignment { name: name.into(), value: value.into() };
    assert_eq!(kinds.remove(at), added, "it says what it was told to");
    assert_eq!(kinds, self::kinds(before), "the others say what they did");
    after.remove(line).expect("what was added can be removed");
    let completed = [old.as_slice(), b"\n"].concat();
    let completed_as_on_windows = [old.as_slice(), b"\r\n"].concat();
    assert!([old, completed, completed_as_on_windows].contains(&after.to_bytes()), "no trace is left");
}

/// Takes the setting of one line away, and sees that nothing else moves.
pub fn remove_one_setting(before: &ConfFile, line: usize) {
    let mut after = before.clone();
    after.remove(line).expect("a line that assigns a value can be removed");
    expect_read_again(&after);
    let (old, new) = (before.to_bytes(), after.to_bytes());
    if new.len() > old.len() {
        assert_eq!(new.len(), old.len() + 1, "one # makes a comment of it");
        assert!(is_inserted(&old, &new), "every byte that was there is still there");
    } else {
        assert!(is_inserted(&new, &old), "one line is cut out, and nothing else");
    }
    let others: Vec<_> = before.entries().iter().filter(|entry| entry.line != line).map(|entry| &entry.kind).collect();
    assert_eq!(after.entries().iter().map(|entry| &entry.kind).collect::<Vec<_>>(), others);
}

/// Reads these bytes as `pg_hba.conf` of every major, and edits it in every way.
pub fn hba_file(bytes: &[u8]) {
    for major in MAJORS {
        let file = HbaFile::parse(bytes, major);
        assert_eq!(file.to_bytes(), bytes, "printing gives back what was read");
        append_one_rule(&file, major);
        let lines: Vec<usize> = (1..=bytes.split_inclusive(|byte| *byte == b'\n').count()).collect();
        for line in some_of(&lines) {
            insert_one_rule(&file, *line, major);
        }
        let records: Vec<usize> = file.records().iter().map(Record::line).collect();
        for line in some_of(&records) {
            remove_one_record(&file, *line, major);
        }
    }
}

/// Inserts a rule in front of a line, sees that nothing else moves, and takes it away again.
pub fn insert_one_rule(before: &HbaFile, line: usize, major: u32) {
    let mut after = before.clone();
    let at = after.insert_before(line, RULE);
    let (old, new) = (before.to_bytes(), after.to_bytes());
    assert_eq!(after, HbaFile::parse(&new, major), "the file reads as it says");
    assert!(is_inserted(&old, &new), "every byte that was there is still there");
    expect_one_more(before, &after, at);
    after.remove(at).expect("what was inserted can be removed");
    assert_eq!(after.to_bytes(), old, "no trace is left");
}

fn append_one_rule(before: &HbaFile, major: u32) {
    let mut after = before.clone();
    let at = after.append(RULE);
    let (old, new) = (before.to_bytes(), after.to_bytes());
    assert_eq!(after, HbaFile::parse(&new, major), "the file reads as it says");
    assert!(is_inserted(&old, &new), "every byte that was there is still there");
    assert_eq!(new.ends_with(b"\n"), old.is_empty() || old.ends_with(b"\n"), "it ends as it did");
    expect_one_more(before, &after, at);
    // Behind a backslash at the end it would be a part of the last record.
    let is_unfinished = old.trim_ascii_end().ends_with(b"\\");
    assert!(is_unfinished || after.records().last().map(Record::line) == Some(at), "it is the last");
    after.remove(at).expect("what was appended can be removed");
    assert_eq!(after.to_bytes(), old, "no trace is left");
}

/// Takes the record of one line away, and sees that nothing else moves.
pub fn remove_one_record(before: &HbaFile, line: usize, major: u32) {
    let mut after = before.clone();
    after.remove(line).expect("a record can be removed");
    let (old, new) = (before.to_bytes(), after.to_bytes());
    assert_eq!(after, HbaFile::parse(&new, major), "the file reads as it says");
    assert!(is_inserted(&new, &old), "one piece is cut out, and nothing else");
    let others = before.records().iter().filter(|record| record.line() != line).map(without_line);
    assert_eq!(after.records().iter().map(without_line).collect::<Vec<_>>(), others.collect::<Vec<_>>());
}

/// Reads these bytes as a password file, sets a password in it, and takes it away again.
pub fn passfile(bytes: &[u8]) {
    let before = PassFile::parse(bytes);
    assert_eq!(before.to_bytes().as_slice(), bytes, "printing gives back what was read");
    for (key, password) in
        [(Key::new("a", 1, "b", "c"), "d"), (Key::new("#\\", "*", "b:", "\u{e9}"), &last_line(bytes))]
    {
        let password = Secret::new(password.replace('\r', " "));
        let mut after = before.clone();
        after.set(&key, &password).expect("a password that can stand in any file");
        let found = after.find(&key).expect("what was set is found");
        assert!(found.password.as_ref() == Some(&password), "the password is the one that was set");
        let once = after.to_bytes();
        after.set(&key, &password).expect("a password that can be set again");
        assert!(after.to_bytes() == once, "a second time changes nothing");
        assert!(PassFile::parse(&once) == after, "the file reads as it says");
        after.remove(&key);
        assert!(after.remove(&key).is_empty(), "what was removed is gone");
    }
}

fn expect_one_more(before: &HbaFile, after: &HbaFile, line: usize) {
    let mut records: Vec<_> = after.records().iter().collect();
    let at = records.iter().position(|record| record.line() == line).expect("it stands where it says");
    assert!(matches!(records.remove(at), Record::Rule(rule) if rule.raw == RULE), "it is the rule that was asked for");
    let others: Vec<_> = records.into_iter().map(without_line).collect();
    assert_eq!(others, before.records().iter().map(without_line).collect::<Vec<_>>(), "the others are what they were");
}

fn without_line(record: &Record) -> Record {
    let mut record = record.clone();
    match &mut record {
        Record::Rule(rule) => rule.line = 0,
        Record::Include { line, .. } | Record::Invalid { line, .. } => *line = 0,
    }
    record
}

fn expect_read_again(file: &ConfFile) {
    assert_eq!(*file, ConfFile::parse(&file.to_bytes()), "the file reads as it says");
}

fn assigned(entry: &Entry) -> Option<&str> {
    match &entry.kind {
        EntryKind::Assignment { name, .. } => Some(name),
        _ => None,
    }
}

fn with_value(entry: &Entry, changed: &Entry, value: &str) -> EntryKind {
    match &entry.kind {
        EntryKind::Assignment { name, .. } if entry.line == changed.line => {
            EntryKind::Assignment { name: name.clone(), value: value.into() }
        }
        kind => kind.clone(),
    }
}

fn kinds(file: &ConfFile) -> Vec<EntryKind> {
    file.entries().iter().map(|entry| entry.kind.clone()).collect()
}

/// Whether `longer` is `shorter` with one piece more in it.
fn is_inserted(shorter: &[u8], longer: &[u8]) -> bool {
    let same = shorter.iter().zip(longer).take_while(|(left, right)| left == right).count();
    longer.len() >= shorter.len() && longer.ends_with(&shorter[same..])
}

/// A value that the bytes themselves choose.
fn last_line(bytes: &[u8]) -> String {
    let line = bytes.rsplit(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
    String::from_utf8_lossy(line).replace('\0', "0")
}

/// A few of them, from everywhere.
fn some_of<T>(all: &[T]) -> impl Iterator<Item = &T> {
    all.iter().step_by(all.len().div_ceil(EDITED).max(1))
}
