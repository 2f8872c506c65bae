//! The examples of `tests/files` come through every edit with no byte lost: the bodies of the fuzz targets, run once,
//! and what is only true of files that people wrote.

use pg_conf::hba_file::{HbaFile, Record};
use pg_runbook::configuration::{ConfFile, Entry, EntryKind, quote_value};
use tests::{examples, lossless};

/// Every file of every example, with a name for a failing test to show.
fn files(kind: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for example in examples(kind) {
        files.push((example.name.clone(), example.bytes()));
        let companions = example.companions().into_iter();
        files.extend(companions.map(|(path, bytes)| (format!("{}: {}", example.name, path.display()), bytes)));
    }
    files
}

fn assignments(file: &ConfFile) -> Vec<(Entry, String)> {
    let assigned = |entry: &Entry| match &entry.kind {
        EntryKind::Assignment { value, .. } => Some((entry.clone(), value.clone())),
        _ => None,
    };
    file.entries().iter().filter_map(assigned).collect()
}

#[test]
fn every_postgresql_conf_comes_through_what_the_fuzzer_does() {
    for (name, bytes) in files("postgresql.conf") {
        eprintln!("{name}");
        lossless::conf_file(&bytes);
    }
}

#[test]
fn every_pg_hba_conf_comes_through_what_the_fuzzer_does() {
    for (name, bytes) in files("pg_hba.conf") {
        eprintln!("{name}");
        lossless::hba_file(&bytes);
    }
}

#[test]
fn every_file_comes_through_as_a_password_file_too() {
    for (name, bytes) in [files("postgresql.conf"), files("pg_hba.conf")].concat() {
        eprintln!("{name}");
        lossless::passfile(&bytes);
    }
    lossless::passfile(b"# ours\r\n*:*:*:c:x\r\na:1:b:c:d\r\n\\::1:*:replication:r\\:s:p\\\\w");
}

#[test]
fn each_value_is_set_in_its_place_and_set_back() {
    let mut as_it_was = 0;
    for (name, bytes) in files("postgresql.conf") {
        eprintln!("{name}");
        let file = ConfFile::parse(&bytes);
        for (entry, value) in assignments(&file) {
            lossless::set_one_value(&file, &entry, "7");
            // A line break is read, and never written.
            if value.contains('\n') {
                continue;
            }
            lossless::set_one_value(&file, &entry, &value);
            let mut edited = file.clone();
            edited.set_value(entry.line, "7").unwrap();
            edited.set_value(entry.line, &value).unwrap();
            if is_our_spelling(&bytes[entry.value_span()], &value) {
                assert_eq!(edited.to_bytes(), bytes, "nothing tells that it was ever changed");
                as_it_was += 1;
            }
        }
    }
    assert!(as_it_was > 200, "most values are spelled as we spell them, and only {as_it_was} were");
}

/// Whether a value stands as an edit would write it; `it\'s` and a bare Etc/UTC are right, but no edit writes them.
fn is_our_spelling(text: &[u8], value: &str) -> bool {
    let in_quotes = format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"));
    text == in_quotes.as_bytes() || quote_value(value).is_ok_and(|ours| ours.as_bytes() == text)
}

#[test]
fn each_setting_is_taken_away_alone() {
    for (name, bytes) in files("postgresql.conf") {
        eprintln!("{name}");
        let file = ConfFile::parse(&bytes);
        for (entry, _) in assignments(&file) {
            lossless::remove_one_setting(&file, entry.line);
        }
    }
}

#[test]
fn each_commented_out_setting_is_joined_by_its_like() {
    let mut joined = 0;
    for (name, bytes) in files("postgresql.conf") {
        let file = ConfFile::parse(&bytes);
        for setting in ["work_mem", "shared_buffers", "listen_addresses", "not_there_at_all"] {
            eprintln!("{name}: {setting}");
            lossless::insert_one_setting(&file, setting, "7");
            let mut edited = file.clone();
            let line = edited.insert(setting, "7").unwrap();
            let text = edited.to_bytes();
            let above = text.split(|byte| *byte == b'\n').nth(line.wrapping_sub(2)).unwrap_or_default();
            joined += usize::from(String::from_utf8_lossy(above).to_lowercase().contains(&format!("#{setting}")));
        }
    }
    assert!(joined >= 4, "only {joined} went behind a commented-out default");
}

#[test]
fn a_rule_fits_in_front_of_each_line_and_each_rule_can_go() {
    for (name, bytes) in files("pg_hba.conf") {
        for major in [10, 14, 16] {
            eprintln!("{name} of {major}");
            let file = HbaFile::parse(&bytes, major);
            for line in 1..=bytes.split_inclusive(|byte| *byte == b'\n').count() {
                lossless::insert_one_rule(&file, line, major);
            }
            for line in file.records().iter().map(Record::line) {
                lossless::remove_one_record(&file, line, major);
            }
        }
    }
}
