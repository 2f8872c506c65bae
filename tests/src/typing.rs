//! Somebody who types at a shell of their own, on a real terminal.
//!
//! What must always hold: the shell is gone when it is dropped; what is seen is what the terminal got, its control
//! sequences aside.

use crate::command::binary;
use crate::sandbox::Sandbox;
use crate::terminal::terminal;
use nix::pty::Winsize;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const PROMPT: &str = "ready>";

/// A shell, and what was typed and seen.
#[derive(Debug)]
pub struct Typist {
    child: Child,
    keyboard: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Typist {
    /// Starts bash, zsh or fish with our tools in `$PATH`; `setup` is what its start-up file says.
    #[track_caller]
    pub fn at(sandbox: &Sandbox, shell: &str, setup: &str, environment: &[(&str, &str)]) -> Self {
        let (words, file, prompt) = match shell {
            "bash" => (vec!["bash", "--rcfile", ".bashrc", "-i"], ".bashrc", format!("PS1='{PROMPT} '")),
            "zsh" => (vec!["zsh", "-i"], ".zshrc", format!("PS1='{PROMPT} '; bindkey -e")),
            _ => {
                (vec!["fish", "-i"], ".config/fish/config.fish", format!("function fish_prompt; echo '{PROMPT} '; end"))
            }
        };
        let home = sandbox.path().join("home");
        let file = home.join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for a shell");
        std::fs::write(&file, format!("{setup}\n{prompt}\n")).expect("write a start-up file");
        let tools = binary("pg-cluster").parent().map(PathBuf::from).unwrap_or_default();
        let pair = terminal(Some(&Winsize { ws_row: 60, ws_col: 240, ws_xpixel: 0, ws_ypixel: 0 }));
        let end = || Stdio::from(pair.slave.try_clone().expect("the terminal"));
        // A shell of its own session, whose terminal this is.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .args(words)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", tools.display()))
            .env("HOME", &home)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .current_dir(&home)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("start a shell");
        let (mut screen, keyboard) =
            (File::from(pair.master.try_clone().expect("the terminal")), File::from(pair.master));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                copy.lock().expect("what was seen").extend_from_slice(&bytes[..count]);
            }
        });
        let typist = Self { child, keyboard, seen };
        typist.sees(PROMPT);
        typist
    }

    /// Types; `\t` is the key that completes.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("type");
    }

    /// Waits until this is on the terminal.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        let begun = std::time::Instant::now();
        while !self.screen().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "no {text:?} on the terminal:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The words that the shell would run, once this was typed.
    #[track_caller]
    pub fn words_of(&mut self, keys: &str) -> Vec<String> {
        const END: &str = "that-is-all";
        // To the beginning of the line: what was typed becomes the arguments of a command that shows them.
        self.types(&format!("{keys} {END}\u{1}printf '<%s>\\n' \r"));
        self.sees(&format!("<{END}>"));
        let screen = self.screen();
        let shown = screen.lines().filter_map(|line| line.trim().strip_prefix('<')?.strip_suffix('>'));
        shown.take_while(|word| *word != END).map(str::to_owned).collect()
    }

    /// What the terminal got, without what moves the cursor and colours letters.
    pub fn screen(&self) -> String {
        plain(&String::from_utf8_lossy(&self.seen.lock().expect("what was seen")))
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this machine has the shell.
pub fn has_shell(name: &str) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn plain(text: &str) -> String {
    let (mut plain, mut letters) = (String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('[') => drop(letters.by_ref().find(|letter| ('@'..='~').contains(letter))),
            // The title of a window, up to a bell.
            Some(']') => drop(letters.by_ref().find(|letter| *letter == '\u{7}')),
            Some('(') => drop(letters.next()),
            _ => {}
        }
    }
    plain.replace('\r', "")
}
