//! The way through every tool: arguments → document in → verb → document out → exit code. A shell that asks how a line
//! could go on takes another way ([`completion`]).
//!
//! What must always hold: whatever happens, one document is written (or the loss of stdout is told and is a failure),
//! and the exit code agrees with it.

pub mod arguments;
pub mod colour;
pub mod help;
pub mod password;
pub mod run;
pub mod table;

mod ansible;
mod input;
mod other_end;
mod output;
mod rounds;

pub use ansible::OTHER_NAMES as ANSIBLE_NAMES;
pub use arguments::CommonArguments;
pub(crate) use other_end::is_over_ssh;
pub use password::PasswordArguments;
pub use rounds::Rounds;
pub use run::Run;

use crate::document::{Document, Step};
use crate::failure::{Code, Failure};
use crate::{completion, invocation, signals};
use clap::error::ErrorKind;
use clap::{ColorChoice, Parser};
use colour::Palette;
use serde_json::Map;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// What the runner must know of a verb before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// It stops, restarts, drops, promotes or replaces: an empty pipe is refused.
    pub disturbs: bool,
    /// It works on a cluster that must exist, so with `--check` it has nothing to say of one that is only planned.
    pub wants_cluster: bool,
}

/// One of the five tools.
pub trait Tool: Parser {
    /// Its name.
    const NAME: &'static str;

    /// The options that every tool has.
    fn common(&self) -> &CommonArguments;

    /// The verb that was asked for.
    fn verb(&self) -> Verb;

    /// Whether standard input carries a password.
    fn password_on_stdin(&self) -> bool {
        false
    }

    /// Does it.
    fn run(self, run: &mut Run) -> Result<(), Failure>;
}

/// A tool's `main`.
#[must_use]
pub fn main<T: Tool>() -> ExitCode {
    if let Some(code) = completion::answer(T::NAME, T::command) {
        return code;
    }
    let begun = Instant::now();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let guarded = std::panic::catch_unwind(|| signals::listen().and_then(|()| start::<T>(&arguments)));
    match guarded.unwrap_or_else(|_| Err(Failure::failed("a fault in this program (its message stands above)"))) {
        Ok(Start::Done(code)) => code,
        Ok(Start::Ran(run, verb, result, reading)) => {
            output::finish(*run, verb, result, begun.elapsed().saturating_sub(reading))
        }
        Err(failure) => output::fail_early(&T::command(), T::NAME, &arguments, &failure),
    }
}

enum Start {
    Done(ExitCode),
    Ran(Box<Run>, Verb, Result<(), Failure>, std::time::Duration),
}

fn start<T: Tool>(arguments: &[OsString]) -> Result<Start, Failure> {
    // Like --help and --version, it needs no verb and nothing else.
    if arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--schema") {
        return Ok(Start::Done(output::schema(T::NAME)));
    }
    let module = ansible_file(arguments)?.map(|file| ansible::read(&file, &T::command())).transpose()?;
    let words = module.as_ref().map_or(arguments, |request| &request.arguments);
    let tool = match parse::<T>(words) {
        Ok(tool) => tool,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Start::Done(output::help(T::NAME, &error)));
        }
        Err(error) => return Err(usage::<T>(&error, arguments)),
    };
    let (common, verb) = (tool.common().clone(), tool.verb());
    if common.verbose {
        invocation::show_commands();
    }
    let waiting = Instant::now();
    let expected = input::Expectation { disturbs: verb.disturbs, password_on_stdin: tool.password_on_stdin() };
    let read = || input::read(&common, expected, &|text| output::tell(T::NAME, &common, text));
    let (input, secrets) = match module {
        Some(request) => (request.document, Some(request.secrets)),
        None => (read()?, None),
    };
    let reading = waiting.elapsed();
    if let Some(upstream) = input.as_ref().filter(|document| document.failed) {
        return Ok(Start::Done(output::pass_on(T::NAME, &common, upstream)));
    }
    if let Some(cluster) = input.as_ref().and_then(|document| document.cluster.as_ref())
        && cluster.host_id != crate::cluster::host::id()
    {
        return Err(run::foreign(cluster));
    }
    let mut run = Run::new(T::NAME, verb.name, common, input, secrets);
    let is_module = run.is_module();
    let result = attempt(tool, verb, &mut run).map_err(|failure| {
        let lacks_a_document = failure.code == Code::Usage && !run.has_input() && !is_module;
        if lacks_a_document && input::leaves_a_session_unread(&run.common, expected) {
            return failure.because("standard input is the ssh session's own, and was not read: --input - reads it");
        }
        failure
    });
    Ok(Start::Ran(Box::new(run), verb, result, reading))
}

