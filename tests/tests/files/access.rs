//! `pg_hba.conf`: `pg_hba_file_rules` beside our model.

use super::scene::{Laid, Row, lines_of, rows, text};
use pg_conf::hba_file::{Address, HbaFile, Record, Rule, Word};
use std::net::IpAddr;
use std::path::Path;
use tests::{Sandbox, TestCluster, examples};

/// What only the server can say: which methods and options it knows, and which of them go together.
const OF_THE_SERVER: [&str; 6] = [
    "is only valid for authentication methods",
    "not supported by this build",
    "because SSL is disabled",
    "unrecognized authentication option name",
    "root certificate store",
    "invalid value for clientcert",
];
/// Options that the server adds by itself, or shows only where they are on.
const SWITCHES: [&str; 4] = ["include_realm", "clientcert", "ldaptls", "ldapscope"];

/// What the grammar of `pg_hba.conf` tells apart, column by column.
const COLUMNS: [&[&[u8]]; 6] = [
    &[b"host ", b"host\t", b" host ", b"\"host\" ", b"hostnossl ", b"hostgssenc ", b"hostssl ", b"local ", b"Host "],
    &[
        b"all ",
        b"a,b ",
        b"a, b ",
        b"a,,b ",
        b"\"a b\" ",
        b"\"a\"\"b\",c ",
        b"a\"ll\" ",
        b"replication ",
        b"\"\" ",
        b"caf\xe9 ",
    ],
    &[b"all ", b"+a ", b"\"+a\",b ", b"+\"a b\" ", b"\"all\" ", b"/^a$ ", b"'a' "],
    &[
        b"all ",
        b"samehost ",
        b"samenet ",
        b"\"samenet\" ",
        b"10.0.0.0/8 ",
        b"10.1/16 ",
        b"010.0.0.1/32 ",
        b"0x0a.1/32 ",
        b"0/0 ",
        b"::/0 ",
        b"2001:DB8::1/128 ",
        b"::ffff:10.0.0.1/128 ",
        b"fe80::%lo/64 ",
        b"10.0.0.0 255.0.0.0 ",
        b"10.0.0.0 255.0.255.0 ",
        b"fe80:: ffc0:: ",
        b"10.0.0.0 ",
        b"10.0.0.0/33 ",
        b"10.0.0.0/ ",
        b"10.0.0.256/32 ",
        b"::1/129 ",
        b":: 255.0.0.0 ",
        b"a.b.c ",
        b".b.c ",
        b"a.b/8 ",
        b"* ",
        b"10.0.0.0/+8 ",
        b"10.0.0.0/-8 ",
        b"10.0.0.0/08 ",
        b"10.0.0.0/0x8 ",
        b"1.2.3.4.5/8 ",
        b"",
    ],
    &[b"md5", b"trust", b"reject", b"\"md5\"", b"peer", b"ident", b"cert", b"password", b"MD5", b"md5,trust", b""],
    &[b"", b"", b"", b" ", b"\r", b" # c", b"#c", b" map=x", b" x", b" \"x=\"", b"\\", b" \\", b" \\\r", b"\\\\\n"],
];
const NOISE: [&[u8]; 13] =
    [b"\"", b"\"\"", b",", b" , ", b"#", b"\\", b"\x0c", b"\x0b", b"'", b"\r", b"\xff", b"=", b"x"];

pub fn rules_of_any_kind_are_to_the_server_what_they_are_to_us(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    for seed in 1..=5 {
        let bytes = lines_of(&COLUMNS, &NOISE, 1000, seed);
        let _laid = Laid::files(&cluster, &[("pg_hba.conf".into(), bytes)]);
        compare(&format!("seed {seed}"), &cluster);
    }
}

pub fn the_server_sees_the_rules_that_we_see(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("server").start();
    compare("what initdb makes of the sample", &cluster);
    for example in examples("pg_hba.conf") {
        let _laid = Laid::example(&cluster, "pg_hba.conf", &example);
        compare(&example.name, &cluster);
    }
}

fn compare(name: &str, cluster: &TestCluster) {
    eprintln!("{name}");
    let bytes = std::fs::read(cluster.data.join("pg_hba.conf")).expect("a pg_hba.conf");
    let file = HbaFile::parse(&bytes, cluster.major);
    let ours: Vec<&Record> = file.records().iter().filter(|record| !matches!(record, Record::Include { .. })).collect();
    let server = server_rows(cluster);
    let lines = |rows: &[Row]| rows.iter().map(|row| number(row[0].as_ref())).collect::<Vec<_>>();
    assert_eq!(ours.iter().map(|record| record.line()).collect::<Vec<_>>(), lines(&server), "{name}");
    for (record, row) in ours.iter().zip(&server) {
        compare_record(record, row, cluster, &format!("{name} line {}", record.line()));
    }
}

