//! `pg-conf explain`: which rule of `pg_hba.conf` decides a login, what its method then does, and which rules it hides.
//! Changes nothing.
//!
//! What must always hold: the answer is the server's own choice; where only somebody who can't be asked knows, that is
//! the answer, with the rules that come into question.

use crate::args::ExplainArguments;
use crate::decision::Decision;
use crate::hba_file::{Database, Login, Match, Origin, Record, Rule};
use crate::hba_tree::{self, Found};
use crate::lookup::Lookup;
use crate::methods;
use crate::origin::From;
use crate::role_facts::RoleFacts;
use crate::rules::Shown;
use crate::{access, running};
use ipnet::IpNet;
use pg_runbook::cluster::Cluster;
use pg_runbook::{Failure, Run, service};
use serde::Serialize;

/// The answer for one address, as the document has it under `explain`.
#[derive(Debug, Serialize)]
struct Answer {
    role: String,
    database: String,
    /// An address, a network, or `local`.
    address: String,
    ssl: Option<bool>,
    /// `rule`, `no_rule` or `undecided`.
    outcome: &'static str,
    /// The rule that decides.
    rule: Option<Shown>,
    /// What its method does, or how the server refuses.
    then: Option<String>,
    /// The later rules for the same login, which never get to speak.
    hides: Vec<Shown>,
    /// What isn't known, each with the rule that hangs on it.
    unknown: Vec<Unknown>,
}

/// Something that isn't known.
#[derive(Debug, Serialize)]
struct Unknown {
    what: String,
    rule: Shown,
}

/// Rules, and who answers questions about them.
struct Scene {
    found: Vec<Found>,
    lookup: Lookup,
}

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

impl Scene {
    fn rule(&self, index: usize) -> Option<&Rule> {
        match &self.found[index].record {
            Record::Rule(rule) => Some(rule),
            _ => None,
        }
    }

    fn shown(&self, index: usize) -> Shown {
        Shown::of(&self.found[index]).unwrap_or_default()
    }

    fn answer(&self, login: &Login) -> Answer {
        let ask = |question: &crate::hba_file::Question<'_>| self.lookup.answer(question);
        let is_for = |index: usize| self.rule(index).map_or(Match::No, |rule| rule.matches(login, &ask));
        let matches: Vec<Match> = (0..self.found.len()).map(is_for).collect();
        let decision = Decision::of(&matches);
        let (outcome, winner, perhaps) = match &decision {
            Decision::Rule(index) => ("rule", Some(*index), Vec::new()),
            Decision::NoRule => ("no_rule", None, Vec::new()),
            Decision::Open { perhaps, otherwise } => ("undecided", *otherwise, perhaps.clone()),
        };
        let follows = winner.and_then(|index| self.rule(index)).map(|rule| methods::consequence(rule, &login.role));
        let unknown = |index: usize| Unknown { what: not_known(&matches[index]), rule: self.shown(index) };
        Answer {
            role: login.role.clone(),
            database: database_name(&login.database),
            address: origin_name(&login.address),
            ssl: login.ssl,
            outcome,
            rule: winner.map(|index| self.shown(index)),
            then: follows.or_else(|| (decision == Decision::NoRule).then(|| refusal(login))),
            hides: decision.hides(&matches).into_iter().map(|index| self.shown(index)).collect(),
            unknown: perhaps.into_iter().map(unknown).collect(),
        }
    }
}

fn not_known(matched: &Match) -> String {
    match matched {
        Match::Unknown(what) => what.clone(),
        Match::Yes | Match::No | Match::Part => "it is for a part of these addresses".into(),
    }
}

fn database_name(database: &Database) -> String {
    match database {
        Database::Replication => "replication".into(),
        Database::Named(name) => name.clone(),
    }
}

fn origin_name(origin: &Origin) -> String {
    match origin {
        Origin::Local => "local".into(),
        Origin::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        Origin::Net(net) => net.to_string(),
        Origin::Several(nets) => nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(","),
        Origin::Host { name, .. } => name.clone(),
    }
}

