//! postgresql.conf: `pg_file_settings` and `postgres -C` beside our model.

use super::scene::{Laid, Row, lines_of, rows, sample, text};
use pg_runbook::configuration::{ConfFile, Configuration, EntryKind};
use std::path::{Path, PathBuf};
use tests::{Example, Sandbox, TestCluster, examples};

/// The majors that an example's line `# valid on:` speaks of.
const JUDGED: [u32; 3] = [10, 12, 15];

/// What the grammar of postgresql.conf tells apart: before the name, the name, between, the value, behind it.
const COLUMNS: [&[&[u8]]; 5] = [
    &[b"", b"", b"", b" ", b"\t", b"\r"],
    &[b"port", b"Work_Mem", b"x.y", b"X.y_9", b"x.caf\xe9", b"x$.y"],
    &[b"", b" ", b" ", b"\t", b"=", b" = ", b" = ", b" =", b"\r= ", b"=\t\t"],
    &[
        b"5",
        b"-5",
        b"+.5",
        b"1.5e-3",
        b"1e5",
        b"0x1f",
        b"0xg",
        b"4MB",
        b"4 MB",
        b"1.5GB",
        b"on",
        b"a-b",
        b"a.b",
        b"a.b.c",
        b"a/b:c",
        b"/tmp",
        b"''",
        b"'a b'",
        b"'it''s'",
        b"'it\\'s'",
        b"'\\101\\n\\q'",
        b"'#'",
        b"'a''",
        b"'a\\'",
        b"caf\xe9",
        b"'caf\xe9'",
        b"\"x\"",
    ],
    &[b"", b"", b"", b" ", b"\r", b"# c", b" # c", b"\t#'"],
];
const NOISE: [&[u8]; 14] =
    [b"'", b"\\", b"\"", b"#", b"=", b".", b"-", b"+", b":", b"\x0c", b"\x0b", b";", b" x", b"\xff"];

/// An assignment: file, line, name, value.
type Assigned = (PathBuf, usize, String, String);

pub fn the_server_sees_the_assignments_that_we_see(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    for example in examples("postgresql.conf") {
        eprintln!("{}", example.name);
        let _laid = Laid::example(&cluster, "postgresql.conf", &example);
        compare(&cluster);
        if JUDGED.contains(&cluster.major) {
            let verdict = judge(&cluster);
            assert_eq!(verdict.is_ok(), is_said_to_be_valid(&example, cluster.major), "{}: {verdict:?}", example.name);
        }
        let readable = without_invalid_lines(&ConfFile::parse(&example.bytes()));
        let _repaired = Laid::files(&cluster, &[("postgresql.conf".into(), readable)]);
        compare(&cluster);
    }
}

pub fn what_was_edited_reads_to_the_server_as_it_does_to_us(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    for example in examples("postgresql.conf") {
        eprintln!("{}", example.name);
        let mut file = ConfFile::parse(&without_invalid_lines(&ConfFile::parse(&example.bytes())));
        // Of a text search configuration that can't be one, the whole view is an error.
        let is_edited = |kind: &EntryKind| match kind {
            EntryKind::Assignment { name, .. } => name != "default_text_search_config",
            _ => false,
        };
        let lines: Vec<usize> =
            file.entries().iter().filter(|entry| is_edited(&entry.kind)).map(|entry| entry.line).collect();
        for (line, value) in lines.iter().zip(["7", "it's \\ here", "a b", "", "/x/y.z", "caf\u{e9}"].iter().cycle()) {
            file.set_value(*line, value).unwrap();
        }
        file.insert("work_mem", "3MB").unwrap();
        file.insert("my.setting", "'\\").unwrap();
        let _laid = Laid::example(&cluster, "postgresql.conf", &example);
        let _edited = Laid::files(&cluster, &[("postgresql.conf".into(), file.to_bytes())]);
        compare(&cluster);
    }
}

pub fn settings_of_any_kind_are_to_the_server_what_they_are_to_us(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    for seed in 1..=20 {
        eprintln!("seed {seed}");
        // The server gives up after a hundred errors.
        let bytes = lines_of(&COLUMNS, &NOISE, 100, seed);
        let readable = without_invalid_lines(&ConfFile::parse(&bytes));
        for bytes in [bytes, readable] {
            let _laid = Laid::files(&cluster, &[("postgresql.conf".into(), bytes)]);
            compare(&cluster);
        }
    }
}

