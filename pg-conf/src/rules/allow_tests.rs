//! Where a rule goes, and when none is needed.

use super::*;
use clap::Parser;
use pg_runbook::Code;
use serde_json::json;

fn cluster() -> Cluster {
    let cluster = json!({
        "host_id": "x", "major": 15, "layout": "plain", "data_directory": "/d", "config_file": "/d/postgresql.conf",
        "hba_file": "/d/pg_hba.conf", "port": 5432, "owner": "postgres", "state": "down"
    });
    serde_json::from_value(cluster).unwrap()
}

fn request(words: &[&str]) -> Result<Request, Failure> {
    let all = ["pg-conf", "allow"].iter().chain(words);
    let crate::args::Command::Allow(arguments) = crate::Arguments::parse_from(all).command else { unreachable!() };
    Request::of(&arguments.access, 15)
}

fn unanswered(question: &Question<'_>) -> Match {
    question.unanswered()
}

/// The verdict on `pg-conf allow replicator …` over these rules, and the warnings.
fn judged(rules: &str, words: &[&str]) -> (Result<Verdict, Failure>, Vec<String>) {
    let request = request(&[&["replicator"], words].concat()).unwrap();
    let file = HbaFile::parse(rules.as_bytes(), 15);
    let mut warnings = Vec::new();
    let origin = request.origins[0].clone();
    let scene = Scene { cluster: &cluster(), request: &request, ask: &unanswered };
    let verdict = scene.verdict(&file, origin.as_ref(), &mut |text| warnings.push(text));
    (verdict, warnings)
}

fn needed_before_line(rules: &str, words: &[&str]) -> Option<usize> {
    match judged(rules, words).0.unwrap() {
        Verdict::Needed { before, .. } => before,
        other => panic!("{other:?}"),
    }
}

const HERE: [&str; 2] = ["--from", "192.0.2.7"];

#[test]
fn finds_that_the_login_works_already() {
    for method in ["scram-sha-256", "md5", "password", "trust"] {
        let rules = format!("host all all 192.0.2.7/32 peerless\nhost replication all 192.0.2.0/24 {method}\n");
        let rules = rules.replace("host all all 192.0.2.7/32 peerless\n", "host all all all ident\n");
        let (verdict, _) = judged(&rules, &HERE);
        let Verdict::LetIn { place, rule } = verdict.unwrap() else { panic!("{method}") };
        assert_eq!(place, "/d/pg_hba.conf:2");
        let request = request(&["replicator", "--from", "192.0.2.7"]).unwrap();
        let caution = cautions::of_rule(&rule, &request, &place, Known::Nothing);
        assert_eq!(caution.is_none(), method == "scram-sha-256", "{method}");
    }
}

#[test]
fn appends_where_no_rule_is_in_the_way() {
    assert_eq!(needed_before_line("host all all all scram-sha-256\nlocal replication all peer\n", &HERE), None);
    assert_eq!(needed_before_line("hostssl replication all all md5\nhost replication a all md5\n", &HERE), None);
}

#[test]
fn goes_before_the_rule_that_would_win_with_another_method() {
    let rules = "local all all peer\nhost replication all 192.0.2.0/24 ident\nhost replication all all md5\n";
    assert_eq!(needed_before_line(rules, &HERE), Some(2));
    assert_eq!(needed_before_line("host replication +staff all ident\n", &HERE), Some(1));
    assert_eq!(needed_before_line("host replication all 192.0.2.8/32 ident\n", &HERE), None);
    assert_eq!(needed_before_line("host replication all 192.0.2.8/32 ident\n", &["--from", "192.0.2.0/24"]), Some(1));
    // Who has an md5 verifier can't log in by SCRAM.
    let method = ["--from", "192.0.2.7", "--method", "md5"];
    assert_eq!(needed_before_line("host replication all all scram-sha-256\n", &method), Some(1));
}

