//! Password stores of a host's users: `pass`, with a gpg key that is each user's own.
//!
//! What must always hold: passwords and passphrases go there through `/exchange`.

use crate::hosts::host::Host;
use crate::outcome::Outcome;

impl Host {
    /// Makes a user's store, with a key of the passphrase in `/exchange/NAME`; none where that is empty.
    #[track_caller]
    pub fn makes_a_store(&self, user: &str, passphrase: &str) {
        let key = format!("--batch --pinentry-mode loopback --passphrase-file /exchange/{passphrase}");
        let made = self.run_as(user, &format!("gpg {key} --quick-generate-key {user} && pass init {user}"));
        assert_eq!(made.code(), 0, "{made}");
    }

    /// Puts what is in `/exchange/NAME` into a user's store.
    #[track_caller]
    pub fn keeps(&self, user: &str, entry: &str, name: &str) {
        let kept = self.run_as(user, &format!("pass insert --force --multiline {entry} < /exchange/{name}"));
        assert_eq!(kept.code(), 0, "{kept}");
    }

    /// Has a user's agent know the passphrase in `/exchange/NAME`, as typing it once does.
    #[track_caller]
    pub fn unlocks(&self, user: &str, entry: &str, passphrase: &str) {
        let unlocked = self.run_as(
            user,
            &format!(
                "gpg --batch --pinentry-mode loopback --passphrase-file /exchange/{passphrase} \
                 --decrypt .password-store/{entry}.gpg > /dev/null"
            ),
        );
        assert_eq!(unlocked.code(), 0, "{unlocked}");
    }

    /// Has it forget all passphrases.
    pub fn locks(&self, user: &str) -> Outcome {
        self.run_as(user, "gpgconf --kill gpg-agent")
    }
}
