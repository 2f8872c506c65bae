//! A cluster's configuration as the server would read it: the main file, what it includes, postgresql.auto.conf.
//!
//! What must always hold: nothing but [`judge`] starts a program and nothing is written to find out, the order is the server's, and every
//! value can be traced to its file and line. Command line options, which beat all of this, are not seen here.

pub mod conf_file;
pub mod control_file;
pub mod cross_checks;
pub mod edit;
pub mod history;
pub mod judge;
mod lexer;
pub mod physical_lines;
mod tree;

use std::path::{Path, PathBuf};

pub use conf_file::{ConfFile, Entry, EntryKind, quote_value};
pub use edit::Edit;
pub use history::History;

use crate::Failure;
use tree::Tree;

/// What ALTER SYSTEM writes, in the data directory.
pub const ALTER_SYSTEM_FILE: &str = "postgresql.auto.conf";

/// Where `pg-conf` puts settings that no file has a line for, in a folder that the main file includes. What an
/// administrator numbers 91 and above still beats it.
pub const OWN_FILE: &str = "90-pg-conf.conf";

/// All files that the server reads its settings from.
#[derive(Clone, Debug)]
pub struct Configuration {
    main_file: PathBuf,
    tree: Tree,
    assignments: Vec<Located>,
}

/// An assignment, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// In lower case.
    pub name: String,
    /// Without quotes and escapes.
    pub value: String,
    /// The absolute path of the file.
    pub file: PathBuf,
    /// The line in that file, from 1.
    pub line: usize,
    /// Whether it stands in postgresql.auto.conf.
    pub from_alter_system: bool,
}

impl Configuration {
    /// Reads the main file, what it includes, and postgresql.auto.conf of the data directory where there is one.
    ///
    /// Fails where the server would refuse the files before it looks at a value: a file that is missing or can't be
    /// read, or includes that go round. Syntax errors are kept, see [`Self::syntax_errors`].
    pub fn load(config_file: &Path, data_directory: Option<&Path>) -> Result<Self, Failure> {
        let main_file = tree::absolute(config_file);
        let mut tree = Tree::default();
        let mut assignments = tree.load_main(&main_file)?;
        if let Some(directory) = data_directory {
            assignments.extend(tree.load_alter_system(&tree::absolute(directory).join(ALTER_SYSTEM_FILE))?);
        }
        Ok(Self { main_file, tree, assignments })
    }

    /// Every assignment, in the order in which the server applies them.
    #[must_use]
    pub fn assignments(&self) -> &[Located] {
        &self.assignments
    }

    /// The assignment of this name that wins.
    #[must_use]
    pub fn in_force(&self, name: &str) -> Option<&Located> {
        self.of(name).next_back()
    }

    /// The assignments of this name that lose, in the server's order.
    #[must_use]
    pub fn overridden(&self, name: &str) -> Vec<&Located> {
        let mut all: Vec<_> = self.of(name).collect();
        all.pop();
        all
    }

    /// The lines that the server would stumble over.
    #[must_use]
    pub fn syntax_errors(&self) -> Vec<(PathBuf, usize)> {
        let errors = |(path, file): (&Path, &ConfFile)| {
            let invalid = file.entries().iter().filter(|entry| entry.kind == EntryKind::Invalid);
            invalid.map(|entry| (path.to_owned(), entry.line)).collect::<Vec<_>>()
        };
        self.files().flat_map(errors).collect()
    }

    /// One of the files that were read, by its absolute path.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<&ConfFile> {
        self.tree.file(path)
    }

    /// The absolute path of the file that everything begins with.
    #[must_use]
    pub fn main_file(&self) -> &Path {
        &self.main_file
    }

    /// The folder that the main file includes, the last where there are several.
    #[must_use]
    pub fn included_folder(&self) -> Option<PathBuf> {
        self.tree.included_folder(&self.main_file)
    }

    /// Every file that was read, once, in the order in which the server first opens them.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &ConfFile)> {
        self.tree.files()
    }

    /// The text of one file that says what the main file and its includes say, with `edited` in the place of files
    /// that were read, or beside them in a folder that is included. postgresql.auto.conf is left out: `postgres -C
    /// name -D DIR -c config_file=CANDIDATE` reads it by itself. Line numbers are the candidate's own.
    #[must_use]
    pub fn flattened(&self, edited: &[(PathBuf, ConfFile)]) -> Vec<u8> {
        self.tree.flattened(&self.main_file, edited)
    }

    fn of<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = &'a Located> + use<'a> {
        let name = name.to_ascii_lowercase();
        self.assignments.iter().filter(move |located| located.name == name)
    }
}

#[cfg(test)]
mod tests;