fn compare_record(record: &Record, row: &Row, cluster: &TestCluster, place: &str) {
    let error = text(row[8].as_ref());
    match (record, error) {
        // What getaddrinfo says may follow.
        (Record::Invalid { reason, .. }, Some(error)) => {
            assert!(
                error.starts_with(reason.as_str()) || is_the_servers(&error),
                "{place}: the server says {error}, and we {reason}"
            );
        }
        (Record::Invalid { reason, .. }, None) => panic!("{place}: the server takes it, and we say {reason}"),
        (Record::Include { .. }, _) => {}
        (Record::Rule(rule), error) => {
            if let Some(error) = &error {
                let is_expected = is_the_servers(error) || names_a_missing_file(rule, error);
                assert!(is_expected, "{place}: the server says {error}");
            }
            // Of hostssl, it shows the columns beside the error that no rule can match while SSL is off.
            if error.is_none() || row[1].is_some() {
                compare_rule(rule, row, &cluster.data, place);
            }
        }
    }
}

fn is_the_servers(error: &str) -> bool {
    OF_THE_SERVER.iter().any(|words| error.contains(words))
}

/// A list that can't be read leaves no word: from 16 on that is an error, before it a rule for nobody.
fn names_a_missing_file(rule: &Rule, error: &str) -> bool {
    let words = rule.databases.iter().chain(&rule.users);
    words.filter_map(Word::file).any(|file| error.contains(file))
}

fn compare_rule(rule: &Rule, row: &Row, folder: &Path, place: &str) {
    let kind = rule.kind.to_string();
    assert_eq!(text(row[1].as_ref()), Some(kind), "{place}");
    assert_eq!(list(row[2].as_ref()), expanded(&rule.databases, folder), "{place}");
    assert_eq!(list(row[3].as_ref()), expanded(&rule.users, folder), "{place}");
    let server = (text(row[4].as_ref()), text(row[5].as_ref()));
    match &rule.address {
        None => assert_eq!(server, (None, None), "{place}"),
        Some(Address::All) => assert_eq!(server, (Some("all".into()), None), "{place}"),
        Some(Address::SameHost) => assert_eq!(server, (Some("samehost".into()), None), "{place}"),
        Some(Address::SameNet) => assert_eq!(server, (Some("samenet".into()), None), "{place}"),
        Some(Address::HostName(name)) => assert_eq!(server, (Some(name.clone()), None), "{place}"),
        Some(Address::Cidr(network)) => {
            assert_eq!(parsed(&server), Some((network.addr(), network.netmask())), "{place}");
        }
        Some(Address::Masked { address, mask }) => assert_eq!(parsed(&server), Some((*address, *mask)), "{place}"),
    }
    assert_eq!(text(row[6].as_ref()), Some(rule.method.clone()), "{place}");
    if row[8].is_none() {
        compare_options(&rule.options, &list(row[7].as_ref()), place);
    }
}

fn compare_options(ours: &[String], server: &[String], place: &str) {
    let is_switch = |option: &&String| SWITCHES.iter().any(|name| option.starts_with(&format!("{name}=")));
    let known = |options: &[String]| {
        let mut plain: Vec<String> = options.iter().filter(|option| !is_switch(option)).cloned().collect();
        plain.sort();
        plain
    };
    if !ours.iter().any(|option| option.starts_with("ldapurl=")) {
        assert_eq!(known(ours), known(server), "{place}");
    }
    for option in ours.iter().filter(is_switch) {
        let (name, value) = option.split_once('=').unwrap_or_default();
        let shown = server.iter().any(|other| other.starts_with(&format!("{name}=")));
        assert_eq!(shown, value != "0", "{place}: {option} and {server:?}");
    }
}

fn server_rows(cluster: &TestCluster) -> Vec<Row> {
    let list = |name: &str| format!("array_to_string({name}, chr(31))");
    let (databases, users, options) = (list("database"), list("user_name"), list("options"));
    let columns = ["line_number", "type", &databases, &users, "address", "netmask", "auth_method", &options, "error"];
    let main_file = if cluster.major < 16 { "" } else { "WHERE file_name = current_setting('hba_file')" };
    rows(cluster, &columns, &format!("pg_hba_file_rules {main_file} ORDER BY line_number"))
}

/// The words of a column, those of its `@files` in their places.
fn expanded(words: &[Word], folder: &Path) -> Vec<String> {
    let of = |word: &Word| match word.file() {
        None => vec![word.text.clone()],
        Some(file) => listed(&folder.join(file)),
    };
    words.iter().flat_map(of).collect()
}

/// The names in such a file, and in those that it names.
fn listed(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names = text.lines().flat_map(unquoted_words);
    let of = |name: String| match name.strip_prefix('@') {
        Some(other) => listed(&file.with_file_name(other)),
        None => vec![name],
    };
    names.flat_map(of).collect()
}

fn unquoted_words(line: &str) -> Vec<String> {
    let (mut words, mut in_quotes) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => in_quotes = !in_quotes,
            '#' if !in_quotes => break,
            ' ' | ',' | '\r' if !in_quotes => words.push(String::new()),
            _ => words.last_mut().expect("one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn number(column: Option<&Vec<u8>>) -> usize {
    text(column).and_then(|text| text.parse().ok()).expect("a line number")
}

fn list(column: Option<&Vec<u8>>) -> Vec<String> {
    text(column).map_or_else(Vec::new, |text| text.split('\u{1f}').map(str::to_owned).collect())
}

fn parsed((address, mask): &(Option<String>, Option<String>)) -> Option<(IpAddr, IpAddr)> {
    Some((address.as_ref()?.parse().ok()?, mask.as_ref()?.parse().ok()?))
}
