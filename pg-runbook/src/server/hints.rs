//! What to do about TLS that could not be agreed on, in the same words whoever tried it: libpq or these tools.
//!
//! What must always hold: none advises to check less without saying what is given up.

use super::shell;
use super::target::{Target, place};

/// A certificate that names another host.
pub(crate) const ANOTHER_NAME: &str =
    "connect by the name in the certificate; or by sslmode=verify-ca, which believes any host of that authority";

/// A server whose rules want TLS, asked without.
pub(crate) const WITH_TLS: &str = "with TLS: sslmode=require";

/// There are no authorities to check against.
pub(crate) fn root_certificate(target: &Target) -> String {
    format!("put the authority's certificate into {}; or name its file: --conninfo 'sslrootcert=FILE'", file(target))
}

/// The authority that signed the server's certificate isn't believed.
pub(crate) fn another_authority(target: &Target) -> String {
    let server = place(&target.host, target.port);
    let words = ["openssl", "s_client", "-starttls", "postgres", "-connect", &server, "-showcerts"];
    format!(
        "what it shows, and who signed it: {} </dev/null; if it is to be trusted, put that authority's certificate into {}",
        shell::command(words),
        file(target)
    )
}

/// A server without TLS.
pub(crate) fn no_tls(target: &Target) -> String {
    format!("on {}: pg-conf set ssl=on | pg-cluster reload", target.host)
}

fn file(target: &Target) -> String {
    target.root_certificate().map_or_else(|| "a file".into(), |path| path.display().to_string())
}
