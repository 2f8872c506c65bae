//! `pg-conf allow`: a rule that lets a role in, where it is needed and where it wins.
//!
//! What must always hold: no other line is moved or changed, and a `reject` that stands above is never passed by unless
//! `--before` says so.

use crate::args::AllowArguments;
use crate::rules::access::{self, Request};
use crate::rules::cautions::{self, Known};
use crate::rules::hba_file::{Answer, HbaFile, Match, Question, Record, Rule};
use crate::rules::hba_tree::{self, Found};
use crate::rules::lookup::Lookup;
use crate::rules::origin::From;
use crate::running;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::Edit;
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::shell_word;
use pg_runbook::{Failure, Run};

const ADD: Act = Act { plain: "add", past: "added" };

/// What the rules make of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works, by this rule.
    LetIn { place: String, rule: Box<Rule> },
    /// It is to be kept out, by a rule behind this line of the main file.
    Rejected { place: String, top_line: usize, raw: String },
    /// A rule is needed, before this line of the main file or at its end.
    Needed { before: Option<usize>, why: Option<String> },
}

/// Where a new rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In front of this line of the main file.
    Before(usize),
    /// Behind all others.
    End,
}

/// The rules, who answers questions about them, and what is asked of them.
pub struct Scene<'a> {
    /// Whose rules they are.
    pub cluster: &'a Cluster,
    /// What the login is to be.
    pub request: &'a Request,
    /// Who knows what the rules leave open.
    pub ask: Answer<'a>,
}

/// `pg-conf allow`
pub fn allow(run: &mut Run, arguments: &AllowArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let request = Request::of(&arguments.access, cluster.major)?.looked_up();
    run.lock(&cluster)?;
    let before = access::read(&cluster)?;
    let mut file = HbaFile::parse(&before, cluster.major);
    check_line(&cluster, &file, arguments.before)?;
    let lookup = Lookup::of(running::connect(run, &cluster, &arguments.access.connection));
    let known = Known::of(&mut lookup.server(), &request.role.text)?;
    cautions::of_request(run, &request, known);
    let ask = |question: &Question<'_>| lookup.answer(question);
    let scene = Scene { cluster: &cluster, request: &request, ask: &ask };
    let mut added: Vec<(String, usize)> = Vec::new();
    for origin in request.origins.iter().map(Option::as_ref) {
        let Some(place) = scene.place(run, &file, origin, arguments.before, known)? else { continue };
        let line = request.line(origin)?;
        let at = match place {
            Place::End => file.append(&line),
            Place::Before(number) => file.insert_before(number, &line),
        };
        if arguments.before.is_some() {
            scene.refuse_unless_it_wins(&file, origin, at)?;
        }
        // A later origin's rule may push this one down.
        added.iter_mut().filter(|(_, line)| *line >= at).for_each(|(_, line)| *line += 1);
        added.push((request.name(origin), at));
    }
    let change = |(name, line): (String, usize)| Change::act("rule", name, ADD).at(&cluster.hba_file, Some(line));
    let changes = added.into_iter().map(change).collect();
    let edit = Edit { path: cluster.hba_file.clone(), before: Some(before), after: Some(file.to_bytes()) };
    access::install(run, &cluster, &edit, changes, &mut lookup.server())?;
    remember_replicator(run, arguments);
    Ok(())
}

/// Who replicates is what the standbys are told later.
fn remember_replicator(run: &mut Run, arguments: &AllowArguments) {
    if arguments.access.database == "replication" {
        let role = &arguments.access.role;
        run.document.primary_mut().username.get_or_insert_with(|| role.clone());
    }
}

fn check_line(cluster: &Cluster, file: &HbaFile, before: Option<usize>) -> Result<(), Failure> {
    let count = file.line_count();
    match before {
        Some(line) if line == 0 || line > count => {
            Err(Failure::usage(format!("--before {line}: {} has the lines 1 to {count}", cluster.hba_file.display()))
                .hint(format!("pg-conf rules {}", cluster.option())))
        }
        _ => Ok(()),
    }
}

