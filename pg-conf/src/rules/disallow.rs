//! `pg-conf disallow`: the rules that `allow` puts in, taken out again.

use crate::args::AccessArguments;
use crate::rules::access::{self, Request};
use crate::rules::allow::{Scene, Verdict};
use crate::rules::hba_file::{HbaFile, Question};
use crate::rules::lookup::Lookup;
use crate::running;
use pg_runbook::configuration::Edit;
use pg_runbook::document::{Act, Change};
use pg_runbook::{Failure, Run};

const REMOVE: Act = Act { plain: "remove", past: "removed" };

/// `pg-conf disallow`
pub fn disallow(run: &mut Run, arguments: &AccessArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let request = Request::of(arguments, cluster.major)?.looked_up();
    run.lock(&cluster)?;
    let before = access::read(&cluster)?;
    let mut file = HbaFile::parse(&before, cluster.major);
    let lookup = Lookup::of(running::connect(run, &cluster, &arguments.connection));
    let removed = remove(&mut file, &request)?;
    let change = |(name, line): (String, usize)| Change::act("rule", name, REMOVE).at(&cluster.hba_file, Some(line));
    let changes = removed.into_iter().map(change).collect();
    let edit = Edit { path: cluster.hba_file.clone(), before: Some(before), after: Some(file.to_bytes()) };
    access::install(run, &cluster, &edit, changes, &mut lookup.server())?;
    let ask = |question: &Question<'_>| lookup.answer(question);
    // It takes out what allow put in; other rules may let the same login in.
    let scene = Scene { cluster: &cluster, request: &request, ask: &ask };
    for origin in request.origins.iter().map(Option::as_ref) {
        if let Verdict::LetIn { place, .. } = scene.verdict(&file, origin, &mut |_| ())? {
            run.warn(format!("{} may still log in, by {place}", request.role));
        }
    }
    Ok(())
}

/// From the end, so that the lines above keep their numbers; told in the file's order.
fn remove(file: &mut HbaFile, request: &Request) -> Result<Vec<(String, usize)>, Failure> {
    let is_it = |rule: &&&crate::rules::hba_file::Rule| {
        request.origins.iter().any(|origin| request.is_rule(rule, origin.as_ref()))
    };
    let rules = file.rules();
    let mut found: Vec<(String, usize)> = rules
        .iter()
        .filter(is_it)
        .map(|rule| (rule.raw.split_whitespace().collect::<Vec<_>>().join(" "), rule.line))
        .collect();
    for (_, line) in found.iter().rev() {
        file.remove(*line)?;
    }
    found.dedup();
    Ok(found)
}

#[cfg(test)]
#[path = "disallow_tests.rs"]
mod tests;