#[test]
fn respects_a_reject() {
    let rules = "# no\nhost  replication all 192.0.2.0/24 reject\nhost replication all all md5\n";
    let (verdict, _) = judged(rules, &HERE);
    let raw = "host  replication all 192.0.2.0/24 reject".to_owned();
    assert_eq!(verdict.unwrap(), Verdict::Rejected { place: "/d/pg_hba.conf:2".into(), top_line: 2, raw });
    let request = request(&["o'neil", "--from", "192.0.2.7", "--database", "shop"]).unwrap();
    let scene = Scene { cluster: &cluster(), request: &request, ask: &unanswered };
    let failure = scene.rejected("/d/pg_hba.conf:2", 2, "x", request.origins[0].as_ref());
    assert_eq!(failure.code, Code::Refused);
    let hint = "pg-conf allow 'o'\\''neil' -D /d --from 192.0.2.7/32 --database shop --before 2";
    assert_eq!(failure.hint.unwrap(), hint);
    let (verdict, warnings) = judged("host replication all 192.0.2.8/32 reject\n", &["--from", "192.0.2.0/24"]);
    assert_eq!(verdict.unwrap(), Verdict::Needed { before: None, why: None });
    assert_eq!(warnings, ["/d/pg_hba.conf:1 rejects part of it, and stays"]);
}

#[test]
fn a_place_that_was_asked_for_must_be_one_where_the_rule_wins() {
    let request = request(&["r", "--from", "192.0.2.7"]).unwrap();
    let scene = Scene { cluster: &cluster(), request: &request, ask: &unanswered };
    let mut file = HbaFile::parse(b"host replication all 192.0.2.7/32 ident\nlocal all all peer\n", 15);
    let origin = request.origins[0].as_ref();
    let at = file.insert_before(2, &request.line(origin).unwrap());
    let failure = scene.refuse_unless_it_wins(&file, origin, at).unwrap_err();
    assert_eq!(failure.code, Code::Refused);
    assert!(failure.hint.unwrap().ends_with("--before 1"));
    assert!(scene.refuse_unless_it_wins(&file, origin, 1).is_ok());
    for line in [0, 4] {
        assert_eq!(check_line(&cluster(), &file, Some(line)).unwrap_err().code, Code::Usage);
    }
    assert!(check_line(&cluster(), &file, Some(3)).is_ok());
}

#[test]
fn adds_nothing_to_rules_that_the_server_would_not_load() {
    let failure = judged("host all\n", &HERE).0.unwrap_err();
    assert_eq!(failure.code, Code::Failed);
    assert!(failure.message.ends_with("/d/pg_hba.conf:1"), "{failure}");
}

#[test]
fn refuses_what_cannot_be_a_rule() {
    for words in [
        &["r"][..],
        &["r", "--from", "10.0.0.0/33"],
        &["r", "--from", "db1/24"],
        &["r", "--from", "10.0.0"],
        &["r", "--from", "300.1.1.1"],
        &["r", "--from", "a b"],
        &["r", "--from", ""],
        &["r", "--from", "10.0.0.1", "--type", "local"],
        &["r", "--from", "10.0.0.1", "--type", "tcp"],
        &["r", "--from", "10.0.0.1", "--method", "MD5"],
        &["r", "--from", "10.0.0.1", "--method", "reject"],
        &["r", "--from", "10.0.0.1", "--method", "cert"],
        &["/r", "--from", "10.0.0.1"],
    ] {
        assert_eq!(request(words).unwrap_err().code, Code::Usage, "{words:?}");
    }
}

#[test]
fn writes_addresses_as_the_server_wants_them() {
    let request =
        request(&["all", "--from", "10.1.2.3,::1", "--from", "10.1.2.3/8", "--from", "a.example.com,samenet,all"])
            .unwrap();
    let lines: Vec<String> = request.origins.iter().map(|origin| request.name(origin.as_ref())).collect();
    let expected = [
        "host replication \"all\" 10.1.2.3/32 scram-sha-256",
        "host replication \"all\" ::1/128 scram-sha-256",
        "host replication \"all\" 10.0.0.0/8 scram-sha-256",
        "host replication \"all\" a.example.com scram-sha-256",
        "host replication \"all\" samenet scram-sha-256",
        "host replication \"all\" all scram-sha-256",
    ];
    assert_eq!(lines, expected);
}