/// In the words that the client reads.
fn refusal(login: &Login) -> String {
    let host = match &login.address {
        Origin::Local => "[local]".to_owned(),
        other => origin_name(other),
    };
    match &login.database {
        Database::Replication => {
            format!("no pg_hba.conf entry for replication connection from host {host:?}, user {:?}", login.role)
        }
        Database::Named(name) => {
            format!("no pg_hba.conf entry for host {host:?}, user {:?}, database {name:?}", login.role)
        }
    }
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

impl Answer {
    fn sentence(&self) -> String {
        let whose = match self.address.as_str() {
            "local" => format!("{} by the Unix socket", self.role),
            address => format!("{} from {address}", self.role),
        };
        let login = format!("{whose} to {}", self.database);
        match (self.outcome, &self.rule) {
            ("rule", Some(rule)) => format!("{login}: {} decides, by {}", rule.place(), rule.method()),
            ("no_rule", _) => format!("{login}: no rule, so the server refuses it"),
            (_, Some(rule)) => format!("{login}: undecided; {} decides if no earlier rule does", rule.place()),
            (_, None) => format!("{login}: undecided; the server refuses it if none of the rules does"),
        }
    }

    fn way_to_know(&self, cluster: &Cluster) -> Option<String> {
        let says = |part: &str| self.unknown.iter().any(|unknown| unknown.what.contains(part));
        if says("encrypted by TLS") {
            Some("say which: --ssl or --no-ssl".into())
        } else if says("is a member of") || says("regular expression") {
            Some(format!("only the running server knows: pg-cluster start {}", cluster.option()))
        } else if says("part of these addresses") || says("resolves to") || says("the server has") || says("is in") {
            Some("ask about single addresses".into())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hba_file::HbaFile;

    fn answer(rules: &str, address: &str, ssl: Option<bool>) -> Answer {
        let found = HbaFile::parse(rules.as_bytes(), 16).expanded_records(&mut |_| Ok(Vec::new()));
        let place = |record: Record| Found { file: "/d/pg_hba.conf".into(), top_line: record.line(), record };
        let scene = Scene { found: found.into_iter().map(place).collect(), lookup: Lookup::default() };
        let address = origins(address).unwrap().remove(0);
        scene.answer(&Login { database: Database::Replication, role: "r".into(), address, ssl, gss: Some(false) })
    }

    #[test]
    fn names_the_rule_that_decides_and_those_it_hides() {
        let rules = "local all all peer\nhost replication r 192.0.2.0/24 md5\nhost all,replication all all reject\n";
        let told = answer(rules, "192.0.2.7", None);
        assert_eq!(told.sentence(), "r from 192.0.2.7 to replication: /d/pg_hba.conf:2 decides, by md5");
        assert_eq!(told.hides.iter().map(Shown::place).collect::<Vec<_>>(), ["/d/pg_hba.conf:3"]);
        let none = answer("local all all peer\n", "local", None);
        let refusal = "no pg_hba.conf entry for replication connection from host \"[local]\", user \"r\"";
        assert_eq!(none.then.as_deref(), Some(refusal));
    }

    #[test]
    fn tells_what_the_answer_hangs_on() {
        let rules = "hostssl replication r all scram-sha-256\nhost replication r all reject\n";
        let open = answer(rules, "192.0.2.7", None);
        assert_eq!((open.outcome, open.unknown.len()), ("undecided", 1));
        assert_eq!(open.rule.as_ref().map(Shown::place).as_deref(), Some("/d/pg_hba.conf:2"));
        assert_eq!(answer(rules, "192.0.2.7", Some(false)).rule.unwrap().place(), "/d/pg_hba.conf:2");
        let split = answer("host replication r 192.0.2.7/32 md5\n", "192.0.2.0/24", Some(false));
        assert_eq!(split.unknown[0].what, "it is for a part of these addresses");
    }
}
