//! `pg-conf allow`: a rule that lets a role in, where it is needed and where it wins.
//!
//! What must always hold: no other line is moved or changed, and a `reject` that stands above is never passed by.

use crate::access::{self, From, Request};
use crate::args::AccessArguments;
use crate::hba_file::{Answer, HbaFile, Match, Origin, Question, Record, Rule};
use crate::hba_tree::{self, Found};
use crate::lookup::Lookup;
use crate::running;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::Edit;
use pg_runbook::document::{Act, Change};
use pg_runbook::{Failure, Run};

const ADD: Act = Act { plain: "add", past: "added" };

/// What the rules make of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works, by this rule.
    LetIn { place: String, remark: Option<String> },
    /// It is to be kept out.
    Rejected { place: String, raw: String },
    /// A rule is needed, before this line of the main file or at its end.
    Needed { before: Option<usize>, why: Option<String> },
}

/// `pg-conf allow`
pub fn allow(run: &mut Run, arguments: &AccessArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let request = Request::of(arguments, cluster.major)?;
    run.lock(&cluster)?;
    let before = access::read(&cluster)?;
    let lookup = Lookup::of(running::connect(run, &cluster, &arguments.connection));
    let ask = |question: &Question<'_>| lookup.answer(question);
    warn_of_width(run, &request);
    let mut file = HbaFile::parse(&before, cluster.major);
    let mut added = Vec::new();
    for origin in &request.origins {
        let origin = origin.as_ref();
        match verdict(&cluster, &file, &request, origin, &ask, &mut |text| run.warn(text))? {
            Verdict::LetIn { place, remark } => {
                run.say(&format!("{} may already log in, by {place}", request.role));
                if let Some(remark) = remark {
                    run.warn(remark);
                }
            }
            Verdict::Rejected { place, raw } => return Err(rejected(&request, origin, &place, &raw)),
            Verdict::Needed { before, why } => {
                if let Some(why) = why {
                    run.say(&why);
                }
                let line = request.line(origin)?;
                let at = match before {
                    Some(number) => file.insert_before(number, &line),
                    None => file.append(&line),
                };
                // A later origin's rule may push this one down.
                added.iter_mut().filter(|(_, line)| *line >= at).for_each(|(_, line)| *line += 1);
                added.push((request.name(origin), at));
            }
        }
    }
    let change = |(name, line): (String, usize)| Change::act("rule", name, ADD).at(&cluster.hba_file, Some(line));
    let changes = added.into_iter().map(change).collect();
    let edit = Edit { path: cluster.hba_file.clone(), before: Some(before), after: Some(file.to_bytes()) };
    access::install(run, &cluster, &edit, changes, &mut lookup.server())?;
    remember_replicator(run, arguments);
    Ok(())
}

/// Who replicates is what the standbys are told later.
fn remember_replicator(run: &mut Run, arguments: &AccessArguments) {
    if arguments.database == "replication" {
        run.document.primary_mut().username.get_or_insert_with(|| arguments.role.clone());
    }
}

fn warn_of_width(run: &mut Run, request: &Request) {
    if request.method == "trust" {
        run.warn(format!("trust lets anyone in as {} who can reach the server, without a password", request.role));
    }
    for from in request.origins.iter().flatten() {
        if matches!(&from.origin, Origin::Net(net) if net.prefix_len() == 0) {
            run.warn(format!("{} is every address there is; name the hosts or their network", from.text));
        }
    }
    if request.database.is_keyword("all") {
        run.warn("the database all does not cover replication connections");
    }
}

fn rejected(request: &Request, origin: Option<&From>, place: &str, raw: &str) -> Failure {
    let origin = origin.map_or_else(|| "the Unix socket".into(), |from| from.text.clone());
    let (file, line) = place.rsplit_once(':').unwrap_or((place, "1"));
    Failure::refused(format!("a rule rejects {} from {origin}: {place}", request.role))
        .because(raw.trim())
        .because("a reject is respected: narrow it or take it out by hand, and run this again")
        .hint(format!("sed -n {line}p {file}"))
}

/// Goes through the rules as the server does, up to the one that decides.
pub fn verdict(
    cluster: &Cluster,
    file: &HbaFile,
    request: &Request,
    origin: Option<&From>,
    ask: Answer<'_>,
    warn: &mut dyn FnMut(String),
) -> Result<Verdict, Failure> {
    let login = request.login(origin);
    for found in hba_tree::records(&cluster.hba_file, &file.to_bytes(), cluster.major)? {
        let place = format!("{}:{}", found.file.display(), found.record.line());
        let rule = match &found.record {
            Record::Rule(rule) => rule,
            Record::Invalid { reason, .. } => return Err(invalid(&place, reason, cluster)),
            Record::Include { .. } => continue,
        };
        match (rule.matches(&login, ask), rule.method.as_str()) {
            (Match::No, _) => {}
            (Match::Yes, "reject") => return Ok(Verdict::Rejected { place, raw: rule.raw.clone() }),
            (Match::Yes, _) if lets_in(rule, &request.method) => {
                return Ok(Verdict::LetIn { remark: remark(rule, request, &place), place });
            }
            (Match::Part, "reject") => warn(format!("{place} rejects part of it, and stays")),
            (Match::Unknown(what), "reject") => {
                warn(format!("{place} rejects logins, perhaps this one too: only the server knows {what}"));
            }
            (Match::Part | Match::Unknown(_), _) if lets_in(rule, &request.method) => {}
            (matched, method) => return Ok(needed_before(&found, &matched, method, &place)),
        }
    }
    Ok(Verdict::Needed { before: None, why: None })
}

fn needed_before(found: &Found, matched: &Match, method: &str, place: &str) -> Verdict {
    let perhaps = if *matched == Match::Yes { "would" } else { "might" };
    let why = format!("{place} {perhaps} be tried first, and its method {method} is not what was asked for");
    Verdict::Needed { before: Some(found.top_line), why: Some(why) }
}

fn invalid(place: &str, reason: &str, cluster: &Cluster) -> Failure {
    Failure::failed(format!("the server would not load its rules as they are: {place}"))
        .because(reason)
        .hint(format!("pg-conf check {}", cluster.option()))
}

/// Whether who logs in by the method that was asked for can log in by this rule as well. `md5` takes a SCRAM verifier
/// too; `scram-sha-256` takes no md5 one.
fn lets_in(rule: &Rule, method: &str) -> bool {
    let there = rule.method.as_str();
    match method {
        _ if there == method || there == "trust" => true,
        "scram-sha-256" => matches!(there, "md5" | "password"),
        "md5" => there == "password",
        "password" => there == "md5",
        _ => false,
    }
}

fn remark(rule: &Rule, request: &Request, place: &str) -> Option<String> {
    if let Some(option) = rule.options.iter().find(|option| option.starts_with("clientcert=")) {
        return Some(format!("{place} asks for a client certificate too ({option})"));
    }
    match rule.method.as_str() {
        method if method == request.method => None,
        "trust" => Some(format!("{place} is trust: it lets anyone in as {}, without a password", request.role)),
        "password" => Some(format!("{place} is password: the password is sent as it is")),
        "md5" => Some(format!("{place} is md5, which takes SCRAM verifiers too; scram-sha-256 would be stricter")),
        _ => None,
    }
}

#[cfg(test)]
#[path = "allow_tests.rs"]
mod tests;
