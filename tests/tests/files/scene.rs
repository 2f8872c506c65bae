//! A server that runs with its own configuration while other files lie in its place.
//!
//! What must always hold: the server is never told to load them; its views read them by themselves.

use std::path::{Path, PathBuf};
use tests::{Example, Sandbox, TestCluster, names_below};

/// Bytes of an answer that may hold anything.
pub type Row = Vec<Option<Vec<u8>>>;

/// Puts files into the data directory, and takes those away that were not there before.
pub struct Laid<'a> {
    cluster: &'a TestCluster<'a>,
    new: Vec<PathBuf>,
}

impl<'a> Laid<'a> {
    /// The files of an example; its main one becomes `name`.
    pub fn example(cluster: &'a TestCluster<'a>, name: &str, example: &Example) -> Self {
        let mut files = example.companions();
        files.push((name.into(), example.bytes()));
        Self::files(cluster, &files)
    }

    /// These files.
    pub fn files(cluster: &'a TestCluster<'a>, files: &[(PathBuf, Vec<u8>)]) -> Self {
        let mut new = Vec::new();
        for (name, bytes) in files {
            let path = cluster.data.join(name);
            let is_new = !path.exists();
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
            std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
            give_whole_path(cluster, &path);
            new.extend(Some(path).filter(|_| is_new));
        }
        Self { cluster, new }
    }
}

impl Drop for Laid<'_> {
    fn drop(&mut self) {
        for path in &self.new {
            let _ = std::fs::remove_file(path);
            // The folders that it needed, where nothing else is in them.
            for folder in path.ancestors().skip(1).take_while(|folder| *folder != self.cluster.data) {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

fn give_whole_path(cluster: &TestCluster, path: &Path) {
    for part in path.ancestors().take_while(|part| *part != cluster.data) {
        cluster.sandbox.give_to_owner(part);
    }
}

/// The rows of a query, byte for byte; each column is a text.
pub fn rows(cluster: &TestCluster, columns: &[&str], rest: &str) -> Vec<Row> {
    let hex = |column: &&str| format!("coalesce(encode(textsend(({column})::text), 'hex'), '-')");
    let columns: Vec<String> = columns.iter().map(hex).collect();
    let answer = cluster.sql(&format!("SELECT concat_ws(' ', {}) FROM {rest}", columns.join(", ")));
    answer.lines().map(|line| line.split(' ').map(from_hex).collect()).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (text != "-").then(|| (0..text.len()).step_by(2).map(byte).collect())
}

/// The text of a column, as our models keep it.
pub fn text(column: Option<&Vec<u8>>) -> Option<String> {
    column.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// A file that the server came with: `postgresql.conf.sample`.
pub fn sample(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    let server = &sandbox.server;
    let beside = server.bin.parent().expect("a folder").join("share");
    let folders = [beside, PathBuf::from(format!("/usr/share/postgresql/{}", server.major))];
    let mut found = folders.iter().flat_map(|folder| names_below(folder));
    let path = found.find(|path| path.file_name().is_some_and(|file| file == name));
    let path = path.unwrap_or_else(|| panic!("no {name} in {folders:?}"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("read {path:?}: {error}"))
}

/// The same lines in every run: a piece of each column, and in one line of four something that disturbs.
pub fn lines_of(columns: &[&[&[u8]]], noise: &[&[u8]], count: usize, seed: u64) -> Vec<u8> {
    // Marsaglia's xorshift: it only has to be even.
    let mut state = seed;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let disturbed = next(4 * columns.len());
        for (index, column) in columns.iter().enumerate() {
            bytes.extend_from_slice(column[next(column.len())]);
            if index == disturbed {
                bytes.extend_from_slice(noise[next(noise.len())]);
            }
        }
        bytes.push(b'\n');
    }
    bytes
}
