//! What the document says, and what of an older or newer one it keeps.

use super::*;

#[test]
fn keeps_fields_that_it_does_not_know() {
    let text = r#"{"schema":"pg-runbook/1.4","future":{"a":1},"needs":{"level":"none","restart":[],"reload":[],"soon":2},"primary":{"host":"db1","region":"eu"}}"#;
    let document = Document::read(text, "the document").unwrap();
    let again: Value = serde_json::from_str(&document.to_json()).unwrap();
    assert_eq!(again["future"]["a"], 1);
    assert_eq!(again["needs"]["soon"], 2);
    assert_eq!(again["primary"]["region"], "eu");
}

#[test]
fn refuses_truncated_second_and_foreign_documents() {
    for text in
        ["{\"schema\":\"pg-runbook/1\"", "{\"schema\":\"pg-runbook/1\"}{}", "{\"schema\":\"pg-runbook/2\"}", "[]", " "]
    {
        let failure = Document::read(text, "standard input").unwrap_err();
        assert_eq!(failure.code, Code::Usage, "{text}");
        assert!(failure.message.starts_with("standard input is not"), "{failure}");
    }
}

#[test]
fn says_one_change_in_the_words_of_a_plan_and_of_a_report() {
    let restart = Change::act("service", "17/main", Act { plain: "restart", past: "restarted" });
    assert_eq!(restart.line(true), "would restart 17/main");
    assert_eq!(restart.line(false), "restarted 17/main");
    let setting =
        Change::value("setting", "wal_level", Some("replica".into()), Some("logical".into())).remark("restart needed");
    assert_eq!(setting.line(false), "wal_level: replica → logical (restart needed)");
}

#[test]
fn needs_grow_and_name_each_reason_once() {
    let mut needs = Needs::default();
    needs.raise(Level::Restart, "wal_level");
    needs.raise(Level::Reload, "work_mem");
    needs.raise(Level::Restart, "wal_level");
    assert_eq!(needs.level, Level::Restart);
    assert_eq!(needs.restart, ["wal_level"]);
    assert_eq!(needs.reload, ["work_mem"]);
}
