//! Logins from one host to another, as administrators have them.

use crate::hosts::host::Host;

impl Host {
    /// Lets root of another host in as a user of this one, by a key.
    #[track_caller]
    pub fn lets_in(&self, other: &Host, user: &str) {
        let home = format!("$(getent passwd {user} | cut -d : -f 6)");
        other.says(&format!(
            "mkdir -p -m 700 /root/.ssh
             [ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
             cp /root/.ssh/id_ed25519.pub /exchange/{0}.pub
             printf 'Host *\\n  StrictHostKeyChecking accept-new\\n  LogLevel ERROR\\n' > /root/.ssh/config",
            other.name
        ));
        self.says(&format!(
            "install -d -m 700 -o {user} -g {user} {home}/.ssh
             install -m 600 -o {user} -g {user} /exchange/{}.pub {home}/.ssh/authorized_keys",
            other.name
        ));
    }
}
