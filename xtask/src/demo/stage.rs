//! What the audience sees: titles, commands as they are typed, what the tools say, and one line on what it came to.

use crate::ground::{Background, Ground, Outcome, refuse_after_a_signal};
use serde_json::Value;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

/// Runs commands before an audience.
pub struct Stage<'a> {
    ground: &'a Ground,
    bold: bool,
    background: Vec<Background>,
    took: f64,
    tools: usize,
}

impl<'a> Stage<'a> {
    pub fn new(ground: &'a Ground) -> Self {
        let bold = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { ground, bold, background: Vec::new(), took: 0.0, tools: 0 }
    }

    pub fn title(&self, text: &str) {
        println!("\n{}\n", self.strong(text));
    }

    pub fn note(text: &str) {
        println!("{text}\n");
    }

    fn strong(&self, text: &str) -> String {
        if self.bold { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A pipeline that ends in a document (also where it goes to a file).
    pub fn document(&mut self, command: &str) -> Outcome<Value> {
        let said = self.perform(command)?;
        let text = match command.rsplit_once("> ") {
            Some((_, file)) => std::fs::read_to_string(self.ground.folder.join(file))
                .map_err(|error| format!("read {file}: {error}"))?,
            None => said,
        };
        serde_json::from_str(&text).map_err(|error| format!("{command:?} ended in no document: {error}"))
    }

    /// Any other command.
    pub fn plainly(&mut self, command: &str) -> Outcome<()> {
        let said = self.perform(command)?;
        said.lines().for_each(|line| println!("  {line}"));
        Ok(())
    }

    /// A command that goes on until the audience leaves.
    pub fn background(&mut self, command: &str) -> Outcome<()> {
        println!("{}", self.strong(&format!("$ {command} &")));
        self.background.push(self.ground.background(command)?);
        Ok(())
    }

    /// One line on what a pipeline came to.
    pub fn told(&self, document: &Value) {
        let message = document["msg"].as_str().unwrap_or_default();
        // A document that came from a file also has the steps of the pipeline that wrote it.
        let steps = document["steps"].as_array().map(|steps| steps.iter().rev().take(self.tools)).into_iter().flatten();
        let changed = steps.filter(|step| step["changed"] == Value::Bool(true)).count();
        println!("  → {message} ({changed} of {} steps changed something, {:.1} s)", self.tools, self.took);
    }

    /// A pipeline that is to fail with this exit code.
    pub fn fails(&mut self, command: &str, code: i32) -> Outcome<()> {
        let (_, status) = self.attempt(command)?;
        println!("  → {status}");
        if status.code() == Some(code) { Ok(()) } else { Err(format!("it ended with {status}, not with {code}")) }
    }

    fn perform(&mut self, command: &str) -> Outcome<String> {
        let (said, status) = self.attempt(command)?;
        if status.success() { Ok(said) } else { Err(format!("it ended with {status}")) }
    }

    fn attempt(&mut self, command: &str) -> Outcome<(String, ExitStatus)> {
        refuse_after_a_signal()?;
        println!("{}", self.strong(&format!("$ {command}")));
        let begun = Instant::now();
        let mut shell = self.ground.shell(command);
        let mut child = shell
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("start {command:?}: {error}"))?;
        if let Some(stderr) = child.stderr.take() {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| println!("  {line}"));
        }
        let mut said = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut said).map_err(|error| format!("read what {command:?} says: {error}"))?;
        }
        let status = child.wait().map_err(|error| format!("wait for {command:?}: {error}"))?;
        self.took = begun.elapsed().as_secs_f64();
        self.tools = command.split('|').count();
        Ok((said, status))
    }
}
