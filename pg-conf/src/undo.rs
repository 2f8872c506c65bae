//! `pg-conf undo`: what the last change replaced, put back byte for byte.
//!
//! What must always hold: what somebody else edited since is never overwritten; a second run changes nothing; what is
//! put back is judged like any other change, for the server may be a newer one by now.

use crate::args::UndoArguments;
use crate::put_back::put_back;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::history::{History, Step};
use pg_runbook::{Failure, Run};

/// `pg-conf undo`
pub fn undo(run: &mut Run, arguments: &UndoArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let history = History::of(&cluster);
    if arguments.list {
        return list(run, &history);
    }
    run.lock(&cluster)?;
    let steps = history.steps()?;
    let Some(from) = first_to_go(run, &cluster, &steps, arguments.step)? else { return Ok(()) };
    let number = steps[from].number;
    let edits = history.back_before(&steps[from..])?;
    if edits.is_empty() {
        run.message(format!("nothing to put back: the files are as they were before step {number}"));
        return Ok(());
    }
    put_back(run, &cluster, number, &edits, &arguments.connection)
}

/// Where the steps begin that are to be taken back; nothing where there is nothing to do.
fn first_to_go(run: &mut Run, cluster: &Cluster, steps: &[Step], named: Option<u32>) -> Result<Option<usize>, Failure> {
    if let Some(number) = named {
        let found = steps.iter().position(|step| step.number == number);
        return found.map(Some).ok_or_else(|| {
            Failure::usage(format!("there is no step {number} of {}", cluster.title()))
                .hint(format!("pg-conf undo {} --list", cluster.option()))
        });
    }
    match steps.last() {
        None => run.message(format!("nothing to put back: no change of {} is kept", cluster.title())),
        Some(Step { what, number, .. }) if what.undoes.is_some() => {
            run.message(format!("nothing to put back: the last change, step {number}, was an undo itself"));
            run.account(format!("further back: pg-conf undo {} --step N, one of --list", cluster.option()));
        }
        Some(_) => return Ok(Some(steps.len() - 1)),
    }
    Ok(None)
}

fn list(run: &mut Run, history: &History) -> Result<(), Failure> {
    let steps = history.steps()?;
    run.message(match steps.len() {
        0 => "no change is kept".to_owned(),
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    });
    let row = |step: &Step| {
        let command = format!("{} {}", step.what.tool, step.what.action);
        [step.number.to_string(), step.at(), command, step.what.changes.join("; ")].map(Cell::from)
    };
    let columns =
        [Column::number("STEP"), Column::text("WHEN").least(), Column::text("COMMAND"), Column::words("CHANGES")];
    run.show_table(&Table::new(columns, steps.iter().map(row)));
    run.fact("history", &steps);
    Ok(())
}
