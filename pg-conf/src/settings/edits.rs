//! Edits of postgresql.conf and its includes as values: pure, so that a plan can be made, judged and shown before
//! anything is written.
//!
//! What must always hold: the assignment in force is the one that is edited, in the file where it stands;
//! postgresql.auto.conf belongs to ALTER SYSTEM, so what is taken out of it is kept apart from the other edits.

use pg_runbook::Failure;
use pg_runbook::configuration::{ALTER_SYSTEM_FILE, ConfFile, Configuration, Edit, EntryKind, Located, OWN_FILE};
use std::path::{Path, PathBuf};

const HEADING: &str = "# Settings that had no line in any other file, by pg-conf set.\n";

/// Files as they would be.
#[derive(Clone, Debug, Default)]
pub struct Edited {
    /// Each edited file once, by its absolute path.
    pub files: Vec<(PathBuf, ConfFile)>,
    /// postgresql.auto.conf, where something is taken out of it.
    pub alter_system: Option<(PathBuf, ConfFile)>,
}

impl Edited {
    /// Gives settings their values: where they are in force, else where a reader would look for them.
    pub fn assign<'a>(
        &mut self,
        configuration: &Configuration,
        wanted: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Failure> {
        for (name, value) in wanted {
            let file = self.file(configuration, &place(configuration, name))?;
            match last_line(file, name) {
                Some(line) => file.set_value(line, value)?,
                None => drop(file.insert(name, value)?),
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

    /// Takes what ALTER SYSTEM set a setting to away.
    pub fn take_back(&mut self, configuration: &Configuration, name: &str) -> Result<(), Failure> {
        for located in configuration.assignments().iter().filter(|it| it.name == name && it.from_alter_system) {
            let (_, file) = match &mut self.alter_system {
                Some(known) => known,
                none => none.insert((located.file.clone(), read(configuration, &located.file)?)),
            };
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

    /// What there is to write, ALTER SYSTEM's file left aside.
    pub fn edits(&self, configuration: &Configuration) -> Vec<Edit> {
        self.files.iter().filter_map(|edited| edit(configuration, edited)).collect()
    }

    /// What there is to write in ALTER SYSTEM's file.
    pub fn edit_of_alter_system(&self, configuration: &Configuration) -> Option<Edit> {
        self.alter_system.as_ref().and_then(|edited| edit(configuration, edited))
    }

    fn file(&mut self, configuration: &Configuration, path: &Path) -> Result<&mut ConfFile, Failure> {
        let known = self.files.iter().position(|(known, _)| known == path);
        let place = known.unwrap_or(self.files.len());
        if known.is_none() {
            self.files.push((path.to_owned(), read(configuration, path)?));
        }
        Ok(&mut self.files[place].1)
    }
}

/// The file that a setting stands in, or else would be looked for in: behind its commented-out default, in the folder
/// that the main file includes, in the main file. Where it stands nowhere, nothing that is read later can beat it.
pub fn place(configuration: &Configuration, name: &str) -> PathBuf {
    if let Some(located) = in_files(configuration, name) {
        return located.file.clone();
    }
    let shows = |(path, file): &(&Path, &ConfFile)| !path.ends_with(ALTER_SYSTEM_FILE) && file.shows_default(name);
    match (configuration.files().find(shows), configuration.included_folder()) {
        (Some((path, _)), _) => path.to_owned(),
        (None, Some(folder)) => folder.join(OWN_FILE),
        (None, None) => configuration.main_file().to_owned(),
    }
}

fn read(configuration: &Configuration, path: &Path) -> Result<ConfFile, Failure> {
    match configuration.file(path) {
        Some(file) => Ok(file.clone()),
        None if path.ends_with(OWN_FILE) => Ok(ConfFile::parse(HEADING.as_bytes())),
        None => Err(Failure::failed(format!("{} was not read", path.display()))),
    }
}

fn edit(configuration: &Configuration, (path, file): &(PathBuf, ConfFile)) -> Option<Edit> {
    let before = configuration.file(path).map(ConfFile::to_bytes);
    // Ours goes with the last setting in it.
    let after = Some(file.to_bytes()).filter(|bytes| !path.ends_with(OWN_FILE) || bytes != HEADING.as_bytes());
    Some(Edit { path: path.clone(), before, after }).filter(|edit| edit.before != edit.after)
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
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
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
    fn what_has_no_line_yet_goes_where_a_reader_would_look() {
        let (folder, configuration) = configuration(&[
            ("postgresql.conf", "#port = 5432\ninclude 'x'\ninclude_dir 'e'\ninclude_dir 'd'\nfsync = on\n"),
            ("x", "#work_mem = 4MB\n#port = 1\n"),
            ("d/10-first.conf", "#wal_level = replica\n"),
            ("e/10-first.conf", ""),
            ("postgresql.auto.conf", "#geqo = on\n"),
        ]);
        let found = |name: &str| place(&configuration, name).strip_prefix(folder.path()).unwrap().to_owned();
        assert_eq!(found("port"), Path::new("postgresql.conf"));
        assert_eq!(found("work_mem"), Path::new("x"));
        assert_eq!(found("wal_level"), Path::new("d/10-first.conf"));
        assert_eq!(found("geqo"), Path::new("d/90-pg-conf.conf"));
        let mut edited = Edited::default();
        edited.assign(&configuration, [("geqo", "off"), ("x.y", "a b"), ("geqo", "on")]).unwrap();
        let edits = edited.edits(&configuration);
        assert_eq!((edits.len(), &edits[0].before), (1, &None));
        assert_eq!(text(&edits[0]), format!("{HEADING}geqo = on\nx.y = 'a b'\n"));
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
        assert_eq!(edited.edit_of_alter_system(&configuration), None);
    }

    #[test]
    fn takes_back_what_alter_system_set_and_nothing_else() {
        let (_folder, configuration) = configuration(&[
            ("postgresql.conf", "work_mem = 1MB\n"),
            ("postgresql.auto.conf", "# Do not edit\nwork_mem = '4MB'\nport = '1'\nwork_mem = '5MB'\n"),
        ]);
        let mut edited = Edited::default();
        edited.take_back(&configuration, "work_mem").unwrap();
        edited.take_back(&configuration, "wal_level").unwrap();
        assert!(edited.edits(&configuration).is_empty());
        let edit = edited.edit_of_alter_system(&configuration).unwrap();
        assert_eq!(text(&edit), "# Do not edit\nport = '1'\n");
    }
}
