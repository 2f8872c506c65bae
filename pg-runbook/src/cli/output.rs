//! The end of a run: the document on stdout, the error on stderr, the exit code; the only writer of stdout.
//!
//! What must always hold: a document that could not be written is a failure, said on stderr, also where the work was
//! done.

use super::arguments::{CommonArguments, OutputForm};
use super::table::{self, Screen};
use super::{Run, Verb, ansible, input, step, success};
use crate::document::{Document, JSON_SCHEMA};
use crate::failure::{Code, Failure};
use crate::stderr;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

pub(super) fn tell(tool: &str, common: &CommonArguments, text: &str) {
    if !common.quiet {
        stderr::line(tool, text);
    }
}

/// Ends a run that came as far as its verb.
pub(super) fn finish(mut run: Run, verb: Verb, result: Result<(), Failure>, took: Duration) -> ExitCode {
    run.mark_done();
    let changed = run.changed();
    if let Err(failure) = &result {
        run.document.fail(failure);
        if run.is_module() {
            run.document.msg = ansible::message(failure);
        }
        explain(run.tool, failure);
    } else if run.document.msg.is_empty() {
        run.document.msg = format!("{}: nothing to do", verb.name);
    }
    let step = step(&run.document, changed, took.as_secs_f64());
    run.document.steps.push(step);
    let written = if run.writes_text() {
        if result.is_ok() && !run.is_told() { write(&account(&run)) } else { Ok(()) }
    } else {
        write(&run.document.to_json())
    };
    match (result, written) {
        (Err(failure), _) => failure.code.into(),
        (Ok(()), Err(error)) => lost(run.tool, &error, changed),
        (Ok(()), Ok(())) => success(run.common.detailed_exitcode, run.document.changed),
    }
}

/// Ends a run that didn't come as far as its verb: bad arguments, bad input.
pub(super) fn fail_early(command: &clap::Command, tool: &str, arguments: &[OsString], failure: &Failure) -> ExitCode {
    explain(tool, failure);
    let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    let action = words.iter().find(|word| command.find_subcommand(&***word).is_some());
    let mut document = Document::new(tool, action.map_or("", |word| word));
    document.fail(failure);
    let as_module = words.iter().any(|word| *word == "--ansible");
    if as_module {
        document.msg = ansible::message(failure);
    }
    document.steps.push(step(&document, false, 0.0));
    let asked = |form: &str| {
        words.iter().any(|word| *word == format!("--output={form}"))
            || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == form)
    };
    if as_module || asked("json") || !asked("text") && !std::io::stdout().is_terminal() {
        let _ = write(&document.to_json());
    }
    failure.code.into()
}

/// Hands a failed upstream document on as it is. Whoever failed has told of it; amid a pipeline there is nothing to add.
pub(super) fn pass_on(tool: &str, common: &CommonArguments, upstream: &Document) -> ExitCode {
    let text = common.output.map_or_else(|| std::io::stdout().is_terminal(), |form| form == OutputForm::Text);
    if text || !input::is_amid_a_pipeline(common) {
        stderr::line(tool, &format!("error: {} failed before; nothing was done here", upstream.tool));
    }
    if !text {
        let _ = write(&upstream.to_json());
    }
    Code::Upstream.into()
}

/// Help and version are texts, for whoever asked.
pub(super) fn help(tool: &str, error: &clap::Error) -> ExitCode {
    read(tool, error.print())
}

/// The schema is no document of a run, and has its own form whatever `--output` says.
pub(super) fn schema(tool: &str) -> ExitCode {
    read(tool, write(JSON_SCHEMA.trim_end()))
}

/// Who leaves before the end of such a text (`head`, a pager) has read what was wanted.
fn read(tool: &str, written: std::io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            stderr::line(tool, &format!("error: write on standard output: {error}"));
            Code::Failed.into()
        }
        _ => ExitCode::SUCCESS,
    }
}

fn account(run: &Run) -> String {
    let mut lines = table::sentence(&run.document.msg, &Screen::of_stdout());
    lines.extend(run.account_lines().iter().cloned());
    lines.extend(of_the_pipeline(&run.document).filter(|_| run.has_input()));
    lines.join("\n")
}

/// What all steps came to, for whoever sees only the last one's words.
fn of_the_pipeline(document: &Document) -> Option<String> {
    let (all, changed) = (document.steps.len(), document.steps.iter().filter(|step| step.changed).count());
    let would = if document.check { "would change" } else { "changed" };
    (all > 1).then(|| match changed {
        0 => format!("none of {all} steps {would} anything"),
        _ => format!("{changed} of {all} steps {would} something"),
    })
}

pub(super) fn write(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

fn lost(tool: &str, error: &std::io::Error, changed: bool) -> ExitCode {
    let done = if changed { "what was asked for was done" } else { "nothing was changed" };
    stderr::line(tool, &format!("error: write the document on standard output: {error}; {done}"));
    Code::Failed.into()
}

/// The error as people read it, in the manner of PostgreSQL's own programs.
fn explain(tool: &str, failure: &Failure) {
    let mut lines = vec![format!("error: {}", failure.message)];
    let causes = failure.causes.iter().filter(|cause| !cause.is_empty());
    lines.extend(causes.map(|cause| format!("detail: {}", cause.replace('\n', "\n    "))));
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
    stderr::line(tool, &lines.join("\n"));
}
