//! The system calls by which a tool changes something, and runs that are hindered at one of them, by strace.
//!
//! What must always hold: the tool itself is hindered, never its children nor a server; strace counts each name by
//! itself, so a call is its name and its number.

use crate::command::ToolCommand;
use crate::sandbox::Sandbox;
use crate::skipped::has_program;
use std::collections::BTreeMap;

/// What changes a file system, begins or ends a process, or says something; `?` where an architecture may not have it.
const CHANGES: &str = "?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,\
    fsync,fdatasync,syncfs,write,ftruncate,?chmod,fchmod,?chown,fchown,fchownat,kill,?fork,?vfork,clone,?clone3";

/// One call of a run: its name, and that it is the so-many-th of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Such as `fsync`.
    pub name: String,
    /// From 1 on.
    pub number: usize,
}

/// Whether strace is there, with the reason to skip where it is not.
pub fn has_strace() -> bool {
    has_program(STRACE)
}

pub(crate) const STRACE: &str = "/usr/bin/strace";

impl ToolCommand<'_> {
    /// Runs it to its end and tells its calls, in order.
    #[track_caller]
    pub fn calls(self, sandbox: &Sandbox) -> Vec<Call> {
        let lines = self.traced_lines(sandbox);
        let mut seen = BTreeMap::new();
        let names = lines.iter().filter_map(|line| line.split_once('(').map(|(name, _)| name.to_owned()));
        names
            .map(|name| {
                let number = *seen.entry(name.clone()).and_modify(|number| *number += 1).or_insert(1);
                Call { name, number }
            })
            .collect()
    }

    /// Runs it to its end and gives strace's lines of its calls, paths whole, descriptors with theirs.
    #[track_caller]
    pub fn traced_lines(self, sandbox: &Sandbox) -> Vec<String> {
        let file = sandbox.path().join("trace");
        let options = ["-y", "-s", "4096", "-o", &file.display().to_string(), "-e", &format!("trace={CHANGES}")];
        self.traced(&options).run().success();
        let text = std::fs::read_to_string(&file).expect("read the trace");
        text.lines().map(str::to_owned).collect()
    }

    /// Has strace do something at one call: `signal=KILL`, `error=EIO`. Killed, the call itself is not made.
    #[must_use]
    pub fn hindered(self, call: &Call, what: &str) -> Self {
        let inject = format!("inject={}:{what}:when={}", call.name, call.number);
        self.traced(&["-e", &format!("trace={CHANGES}"), "-e", &inject])
    }
}

/// All of them with `PG_RUNBOOK_TEST_EVERY_CALL`, else about as many as this, from all over the run.
#[must_use]
pub fn some(calls: &[Call], count: usize) -> Vec<Call> {
    let all = std::env::var_os("PG_RUNBOOK_TEST_EVERY_CALL").is_some();
    let step = if all { 1 } else { calls.len().div_ceil(count.max(1)) };
    calls.iter().step_by(step.max(1)).cloned().collect()
}

/// Of the thousand files of a directory that goes, the removal of three.
#[must_use]
pub fn thinned(mut calls: Vec<Call>) -> Vec<Call> {
    let files = calls.iter().filter(|call| call.name == "unlinkat").count();
    let tells = |call: &Call| (1..4).any(|quarter| call.number == files * quarter / 4);
    calls.retain(|call| call.name != "unlinkat" || tells(call));
    calls
}

/// A swap that is killed at one call after the other, from its stop of the server on, each time on a new copy. What comes
/// before the stop is no different from any other swap's.
pub struct KilledSwaps<'a> {
    /// Where it happens.
    pub sandbox: &'a Sandbox,
    /// Brings a copy.
    pub fetch: &'a dyn Fn(),
    /// The swap.
    pub swap: &'a dyn Fn() -> ToolCommand<'a>,
    /// Each so-many-th call; all of them with `PG_RUNBOOK_TEST_EVERY_CALL`.
    pub every: usize,
}

impl KilledSwaps<'_> {
    /// `killed` looks at what a kill left, `ended` at what the next swap, which has to work, made of it.
    #[track_caller]
    pub fn run(&self, killed: &dyn Fn(usize, &str), ended: &dyn Fn(&str)) {
        (self.fetch)();
        let calls = (self.swap)().arg("--no-catch-up").calls(self.sandbox);
        let stop = calls.iter().position(|call| call.name == "kill").expect("a stop");
        let chosen = some(&calls[stop..], (calls.len() - stop) / self.every);
        assert!(chosen.len() > 5, "too few calls to be true: {calls:?}");
        for (turn, call) in chosen.iter().enumerate() {
            (self.fetch)();
            let status = (self.swap)().arg("--no-catch-up").hindered(call, "signal=KILL").start().ended();
            let told = format!("killed at {call:?}: {status}");
            killed(turn, &told);
            let again = (self.swap)().run();
            // Where only the end of the first run is missing, there is nothing left to install.
            let done = again.code() == 3 && again.error().contains("there is no copy to install");
            assert!(again.code() == 0 || done, "{told}\n{again}");
            ended(&format!("{told}\n{again}"));
        }
    }
}
