//! `pg-conf explain` against the server's own choice of rule: generated rules, real logins.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use tests::{Dice, Door, Reply, Sandbox, TestCluster, Wanted, knock, on_each_major, on_the_machines_own, with_server};

on_each_major!(the_server_chooses_the_rule_that_explain_names);
on_the_machines_own!(
    explain_tells_what_follows_and_what_is_hidden,
    rules_that_are_not_in_force_yet_are_told_apart,
    what_only_a_running_server_knows_is_said_to_be_unknown,
    a_role_that_could_not_log_in_anyway_is_warned_of,
    host_names_and_networks_are_explained_address_by_address,
);

/// Includes and regular expressions, where a server that knows them was brought; some of those are built without TLS.
#[test]
fn the_server_chooses_the_rule_that_explain_names_on_18() {
    with_server(Wanted::Major(18), |sandbox| compare(sandbox, false));
}

const SETS: u64 = 14;
const LOGINS: u64 = 24;

/// Who, to what, from where.
#[derive(Clone, Debug)]
struct Login {
    role: &'static str,
    database: Option<&'static str>,
    /// `local`, or an address of this host.
    from: &'static str,
    ssl: bool,
}

const ROLES: [&str; 9] = ["app", "shop", "staff", "member", "nested", "boss", "all", "Größe", "ghost"];
const DATABASES: [Option<&str>; 8] =
    [None, None, Some("shop"), Some("staff"), Some("app"), Some("all"), Some("replication"), Some("Größe")];

/// What the server did, and what explain says, in the same words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    Rule(String),
    Trust,
    Reject,
    NoRule,
}

fn the_server_chooses_the_rule_that_explain_names(sandbox: &Sandbox) {
    compare(sandbox, true);
}