/// Help has colours where the rest has them.
fn parse<T: Tool>(words: &[OsString]) -> Result<T, clap::Error> {
    let choice = if Palette::of(&std::io::stdout()).is_empty() { ColorChoice::Never } else { ColorChoice::Always };
    let mut command = help::plain(T::command()).color(choice);
    let matches = command.try_get_matches_from_mut(words)?;
    T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn attempt<T: Tool>(tool: T, verb: Verb, run: &mut Run) -> Result<(), Failure> {
    let named = run.common.cluster.is_some() || run.common.pgdata.is_some();
    if verb.wants_cluster && !named && run.cluster_is_only_planned() {
        let title = run.document.cluster.as_ref().map(crate::cluster::Cluster::title).unwrap_or_default();
        run.message(format!("{title} does not exist yet; what {} would do there can't be told before", verb.name));
        return Ok(());
    }
    let work = std::panic::AssertUnwindSafe(|| tool.run(run));
    std::panic::catch_unwind(work)
        .unwrap_or_else(|_| Err(Failure::failed("a fault in this program (its message stands above)")))
}

/// The file, where `--ansible` is there; then nothing else may be.
fn ansible_file(arguments: &[OsString]) -> Result<Option<PathBuf>, Failure> {
    match arguments {
        [_, option, file] if option == "--ansible" => Ok(Some(PathBuf::from(file))),
        _ if arguments.iter().any(|word| word.to_string_lossy().starts_with("--ansible")) => {
            Err(Failure::usage("--ansible FILE goes with nothing else: every option is in the file"))
        }
        _ => Ok(None),
    }
}

fn usage<T: Tool>(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let command = T::command();
    let verb = arguments.iter().skip(1).find_map(|word| command.find_subcommand(word));
    let help =
        verb.map_or_else(|| format!("{} --help", T::NAME), |verb| format!("{} {} --help", T::NAME, verb.get_name()));
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        return Failure::usage(format!("{} needs a verb", T::NAME))
            .because(format!("there are: {}", verbs.join(", ")))
            .hint(help);
    }
    if let Some(clap::error::ContextValue::String(word)) = error.get(clap::error::ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && !word.starts_with('-')
        && ["pg-role", "pg-pass"].contains(&T::NAME)
    {
        return Failure::usage("one argument is too many (it is not shown: it may be a password)")
            .because(
                "a password is never an argument; it comes by --password-file, --password-command or --password-stdin",
            )
            .hint(help);
    }
    if let Some(clap::error::ContextValue::String(word)) = error.get(clap::error::ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && crate::cluster::split_name(word).is_ok()
    {
        let verb = verb.map(|verb| format!(" {}", verb.get_name())).unwrap_or_default();
        return Failure::usage(format!("{word} is one argument too many"))
            .hint(format!("if the cluster is meant: {}{verb} --cluster {word}", T::NAME));
    }
    let text = error.render().to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or_default();
    let mut lines =
        said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let first = lines.next().unwrap_or("the command line can't be understood").trim_start_matches("error: ").to_owned();
    let failure = lines.fold(Failure::usage(first), Failure::because);
    failure.hint(help)
}

pub(crate) fn step(document: &Document, changed: bool, seconds: f64) -> Step {
    let rounded = (seconds * 1000.0).round() / 1000.0;
    Step { tool: document.tool.clone(), action: document.action.clone(), changed, seconds: rounded, rest: Map::new() }
}

/// The exit code of a run that went well.
fn success(detailed: bool, changed: bool) -> ExitCode {
    ExitCode::from(if detailed && changed { 10 } else { 0 })
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
