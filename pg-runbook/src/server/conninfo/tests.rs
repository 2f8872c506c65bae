//! Parameters decided as libpq decides them.

use clap::Parser;

use super::*;
use crate::Code;

#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Tool {
    #[command(flatten)]
    connection: ConnectionArguments,
}

fn typed(arguments: &[&str]) -> ConnectionArguments {
    Tool::try_parse_from([&["tool"], arguments].concat()).unwrap().connection
}

fn local() -> Defaults {
    Defaults {
        socket_directory: Some("/run/sockets".into()),
        port: Some(5434),
        user: Some("postgres".into()),
        dbname: Some("postgres".into()),
        home: Some("/nowhere".into()),
        ..Defaults::default()
    }
}

fn resolve(arguments: &[&str], defaults: &Defaults, variables: &[(&str, &str)]) -> Result<Target, Failure> {
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    typed(arguments).resolve_in(defaults, &value)
}

fn place_of(arguments: &[&str], defaults: &Defaults, variables: &[(&str, &str)]) -> String {
    let target = resolve(arguments, defaults, variables).unwrap();
    format!("{}@{}/{}", target.user, target.address(), target.dbname)
}

#[test]
fn falls_back_to_what_is_known_of_the_local_cluster() {
    assert_eq!(place_of(&[], &local(), &[]), "postgres@/run/sockets/.s.PGSQL.5434/postgres");
    assert!(typed(&[]).is_empty() && !typed(&["-p", "1"]).is_empty());
}

#[test]
fn prefers_arguments_to_the_environment_and_that_to_the_defaults() {
    let variables = [("PGHOST", "db1"), ("PGPORT", "5433"), ("PGUSER", "ann"), ("PGDATABASE", "app")];
    assert_eq!(place_of(&[], &local(), &variables), "ann@db1:5433/app");
    let arguments = ["-h", "db2", "-p", "5435", "-U", "joe", "-d", "web"];
    assert_eq!(place_of(&arguments, &local(), &variables), "joe@db2:5435/web");
}

#[test]
fn does_not_leave_a_named_cluster_for_the_environments_host() {
    let named = Defaults { beats_environment: true, ..local() };
    let variables = [("PGHOST", "db1"), ("PGHOSTADDR", "192.0.2.1"), ("PGPORT", "5433"), ("PGUSER", "ann")];
    assert_eq!(place_of(&[], &named, &variables), "ann@/run/sockets/.s.PGSQL.5434/postgres");
    assert_eq!(place_of(&["-h", "db2"], &named, &variables), "ann@db2:5432/postgres");
}

#[test]
fn uses_the_local_clusters_port_only_on_this_host() {
    assert_eq!(place_of(&["-h", "localhost"], &local(), &[]), "postgres@localhost:5434/postgres");
    assert_eq!(place_of(&["-h", "::1"], &local(), &[]), "postgres@[::1]:5434/postgres");
    assert_eq!(place_of(&["-h", "db1"], &local(), &[]), "postgres@db1:5432/postgres");
}

#[test]
fn lets_a_connection_string_win_over_the_options() {
    let arguments = ["-h", "db1", "-p", "1", "--conninfo", "host=db2 user=joe"];
    assert_eq!(place_of(&arguments, &local(), &[]), "joe@db2:1/postgres");
    assert_eq!(place_of(&["-d", "postgresql://ann@db3/app"], &local(), &[]), "ann@db3:5432/app");
}

#[test]
fn names_the_database_after_the_role_where_nobody_says_which() {
    let defaults = Defaults { dbname: None, ..local() };
    assert_eq!(place_of(&["-h", "db1", "-U", "joe"], &defaults, &[]), "joe@db1:5432/joe");
}

#[test]
fn keeps_the_name_of_a_host_whose_address_is_given() {
    let target = resolve(&["--conninfo", "host=db1 hostaddr=192.0.2.1"], &local(), &[]).unwrap();
    assert_eq!((target.host.as_str(), target.address().as_str()), ("db1", "db1 (192.0.2.1):5432"));
    assert_eq!(place_of(&["--conninfo", "hostaddr=192.0.2.1"], &local(), &[]), "postgres@192.0.2.1:5432/postgres");
}

