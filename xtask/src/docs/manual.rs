//! The manual: a page for each tool, one for each of its verbs, and pg-runbook(7) with the whole story and the document.
//!
//! What must always hold: nothing is written down here a second time. The tools' pages are made of their command lines,
//! pg-runbook(7) of README.md and docs/document.md.

use super::markdown::{self, Section};
use clap::Command;
use clap::builder::StyledStr;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pg_runbook::cli::help;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What of README.md is for whoever has the tools installed.
const STORY: [&str; 5] = [
    "The whole runbook, across two hosts",
    "When the standby fell behind",
    "Who gets in",
    "When a change was wrong",
    "What it refuses to do",
];

const STORY_NAME: &str = "pg-runbook";
const STORY_ABOUT: &str = "PostgreSQL streaming replication, set up and kept up by five small tools";

/// A page: its file's name, and what is in it.
pub struct Page {
    /// Such as `pg-conf-set.1`.
    pub name: String,
    /// For man.
    pub text: Vec<u8>,
}

/// All pages.
pub fn pages(tools: &[Command], root: &Path) -> Result<Vec<Page>, String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).map_err(|error| format!("read {path}: {error}"));
    let (readme, document) = (markdown::sections(&read("README.md")?), markdown::sections(&read("docs/document.md")?));
    let mut pages = vec![story(&readme, &document)?];
    let common = Common {
        exit_status: rows(&readme, "What it refuses to do")?,
        environment: rows(&document, "The environment")?,
    };
    for tool in tools {
        let mut tool = told_in_full(help::plain(tool.clone()));
        // Verbs get the tool's options only when the tool is built.
        tool.build();
        let verbs: Vec<&Command> = tool.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
        let pages_of_verbs: Vec<String> =
            verbs.iter().map(|verb| format!("{}-{}", tool.get_name(), verb.get_name())).collect();
        pages.push(common.page(&tool, tool.get_name(), &pages_of_verbs)?);
        for (verb, name) in verbs.into_iter().zip(&pages_of_verbs) {
            pages.push(common.page(verb, name, &[tool.get_name().to_owned()])?);
        }
    }
    Ok(pages)
}

/// An option that short help leaves out has its one line in the manual.
fn told_in_full(command: Command) -> Command {
    let command = command.mut_args(|argument| match (argument.get_long_help(), argument.get_help().cloned()) {
        (None, Some(help)) => argument.long_help(help),
        _ => argument,
    });
    command.mut_subcommands(told_in_full)
}

/// The table under a heading.
fn rows(sections: &[Section], heading: &str) -> Result<Vec<[Vec<Inline>; 2]>, String> {
    let section = find(sections, heading)?;
    section.two_columns().ok_or_else(|| format!("{heading:?} has no table of two columns"))
}

fn find<'a>(sections: &'a [Section], heading: &str) -> Result<&'a Section, String> {
    sections.iter().find(|section| section.heading == heading).ok_or_else(|| format!("there is no heading {heading:?}"))
}

/// What each tool's page ends with.
struct Common {
    exit_status: Vec<[Vec<Inline>; 2]>,
    environment: Vec<[Vec<Inline>; 2]>,
}

impl Common {
    fn page(&self, command: &Command, name: &str, others: &[String]) -> Result<Page, String> {
        let mut text = Vec::new();
        self.write(command, name, others, &mut text).map_err(|error| format!("write {name}.1: {error}"))?;
        Ok(Page { name: format!("{name}.1"), text })
    }

    fn write(&self, command: &Command, name: &str, others: &[String], text: &mut Vec<u8>) -> std::io::Result<()> {
        let man = Man::new(command.clone().name(name.to_owned()).display_name(name.to_owned()));
        let mut head = Roff::new();
        title(&mut head, name, "1");
        head.to_writer(text)?;
        man.render_name_section(text)?;
        synopsis(command).to_writer(text)?;
        man.render_description_section(text)?;
        if command.has_subcommands() {
            verbs(command, name).to_writer(text)?;
        }
        man.render_options_section(text)?;
        let mut end = Roff::new();
        if let Some(examples) = command.get_after_long_help() {
            after_help(&mut end, &examples.to_string());
        }
        table(&mut end, "EXIT STATUS", &self.exit_status);
        table(&mut end, "ENVIRONMENT", &self.environment);
        see_also(&mut end, others);
        end.to_writer(text)
    }
}

fn title(roff: &mut Roff, name: &str, section: &str) {
    let source = format!("pg-runbook {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [&name.to_uppercase(), section, &date(), &source, "pg-runbook"]);
}

/// Of the release where `SOURCE_DATE_EPOCH` says so, else today.
fn date() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = epoch.map_or_else(SystemTime::now, |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    humantime::format_rfc3339_seconds(time).to_string()[..10].to_owned()
}

fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let mut line = vec![bold(command.get_bin_name().unwrap_or(command.get_name()))];
    if command.has_subcommands() {
        line.extend([roman(" "), italic("VERB")]);
    }
    line.extend([roman(" ["), italic("OPTION"), roman("]...")]);
    for argument in command.get_positionals() {
        let name = argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
        let many = argument.get_num_args().is_some_and(|count| count.max_values() > 1);
        let many = if many { "..." } else { "" };
        let [left, right] = if argument.is_required_set() { ["", ""] } else { ["[", "]"] };
        line.extend([roman(format!(" {left}")), italic(name), roman(format!("{right}{many}"))]);
    }
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(line);
    roff
}

