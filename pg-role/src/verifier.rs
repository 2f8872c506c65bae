//! What the server stores in place of a password, and whether a password is the one that is stored.
//!
//! What must always hold: a password is the same exactly where the server would let it in; what isn't understood is
//! `Unknown`, never `Different`; a verifier shows nothing when debugged, for it is as good as a password to who
//! would pose as the server.
//!
//! The formats are those of `pg_authid.rolpassword`; passwords are prepared as `scram-common.c` and `saslprep.c` do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pg_runbook::Secret;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

type Key = [u8; 32];

/// The stored form of a password, parsed.
#[derive(Clone, PartialEq, Eq)]
pub enum Verifier {
    /// The role has no password.
    None,
    /// `SCRAM-SHA-256$iterations:salt$stored key:server key`, the three last in base64.
    Scram {
        /// How often it is hashed.
        iterations: u32,
        /// What makes two roles' verifiers of one password differ.
        salt: Vec<u8>,
        /// What the client's proof is compared with.
        stored_key: [u8; 32],
        /// What the server proves itself with.
        server_key: [u8; 32],
    },
    /// `md5` and the hash of password and role name, in hexadecimal.
    Md5(String),
    /// Something else: plain text from before 10, or a method to come.
    Other,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Scram { .. } => "Scram(…)",
            Self::Md5(_) => "Md5(…)",
            Self::Other => "Other",
        })
    }
}

impl Verifier {
    /// Reads `pg_authid.rolpassword`.
    #[must_use]
    pub fn parse(stored: Option<&str>) -> Self {
        let Some(stored) = stored else { return Self::None };
        if let Some(scram) = stored.strip_prefix("SCRAM-SHA-256$").and_then(parse_scram) {
            return scram;
        }
        match stored.strip_prefix("md5") {
            Some(hash) if hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => {
                Self::Md5(stored.to_owned())
            }
            _ => Self::Other,
        }
    }
}

fn parse_scram(text: &str) -> Option<Verifier> {
    let (parameters, keys) = text.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let key = |text: &str| Key::try_from(STANDARD.decode(text).ok()?).ok();
    Some(Verifier::Scram {
        iterations: iterations.parse().ok().filter(|iterations| *iterations > 0)?,
        salt: STANDARD.decode(salt).ok()?,
        stored_key: key(stored_key)?,
        server_key: key(server_key)?,
    })
}

/// Whether a password is the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Same,
    /// It is not.
    Different,
    /// The stored form can't be compared with.
    Unknown,
}

/// A new SCRAM-SHA-256 verifier, with a random salt and the server's default number of iterations.
#[must_use]
pub fn scram_verifier(password: &Secret) -> String {
    postgres_protocol::password::scram_sha_256(password.expose().as_bytes())
}

/// Compares a password with a stored verifier of this role.
#[must_use]
pub fn matches(stored: &str, password: &Secret, role: &str) -> Answer {
    let same = match Verifier::parse(Some(stored)) {
        Verifier::Scram { iterations, salt, stored_key, server_key } => match scram_keys(password, &salt, iterations) {
            Some(keys) => keys == (stored_key, server_key),
            None => return Answer::Unknown,
        },
        Verifier::Md5(stored) => postgres_protocol::password::md5(password.expose().as_bytes(), role) == stored,
        Verifier::None | Verifier::Other => return Answer::Unknown,
    };
    if same { Answer::Same } else { Answer::Different }
}

/// The stored key and the server's key (RFC 5802, section 3); none where the salted password can't be a key.
fn scram_keys(password: &Secret, salt: &[u8], iterations: u32) -> Option<(Key, Key)> {
    let prepared = prepare(password);
    let mut salted = Key::default();
    pbkdf2::pbkdf2::<Hmac<Sha256>>(prepared.expose().as_bytes(), salt, iterations, &mut salted).ok()?;
    let derive = |purpose: &[u8]| -> Option<Key> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&salted).ok()?;
        mac.update(purpose);
        Some(mac.finalize().into_bytes().into())
    };
    Some((Sha256::digest(derive(b"Client Key")?).into(), derive(b"Server Key")?))
}

/// By `SASLprep`; the password as it is where that fails or leaves nothing, as the server does.
fn prepare(password: &Secret) -> Secret {
    match stringprep::saslprep(password.expose()) {
        Ok(prepared) if !prepared.is_empty() => Secret::new(prepared.into_owned()),
        _ => password.clone(),
    }
}
