//! What a page or a help text says to type, read by the tools' own command lines.

use clap::Parser;

/// Whether the tool takes these words.
pub fn parse(words: &[String]) -> Result<(), clap::Error> {
    match words[0].as_str() {
        "pg-role" => pg_role::Arguments::try_parse_from(words).map(drop),
        "pg-conf" => pg_conf::Arguments::try_parse_from(words).map(drop),
        "pg-cluster" => pg_cluster::Arguments::try_parse_from(words).map(drop),
        "pg-pass" => pg_pass::Arguments::try_parse_from(words).map(drop),
        "pg-basebackup-swap" => pg_basebackup_swap::Arguments::try_parse_from(words).map(drop),
        other => panic!("there is no tool {other}: {words:?}"),
    }
}