/// The verbs, each with the name of its own page.
fn verbs(command: &Command, tool: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["VERBS"]);
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        roff.control("TP", []);
        roff.text([bold(format!("{tool}-{}", verb.get_name())), roman("(1)")]);
        roff.text([roman(verb.get_about().map(StyledStr::to_string).unwrap_or_default())]);
    }
    roff
}

/// `Examples:` and what is below it, indented.
fn after_help(roff: &mut Roff, text: &str) {
    let mut in_example = false;
    for line in text.lines() {
        let indented = line.starts_with(' ') || (in_example && line.is_empty());
        if indented != in_example {
            roff.control(if indented { "EX" } else { "EE" }, []);
            in_example = indented;
        }
        match line.strip_suffix(':').filter(|heading| !indented && !heading.contains(' ')) {
            Some(heading) => roff.control("SH", [heading.to_uppercase().as_str()]),
            None if line.is_empty() && !in_example => roff.control("PP", []),
            None => roff.text([roman(line)]),
        };
    }
    if in_example {
        roff.control("EE", []);
    }
}

fn table(roff: &mut Roff, heading: &str, rows: &[[Vec<Inline>; 2]]) {
    roff.control("SH", [heading]);
    for [term, text] in rows {
        roff.control("TP", []);
        roff.text(term.clone());
        roff.text(text.clone());
    }
}

fn see_also(roff: &mut Roff, others: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for other in others {
        line.extend([bold(other.as_str()), roman("(1), ")]);
    }
    line.extend([bold(STORY_NAME), roman("(7)")]);
    roff.text(line);
}

fn story(readme: &[Section], document: &[Section]) -> Result<Page, String> {
    let mut roff = Roff::new();
    title(&mut roff, STORY_NAME, "7");
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{STORY_NAME} - {STORY_ABOUT}"))]);
    roff.control("SH", ["DESCRIPTION"]);
    let first = readme.first().ok_or("README.md is empty")?;
    first.write(&mut roff);
    for heading in STORY {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        find(readme, heading)?.write(&mut roff);
    }
    for (index, section) in document.iter().enumerate() {
        // The page's own title stands for what comes before its first heading.
        let level = if index == 0 { "SH" } else { section.level() };
        let heading = if index == 0 { section.heading.to_uppercase() } else { section.heading.clone() };
        roff.control(level, [heading.as_str()]);
        section.write(&mut roff);
    }
    let tools = ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap"];
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = tools.iter().flat_map(|tool| [bold(*tool), roman("(1), ")]).collect();
    line.extend([bold("pg_basebackup"), roman("(1)")]);
    roff.text(line);
    Ok(Page { name: format!("{STORY_NAME}.7"), text: roff.render().into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Page> {
        pages(&crate::docs::tools(), &crate::docs::root()).unwrap()
    }

    #[test]
    fn every_tool_and_every_verb_has_a_page_that_says_how_it_ends_and_where_to_read_on() {
        let pages = all();
        for tool in crate::docs::tools() {
            let verbs = tool.get_subcommands().map(|verb| format!("{}-{}.1", tool.get_name(), verb.get_name()));
            for name in verbs.chain([format!("{}.1", tool.get_name())]) {
                let page = pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no {name}"));
                let text = String::from_utf8_lossy(&page.text);
                for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"] {
                    let quoted = format!(".SH \"{heading}\"\n");
                    assert!(text.contains(&format!(".SH {heading}\n")) || text.contains(&quoted), "{name}: {heading}");
                }
                assert!(!text.contains('`'), "{name} has a mark of Markdown");
            }
        }
    }

    #[test]
    fn an_option_that_only_long_help_shows_is_described() {
        let pages = all();
        let text = |name: &str| pages.iter().find(|page| page.name == name).map(|page| page.text.clone()).unwrap();
        let page = String::from_utf8(text("pg-basebackup-swap-run.1")).unwrap();
        let lines: Vec<&str> = page.lines().collect();
        let options = lines.iter().enumerate().filter(|(_, line)| line.contains("\\-\\-waldir"));
        let described =
            |number: usize| lines[number + 1..].iter().take_while(|line| !line.starts_with(".TP")).count() > 0;
        assert!(options.clone().count() > 0 && options.clone().all(|(number, _)| described(number)), "{page}");
    }

    #[test]
    fn the_story_has_the_pipeline_and_every_field_of_the_document() {
        let pages = all();
        let story = pages.iter().find(|page| page.name == "pg-runbook.7").unwrap();
        let text = String::from_utf8_lossy(&story.text).replace("\\-", "-");
        assert!(text.contains("pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming"));
        for field in ["schema", "changed", "needs", "primary", "steps", "warnings"] {
            assert!(text.contains(&format!("\\fB{field}\\fR")), "{field}");
        }
    }
}
