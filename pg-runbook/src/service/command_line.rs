//! What a server was started with, for a start after which nothing else is to be different.
//!
//! What must always hold: where its data and its configuration are is none of it; who starts the server says that.

use super::Manager;
use crate::cluster::Cluster;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// What a server that `pg_ctl` started was told besides where its data and its configuration are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// Its words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// The running server's (`postmaster.opts`), for a start after which nothing else is to be different. Debian's wrapper
/// and systemd have their own.
pub fn command_line(cluster: &Cluster) -> Result<CommandLine, Failure> {
    if !cluster.has_process() || Manager::of(cluster)? != Manager::PgCtl {
        return Ok(CommandLine::default());
    }
    Ok(CommandLine(last_options(cluster)))
}

/// The options of its last start, whoever made it, without those that say where its data and its configuration are.
#[must_use]
pub fn last_options(cluster: &Cluster) -> Vec<String> {
    let text = std::fs::read_to_string(cluster.data_directory.join("postmaster.opts")).unwrap_or_default();
    options(&text)
}

/// The words stand in double quotes, behind the program's path.
fn options(text: &str) -> Vec<String> {
    let mut words = text.trim_end().split('"').skip(1).step_by(2).map(str::to_owned);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-D" => drop(words.next()),
            "-c" => match words.next() {
                Some(setting) if is_config_file(&setting) => {}
                setting => kept.extend(std::iter::once(word).chain(setting)),
            },
            _ if word.strip_prefix("-D").is_some() => {}
            _ if word.strip_prefix("--").or(word.strip_prefix("-c")).is_some_and(is_config_file) => {}
            _ => kept.push(word),
        }
    }
    kept
}

fn is_config_file(setting: &str) -> bool {
    setting.starts_with("config_file=") || setting.starts_with("config-file=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_like_the_last_one_leaves_out_what_is_said_anyway() {
        let text = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/srv/a b\" \"-p\" \"5433\" \"-c\" \"config_file=/etc/x\" \
            \"-c\" \"work_mem=8MB\" \"--config_file=/etc/x\" \"-F\"\n";
        assert_eq!(options(text), ["-p", "5433", "-c", "work_mem=8MB", "-F"]);
    }
}
