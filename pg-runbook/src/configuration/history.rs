//! What the configuration files were before each change, kept beside the main file, so that a change can be taken back
//! byte for byte: by `pg-conf undo`, and by a restart that failed.
//!
//! What must always hold: a step is kept and synced before its files are replaced; what somebody else wrote since is
//! never overwritten; the server reads nothing of what is kept.

use super::edit::{self, Edit};
use crate::cluster::Cluster;
use crate::durable_file;
use crate::failure::{Attempt, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The folder's name, beside the main configuration file.
pub const FOLDER: &str = ".pg-conf";
/// Where the files stand with which the server last came up.
const STARTED_WITH: &str = "started-with";
/// How many steps are kept.
const KEPT_STEPS: usize = 100;

/// The steps of one cluster's configuration.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

/// Who changes something, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct What {
    /// The tool, such as `pg-conf`.
    pub tool: String,
    /// Its verb, such as `set`.
    pub action: String,
    /// As people are told it, one line a change.
    pub changes: Vec<String>,
    /// Whether it is in force only after a restart.
    pub restart: bool,
    /// Where it is an undo: the first step that it takes back; 0 where it goes back to the files of a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
}

/// One kept step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeptStep")]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// When, in seconds since 1970.
    pub time: f64,
    /// Who and what.
    #[serde(flatten)]
    pub what: What,
    /// The files, in the order in which they were replaced.
    pub files: Vec<KeptFile>,
}

/// One file of a step; what it was and what it became stand beside it as `N.before` and `N.after`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Whether it was there before.
    pub was_there: bool,
    /// Whether it was to be there afterwards.
    pub stays: bool,
}

/// Which files a server came up with.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    started: f64,
    files: Vec<PathBuf>,
}