impl Scene<'_> {
    /// Where a rule has to go; nowhere where the login works already.
    fn place(
        &self,
        run: &mut Run,
        file: &HbaFile,
        origin: Option<&From>,
        asked: Option<usize>,
        known: Known,
    ) -> Result<Option<Place>, Failure> {
        match self.verdict(file, origin, &mut |text| run.warn(text))? {
            Verdict::LetIn { place, rule } => {
                run.say(&format!("{} may already log in, by {place}", self.request.role));
                if let Some(caution) = cautions::of_rule(&rule, self.request, &place, known) {
                    run.warn(caution);
                }
                Ok(None)
            }
            Verdict::Rejected { .. } | Verdict::Needed { .. } if asked.is_some() => Ok(asked.map(Place::Before)),
            Verdict::Rejected { place, top_line, raw } => Err(self.rejected(&place, top_line, &raw, origin)),
            Verdict::Needed { before, why } => {
                if let Some(why) = why {
                    run.say(&why);
                }
                Ok(Some(before.map_or(Place::End, Place::Before)))
            }
        }
    }

    /// Goes through the rules as the server does, up to the one that decides.
    pub fn verdict(
        &self,
        file: &HbaFile,
        origin: Option<&From>,
        warn: &mut dyn FnMut(String),
    ) -> Result<Verdict, Failure> {
        let login = self.request.login(origin);
        let cluster = self.cluster;
        for found in hba_tree::records(&cluster.hba_file, &file.to_bytes(), cluster.major)? {
            let place = found.place();
            let rule = match &found.record {
                Record::Rule(rule) => rule,
                Record::Invalid { reason, .. } => return Err(invalid(&place, reason, cluster)),
                Record::Include { .. } => continue,
            };
            match (rule.matches(&login, self.ask), rule.method.as_str()) {
                (Match::No, _) => {}
                (Match::Yes, "reject") => {
                    return Ok(Verdict::Rejected { place, top_line: found.top_line, raw: rule.raw.clone() });
                }
                (Match::Yes, _) if lets_in(rule, &self.request.method) => {
                    return Ok(Verdict::LetIn { place, rule: Box::new(rule.clone()) });
                }
                (Match::Part, "reject") => warn(format!("{place} rejects part of it, and stays")),
                (Match::Unknown(what), "reject") => {
                    warn(format!("{place} rejects logins, perhaps this one too: it depends on {what}"));
                }
                (Match::Part | Match::Unknown(_), _) if lets_in(rule, &self.request.method) => {}
                (matched, method) => return Ok(needed_before(&found, &matched, method, &place)),
            }
        }
        Ok(Verdict::Needed { before: None, why: None })
    }

    /// With `--before`: whether the rule that now stands in this line is the one that decides.
    fn refuse_unless_it_wins(&self, file: &HbaFile, origin: Option<&From>, line: usize) -> Result<(), Failure> {
        let login = self.request.login(origin);
        let cluster = self.cluster;
        for found in hba_tree::records(&cluster.hba_file, &file.to_bytes(), cluster.major)? {
            if found.top_line >= line {
                break;
            }
            let Record::Rule(rule) = &found.record else { continue };
            if rule.matches(&login, self.ask) == Match::Yes {
                return Err(Failure::refused(format!("the rule would not win before line {line} either"))
                    .because(format!("{} decides first: {}", found.place(), rule.raw.trim()))
                    .hint(self.command(origin, found.top_line)));
            }
        }
        Ok(())
    }

    fn rejected(&self, place: &str, top_line: usize, raw: &str, origin: Option<&From>) -> Failure {
        let whence = origin.map_or_else(|| "the Unix socket".into(), |from| from.text.clone());
        Failure::refused(format!("a rule rejects {} from {whence}: {place}", self.request.role))
            .because(raw.trim())
            .because("a reject is respected; if it isn't meant for this login, say before which line the rule is to go")
            .hint(self.command(origin, top_line))
    }

    /// The same request for one origin, with the line to go before.
    fn command(&self, origin: Option<&From>, line: usize) -> String {
        let request = self.request;
        let mut words = vec![format!("pg-conf allow {}", shell_word(request.role.text.as_ref()))];
        words.push(self.cluster.option());
        if let Some(from) = origin {
            words.push(format!("--from {}", from.text));
        }
        let kind = request.kind.to_string();
        let named = [
            ("--database", request.database.text.as_str(), "replication"),
            ("--method", request.method.as_str(), "scram-sha-256"),
            ("--type", kind.as_str(), "host"),
        ];
        let unusual = named.into_iter().filter(|(_, value, usual)| value != usual);
        words.extend(unusual.map(|(option, value, _)| format!("{option} {}", shell_word(value.as_ref()))));
        words.push(format!("--before {line}"));
        words.join(" ")
    }
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

#[cfg(test)]
#[path = "allow_tests.rs"]
mod tests;