#[test]
fn reads_a_service_between_arguments_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test's own input")]
    std::fs::write(folder.path().join(".pg_service.conf"), "[x]\nhost=db1\nport=5433\nuser=ann\npassword=pw\n")
        .unwrap();
    let defaults = Defaults { home: Some(folder.path().into()), ..local() };
    let variables = [("PGUSER", "env"), ("PGPASSWORD", "env")];
    let target = resolve(&["--conninfo", "service=x port=1"], &defaults, &variables).unwrap();
    assert_eq!((target.host.as_str(), target.port, target.user.as_str()), ("db1", 1, "ann"));
    assert_eq!(target.password.unwrap().expose(), "pw");
    assert_eq!(place_of(&[], &defaults, &[("PGSERVICE", "x")]), "ann@db1:5433/postgres");
    let named = Defaults { beats_environment: true, ..defaults };
    assert_eq!(place_of(&[], &named, &[("PGSERVICE", "x")]), "ann@/run/sockets/.s.PGSQL.5434/postgres");
}

#[test]
fn refuses_a_password_in_a_conninfo_and_takes_it_from_the_environment() {
    let failure = resolve(&["--conninfo", "password=swordfish"], &local(), &[]).unwrap_err();
    assert_eq!(failure.code, Code::Usage);
    let target = resolve(&["-h", "db1"], &local(), &[("PGPASSWORD", "swordfish")]).unwrap();
    assert!(target.password.is_some());
    for shown in [format!("{target:?}"), target.to_string(), target.conninfo()] {
        assert!(!shown.contains("swordfish"), "{shown}");
    }
}

#[test]
fn refuses_values_that_no_server_can_have() {
    for conninfo in [
        "host=a,b",
        "port=0",
        "port=65536",
        "hostaddr=db1",
        "sslmode=yes",
        "host=@x",
        "connect_timeout=soon",
        "channel_binding=x",
        "target_session_attrs=x",
        "sslrootcert=system sslmode=require",
        "service=none",
    ] {
        let failure = resolve(&["--conninfo", conninfo], &local(), &[]).unwrap_err();
        assert_eq!(failure.code, Code::Usage, "{conninfo}: {failure}");
    }
    assert!(Tool::try_parse_from(["tool", "-p", "0"]).is_err());
}

#[test]
fn waits_ten_seconds_unless_told_otherwise() {
    let timeout = |text| resolve(&["--conninfo", text], &local(), &[]).unwrap().connect_timeout;
    assert_eq!(timeout("user=a"), Some(Duration::from_secs(10)));
    assert_eq!(timeout("connect_timeout=3"), Some(Duration::from_secs(3)));
    assert_eq!(timeout("connect_timeout=0"), None);
}

#[test]
fn writes_a_conninfo_that_resolves_to_the_same_target() {
    let arguments =
        ["-h", "db1", "-U", "o'neil x", "--conninfo", "sslmode=verify-full sslrootcert=/a\\ b channel_binding=require"];
    let target = resolve(&arguments, &local(), &[("PGAPPNAME", "x=y"), ("PGOPTIONS", "-c a=b")]).unwrap();
    assert_eq!(
        target.conninfo(),
        "host=db1 port=5432 user='o\\'neil x' dbname=postgres passfile=/nowhere/.pgpass sslmode=verify-full \
         sslrootcert='/a b' connect_timeout=10 application_name='x=y' options='-c a=b' channel_binding=require"
    );
    assert_eq!(resolve(&["--conninfo", &target.conninfo()], &local(), &[]).unwrap(), target);
}

#[test]
fn asks_the_system_authorities_for_a_full_check() {
    let target = resolve(&["--conninfo", "sslrootcert=system"], &local(), &[]).unwrap();
    assert_eq!(target.sslmode, SslMode::VerifyFull);
}