impl History {
    /// The history of a cluster's configuration; nothing is written before the first step.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self { folder: cluster.config_file.parent().unwrap_or(Path::new("/")).join(FOLDER) }
    }

    /// Where it is kept.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every kept step, the oldest first.
    pub fn steps(&self) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        for number in self.numbers()? {
            let path = self.step_folder(number).join("step.json");
            let Some(bytes) = durable_file::read(&path)? else { continue };
            steps.push(serde_json::from_slice(&bytes).attempt(|| format!("understand {}", path.display()))?);
        }
        Ok(steps)
    }

    /// The steps that were kept at this time (in seconds since 1970) or later.
    pub fn since(&self, time: f64) -> Result<Vec<Step>, Failure> {
        Ok(self.steps()?.into_iter().filter(|step| step.time >= time).collect())
    }

    /// Keeps a step, and then puts its edits in place; returns its number. Nothing is kept where nothing is edited.
    pub fn change(&self, what: What, edits: &[Edit]) -> Result<Option<u32>, Failure> {
        let Some(number) = self.keep(what, edits)? else { return Ok(None) };
        if let Err(failure) = edit::put(edits) {
            self.forget(number)?;
            return Err(failure);
        }
        Ok(Some(number))
    }

    /// Keeps a step whose edits somebody else has put in place: the server, when it was told ALTER SYSTEM.
    pub fn record(&self, what: What, edits: &[Edit]) -> Result<Option<u32>, Failure> {
        self.keep(what, edits)
    }

    /// Adds such an edit to a step that is kept already.
    pub fn amend(&self, number: u32, edit: &Edit) -> Result<(), Failure> {
        let path = self.step_folder(number).join("step.json");
        let text = durable_file::read(&path)?.unwrap_or_default();
        let mut step: Step = serde_json::from_slice(&text).attempt(|| format!("understand {}", path.display()))?;
        step.files.push(write_edit(&self.step_folder(number), step.files.len(), edit)?);
        let text = serde_json::to_vec_pretty(&step).attempt(|| "write down a step")?;
        durable_file::replace(&path, &text, 0o600).map(drop)
    }

    /// Forgets a step whose files are as they were before it.
    pub fn forget(&self, number: u32) -> Result<(), Failure> {
        durable_file::remove_tree(&self.step_folder(number))
    }

    fn keep(&self, what: What, edits: &[Edit]) -> Result<Option<u32>, Failure> {
        if edits.is_empty() {
            return Ok(None);
        }
        let doing = |failure: Failure| failure.while_doing("keep the configuration as it was, before it is changed");
        self.write(what, edits).map(Some).map_err(doing)
    }

    fn write(&self, what: What, edits: &[Edit]) -> Result<u32, Failure> {
        let making = self.empty_making()?;
        let numbers = self.numbers()?;
        let number = numbers.last().map_or(1, |last| last + 1);
        let mut files = Vec::new();
        for (index, edit) in edits.iter().enumerate() {
            files.push(write_edit(&making, index, edit)?);
        }
        let step = Step { number, time: now(), what, files };
        let text = serde_json::to_vec_pretty(&step).attempt(|| "write down a step")?;
        durable_file::replace(&making.join("step.json"), &text, 0o600)?;
        durable_file::rename(&making, &self.step_folder(number))?;
        let too_many = (numbers.len() + 1).saturating_sub(KEPT_STEPS);
        for old in &numbers[..too_many.min(numbers.len())] {
            durable_file::remove_tree(&self.step_folder(*old))?;
        }
        Ok(number)
    }

    /// Keeps the files with which a server came up that started at this time (in seconds since 1970), in the place of
    /// those of the start before.
    pub fn remember_start(&self, started: f64, files: &[(PathBuf, Vec<u8>)]) -> Result<(), Failure> {
        let making = self.empty_making()?;
        for (index, (_, bytes)) in files.iter().enumerate() {
            durable_file::replace(&making.join(index.to_string()), bytes, 0o600)?;
        }
        let start = Start { started, files: files.iter().map(|(path, _)| path.clone()).collect() };
        let text = serde_json::to_vec_pretty(&start).attempt(|| "write down a start")?;
        durable_file::replace(&making.join("start.json"), &text, 0o600)?;
        durable_file::remove_tree(&self.folder.join(STARTED_WITH))?;
        durable_file::rename(&making, &self.folder.join(STARTED_WITH))
    }

    /// The edits that bring these files (all that there are) back to those with which the server came up that started at
    /// this time; nothing where it was not seen to start. A file that is new since then is to go.
    pub fn back_to_start(&self, started: f64, now: &[(PathBuf, Vec<u8>)]) -> Result<Option<Vec<Edit>>, Failure> {
        let folder = self.folder.join(STARTED_WITH);
        let Some(text) = durable_file::read(&folder.join("start.json"))? else { return Ok(None) };
        let start: Start = serde_json::from_slice(&text).attempt(|| format!("understand {}", folder.display()))?;
        if (start.started - started).abs() > 0.001 {
            return Ok(None);
        }
        let mut edits = Vec::new();
        for (index, path) in start.files.iter().enumerate() {
            let after = durable_file::read(&folder.join(index.to_string()))?;
            edits.push(Edit { path: path.clone(), before: durable_file::read(path)?, after });
        }
        let is_new = |(path, _): &&(PathBuf, Vec<u8>)| !start.files.contains(path);
        let gone =
            |(path, bytes): &(PathBuf, Vec<u8>)| Edit { path: path.clone(), before: Some(bytes.clone()), after: None };
        edits.extend(now.iter().filter(is_new).map(gone));
        edits.retain(|edit| edit.before != edit.after);
        Ok(Some(edits))
    }

    /// The edits that bring the files back to how they were before these steps, which are the newest of the history or
    /// leave out some in between. Empty where they are so already; a refusal where somebody else edited one since.
    pub fn back_before(&self, steps: &[Step]) -> Result<Vec<Edit>, Failure> {
        let mut touches: BTreeMap<&Path, Vec<(u32, Edit)>> = BTreeMap::new();
        for step in steps {
            for (index, file) in step.files.iter().enumerate() {
                let read = |there: bool, name: &str| {
                    let path = self.step_folder(step.number).join(format!("{index}.{name}"));
                    if there { durable_file::read(&path) } else { Ok(None) }
                };
                let edit = Edit {
                    path: file.path.clone(),
                    before: read(file.was_there, "before")?,
                    after: read(file.stays, "after")?,
                };
                touches.entry(&file.path).or_default().push((step.number, edit));
            }
        }
        let mut edits = Vec::new();
        for (path, touched) in touches {
            let now = durable_file::read(path)?;
            let was = self.unwound(path, now.clone(), &touched)?;
            if was != now {
                edits.push(Edit { path: path.to_owned(), before: now, after: was });
            }
        }
        Ok(edits)
    }

    /// Follows one file back through what was done to it. A step that never took effect, or was taken back by hand, is
    /// passed over: the file is as it was before that step.
    fn unwound(&self, path: &Path, now: Option<Vec<u8>>, touched: &[(u32, Edit)]) -> Result<Option<Vec<u8>>, Failure> {
        let mut state = now;
        if touched.first().is_some_and(|(_, first)| first.before == state) {
            return Ok(state);
        }
        for (number, edit) in touched.iter().rev() {
            if state == edit.after {
                state.clone_from(&edit.before);
            } else if state != edit.before {
                let kept = self.step_folder(*number);
                return Err(Failure::refused(format!(
                    "{} was edited by somebody else since step {number}",
                    path.display()
                ))
                .because(format!("what step {number} replaced is kept in {}", kept.display()))
                .hint(format!(
                    "see what is different: diff {} {}",
                    self.file_after(*number, path).display(),
                    path.display()
                )));
            }
        }
        Ok(state)
    }

    /// Where a step keeps what became of a file.
    fn file_after(&self, number: u32, path: &Path) -> PathBuf {
        let steps = self.steps().unwrap_or_default();
        let files = steps.into_iter().find(|step| step.number == number).map(|step| step.files).unwrap_or_default();
        let place = files.iter().position(|file| file.path == path).unwrap_or_default();
        self.step_folder(number).join(format!("{place}.after"))
    }

    /// A folder to write in; it gets its name when it is complete.
    fn empty_making(&self) -> Result<PathBuf, Failure> {
        if !self.folder.is_dir() {
            durable_file::make_owners_folder(&self.folder)?;
        }
        let making = self.folder.join("making");
        durable_file::remove_tree(&making)?;
        durable_file::make_owners_folder(&making)?;
        Ok(making)
    }

    fn step_folder(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:06}"))
    }

    fn numbers(&self) -> Result<Vec<u32>, Failure> {
        let doing = || format!("look into {}", self.folder.display());
        let mut numbers = Vec::new();
        match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries.attempt(doing)? {
                    numbers
                        .extend(entry.attempt(doing)?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
                }
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl Step {
    /// When, as people read it.
    #[must_use]
    pub fn at(&self) -> String {
        let time = UNIX_EPOCH + Duration::from_secs_f64(self.time.max(0.0));
        humantime::format_rfc3339_seconds(time).to_string()
    }
}

fn write_edit(folder: &Path, index: usize, edit: &Edit) -> Result<KeptFile, Failure> {
    for (name, bytes) in [("before", &edit.before), ("after", &edit.after)] {
        if let Some(bytes) = bytes {
            durable_file::replace(&folder.join(format!("{index}.{name}")), bytes, 0o600)?;
        }
    }
    Ok(KeptFile { path: edit.path.clone(), was_there: edit.before.is_some(), stays: edit.after.is_some() })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
