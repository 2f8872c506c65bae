//! A tool on a terminal of some size: what it wrote there, and what is on the screen now.

use crate::command::{Running, ToolCommand};
use crate::patience::wait_for;
use nix::pty::{OpenptyResult, Winsize};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Read;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Cursor home, and all below cleared: how a screen is drawn anew.
const REDRAW: &str = "\x1b[H\x1b[J";

/// A terminal that no program started by another test inherits.
pub(crate) fn terminal(size: Option<&Winsize>) -> OpenptyResult {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let pair = nix::pty::openpty(size, None).expect("a terminal");
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("close it on exec");
    }
    pair
}

/// A tool that runs there.
#[derive(Debug)]
pub struct OnTerminal {
    running: Running,
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl ToolCommand<'_> {
    /// Starts it on a terminal with so many columns and 30 rows: standard error, and standard output unless that was put
    /// elsewhere.
    #[track_caller]
    pub fn on_terminal(self, columns: u16) -> OnTerminal {
        let pair = terminal(Some(&Winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }));
        let running = self.start_on(pair.slave);
        let (mut master, text) = (File::from(pair.master), Arc::<Mutex<String>>::default());
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal without a writer left gives an error (EIO), not an end of file.
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                let piece = String::from_utf8_lossy(&buffer[..count]).replace("\r\n", "\n");
                written.lock().expect("the text").push_str(&piece);
            }
        });
        OnTerminal { running, text, reader }
    }
}

impl OnTerminal {
    /// All that it has written so far.
    pub fn text(&self) -> String {
        self.text.lock().expect("the text").clone()
    }

    /// What is on the screen now.
    pub fn screen(&self) -> String {
        self.text().rsplit(REDRAW).next().unwrap_or_default().to_owned()
    }

    /// How often it was drawn.
    pub fn rounds(&self) -> usize {
        self.text().matches(REDRAW).count()
    }

    /// Waits until the screen shows something.
    #[track_caller]
    pub fn wait_until_it_shows(&self, words: &str) {
        wait_for(&format!("the screen shows {words:?}"), Duration::from_secs(30), || self.screen().contains(words));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Waits for its end; how it ended, and all that it wrote.
    #[track_caller]
    pub fn end(self) -> (ExitStatus, String) {
        let status = self.running.ended();
        self.reader.join().expect("read a terminal");
        let text = self.text.lock().expect("the text").clone();
        (status, text)
    }
}
