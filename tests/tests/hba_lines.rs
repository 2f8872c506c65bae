//! Lines of `pg_hba.conf`, sound and broken, read as the server reads them: `pg_hba_file_rules` is the judge.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Dice, Sandbox, TestCluster, Wanted, on_each_major, with_server};

on_each_major!(lines_are_read_as_the_server_reads_them);

/// Includes and regular expressions, where a server that knows them was brought.
#[test]
fn lines_are_read_as_the_server_reads_them_on_18() {
    with_server(Wanted::Major(18), lines_are_read_as_the_server_reads_them);
}

const FILES: u64 = 100;
const LINES: usize = 12;

/// What makes up a line, in pieces that the grammar cares about.
const PIECES: [&str; 46] = [
    " ",
    " ",
    " ",
    "\t",
    ",",
    ", ",
    "\"",
    "\"\"",
    "#",
    "\\",
    "\\\n",
    "\r",
    "host",
    "local",
    "hostssl",
    "hostnossl",
    "hostgssenc",
    "hostnogssenc",
    "all",
    "all",
    "replication",
    "sameuser",
    "samerole",
    "\"all\"",
    "+staff",
    "@names",
    "@none",
    "@empty",
    "/^a",
    "a",
    "Größe",
    "\"a b\"",
    "samehost",
    "samenet",
    "10.0.0.0/8",
    "10.0.0.0/33",
    "::1/128",
    "fe80::1%lo/64",
    "010.1/16",
    ".example.com",
    "255.255.0.0",
    "md5",
    "trust",
    "include more",
    "include_if_exists none",
    "foo",
];

/// Lines that are mostly sound: the pieces above mostly aren't.
const COLUMNS: [&[&str]; 5] = [
    &["host", "host", "hostssl", "\"host\"", "hostnogssenc", "local"],
    &["all", "replication", "a,\"b c\",@names", "@empty all", "\"\"", "sameuser,/^a", "x,"],
    &["all", "+staff", "@names", "\"all\"", "a\"ll\"", "@none", "app,+\"my staff\""],
    &["all", "samenet", "10.0.0.0/8", "10.1 255.0.0.0", "::1/128", "localhost", "1.2.3.4/+8", "1.2.3.4/ 8", ""],
    &["md5", "trust # why", "scram-sha-256", "reject", "password\r", "peer", "ident", "MD5", "md5,trust", "md5 foo"],
];

fn line(dice: &mut Dice) -> String {
    if dice.roll(3) == 0 {
        return (0..=dice.roll(12)).map(|_| dice.pick(&PIECES)).collect();
    }
    let gaps = ["  ", " ", "\t", " ", " ", " ", " ", " ", " \\\n  "];
    COLUMNS.iter().flat_map(|column| [dice.pick(column), dice.pick(&gaps)]).collect()
}

fn lines_are_read_as_the_server_reads_them(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for (name, text) in
        [("names", "x, \"all\" # no\n+y @empty\n"), ("empty", "# nobody\n"), ("more", "host m m all md5\nbad\n")]
    {
        cluster.append(name, text);
    }
    let mut sound = 0;
    for file in 0..FILES {
        let mut dice = Dice(file);
        let text: String = (0..LINES).map(|_| line(&mut dice) + "\n").collect();
        cluster.write("pg_hba.conf", &text);
        let (ours, theirs) = (ours(&cluster), theirs(&cluster));
        assert_eq!(ours, theirs, "file {file}:\n{text}");
        sound += theirs.iter().filter(|line| !line.ends_with("wrong")).count();
    }
    // As good as nothing would be shown by files that hold only what is refused.
    assert!(sound > 100, "{sound} sound rules");
}

/// The file's name, the line, and the columns without their quotes.
fn ours(cluster: &TestCluster) -> Vec<String> {
    let listed = cluster.other_tool("pg-conf", "rules").run().success();
    let row = |rule: &serde_json::Value| {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        let list = |name: &str| {
            let words = rule[name].as_array().expect("a list").iter().map(|word| word.as_str().unwrap_or_default());
            words.collect::<Vec<_>>().join(",")
        };
        let place = format!("{}:{}", text("file").rsplit('/').next().unwrap_or_default(), rule["line"]);
        if rule["error"].is_string() {
            return format!("{place} wrong");
        }
        let line = format!("{place} {}|{}|{}|{}", text("type"), list("databases"), list("users"), text("method"));
        line.replace('"', "")
    };
    listed.document["rules"].as_array().expect("rules").iter().map(row).collect()
}

fn theirs(cluster: &TestCluster) -> Vec<String> {
    // The view has its rows in the order in which the server reads the lines.
    let rows = cluster.sql(
        "SELECT regexp_replace(coalesce(to_jsonb(r) ->> 'file_name', 'pg_hba.conf'), '.*/', '') || ':' || line_number || ' '
            || CASE WHEN type IS NULL THEN 'wrong' ELSE type || '|' || array_to_string(database, ',') || '|'
            || array_to_string(user_name, ',') || '|' || auth_method END
        FROM pg_hba_file_rules r",
    );
    rows.lines().map(|line| line.replace('"', "")).collect()
}
