//! What Ansible gives, and the command line that comes of it.

use super::*;
use clap::Arg;
use serde_json::json;

fn command() -> Command {
    Command::new("pg-conf")
        .arg(Arg::new("pgdata").long("pgdata").global(true))
        .arg(Arg::new("check").long("check").action(ArgAction::SetTrue).global(true))
        .subcommand(
            Command::new("set")
                .arg(Arg::new("settings").num_args(1..))
                .arg(Arg::new("dry").long("dry-run").action(ArgAction::SetTrue))
                .arg(Arg::new("password_stdin").long("password-stdin").action(ArgAction::SetTrue)),
        )
        .subcommand(Command::new("unset").arg(Arg::new("names").num_args(1..)))
        .subcommand(Command::new("get").arg(Arg::new("names").num_args(0..)))
        .subcommand(
            Command::new("allow")
                .arg(Arg::new("role"))
                .arg(Arg::new("from").long("from").action(ArgAction::Append))
                .arg(Arg::new("host").long("host"))
                .arg(Arg::new("conninfo").long("conninfo")),
        )
}

fn words(options: &Value) -> Result<Vec<String>, Failure> {
    let request = request(options.as_object().unwrap(), &command())?;
    Ok(request.arguments.into_iter().map(|word| word.into_string().unwrap()).collect())
}

#[test]
fn turns_options_into_the_command_line_a_person_would_type() {
    let options = json!({"action": "set", "pgdata": "/srv/x", "settings": {"wal_compression": true, "wal_keep_size": "8GB"},
        "dry_run": "no", "_ansible_check_mode": true, "_ansible_no_log": false});
    assert_eq!(
        words(&options).unwrap(),
        [
            "pg-conf",
            "set",
            "--pgdata=/srv/x",
            "--check",
            "--no-input",
            "--output=json",
            "--",
            "wal_compression=on",
            "wal_keep_size=8GB"
        ]
    );
}

#[test]
fn a_state_means_the_verb_that_knows_the_options() {
    let verb = |options: &Value| words(options).unwrap()[1].clone();
    assert_eq!(verb(&json!({"state": "present", "settings": ["a=b"]})), "set");
    assert_eq!(verb(&json!({"role": "replicator", "from": ["192.0.2.7"]})), "allow");
    let refused = words(&json!({"state": "asleep"})).unwrap_err();
    assert!(refused.message.contains("asleep") && refused.causes[0].contains("allow"), "{refused}");
}

#[test]
fn takes_community_postgresqls_names() {
    let options = json!({"state": "present", "role": "replicator", "login_host": "db1", "ssl_mode": "verify-full",
        "ca_cert": "/etc/it's/ca.crt", "login_user": "__omit_place_holder__0", "login_password": "swordfish"});
    let request = request(options.as_object().unwrap(), &command()).unwrap();
    let words: Vec<_> = request.arguments.iter().map(|word| word.to_str().unwrap()).collect();
    let conninfo = r"--conninfo=sslmode='verify-full' sslrootcert='/etc/it\'s/ca.crt'";
    assert_eq!(words[2..4], ["--host=db1", conninfo]);
    assert!(request.secrets.login_password.is_some());
}

/// The verb, and what stands behind `--`.
fn settings(options: &Value) -> Vec<String> {
    let words = words(options).unwrap();
    let end = words.iter().position(|word| word == "--").unwrap();
    [&words[1..2], &words[end + 1..]].concat()
}

#[test]
fn takes_one_setting_as_postgresql_set_has_it() {
    for (value, told) in [
        (json!("replica"), "x=replica"),
        (json!(true), "x=on"),
        (json!(120), "x=120"),
        (json!(0.9), "x=0.9"),
        (json!("a, b"), "x=a, b"),
        (json!(["a", "b"]), "x=a, b"),
        (json!(""), "x="),
    ] {
        assert_eq!(settings(&json!({"name": "x", "value": value})), ["set", told]);
    }
    assert_eq!(settings(&json!({"name": "x", "value": "1", "reset": "no"})), ["set", "x=1"]);
    for reset in [json!(true), json!("yes"), json!(1)] {
        assert_eq!(settings(&json!({"name": "x", "reset": reset, "value": null})), ["unset", "x"]);
    }
    assert_eq!(settings(&json!({"name": "x", "reset": true, "state": "absent"})), ["unset", "x"]);
    assert_eq!(settings(&json!({"name": "x", "state": "absent"})), ["unset", "x"]);
    assert_eq!(settings(&json!({"name": "x", "action": "get"})), ["get", "x"]);
}