fn compare(sandbox: &Sandbox, with_tls: bool) {
    let cluster = scene(sandbox, with_tls);
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for set in 0..SETS {
        let mut dice = Dice(set);
        write_rules(&cluster, &mut dice, set % 4 == 3);
        cluster.tool("reload").run().success();
        for _ in 0..LOGINS {
            let mut login = login(&mut dice, set % 4 == 3);
            login.ssl &= with_tls;
            let (ours, theirs) = (explained(&cluster, &login), chosen(&cluster, &login));
            let rules = cluster.read("pg_hba.conf");
            assert_eq!(ours, theirs, "explain and the server disagree on {login:?} in set {set}:\n{rules}");
            *seen.entry(format!("{theirs:?}").split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    // The rules would prove little if most logins met none.
    assert!(seen["Rule"] > 100 && seen.len() == 4, "{seen:?}");
}

/// A server with TLS on every loopback address, and roles that are members of each other.
fn scene(sandbox: &Sandbox, with_tls: bool) -> TestCluster<'_> {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let addresses = if has_ipv6 { "127.0.0.1,::1" } else { "127.0.0.1" };
    let ssl = if with_tls { "on" } else { "off" };
    let settings = format!("listen_addresses = '{addresses}'\nssl = {ssl}");
    let cluster = sandbox.cluster("primary").setting(&settings).create();
    certificate(&cluster.data);
    for name in ["server.crt", "server.key"] {
        sandbox.give_to_owner(&cluster.data.join(name));
    }
    cluster.tool("start").run().success();
    cluster.sql(
        "CREATE ROLE staff LOGIN; CREATE ROLE \"sub staff\"; CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE shop LOGIN;
         CREATE ROLE \"all\" LOGIN; CREATE ROLE \"Größe\" LOGIN; CREATE ROLE boss LOGIN SUPERUSER;
         CREATE ROLE member LOGIN NOINHERIT IN ROLE staff; GRANT staff TO \"sub staff\";
         CREATE ROLE nested LOGIN IN ROLE \"sub staff\"",
    );
    if sandbox.server.major >= 16 {
        cluster.sql("GRANT staff TO shop WITH INHERIT FALSE, SET FALSE");
    }
    let write = |name: &str, text: &str| {
        cluster.write(name, text);
        sandbox.account.give(&cluster.data.join(name));
    };
    write("people", "app, \"all\" # two\n+staff\n@more/people\n");
    std::fs::create_dir(cluster.data.join("more")).expect("a folder");
    sandbox.give_to_owner(&cluster.data.join("more"));
    write("more/people", "shop\n");
    write("databases", "shop sameuser\nreplication\n");
    cluster
}

fn certificate(folder: &Path) {
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
    let mut command = Command::new("openssl");
    command.args(words.split(' ')).arg("-keyout").arg(folder.join("server.key"));
    let output = command.arg("-out").arg(folder.join("server.crt")).output().expect("run openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// One rule trusts and one rejects, so that each can be told by what the server does; a wrong password tells the others.
fn write_rules(cluster: &TestCluster, dice: &mut Dice, with_host_names: bool) {
    let count = 12;
    let (trust, reject) = (dice.roll(count), dice.roll(count));
    let account = &cluster.sandbox.account.name;
    let mut main = format!("# set\nlocal postgres {account} peer\n");
    let mut included = String::new();
    for index in 0..count {
        let method = match index {
            _ if index == trust => "trust",
            _ if index == reject => "reject",
            _ => dice.pick(&["password", "password", "md5", "scram-sha-256"]),
        };
        let line = rule(dice, cluster.major, method, with_host_names);
        if cluster.major >= 16 && dice.roll(4) == 0 {
            // Its lists are looked for beside it.
            included.push_str(&line.replace("@databases", "@../databases"));
            if !main.contains("include ") {
                main.push_str("include more/rules.conf\n");
            }
        } else {
            main.push_str(&line);
        }
    }
    if cluster.major >= 16 {
        cluster.write("more/rules.conf", &included);
        cluster.sandbox.account.give(&cluster.data.join("more/rules.conf"));
    }
    cluster.write("pg_hba.conf", &main);
}

fn rule(dice: &mut Dice, major: u32, method: &str, with_host_names: bool) -> String {
    let mut kinds = vec!["local", "local", "host", "host", "host", "host", "hostssl", "hostnossl"];
    let mut databases =
        vec!["all", "all", "replication", "sameuser", "samerole", "shop", "\"all\"", "\"replication\"", "@databases"];
    let mut roles = vec!["all", "all", "+staff", "+\"sub staff\"", "app", "\"all\"", "@people", "+ghost", "\"Größe\""];
    let mut addresses = vec![
        "all",
        "samehost",
        "samenet",
        "127.0.0.1/32",
        "127.0.0.4/30",
        "127.0.0.0 255.0.0.0",
        "127.9.0.1 255.0.255.255",
        "0.0.0.0/0",
        "::1/128",
        "::/0",
        "10.0.0.0/8",
    ];
    if with_host_names {
        addresses = vec!["localhost", "LOCALHOST", ".localhost", "nobody.invalid", "::1/128", "127.0.0.0/8"];
    }
    if major >= 12 {
        kinds.push("hostnogssenc");
    }
    if major >= 16 {
        databases.extend(["/^sh", "\"/o[op]|ß\"", "/^.{7}$"]);
        roles.extend(["/^(app|boss)$", "/e", "/^.....$"]);
    }
    let kind = dice.pick(&kinds);
    let list = |dice: &mut Dice, words: &[&str]| {
        let count = 1 + dice.roll(2);
        (0..count).map(|_| dice.pick(words)).collect::<Vec<_>>().join(dice.pick(&[",", ", "]))
    };
    let (databases, roles) = (list(dice, &databases), list(dice, &roles));
    let address = if kind == "local" { "" } else { dice.pick(&addresses) };
    let fold = if major >= 14 && dice.roll(3) == 0 { " \\\n   " } else { " " };
    format!("{kind} {databases} {roles}{fold}{address} {method}{}\n", dice.pick(&["", " # why", "\t"]))
}

fn login(dice: &mut Dice, with_host_names: bool) -> Login {
    // Other addresses' names would be asked of whatever name server there is.
    let from = if with_host_names {
        dice.pick(&["local", "127.0.0.1", "127.0.0.1"])
    } else {
        dice.pick(&["local", "127.0.0.1", "127.0.0.1", "127.0.0.5", "127.0.0.6", "127.3.0.1", "::1"])
    };
    let has_it = from != "::1" || std::net::TcpListener::bind("[::1]:0").is_ok();
    let from = if has_it { from } else { "127.0.0.1" };
    let database = DATABASES[dice.roll(DATABASES.len())];
    // psql can't choose its address.
    let ssl = matches!(from, "127.0.0.1" | "::1") && dice.roll(3) == 0;
    Login { role: dice.pick(&ROLES), database, from, ssl }
}

fn explained(cluster: &TestCluster, login: &Login) -> Choice {
    let words = [login.role, login.from, "--database", login.database.unwrap_or("replication")];
    let encryption = if login.ssl { "--ssl" } else { "--no-ssl" };
    // A database that is called replication can only be asked about in quotes.
    let words = words.map(|word| {
        if login.database == Some("replication") && word == "replication" { "\"replication\"" } else { word }
    });
    let told =
        cluster.other_tool("pg-conf", "explain").args(words).arg(encryption).run().success().expect_changed(false);
    let answers = told.document["explain"].as_array().expect("answers").clone();
    assert_eq!(answers.len(), 1, "{told}");
    let rule = &answers[0]["rule"];
    match (answers[0]["outcome"].as_str(), rule["method"].as_str()) {
        (Some("no_rule"), None) => Choice::NoRule,
        (Some("rule"), Some("trust")) => Choice::Trust,
        (Some("rule"), Some("reject")) => Choice::Reject,
        (Some("rule"), Some(_)) => {
            let file = Path::new(rule["file"].as_str().expect("a file")).file_name().expect("a name");
            Choice::Rule(format!("{}:{}", file.to_string_lossy(), rule["line"]))
        }
        other => panic!("{other:?}: {told}"),
    }
}

/// What the server does with a wrong password; its log names the rule.
fn chosen(cluster: &TestCluster, login: &Login) -> Choice {
    let before = cluster.log().len();
    let refusal = if login.ssl { over_tls(cluster, login) } else { plainly(cluster, login) };
    let Some(refusal) = refusal else { return Choice::Trust };
    if refusal.contains("pg_hba.conf rejects") {
        return Choice::Reject;
    }
    if refusal.contains("no pg_hba.conf entry") {
        return Choice::NoRule;
    }
    // Written before the client is told.
    let log = cluster.log();
    let matched = log[before..].lines().find_map(|line| line.split_once("Connection matched "));
    let (_, matched) = matched.unwrap_or_else(|| panic!("{refusal}: {}", &log[before..]));
    let (file, rest) = matched.split_once(" line ").expect("a line");
    let file = file.trim_start_matches("file ").trim_matches('"').rsplit('/').next().unwrap_or_default();
    Choice::Rule(format!("{file}:{}", rest.split(':').next().unwrap_or_default()))
}

fn plainly(cluster: &TestCluster, login: &Login) -> Option<String> {
    let door = match login.from {
        "local" => Door::Socket(cluster.socket_directory().join(format!(".s.PGSQL.{}", cluster.port))),
        address => {
            let from: IpAddr = address.parse().expect("an address");
            let to = if from.is_ipv4() { "127.0.0.1" } else { "::1" };
            Door::Tcp { from, to: SocketAddr::new(to.parse().expect("an address"), cluster.port) }
        }
    };
    match knock(&door, login.role, login.database) {
        Reply::LetIn => None,
        Reply::Refused(words) => Some(words),
    }
}

fn over_tls(cluster: &TestCluster, login: &Login) -> Option<String> {
    let mut command = Command::new(tests::psql().expect("psql"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    let replication = if login.database.is_none() { "replication=true" } else { "" };
    let (host, port, database) = (login.from, cluster.port, login.database.unwrap_or("replication"));
    let target =
        format!("host={host} port={port} user='{}' dbname='{database}' sslmode=require {replication}", login.role);
    let output = command.env("PGPASSWORD", "wrong").args(["-X", "-w", "-c", "", "-d"]).arg(target).output();
    let said = String::from_utf8_lossy(&output.expect("run psql").stderr).into_owned();
    let was_asked = said.contains("authentication failed") || said.contains("pg_hba.conf");
    was_asked.then_some(said)
}

fn explain_tells_what_follows_and_what_is_hidden(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let account = &sandbox.account.name;
    let rules = format!(
        "local all {account} peer\nhost all,replication all 192.0.2.0/24 scram-sha-256\n\
         host replication all all reject\nhost replication app 192.0.2.7/32 trust\n"
    );
    cluster.write("pg_hba.conf", &rules);
    cluster.tool("reload").run().success();
    let before = cluster.fingerprint();
    let explain = |words: &[&str]| cluster.other_tool("pg-conf", "explain").args(words).run().success();
    let told = explain(&["app", "192.0.2.7"]).expect_changed(false);
    let answer = &told.document["explain"][0];
    assert_eq!(answer["rule"]["line"], 2, "{told}");
    assert_eq!(answer["rule"]["raw"], "host all,replication all 192.0.2.0/24 scram-sha-256");
    assert!(answer["then"].as_str().is_some_and(|text| text.contains("asks for the password")), "{told}");
    let hidden: Vec<i64> =
        answer["hides"].as_array().expect("a list").iter().filter_map(|rule| rule["line"].as_i64()).collect();
    assert_eq!(hidden, [3, 4]);
    let refused = explain(&["app", "local"]);
    let words = "no pg_hba.conf entry for replication connection from host \"[local]\", user \"app\"";
    assert_eq!(refused.document["explain"][0]["then"], words, "{refused}");
    let rejected = explain(&["app", "198.51.100.7"]);
    assert_eq!(rejected.document["explain"][0]["then"], "keeps it out", "{rejected}");
    let words = ["app", "192.0.2.7", "--output", "text"];
    let text = cluster.other_tool("pg-conf", "explain").args(words).run().stdout;
    assert!(text.contains("pg_hba.conf:2 decides, by scram-sha-256") && text.contains("hides"), "{text}");
    assert_eq!(cluster.fingerprint(), before);
}

fn rules_that_are_not_in_force_yet_are_told_apart(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let explain = || cluster.other_tool("pg-conf", "explain").args(["app", "192.0.2.7"]).run().success();
    assert_eq!(explain().document["explain"][0]["outcome"], "no_rule");
    cluster.append("pg_hba.conf", "host replication @who 192.0.2.7/32 scram-sha-256\n");
    cluster.append("who", "app\n");
    let told = explain().expect_warning("pg-cluster reload");
    assert_eq!(told.document["explain"][0]["outcome"], "rule", "{told}");
    cluster.tool("reload").run().success();
    assert!(!explain().stderr.contains("reload"));
    cluster.append("pg_hba.conf", "host all all nonsense/99 md5\n");
    explain().expect_warning("pg-conf check").expect_warning("the rules of its last load");
}

fn what_only_a_running_server_knows_is_said_to_be_unknown(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    cluster.write("pg_hba.conf", "host replication +staff all reject\nhost replication all all md5\n");
    let told = cluster.other_tool("pg-conf", "explain").args(["app", "192.0.2.7", "--no-ssl"]).run().success();
    let answer = &told.document["explain"][0];
    assert_eq!((answer["outcome"].as_str(), &answer["rule"]["line"]), (Some("undecided"), &2.into()), "{told}");
    assert_eq!(answer["unknown"][0]["what"], "whether \"app\" is a member of \"staff\"");
    let words = ["app", "192.0.2.7", "--no-ssl", "--output", "text"];
    let text = cluster.other_tool("pg-conf", "explain").args(words).run().stdout;
    assert!(text.contains("only the running server knows: pg-cluster start"), "{text}");
}

fn a_role_that_could_not_log_in_anyway_is_warned_of(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("pg_hba.conf", "host replication all 192.0.2.7/32 scram-sha-256\n");
    cluster.tool("reload").run().success();
    cluster.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN REPLICATION PASSWORD 'x'; CREATE ROLE bare");
    let explain = |role: &str| cluster.other_tool("pg-conf", "explain").args([role, "192.0.2.7"]).run().success();
    explain("ghost").expect_warning("no role ghost");
    explain("old").expect_warning("stored for md5").expect_warning("pg-role ensure old --password-file");
    explain("bare").expect_warning("NOLOGIN").expect_warning("NOREPLICATION").expect_warning("no password");
}

fn host_names_and_networks_are_explained_address_by_address(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("pg_hba.conf", "host replication app 192.0.2.7/32 md5\n");
    cluster.tool("reload").run().success();
    let explain = |address: &str| cluster.other_tool("pg-conf", "explain").args(["app", address]).run();
    let network = explain("192.0.2.0/24").success();
    assert_eq!(network.document["explain"][0]["unknown"][0]["what"], "it is for a part of these addresses");
    let localhost = explain("localhost").success();
    let answers = localhost.document["explain"].as_array().expect("answers").clone();
    assert!(answers.iter().any(|answer| answer["address"] == "127.0.0.1"), "{localhost}");
    explain("nobody.invalid").expect_code(5).expect_hint("getent ahosts nobody.invalid");
    explain("300.1.1.1").expect_code(2).expect_error("is not an address");
}