/// The server's view of the files that lie there, and ours.
fn compare(cluster: &TestCluster) {
    let ours = load(cluster).unwrap_or_else(|failure| panic!("{failure}"));
    let server = server_view(cluster);
    let errors = ours.syntax_errors();
    assert_eq!(errors, syntax_errors(judge(cluster)));
    // The view gives a file up at its first syntax error.
    let is_shown = |(file, line, ..): &Assigned| !errors.iter().any(|(other, error)| other == file && error < line);
    let shown: Vec<_> = assigned(&ours).into_iter().filter(is_shown).collect();
    assert_eq!(shown, server.assigned);
    assert_eq!(server.syntax_errors, first_of_each_file(&errors));
}

fn first_of_each_file(errors: &[(PathBuf, usize)]) -> Vec<(PathBuf, usize)> {
    let mut first = errors.to_vec();
    first.dedup_by(|later, earlier| later.0 == earlier.0);
    first
}

/// Every line of which a server that is to start complains.
fn syntax_errors(verdict: Result<(), String>) -> Vec<(PathBuf, usize)> {
    let said = verdict.err().unwrap_or_default();
    let place = |line: &str| {
        let (file, rest) = line.split_once("syntax error in file \"")?.1.split_once("\" line ")?;
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        Some((PathBuf::from(file), digits.parse().ok()?))
    };
    said.lines().filter_map(place).collect()
}

fn without_invalid_lines(file: &ConfFile) -> Vec<u8> {
    let invalid: Vec<usize> =
        file.entries().iter().filter(|entry| entry.kind == EntryKind::Invalid).map(|entry| entry.line).collect();
    let bytes = file.to_bytes();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.filter(|(index, _)| !invalid.contains(&(index + 1))).flat_map(|(_, line)| line).copied().collect()
}

pub fn includes_are_followed_as_far_as_the_server_follows_them(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    let chain = |levels: usize| -> Vec<(String, String)> {
        let line = |level: usize| if level < levels { format!("include 'l{}'\n", level + 1) } else { String::new() };
        let name = |level: usize| if level == 0 { "postgresql.conf".into() } else { format!("l{level}") };
        (0..=levels).map(|level| (name(level), format!("work_mem = {}MB\n{}", level + 1, line(level)))).collect()
    };
    let one = |text: &str| vec![("postgresql.conf".to_owned(), format!("port = 5432\n{text}\nwork_mem = 3MB\n"))];
    let both = |text: &str, name: &str, other: &str| [one(text), vec![(name.to_owned(), other.to_owned())]].concat();
    let sorted = ["a.conf", "B.conf", "\u{e9}.conf", ".hidden.conf", "z.conf~", "10.conf", "9.conf", "x.CONF"];
    let sorted = sorted.map(|name| (format!("parts/{name}"), "work_mem = 8MB\n".to_owned()));
    for (what, files, is_followed) in [
        ("nested ten deep", chain(10), true),
        ("nested eleven deep", chain(11), false),
        ("include_dir order", [one("include_dir 'parts'"), sorted.to_vec()].concat(), true),
        ("include_if_exists, and it is there", both("include_if_exists 'x'", "x", "work_mem = 1MB"), true),
        ("include_if_exists, and it is not", one("include_if_exists 'x'"), true),
        ("missing", one("include 'x'"), false),
        ("missing folder", one("include_dir 'x'"), false),
        ("a file as a folder", both("include_dir 'x'", "x", ""), false),
        ("circular", both("include 'x'", "x", "include 'postgresql.conf'\n"), false),
        ("including itself", one("include 'postgresql.conf'"), false),
        ("twice", both("include 'x'\ninclude 'x'", "x", "work_mem = 1MB\n"), true),
        ("without a name", one("include ''"), false),
    ] {
        eprintln!("{what}");
        let files: Vec<_> = files.into_iter().map(|(name, text)| (PathBuf::from(name), text.into_bytes())).collect();
        let _laid = Laid::files(&cluster, &files);
        let server = server_view(&cluster);
        let ours = load(&cluster);
        assert_eq!(judge(&cluster).is_ok(), is_followed, "{what}: {:?}", judge(&cluster));
        assert_eq!(ours.is_ok(), is_followed, "{what}: {:?}", ours.err());
        assert_eq!(server.troubles.is_empty(), is_followed, "{what}: {:?}", server.troubles);
        if let Ok(ours) = ours {
            assert_eq!(assigned(&ours), server.assigned, "{what}");
        }
    }
}

