//! Which rule meets which login.

use super::super::HbaFile;
use super::*;

fn unanswered(question: &Question<'_>) -> Match {
    question.unanswered()
}

/// What a rule says to the role `app` that connects to database `shop` from 192.0.2.7, or to something else.
fn answer(line: &str, change: impl FnOnce(&mut Login)) -> Match {
    let database = Database::Named("shop".into());
    let address = Origin::Net("192.0.2.7/32".parse().unwrap());
    let mut login = Login { database, role: "app".into(), address, ssl: Some(false), gss: None };
    change(&mut login);
    HbaFile::parse(line.as_bytes(), 16).rules()[0].matches(&login, &unanswered)
}

fn replication(login: &mut Login) {
    login.database = Database::Replication;
}

fn is_unknown(answer: &Match) -> bool {
    matches!(answer, Match::Unknown(_))
}

#[test]
fn only_the_bare_keyword_stands_for_replication() {
    assert_eq!(answer("host replication app all md5", replication), Match::Yes);
    assert_eq!(answer("host x,repl\"ication\" app all md5", replication), Match::Yes);
    for other in ["all", "\"replication\"", "sameuser", "samerole", "/repl", "app"] {
        assert_eq!(answer(&format!("host {other} app all md5"), replication), Match::No, "{other}");
    }
    let named_replication = |login: &mut Login| login.database = Database::Named("replication".into());
    assert_eq!(answer("host replication app all md5", named_replication), Match::No);
    assert_eq!(answer("host \"replication\" app all md5", named_replication), Match::Yes);
}

#[test]
fn keywords_stand_for_databases_and_roles_unless_quoted() {
    assert_eq!(answer("host all all all md5", |_| ()), Match::Yes);
    assert_eq!(answer("host \"all\" all all md5", |_| ()), Match::No);
    assert_eq!(answer("host all \"all\" all md5", |_| ()), Match::No);
    assert_eq!(answer("host sameuser app all md5", |_| ()), Match::No);
    assert_eq!(answer("host sameuser app all md5", |login| login.role = "shop".into()), Match::No);
    assert_eq!(answer("host sameuser all all md5", |login| login.role = "shop".into()), Match::Yes);
    assert_eq!(answer("host other,shop x,app all md5", |_| ()), Match::Yes);
    assert_eq!(answer("host all App all md5", |_| ()), Match::No);
}

#[test]
fn says_what_it_cannot_know() {
    assert!(is_unknown(&answer("host all +staff all md5", |_| ())));
    assert_eq!(answer("host all +app all md5", |_| ()), Match::Yes);
    assert_eq!(answer("host all \"+staff\" all md5", |_| ()), Match::No);
    assert_eq!(answer("host all +staff,app all md5", |_| ()), Match::Yes);
    assert_eq!(answer("host other +staff all md5", |_| ()), Match::No);
    assert_eq!(answer("host all +staff 10.0.0.0/8 md5", |_| ()), Match::No);
    for line in
        ["host samerole all all md5", "host all /^a all md5", "host all \"/^a\" all md5", "host all all samenet md5"]
    {
        assert!(is_unknown(&answer(line, |_| ())), "{line}");
    }
}

#[test]
fn knows_no_regular_expressions_before_16() {
    let file = HbaFile::parse(b"host all /^app all md5\n", 15);
    let database = Database::Named("shop".into());
    let address = Origin::Net("192.0.2.7/32".parse().unwrap());
    let mut login = Login { database, role: "app".into(), address, ssl: None, gss: None };
    assert_eq!(file.rules()[0].matches(&login, &unanswered), Match::No);
    login.role = "/^app".into();
    assert_eq!(file.rules()[0].matches(&login, &unanswered), Match::Yes);
}

#[test]
fn compares_addresses_by_the_bits_of_the_mask() {
    for (address, expected) in [
        ("192.0.2.0/24", Match::Yes),
        ("192.0.2.99/24", Match::Yes),
        ("192.0.2.7/32", Match::Yes),
        ("192.0.2.8/32", Match::No),
        ("192.9.2.9 255.0.255.0", Match::Yes),
        ("0.0.0.0/0", Match::Yes),
        ("::/0", Match::No),
        ("::ffff:192.0.2.7/128", Match::No),
    ] {
        assert_eq!(answer(&format!("host all all {address} md5"), |_| ()), expected, "{address}");
    }
    let network = |login: &mut Login| login.address = Origin::Net("192.0.2.0/24".parse().unwrap());
    assert_eq!(answer("host all all 192.0.2.7/32 md5", network), Match::Part);
    assert_eq!(answer("host all all 192.0.0.0/16 md5", network), Match::Yes);
    assert_eq!(answer("host all all 192.0.3.0/24 md5", network), Match::No);
    assert!(is_unknown(&answer("host all +staff 192.0.2.7/32 md5", network)));
}

#[test]
fn compares_host_names_without_case_and_by_their_ends() {
    let at = |addresses: &[&str]| Origin::Host {
        name: "DB2.example.com".into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let host = |login: &mut Login| login.address = at(&[]);
    let known = |login: &mut Login| login.address = at(&["192.0.2.7", "2001:db8::7"]);
    assert_eq!(answer("host all all db2.Example.com md5", host), Match::Yes);
    assert_eq!(answer("host all all .example.com md5", host), Match::Yes);
    assert_eq!(answer("host all all example.com md5", host), Match::No);
    assert!(is_unknown(&answer("host all all 192.0.2.7/32 md5", host)));
    assert_eq!(answer("host all all 192.0.2.7/32 md5", known), Match::Part);
    assert_eq!(answer("host all all 192.0.3.7/32 md5", known), Match::No);
    assert!(is_unknown(&answer("host all all .example.com md5", |_| ())));
}

#[test]
fn tells_sockets_and_encryption_apart() {
    let socket = |login: &mut Login| login.address = Origin::Local;
    assert_eq!(answer("local all all peer", socket), Match::Yes);
    assert_eq!(answer("local all all peer", |_| ()), Match::No);
    assert_eq!(answer("host all all all md5", socket), Match::No);
    for (kind, plain, encrypted) in
        [("hostssl", Match::No, Match::Yes), ("hostnossl", Match::Yes, Match::No), ("host", Match::Yes, Match::Yes)]
    {
        let line = format!("{kind} all all all md5");
        assert_eq!(answer(&line, |_| ()), plain);
        assert_eq!(answer(&line, |login| login.ssl = Some(true)), encrypted);
    }
    assert!(is_unknown(&answer("hostssl all all all md5", |login| login.ssl = None)));
    assert!(is_unknown(&answer("hostgssenc all all all gss", |_| ())));
    assert_eq!(answer("hostgssenc all all all gss", |login| login.ssl = Some(true)), Match::No);
}
