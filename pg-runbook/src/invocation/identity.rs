//! Who a child runs as, and what it finds in its environment.
//!
//! What must always hold: it ends with the tool; it finds nothing there that would have it do something else.

use crate::owner;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// setpriv ends the child when the tool is killed, and changes its identity with all its groups.
pub(super) fn setpriv(identity: Option<&owner::Owner>) -> Option<Vec<OsString>> {
    static SETPRIV: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    let program = SETPRIV.get_or_init(|| which::which_in("setpriv", Some("/usr/bin:/bin"), "/").ok()).clone()?;
    let mut words = vec![program.into_os_string(), "--pdeathsig".into(), "TERM".into()];
    if let Some(owner) = identity {
        words.extend([format!("--reuid={}", owner.uid).into(), format!("--regid={}", owner.gid).into()]);
        let known = !owner.name.bytes().all(|byte| byte.is_ascii_digit());
        words.push(if known { "--init-groups" } else { "--clear-groups" }.into());
    }
    Some(words)
}

/// English messages, the caller's character set, and none of libpq's or the server's variables: what a child must
/// know is in its arguments.
pub(super) fn pin_environment(command: &mut Command) {
    if let Some(everything) = std::env::var_os("LC_ALL") {
        for name in ["LANG", "LC_CTYPE", "LC_COLLATE", "LC_NUMERIC", "LC_TIME", "LC_MONETARY"] {
            command.env(name, &everything);
        }
        command.env_remove("LC_ALL");
    }
    command.env("LC_MESSAGES", "C").env_remove("LANGUAGE");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") && !text.starts_with("PG_") {
            command.env_remove(&name);
        }
    }
}
