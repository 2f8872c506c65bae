//! TLS from end to end: a private authority, a server that proves its name by it, and a standby that insists.

use crate::two_halves::{STANDBY, Terms, expect_to_arrive, follow, prepare, with_password};
use tests::hosts::{Host, Hosts};
use tests::{Outcome, on_the_newest_suite};

on_the_newest_suite!(a_runbook_under_verify_full_proves_the_primary_by_its_name_and_authority);

const ROOT: &str = "/var/lib/postgresql/.postgresql/root.crt";

/// The server's certificate is for the name db1, by our authority; there is another authority, too.
const CERTIFICATES: &str = "set -eu; umask 077; mkdir -p /root/ca; cd /root/ca
for ca in ours theirs; do
  openssl req -new -x509 -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=$ca \
    -addext basicConstraints=critical,CA:TRUE -keyout $ca.key -out $ca.crt 2>/dev/null
done
openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=db1 -keyout db1.key -out db1.csr 2>/dev/null
printf 'subjectAltName=DNS:db1\\nbasicConstraints=CA:FALSE\\n' > extensions
openssl x509 -req -in db1.csr -CA ours.crt -CAkey ours.key -CAcreateserial -days 2 -extfile extensions -out db1.crt 2>/dev/null
install -d -o postgres -m 700 /etc/postgresql/tls
install -o postgres -m 600 db1.crt db1.key /etc/postgresql/tls
install -m 644 ours.crt theirs.crt /exchange";

fn a_runbook_under_verify_full_proves_the_primary_by_its_name_and_authority(hosts: &Hosts) {
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    with_password(hosts, &[&db1, &db2]);
    db1.main_cluster();
    db1.says(CERTIFICATES);
    let settings = "ssl=on ssl_cert_file=/etc/postgresql/tls/db1.crt ssl_key_file=/etc/postgresql/tls/db1.key";
    let terms = Terms { settings, allow: "--type hostssl", advertise: "--sslmode verify-full" };
    prepare(&db1, &[&db2.address], terms);
    nobody_is_believed_without_an_authority(&db2);
    trust(&db2, "ours");
    follow(&db2, "db1", "").success();
    expect_to_arrive("proof", (&db1, 5432), (&db2, STANDBY));
    let encrypted = "SELECT ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)";
    assert_eq!(db1.sql(5432, encrypted), "t");
    the_walreceiver_insists_too(&db2);
    each_mode_believes_what_it_should(&db1, &db2);
    the_tools_own_connections_do_too(&db1, &db2);
}

fn trust(host: &Host, authority: &str) {
    host.says(&format!(
        "install -d -o postgres -g postgres -m 700 $(dirname {ROOT}); install -m 644 /exchange/{authority}.crt {ROOT}"
    ));
}

fn nobody_is_believed_without_an_authority(standby: &Host) {
    standby.says("pg-pass set --input /exchange/db1.json --password-file /root/s");
    let check = || standby.run("pg-pass check --input /exchange/db1.json").expect_code(1);
    let missing =
        check().expect_error("does not exist").expect_hint(&format!("put the authority's certificate into {ROOT}"));
    assert!(!missing.hint().contains("pg-role"), "{missing}");
    trust(standby, "theirs");
    check().expect_error("certificate verify failed").expect_hint(ROOT);
    // One run may be told of another file: whatever else is in the document holds.
    let named = "pg-pass check --input /exchange/db1.json --conninfo sslrootcert=/exchange/ours.crt";
    standby.run(named).success();
}

/// libpq in the server looks for the same file: with another authority in it, the standby doesn't come back.
fn the_walreceiver_insists_too(standby: &Host) {
    trust(standby, "theirs");
    standby.says("pg-cluster restart");
    let waited = standby.run("pg-cluster wait --for streaming --timeout 3").expect_code(5);
    waited.expect_error("certificate verify failed");
    trust(standby, "ours");
    standby.run("pg-cluster wait --for streaming").success();
}

/// The replication login, as libpq makes it.
fn each_mode_believes_what_it_should(primary: &Host, standby: &Host) {
    standby.says("pg-pass set -h '*' -p 5432 -U replicator --password-file /root/s");
    let check = |host: &str, tls: &str| -> Outcome {
        standby.run(&format!("pg-pass check -h {host} -p 5432 -U replicator --conninfo '{tls}'"))
    };
    let address = primary.address.as_str();
    check("db1", "sslmode=verify-full").success();
    let name = check(address, "sslmode=verify-full").expect_code(1);
    name.expect_error(&format!("does not match host name \"{address}\"")).expect_hint("sslmode=verify-ca");
    check(address, "sslmode=verify-ca").success();
    let theirs = check("db1", "sslmode=verify-ca sslrootcert=/exchange/theirs.crt").expect_code(1);
    theirs
        .expect_error("certificate verify failed")
        .expect_hint("openssl s_client -starttls postgres -connect db1:5432");
    check(address, "sslmode=require sslrootcert=/nowhere.crt").success();
    let plain = check("db1", "sslmode=disable").expect_code(1);
    plain.expect_error("no encryption").expect_hint("with TLS: sslmode=require");
}

/// The same three cases, by rustls: another name, another authority, none.
fn the_tools_own_connections_do_too(primary: &Host, standby: &Host) {
    // Not the others' password: it is in an environment, where their watchers would find it.
    primary.says("echo 'a word of its own' > /exchange/app; pg-role ensure app --password-file /exchange/app");
    primary.sql(5432, "ALTER ROLE app SUPERUSER");
    primary.says(&format!(
        "pg-conf allow app --type hostssl --database all --from {} | pg-cluster reload",
        standby.address
    ));
    let show = |host: &str, tls: &str| -> Outcome {
        standby.run(&format!(
            "export PGPASSWORD=$(cat /exchange/app)
             pg-role show app -h {host} -p 5432 -U app -d postgres --conninfo '{tls}'"
        ))
    };
    let (address, ours) = (primary.address.as_str(), "sslrootcert=/exchange/ours.crt");
    show("db1", &format!("sslmode=verify-full {ours}")).success();
    let name = show(address, &format!("sslmode=verify-full {ours}")).expect_code(1);
    name.expect_error(&format!("not valid for name \"{address}\"")).expect_hint("sslmode=verify-ca");
    show(address, &format!("sslmode=verify-ca {ours}")).success();
    let theirs = show("db1", "sslmode=verify-ca sslrootcert=/exchange/theirs.crt").expect_code(1);
    let theirs = theirs.expect_error("can't agree on TLS with the server at db1:5432").expect_error("UnknownIssuer");
    theirs.expect_hint("openssl s_client -starttls postgres -connect db1:5432").expect_hint("/exchange/theirs.crt");
    let none = show("db1", "sslmode=verify-full").expect_code(1);
    none.expect_error("there is no root certificate").expect_hint("/root/.postgresql/root.crt");
    show("db1", "sslmode=require").success();
    let plain = show("db1", "sslmode=disable").expect_code(1);
    plain.expect_error("no encryption").expect_hint("with TLS: sslmode=require; or on db1: pg-conf allow app");
}
