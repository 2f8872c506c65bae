//! `pg-conf explain`: which rule of `pg_hba.conf` decides a login, what its method then does, and which rules it hides.
//! Changes nothing.
//!
//! What must always hold: the answer is the server's own choice; where only somebody who can't be asked knows, that is
//! the answer, with the rules that come into question.

mod answer;

use crate::args::ExplainArguments;
use crate::rules::access;
use crate::rules::hba_file::{Database, Login, Origin, Record};
use crate::rules::hba_tree::{self, Found};
use crate::rules::lookup::Lookup;
use crate::rules::origin::From;
use crate::rules::role_facts::RoleFacts;
use crate::running;
pub use answer::Answer;
use answer::Scene;
use ipnet::IpNet;
use pg_runbook::cluster::Cluster;
use pg_runbook::{Failure, Run, service};

/// `pg-conf explain`
pub fn explain(run: &mut Run, arguments: &ExplainArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let origins = origins(&arguments.address)?;
    let bytes = access::read(&cluster)?;
    let mut server = running::connect(run, &cluster, &arguments.connection);
    let mut found = hba_tree::records(&cluster.hba_file, &bytes, cluster.major)?;
    warn_of_other_rules_in_force(run, &cluster, &bytes, &found, server.as_mut())?;
    found.retain(|found| matches!(found.record, Record::Rule(_)));
    let ssl = encryption(run, arguments, server.as_mut())?;
    let scene = Scene { found, lookup: Lookup::of(server) };
    let database = match arguments.database.as_str() {
        "replication" => Database::Replication,
        // In quotes it is a database of this name, as in the file.
        name => Database::Named(name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).into()),
    };
    let mut answers = Vec::new();
    for address in origins {
        let role = arguments.role.clone();
        let login = Login { database: database.clone(), role, address, ssl, gss: Some(arguments.gss) };
        answers.push(scene.answer(&login));
        warn_of_obstacles(run, &scene, &login, &answers[answers.len() - 1])?;
    }
    tell(run, &cluster, &answers);
    run.fact("explain", &answers);
    Ok(())
}

/// An address, a network, `local`, or every address of a host.
fn origins(text: &str) -> Result<Vec<Origin>, Failure> {
    if matches!(text, "local" | "[local]") {
        return Ok(vec![Origin::Local]);
    }
    match From::typed(text)?.looked_up().origin {
        Origin::Host { name, addresses } => {
            if addresses.is_empty() {
                return Err(Failure::gave_up(format!("{name} has no address that this host could look up"))
                    .hint(format!("getent ahosts {name}; or say the address itself")));
            }
            Ok(addresses.into_iter().map(|address| Origin::Net(IpNet::from(address))).collect())
        }
        Origin::Several(nets) => Ok(nets.into_iter().map(Origin::Net).collect()),
        one => Ok(vec![one]),
    }
}

/// What was said, or what the server's own setting leaves no choice about.
fn encryption(
    run: &mut Run,
    arguments: &ExplainArguments,
    server: Option<&mut pg_runbook::server::Server>,
) -> Result<Option<bool>, Failure> {
    let is_off = match server {
        Some(server) => server.text("SHOW ssl")?.as_deref() == Some("off"),
        None => false,
    };
    if arguments.ssl && is_off {
        run.warn("the server has ssl = off, so it encrypts no connection by TLS: pg-conf get ssl");
    }
    Ok(match (arguments.ssl, arguments.no_ssl || arguments.gss || is_off) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    })
}

/// What counts is what the server last loaded.
fn warn_of_other_rules_in_force(
    run: &mut Run,
    cluster: &Cluster,
    bytes: &[u8],
    found: &[Found],
    server: Option<&mut pg_runbook::server::Server>,
) -> Result<(), Failure> {
    let option = cluster.option();
    let broken = found.iter().find_map(|found| match &found.record {
        Record::Invalid { line, reason, .. } => Some(format!("{}:{line}: {reason}", found.file.display())),
        _ => None,
    });
    if let Some(broken) = broken {
        run.warn(format!("the server does not load these rules ({broken}): pg-conf check {option}"));
    }
    let Some(server) = server else { return Ok(()) };
    if let Some(error) = service::rule_errors(server)?.first() {
        run.warn(format!("a running server goes on with the rules of its last load ({error})"));
        return Ok(());
    }
    let loaded = running::times(server)?.0;
    let files = hba_tree::files(&cluster.hba_file, bytes, cluster.major);
    if let Some(newer) = files.iter().find(|file| running::written(file) > loaded) {
        let newer = newer.display();
        run.warn(format!("{newer} was changed after the server last loaded it: pg-cluster reload {option}"));
    }
    let in_force = server.text("SHOW hba_file")?.unwrap_or_default();
    let same = std::fs::canonicalize(&in_force).ok() == std::fs::canonicalize(&cluster.hba_file).ok();
    if !same {
        run.warn(format!("the running server reads {in_force}, not {}", cluster.hba_file.display()));
    }
    Ok(())
}

fn warn_of_obstacles(run: &mut Run, scene: &Scene, login: &Login, answer: &Answer) -> Result<(), Failure> {
    let Some(rule) = answer.rule.as_ref().filter(|rule| rule.method() != "reject") else { return Ok(()) };
    let mut server = scene.lookup.server();
    let Some(server) = server.as_mut() else { return Ok(()) };
    let obstacles = match RoleFacts::of(server, &login.role)? {
        None => vec![format!("the server has no role {}: pg-role ensure {}", login.role, login.role)],
        Some(facts) => facts.obstacles(&login.role, &login.database, rule.method()),
    };
    for obstacle in obstacles.iter().filter(|text| !run.document.warnings.contains(text)).collect::<Vec<_>>() {
        run.warn(obstacle);
    }
    Ok(())
}

fn tell(run: &mut Run, cluster: &Cluster, answers: &[Answer]) {
    let sentences: Vec<String> = answers.iter().map(Answer::sentence).collect();
    run.message(sentences.join("; "));
    for answer in answers {
        if let Some(rule) = &answer.rule {
            run.account(format!("  {}", rule.raw()));
        }
        if let Some(then) = &answer.then {
            run.account(format!("  then: {then}"));
        }
        for unknown in &answer.unknown {
            run.account(format!("  not known: {}: {}  {}", unknown.what, unknown.rule.place(), unknown.rule.raw()));
        }
        for hidden in &answer.hides {
            run.account(format!("  hides {}  {}", hidden.place(), hidden.raw()));
        }
        if let Some(hint) = answer.way_to_know(cluster) {
            run.account(format!("  {hint}"));
        }
    }
}
