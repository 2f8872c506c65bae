//! Edits of postgresql.conf and its includes as values: pure, so that a plan can be made, judged and shown before
//! anything is written.
//!
//! What must always hold: the assignment in force is the one that is edited, in the file where it stands;
//! postgresql.auto.conf is never touched, it belongs to ALTER SYSTEM.

use pg_runbook::Failure;
use pg_runbook::configuration::{ConfFile, Configuration, Edit, EntryKind, Located};
use std::path::{Path, PathBuf};

/// Files as they would be.
#[derive(Clone, Debug, Default)]
pub struct Edited {
    /// Each edited file once, by its absolute path.
    pub files: Vec<(PathBuf, ConfFile)>,
}

impl Edited {
    /// Gives settings their values: where they are in force, else in the main file.
    pub fn assign<'a>(
        &mut self,
        configuration: &Configuration,
        wanted: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Failure> {
        for (name, value) in wanted {
            if let Some(located) = in_files(configuration, name) {
                let file = self.file(configuration, &located.file)?;
                let line = last_line(file, name).unwrap_or(located.line);
                file.set_value(line, value)?;
            } else {
                let main = configuration.main_file().to_owned();
                self.file(configuration, &main)?.insert(name, value)?;
            }
        }
        Ok(())
    }

    /// Takes every assignment of a setting away.
    pub fn remove(&mut self, configuration: &Configuration, name: &str) -> Result<(), Failure> {
        for located in configuration.assignments().iter().filter(|located| is(located, name)) {
            let file = self.file(configuration, &located.file)?;
            // A file that is included twice is listed twice.
            if let Some(line) = last_line(file, name) {
                file.remove(line)?;
            }
        }
        Ok(())
    }

    /// Where a setting stands now.
    pub fn line(&self, path: &Path, name: &str) -> Option<usize> {
        let (_, file) = self.files.iter().find(|(known, _)| known == path)?;
        last_line(file, name)
    }

    /// What there is to write.
    pub fn edits(&self, configuration: &Configuration) -> Vec<Edit> {
        let edit = |(path, file): &(PathBuf, ConfFile)| {
            let before = configuration.file(path).map(ConfFile::to_bytes);
            Edit { path: path.clone(), before, after: Some(file.to_bytes()) }
        };
        self.files.iter().map(edit).filter(|edit| edit.before != edit.after).collect()
    }

    fn file(&mut self, configuration: &Configuration, path: &Path) -> Result<&mut ConfFile, Failure> {
        let known = self.files.iter().position(|(known, _)| known == path);
        let place = known.unwrap_or(self.files.len());
        if known.is_none() {
            let file = configuration.file(path).cloned();
            let file = file.ok_or_else(|| Failure::failed(format!("{} was not read", path.display())))?;
            self.files.push((path.to_owned(), file));
        }
        Ok(&mut self.files[place].1)
    }
}

/// The assignment that wins among the files, leaving ALTER SYSTEM aside.
pub fn in_files<'a>(configuration: &'a Configuration, name: &str) -> Option<&'a Located> {
    configuration.assignments().iter().rfind(|located| is(located, name))
}

/// Whether an assignment of the files is this setting's.
fn is(located: &Located, name: &str) -> bool {
    located.name == name && !located.from_alter_system
}

fn last_line(file: &ConfFile, name: &str) -> Option<usize> {
    let entry = file.entries().iter().rfind(|entry| match &entry.kind {
        EntryKind::Assignment { name: found, .. } => found == name,
        _ => false,
    });
    entry.map(|entry| entry.line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // The tests set their own scenery.

    use super::*;
    use std::fs;

    fn configuration(files: &[(&str, &str)]) -> (tempfile::TempDir, Configuration) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let configuration = Configuration::load(&folder.path().join("postgresql.conf"), Some(folder.path())).unwrap();
        (folder, configuration)
    }

    fn text(edit: &Edit) -> String {
        String::from_utf8(edit.after.clone().unwrap()).unwrap()
    }

    #[test]
    fn edits_the_assignment_in_force_where_it_stands() {
        let (folder, configuration) = configuration(&[
            ("postgresql.conf", "work_mem = 1MB\ninclude 'x'\n#port = 5432\n"),
            ("x", "work_mem = 2MB # ours\nwork_mem=3MB"),
            ("postgresql.auto.conf", "work_mem = 4MB\n"),
        ]);
        let mut edited = Edited::default();
        edited.assign(&configuration, [("port", "5433"), ("work_mem", "8MB")]).unwrap();
        let edits = edited.edits(&configuration);
        let texts: Vec<String> = edits.iter().map(text).collect();
        let main = "work_mem = 1MB\ninclude 'x'\n#port = 5432\nport = 5433\n";
        assert_eq!(texts, [main, "work_mem = 2MB # ours\nwork_mem=8MB"]);
        assert_eq!(edited.line(&folder.path().join("x"), "work_mem"), Some(2));
        assert_eq!(edited.line(&folder.path().join("postgresql.conf"), "port"), Some(4));
    }

    #[test]
    fn takes_every_assignment_out_of_the_files_and_leaves_alter_system_alone() {
        let (_folder, configuration) = configuration(&[
            ("postgresql.conf", "work_mem = 1MB\ninclude 'x'\ninclude 'x'\nwork_mem = 5MB # why\n"),
            ("x", "work_mem = 2MB\n"),
            ("postgresql.auto.conf", "work_mem = 4MB\n"),
        ]);
        let mut edited = Edited::default();
        edited.remove(&configuration, "work_mem").unwrap();
        let texts: Vec<String> = edited.edits(&configuration).iter().map(text).collect();
        assert_eq!(texts, ["include 'x'\ninclude 'x'\n#work_mem = 5MB # why\n", ""]);
    }
}