pub fn what_the_sample_comments_out_is_put_right_behind_it(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    let bytes = sample(sandbox, "postgresql.conf.sample");
    tests::lossless::conf_file(&bytes);
    let mut by_hand = ConfFile::parse(&bytes).to_bytes();
    let mut by_us = ConfFile::parse(&bytes);
    let defaults = commented_out(&bytes);
    assert!(defaults.len() > 200, "the sample of {} comments out {} settings", cluster.major, defaults.len());
    // From the last one on, so that the lines of the others stay what they are.
    for (line, name, value) in defaults.iter().rev() {
        let mut alone = ConfFile::parse(&bytes);
        assert_eq!(alone.insert(name, value).unwrap(), line + 1, "{name} goes right behind its default");
        assert_eq!(by_us.insert(name, value).unwrap(), line + 1, "{name} goes right behind its default");
        by_hand = without_the_number_sign(&by_hand, *line);
    }
    let seen = |bytes: Vec<u8>| {
        let _laid = Laid::files(&cluster, &[("postgresql.conf".into(), bytes)]);
        let columns = ["name", "setting", "error"];
        (rows(&cluster, &columns, "pg_file_settings ORDER BY seqno"), judge(&cluster).is_ok())
    };
    let (ours, theirs) = (seen(by_us.to_bytes()), seen(by_hand));
    assert!(theirs.0.len() >= defaults.len(), "the server sees them all");
    assert_eq!(ours, theirs, "the server judges what was inserted as it judges what was uncommented");
}

struct ServerView {
    assigned: Vec<Assigned>,
    syntax_errors: Vec<(PathBuf, usize)>,
    /// Files that it could not follow. That a setting waits for a restart is none.
    troubles: Vec<String>,
}

fn server_view(cluster: &TestCluster) -> ServerView {
    let columns = ["sourcefile", "sourceline", "name", "setting", "error"];
    let (named, nameless): (Vec<Row>, Vec<Row>) =
        rows(cluster, &columns, "pg_file_settings ORDER BY seqno").into_iter().partition(|row| row[2].is_some());
    let place = |row: &Row| -> (PathBuf, usize) {
        let line = text(row[1].as_ref()).and_then(|line| line.parse().ok()).unwrap_or(0);
        (without_dots(&text(row[0].as_ref()).unwrap_or_default()), line)
    };
    let assigned = |row: &Row| {
        let (file, line) = place(row);
        let name = text(row[2].as_ref()).unwrap_or_default().to_ascii_lowercase();
        (file, line, name, text(row[3].as_ref()).unwrap_or_default())
    };
    let is_syntax = |row: &&Row| text(row[4].as_ref()).is_some_and(|error| error == "syntax error");
    let is_trouble = |error: &String| error != "syntax error" && !error.contains("without restarting the server");
    ServerView {
        assigned: named.iter().map(assigned).collect(),
        syntax_errors: nameless.iter().filter(is_syntax).map(place).collect(),
        troubles: nameless.iter().filter_map(|row| text(row[4].as_ref())).filter(is_trouble).collect(),
    }
}

/// Before 15 the server leaves `..` where it stands in a path.
fn without_dots(path: &str) -> PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/").into()
}

fn load(cluster: &TestCluster) -> Result<Configuration, pg_runbook::Failure> {
    Configuration::load(&cluster.data.join("postgresql.conf"), Some(&cluster.data))
}

fn assigned(configuration: &Configuration) -> Vec<Assigned> {
    let all = configuration.assignments().iter();
    all.map(|at| (at.file.clone(), at.line, at.name.clone(), at.value.clone())).collect()
}

/// What the server says when it is to start with the files that lie there.
fn judge(cluster: &TestCluster) -> Result<(), String> {
    let sandbox = cluster.sandbox;
    let mut command = sandbox.account.command(&sandbox.server.bin.join("postgres"));
    let output = command.args(["-C", "port", "-D"]).arg(&cluster.data).current_dir(Path::new("/")).output();
    let output = output.expect("run postgres");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn is_said_to_be_valid(example: &Example, major: u32) -> bool {
    let text = String::from_utf8_lossy(&example.bytes()).to_lowercase();
    let majors = text.lines().find_map(|line| line.split_once("# valid on:")).map(|(_, majors)| majors.to_owned());
    let majors = majors.unwrap_or_else(|| panic!("{} has no line '# valid on: 10 12 15'", example.name));
    majors.split_whitespace().any(|word| word == major.to_string())
}

/// Line, name and value of what `#name = value` comments out.
fn commented_out(bytes: &[u8]) -> Vec<(usize, String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let default = |(index, line): (usize, &str)| {
        let file = ConfFile::parse(line.strip_prefix('#')?.as_bytes());
        let is_default = line[1..].starts_with(|letter: char| letter.is_ascii_lowercase()) && line.contains(" = ");
        match &file.entries().first()?.kind {
            EntryKind::Assignment { name, value } if is_default => Some((index + 1, name.clone(), value.clone())),
            _ => None,
        }
    };
    text.lines().enumerate().filter_map(default).collect()
}

fn without_the_number_sign(bytes: &[u8], line: usize) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.flat_map(|(index, text)| if index + 1 == line { &text[1..] } else { text }).copied().collect()
}
