//! What a role lacks, as a plan.

use super::*;

fn replicator() -> Role {
    Role {
        name: "replicator".into(),
        login: true,
        replication: true,
        superuser: false,
        connection_limit: -1,
        valid_until: None,
        member_of: vec!["pg_monitor".into()],
        password: Some(Stored::Scram),
    }
}

fn wanted() -> Wanted {
    Wanted { name: "replicator".into(), ..Wanted::default() }
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.changes().iter().map(|change| change.line(false)).collect()
}

fn statements(plan: &Plan, verifier: Option<&str>) -> Vec<String> {
    let verifier = verifier.map(|text| Secret::new(text.into()));
    plan.statements(verifier.as_ref()).unwrap().iter().map(|statement| statement.expose().to_owned()).collect()
}

#[test]
fn a_new_role_is_one_change_and_its_password_another() {
    let wanted = Wanted {
        connection_limit: Some(5),
        valid_until: Some("2030-01-01 00:00:00+00".into()),
        member_of: vec!["pg_monitor".into()],
        password_differs: true,
        ..wanted()
    };
    let plan = plan(None, &wanted);
    assert_eq!(
        lines(&plan),
        [
            "created role replicator (login, replication, connection limit 5, valid until 2030-01-01 00:00:00+00, member of pg_monitor)",
            "replicator.password: (not set) → (new)",
        ]
    );
    assert_eq!(
        statements(&plan, Some("SCRAM-SHA-256$x")),
        [
            "CREATE ROLE \"replicator\" WITH LOGIN REPLICATION CONNECTION LIMIT 5 VALID UNTIL '2030-01-01 00:00:00+00' PASSWORD 'SCRAM-SHA-256$x'",
            "GRANT \"pg_monitor\" TO \"replicator\"",
        ]
    );
}

#[test]
fn a_role_that_is_as_it_should_be_needs_nothing() {
    let wanted = Wanted { connection_limit: Some(-1), member_of: vec!["pg_monitor".into()], ..wanted() };
    let plan = plan(Some(&replicator()), &wanted);
    assert!(plan.is_empty());
    assert!(statements(&plan, None).is_empty());
}

#[test]
fn changes_what_differs_and_nothing_else() {
    let present = Role { login: false, replication: false, password: Some(Stored::Md5), ..replicator() };
    let wanted = Wanted { connection_limit: Some(3), password_differs: true, ..wanted() };
    let plan = plan(Some(&present), &wanted);
    assert_eq!(
        lines(&plan),
        [
            "replicator.login: off → on",
            "replicator.replication: off → on",
            "replicator.connection_limit: -1 → 3",
            "replicator.password: md5 → (new)",
        ]
    );
    assert_eq!(
        statements(&plan, Some("v")),
        ["ALTER ROLE \"replicator\" WITH LOGIN REPLICATION CONNECTION LIMIT 3 PASSWORD 'v'"]
    );
}

#[test]
fn a_membership_alone_leaves_the_role_itself_untouched() {
    let wanted = Wanted { member_of: vec!["a\"b".into(), "a\"b".into()], ..wanted() };
    assert_eq!(statements(&plan(Some(&replicator()), &wanted), None), ["GRANT \"a\"\"b\" TO \"replicator\""]);
}

#[test]
fn quotes_names_and_values() {
    let wanted = Wanted { name: "o'n \"x\\".into(), valid_until: Some("in'f\\".into()), ..Wanted::default() };
    assert_eq!(
        statements(&plan(None, &wanted), None),
        ["CREATE ROLE \"o'n \"\"x\\\" WITH LOGIN REPLICATION VALID UNTIL  E'in''f\\\\'"]
    );
}

#[test]
fn what_a_plan_leads_to_needs_no_plan() {
    let mut wanted = Wanted {
        connection_limit: Some(5),
        valid_until: Some("infinity".into()),
        member_of: vec!["pg_monitor".into(), "app".into()],
        password_differs: true,
        ..wanted()
    };
    for present in [None, Some(replicator())] {
        let after = plan(present.as_ref(), &wanted).outcome(present.as_ref());
        wanted.password_differs = false;
        assert!(plan(Some(&after), &wanted).is_empty());
    }
}

#[test]
fn shows_neither_password_nor_verifier() {
    let wanted = Wanted { password_differs: true, ..wanted() };
    let plan = plan(None, &wanted);
    let shown = format!("{plan:?} {:?} {:?}", plan.changes(), plan.statements(Some(&Secret::new("SCRAM-X".into()))));
    assert!(!shown.contains("SCRAM-X"), "{shown}");
}
