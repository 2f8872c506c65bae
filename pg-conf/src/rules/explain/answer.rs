//! The answer for one address: the rule that decides, what follows, what is hidden, what isn't known.
//!
//! What must always hold: what is shown comes from [`Decision`] and the answers it was made of, and from nothing else.

use crate::rules::decision::Decision;
use crate::rules::hba_file::{Database, Login, Match, Origin, Question, Record, Rule};
use crate::rules::hba_tree::Found;
use crate::rules::lookup::Lookup;
use crate::rules::methods;
use crate::rules::show::Shown;
use ipnet::IpNet;
use pg_runbook::cluster::Cluster;
use schemars::JsonSchema;
use serde::Serialize;

/// The answer for one address, as the document has it under `explain`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answer {
    /// The role that logs in.
    pub role: String,
    /// The database; `replication` for a replication login.
    pub database: String,
    /// An address, a network, or `local`.
    pub address: String,
    /// Whether the connection is encrypted by TLS; null where it wasn't said.
    pub ssl: Option<bool>,
    /// Whether a rule decides.
    pub outcome: Outcome,
    /// The rule that decides; where that is undecided, the one that does if no unknown one does.
    pub rule: Option<Shown>,
    /// What its method does, or how the server refuses.
    pub then: Option<String>,
    /// The later rules for the same login, which never get to speak.
    pub hides: Vec<Shown>,
    /// What isn't known, each with the rule that hangs on it.
    pub unknown: Vec<Unknown>,
}

/// Whether a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One does.
    Rule,
    /// None is for this login, so the server refuses it.
    NoRule,
    /// That hangs on what isn't known.
    Undecided,
}

/// Something that isn't known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unknown {
    /// What would have to be known.
    pub what: String,
    /// The rule that hangs on it.
    pub rule: Shown,
}

/// Rules, and who answers questions about them.
pub struct Scene {
    pub found: Vec<Found>,
    pub lookup: Lookup,
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

    /// Goes through the rules for one login.
    pub fn answer(&self, login: &Login) -> Answer {
        let ask = |question: &Question<'_>| self.lookup.answer(question);
        let is_for = |index: usize| self.rule(index).map_or(Match::No, |rule| rule.matches(login, &ask));
        let matches: Vec<Match> = (0..self.found.len()).map(is_for).collect();
        let decision = Decision::of(&matches);
        let (outcome, winner, perhaps) = match &decision {
            Decision::Rule(index) => (Outcome::Rule, Some(*index), Vec::new()),
            Decision::NoRule => (Outcome::NoRule, None, Vec::new()),
            Decision::Open { perhaps, otherwise } => (Outcome::Undecided, *otherwise, perhaps.clone()),
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

impl Answer {
    /// The answer in one sentence.
    pub fn sentence(&self) -> String {
        let whose = match self.address.as_str() {
            "local" => format!("{} by the Unix socket", self.role),
            address => format!("{} from {address}", self.role),
        };
        let login = format!("{whose} to {}", self.database);
        match (self.outcome, &self.rule) {
            (Outcome::Rule, Some(rule)) => format!("{login}: {} decides, by {}", rule.place(), rule.method()),
            (Outcome::NoRule, _) => format!("{login}: no rule, so the server refuses it"),
            (_, Some(rule)) => format!("{login}: undecided; {} decides if no earlier rule does", rule.place()),
            (_, None) => format!("{login}: undecided; the server refuses it if none of the rules does"),
        }
    }

    /// What would have to be done to know more.
    pub fn way_to_know(&self, cluster: &Cluster) -> Option<String> {
        let says = |part: &str| self.unknown.iter().any(|unknown| unknown.what.contains(part));
        if says("encrypted by TLS") {
            Some("say which: --ssl or --no-ssl".into())
        } else if says("is a member of") || says("regular expression") {
            // A running server that couldn't be asked, or couldn't answer, was told of already.
            let is_down = !cluster.has_process();
            is_down.then(|| format!("only the running server knows: pg-cluster start {}", cluster.option()))
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
    use crate::rules::hba_file::HbaFile;

    fn answer(rules: &str, address: &str, ssl: Option<bool>) -> Answer {
        let found = HbaFile::parse(rules.as_bytes(), 16).expanded_records(&mut |_| Ok(Vec::new()));
        let place = |record: Record| Found { file: "/d/pg_hba.conf".into(), top_line: record.line(), record };
        let scene = Scene { found: found.into_iter().map(place).collect(), lookup: Lookup::default() };
        let address = super::super::origins(address).unwrap().remove(0);
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
        assert_eq!((open.outcome, open.unknown.len()), (Outcome::Undecided, 1));
        assert_eq!(open.rule.as_ref().map(Shown::place).as_deref(), Some("/d/pg_hba.conf:2"));
        assert_eq!(answer(rules, "192.0.2.7", Some(false)).rule.unwrap().place(), "/d/pg_hba.conf:2");
        let split = answer("host replication r 192.0.2.7/32 md5\n", "192.0.2.0/24", Some(false));
        assert_eq!(split.unknown[0].what, "it is for a part of these addresses");
    }
}