#[test]
fn refuses_one_setting_that_is_told_by_halves_or_twice() {
    for (options, why) in [
        (json!({"value": "replica"}), "name doesn't say which"),
        (json!({"reset": true}), "name doesn't say which"),
        (json!({"name": "x"}), "x has no value"),
        (json!({"name": "x", "state": "present"}), "x has no value"),
        (json!({"name": "x", "reset": "perhaps"}), "neither yes nor no"),
        (json!({"name": "x", "value": 1, "reset": true}), "x can't have a value and be reset"),
        (json!({"name": "x", "reset": true, "action": "get"}), "\"get\""),
        (json!({"name": "x", "value": 1, "settings": {"y": 2}}), "settings and name"),
        (json!({"name": "x", "value": 1, "state": "absent"}), "settings"),
    ] {
        let refused = words(&options).unwrap_err();
        assert!(refused.message.contains(why), "{options}: {refused}");
    }
}

#[test]
fn a_document_is_one_of_ours_or_refused() {
    let own = Document::new("pg-conf", "set");
    let options = json!({"action": "set", "document": serde_json::to_value(&own).unwrap()});
    assert!(request(options.as_object().unwrap(), &command()).unwrap().document.is_some());
    let options = json!({"action": "set", "document": {"skipped": true}});
    let refused = request(options.as_object().unwrap(), &command()).unwrap_err();
    assert!(refused.message.contains("the option document is not a pg-runbook/1 document"), "{refused}");
}

#[test]
fn refuses_an_option_or_an_action_that_does_not_exist() {
    assert!(words(&json!({"action": "set", "nonsense": 1})).unwrap_err().message.contains("nonsense"));
    let of_a_module = words(&json!({"action": "set", "password_stdin": true})).unwrap_err();
    assert!(of_a_module.message.contains("not an option"), "standard input may never end: {of_a_module}");
    assert!(words(&json!({"action": "fly"})).unwrap_err().causes[0].contains("set"));
}

#[test]
fn keeps_the_password_off_the_command_line() {
    let options = json!({"action": "set", "password": "swordfish"});
    assert!(!words(&options).unwrap().join(" ").contains("swordfish"));
    assert!(request(options.as_object().unwrap(), &command()).unwrap().secrets.password.is_some());
}

#[test]
fn a_text_is_a_list_where_several_are_taken_and_it_is_no_setting() {
    let options = json!({"role": "replicator", "source": "192.0.2.7, 192.0.2.8"});
    assert_eq!(words(&options).unwrap()[2..4], ["--from=192.0.2.7", "--from=192.0.2.8"]);
    let options = json!({"settings": "listen_addresses=db1,localhost"});
    assert_eq!(words(&options).unwrap().last().unwrap(), "listen_addresses=db1,localhost");
}

#[test]
fn a_setting_that_is_a_list_gets_commas_and_one_that_is_nothing_is_refused() {
    let options = json!({"settings": {"listen_addresses": ["localhost", "192.0.2.6"], "port": 5433}});
    assert_eq!(words(&options).unwrap()[5..], ["listen_addresses=localhost, 192.0.2.6", "port=5433"]);
    for nothing in [json!(null), json!({"mode": "on"}), json!([["a"]])] {
        let refused = words(&json!({"settings": {"archive_command": nothing}})).unwrap_err();
        assert!(refused.message.starts_with("the setting archive_command is "), "{refused}");
        assert_eq!(refused.code, crate::Code::Usage);
    }
}

#[test]
fn what_ansible_shows_of_a_failure_has_its_cause_and_the_way_out() {
    let failure = Failure::usage("no cluster").because("none is here").hint("pg-cluster list");
    assert_eq!(message(&failure), "no cluster: none is here (hint: pg-cluster list)");
}
