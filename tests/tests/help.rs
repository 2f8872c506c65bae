//! Help as people read it: `-?` is short, `--help` has examples, and each example is a command that its tool takes.

mod typed;

use clap::{Command, CommandFactory};
use typed::parse;

fn tools() -> [Command; 5] {
    let mut tools = [
        pg_role::Arguments::command(),
        pg_conf::Arguments::command(),
        pg_cluster::Arguments::command(),
        pg_pass::Arguments::command(),
        pg_basebackup_swap::Arguments::command(),
    ];
    tools.iter_mut().for_each(Command::build);
    tools
}

/// The tools themselves and their verbs, each with its full name.
fn all() -> Vec<(String, Command)> {
    let verbs = |tool: &Command| -> Vec<(String, Command)> {
        let named = |verb: &Command| (format!("{} {}", tool.get_name(), verb.get_name()), verb.clone());
        tool.get_subcommands().map(named).collect()
    };
    let tools = tools();
    let alone = tools.iter().map(|tool| (tool.get_name().to_owned(), tool.clone()));
    alone.chain(tools.iter().flat_map(verbs)).collect()
}

/// The words of a command as a shell makes them, as far as the examples need it.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (number, piece) in command.split('\'').enumerate() {
        if number % 2 == 1 {
            words.last_mut().expect("a word").push_str(piece);
            continue;
        }
        for (place, word) in piece.split(' ').enumerate() {
            if place > 0 {
                words.push(String::new());
            }
            words.last_mut().expect("a word").push_str(word);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn examples(command: &Command) -> Vec<String> {
    let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| line.starts_with("pg-")).map(str::to_owned).collect()
}

#[test]
fn each_verb_has_examples_that_its_tool_takes() {
    for (name, command) in all() {
        let examples = examples(&command);
        assert!((2..=4).contains(&examples.len()), "{name}: {examples:#?}");
        assert!(examples.iter().any(|example| example.contains(&name)), "{name} is in none of its own: {examples:#?}");
        for example in examples {
            let without_output = example.split(" > ").next().unwrap_or_default();
            for part in without_output.split(" | ").filter(|part| part.starts_with("pg-")) {
                parse(&words(part)).unwrap_or_else(|error| panic!("{name}: {part}\n{error}"));
            }
        }
    }
    assert!(parse(&words("pg-cluster status --wacth")).is_err(), "what is no command would be found");
}

#[test]
fn help_has_no_backticks_and_says_the_same_without_them() {
    for command in tools() {
        let shown = pg_runbook::cli::help::plain(command).render_long_help().to_string();
        assert!(!shown.contains('`'), "{shown}");
    }
    let conf = pg_runbook::cli::help::plain(pg_conf::Arguments::command()).render_long_help().to_string();
    assert!(conf.contains("Edit postgresql.conf and pg_hba.conf: where"), "{conf}");
}

#[test]
fn short_help_has_a_line_an_option_and_fits_a_screen_of_80_by_40() {
    for (name, command) in all() {
        let help = command.term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 40, "{name}: {} lines\n{help}", help.lines().count());
        assert!(help.contains("--help has all options"), "{name}\n{help}");
        let mut options = help.lines().skip_while(|line| !line.ends_with("ptions:"));
        // Only the end of a list of values may go on.
        let goes_on = |line: &&str| line.starts_with("           ") && !line.ends_with(']') && !line.ends_with("]:");
        assert_eq!(options.find(goes_on), None, "{name}\n{help}");
        let trailing = |line: &&str| line.ends_with(' ');
        assert_eq!(help.lines().find(trailing), None, "{name}\n{help}");
    }
}

#[test]
fn long_help_says_more_than_the_short_one_and_where_the_manual_is() {
    for (name, command) in all() {
        let (mut short, mut long) = (command.clone().term_width(80), command.term_width(80));
        let (short, long) = (short.render_help().to_string(), long.render_long_help().to_string());
        assert!(long.lines().count() > short.lines().count(), "{name}");
        assert!(long.contains(&format!("man {}", name.replace(' ', "-"))), "{name}\n{long}");
        assert_eq!(long.contains("Exit codes:\n"), !name.contains(' '), "exit codes are told once: {name}\n{long}");
    }
}
