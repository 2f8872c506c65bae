//! `pg-pass remove`: a password that is no longer needed.

use crate::args::RemoveArguments;
use crate::{file, key, location};
use pg_runbook::document::Change;
use pg_runbook::{Failure, Run, signals};

/// `pg-pass remove`
pub fn remove(run: &mut Run, arguments: &RemoveArguments) -> Result<(), Failure> {
    let place = location::find(run, &arguments.file)?;
    let key = key::of_line(run, &arguments.line, &place)?;
    run.lock_folder(&location::folder(&place.path))?;
    let found = file::read(&place)?;
    let (shown, file) = (key::shown(&key), place.path.display());
    let mut lines = found.lines.clone();
    let gone = lines.remove(&key);
    if !gone.is_empty() && !run.check() {
        signals::safe_point("before anything was changed")?;
        file::write(&place, &lines)?;
    }
    run.message(match (gone.is_empty(), run.check()) {
        (true, _) => format!("{file} has no line for {shown}"),
        (false, true) => format!("would remove {shown} from {file}"),
        (false, false) => format!("removed {shown} from {file}"),
    });
    for line in &gone {
        let change = Change::value("password_line", shown.clone(), Some("(old)".into()), None);
        run.change(change.at(&place.path, Some(*line)));
    }
    run.show_difference(&file.to_string(), &file::masked(&found.lines, None, ""), &file::masked(&lines, None, ""));
    if let Some(next) = lines.find(&key) {
        run.warn(format!("line {} of {file} ({}) still gives a password for it", next.line, key::shown_entry(&next)));
    }
    Ok(())
}
