//! Reading and editing one file without loss.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn assigned(file: &ConfFile) -> Vec<(usize, String, String)> {
    let pair = |entry: &Entry| match &entry.kind {
        EntryKind::Assignment { name, value } => Some((entry.line, name.clone(), value.clone())),
        _ => None,
    };
    file.entries().iter().filter_map(pair).collect()
}

fn text(file: &ConfFile) -> String {
    String::from_utf8(file.to_bytes()).unwrap()
}

#[test]
fn reads_names_in_lower_case_and_values_without_quotes() {
    let file = ConfFile::parse(b"# first\r\nListen_Addresses = '*'\t# all\r\n\r\nMy.Class on");
    let expected = [(2, "listen_addresses".into(), "*".into()), (4, "my.class".into(), "on".into())];
    assert_eq!(assigned(&file), expected);
}

#[test]
fn tells_includes_and_errors_from_settings() {
    let file = ConfFile::parse(b"Include 'a b.conf'\ninclude_if_exists = x/y\nINCLUDE_DIR conf\nport 1 2\n");
    let kinds: Vec<_> = file.entries().iter().map(|entry| entry.kind.clone()).collect();
    let expected = [
        EntryKind::Include { path: "a b.conf".into() },
        EntryKind::IncludeIfExists { path: "x/y".into() },
        EntryKind::IncludeDir { path: "conf".into() },
        EntryKind::Invalid,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn keeps_the_comment_of_a_replaced_setting() {
    let mut file = ConfFile::parse(b"\tport=5432\t\t# (change requires restart)\r\nx.y = '\xe9'\n");
    file.set_value(1, "5433").unwrap();
    assert_eq!(file.to_bytes(), b"\tport=5433\t\t# (change requires restart)\r\nx.y = '\xe9'\n");
}

#[test]
fn keeps_quotes_and_adds_them_where_they_are_needed() {
    let mut file = ConfFile::parse(b"wal_level = 'logical'\nlog_directory = log\nport+5\n");
    file.set_value(1, "replica").unwrap();
    file.set_value(2, "/tmp/it's \\here").unwrap();
    file.set_value(3, "6").unwrap();
    assert_eq!(text(&file), "wal_level = 'replica'\nlog_directory = '/tmp/it''s \\\\here'\nport'6'\n");
}

#[test]
fn leaves_every_byte_of_a_setting_that_has_the_value() {
    let bytes = b"log_line_prefix = '\\045m it\\'s'\n";
    let mut file = ConfFile::parse(bytes);
    file.set_value(1, "%m it's").unwrap();
    assert_eq!(file.to_bytes(), bytes);
}

#[test]
fn refuses_values_that_no_line_can_hold() {
    let mut file = ConfFile::parse(b"port = 1\n");
    assert!(file.set_value(1, "a\nport = 2").is_err());
    assert!(file.insert("x", "a\nport = 2").is_err());
    assert!(file.insert("port = 2 # ", "a").is_err());
    assert!(file.set_value(2, "1").is_err());
    assert_eq!(text(&file), "port = 1\n");
}

#[test]
fn inserts_below_the_last_commented_default_with_its_ending() {
    let mut file =
        ConfFile::parse(b"#wal_level = minimal\n # WAL_level=replica # c\r\n#wal_levels = x\n# wal_level x\n");
    assert_eq!(file.insert("wal_level", "logical").unwrap(), 3);
    let expected =
        "#wal_level = minimal\n # WAL_level=replica # c\r\nwal_level = logical\r\n#wal_levels = x\n# wal_level x\n";
    assert_eq!(text(&file), expected);
}

#[test]
fn inserts_with_quotes_where_the_default_has_them() {
    let mut file = ConfFile::parse(b"#listen_addresses = 'localhost' # where\n#port = 5432\n");
    file.insert("listen_addresses", "db1").unwrap();
    file.insert("port", "5433").unwrap();
    let expected = "#listen_addresses = 'localhost' # where\nlisten_addresses = 'db1'\n#port = 5432\nport = 5433\n";
    assert_eq!(text(&file), expected);
}

#[test]
fn inserts_at_the_end_and_completes_the_last_line() {
    let mut file = ConfFile::parse(b"a = 1\r\nb = 2");
    assert_eq!(file.insert("c", "x y").unwrap(), 3);
    assert_eq!(text(&file), "a = 1\r\nb = 2\r\nc = 'x y'\r\n");
    let mut default_last = ConfFile::parse(b"#c = 1");
    assert_eq!(default_last.insert("c", "2").unwrap(), 2);
    assert_eq!(text(&default_last), "#c = 1\nc = 2\n");
    let mut empty = ConfFile::parse(b"");
    assert_eq!(empty.insert("c", "1").unwrap(), 1);
    assert_eq!(text(&empty), "c = 1\n");
}

#[test]
fn removes_a_line_or_comments_it_out_for_its_comment() {
    let mut file = ConfFile::parse(b"a = 1\n b = 2 # why\r\nc = 3");
    file.remove(3).unwrap();
    file.remove(2).unwrap();
    file.remove(1).unwrap();
    assert_eq!(text(&file), "# b = 2 # why\r\n");
    assert!(file.remove(1).is_err());
}

/// About two megabytes in the manner of the sample: comments, commented-out defaults, assignments.
fn two_megabytes() -> Vec<u8> {
    let line = |number: usize| {
        let text = match number % 4 {
            0 => format!("# The reason for what stands below, number {number}\n"),
            1 => format!("#shared.setting_{number} = 'default'\t\t# (change requires restart)\n"),
            2 => format!("class.setting_{number} = 'a value of some length'\n"),
            _ => format!("class.other_{number} {number}MB\t# why\r\n"),
        };
        text.into_bytes()
    };
    let bytes: Vec<u8> = (0..50_000).flat_map(line).collect();
    assert!(bytes.len() > 2_000_000);
    bytes
}

#[test]
fn a_hundred_edits_of_two_megabytes_cost_no_more_than_a_few_readings() {
    let bytes = two_megabytes();
    let start = Instant::now();
    let before = ConfFile::parse(&bytes);
    let reading = start.elapsed();
    let lines: Vec<usize> = assigned(&before).iter().step_by(250).map(|(line, _, _)| *line).collect();
    assert_eq!(lines.len(), 100);

    let mut file = before.clone();
    let start = Instant::now();
    for line in lines.iter().rev() {
        file.set_value(*line, "another value").unwrap();
        file.remove(*line).unwrap();
    }
    let editing = start.elapsed();
    assert!(editing < 10 * reading, "reading took {reading:?}, and two hundred edits {editing:?}");

    let start = Instant::now();
    for number in [1, 1001, 100_001, 0] {
        file.insert(&format!("shared.setting_{number}"), "x").unwrap();
    }
    let inserting = start.elapsed();
    assert!(inserting < 10 * reading, "reading took {reading:?}, and four insertions {inserting:?}");
    assert_eq!(file, ConfFile::parse(&file.to_bytes()), "the file reads as it says");
}

/// Text made of the pieces that the grammar cares about.
fn conf_like() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\n",
        b"\r\n",
        b"port",
        b"a.b",
        b" ",
        b"\t",
        b"=",
        b"'",
        b"''",
        b"\\",
        b"#",
        b"5",
        b"MB",
        b".",
        b"\xe9",
        b"x",
        b"include",
        b"-",
        b"\0",
        b"#port = ",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn prints_what_it_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(ConfFile::parse(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn a_value_that_was_set_is_read_back(bytes in conf_like(), value in "[^\n\0]{0,12}") {
        let before = ConfFile::parse(&bytes);
        for (line, name, _) in assigned(&before) {
            let mut file = before.clone();
            file.set_value(line, &value).unwrap();
            let expected: Vec<_> = assigned(&before)
                .into_iter()
                .map(|(other, name, old)| (other, name, if other == line { value.clone() } else { old }))
                .collect();
            prop_assert_eq!(assigned(&file), expected, "{} on line {}", name, line);
        }
    }

    #[test]
    fn an_inserted_setting_is_read_back_and_the_rest_stays(bytes in conf_like(), value in "[^\n\0]{0,12}") {
        let before = ConfFile::parse(&bytes);
        let mut file = before.clone();
        let line = file.insert("port", &value).unwrap();
        prop_assert!(assigned(&file).contains(&(line, "port".into(), value)));
        prop_assert_eq!(file.entries().len(), before.entries().len() + 1);
        let mut again = file.clone();
        again.remove(line).unwrap();
        prop_assert!(again.to_bytes().starts_with(&bytes) || !bytes.ends_with(b"\n") || again.to_bytes() == bytes);
    }

    #[test]
    fn a_removed_setting_is_gone_and_the_others_stay(bytes in conf_like()) {
        let before = ConfFile::parse(&bytes);
        for (line, _, _) in assigned(&before) {
            let mut file = before.clone();
            file.remove(line).unwrap();
            prop_assert_eq!(file.entries().len(), before.entries().len() - 1);
        }
    }
}
