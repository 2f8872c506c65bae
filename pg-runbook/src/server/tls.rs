//! TLS as libpq does it: whose certificate is believed, and what this client shows of itself.
//!
//! What must always hold: `verify-ca` and `verify-full` never connect without a root certificate to check against; a
//! root certificate that is there is used, whatever the mode; a private key that others can read is refused.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::hints;
use super::target::{SslMode, Target};
use crate::{Attempt, Failure};

mod certificate;
mod verifier;

use verifier::{Authorities, Verifier};

/// Where the authorities that this system trusts are, on Debian, Red Hat and SUSE.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// What makes TLS connections to this target.
pub(super) fn connector(target: &Target) -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        algorithms: provider.signature_verification_algorithms,
        authorities: authorities(target)?,
        checks_name: target.sslmode == SslMode::VerifyFull,
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.attempt(|| "prepare TLS")?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let config = match client_certificate(target)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).attempt(|| "use the client certificate")?,
        None => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Says what can be done about a failed handshake.
pub(super) fn explain(failure: Failure, cause: &rustls::Error, target: &Target) -> Failure {
    match cause {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => failure.hint(hints::ANOTHER_NAME),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => failure.hint(hints::another_authority(target)),
        // The library has no names of its own for these.
        rustls::Error::InvalidCertificate(other) => match format!("{other:?}") {
            text if text.contains("UnsupportedCertVersion") => failure
                .because("the server's certificate is of X.509 version 1, which is believed only as its own root certificate")
                .hint("openssl x509 -req -in server.csr -CA root.crt -CAkey root.key -out server.crt \
                     -extfile <(echo basicConstraints=CA:FALSE)"),
            text if text.contains("CaUsedAsEndEntity") => {
                failure.because("the server shows an authority's certificate, which is not among the root certificates")
            }
            _ => failure,
        },
        _ => failure,
    }
}

/// libpq's default for a file, and none where the user has no home.
fn or_default(given: Option<&PathBuf>, target: &Target, name: &str) -> Option<PathBuf> {
    given.cloned().or_else(|| Some(target.home.as_ref()?.join(".postgresql").join(name)))
}

fn authorities(target: &Target) -> Result<Option<Authorities>, Failure> {
    let path = match target.root_certificate() {
        Some(system) if system == Path::new("system") => {
            SYSTEM_BUNDLES.map(PathBuf::from).into_iter().find(|path| path.exists())
        }
        path => path.filter(|path| path.exists()),
    };
    let Some(path) = path else {
        if target.sslmode < SslMode::VerifyCa {
            return Ok(None);
        }
        let message = format!("there is no root certificate for sslmode={}", target.sslmode);
        let looked = target
            .root_certificate()
            .map_or_else(|| "there is no home to look in".into(), |path| format!("looked for {:?}", path.display()));
        return Err(Failure::failed(message).because(looked).hint(hints::root_certificate(target)));
    };
    let certificates = read_certificates(&path, "root certificates")?;
    let mut roots = RootCertStore::empty();
    // What isn't usable as an authority can still be the server's own, self-signed certificate.
    roots.add_parsable_certificates(certificates.iter().cloned());
    Ok(Some(Authorities { roots, certificates }))
}

fn read_certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let doing = || format!("read the {what} {:?}", path.display());
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).attempt(doing)?;
    if read.is_empty() {
        return Err(Failure::failed(doing()).because("it holds no certificate in PEM"));
    }
    Ok(read)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// As libpq, none where the file of the certificate is missing, even if it was named.
fn client_certificate(target: &Target) -> Result<Option<Identity>, Failure> {
    let certificate = or_default(target.sslcert.as_ref(), target, "postgresql.crt").filter(|path| path.exists());
    let Some(certificate) = certificate else { return Ok(None) };
    let chain = read_certificates(&certificate, "client certificate")?;
    let Some(key) = or_default(target.sslkey.as_ref(), target, "postgresql.key") else {
        return Err(Failure::failed(format!(
            "there is no private key for the client certificate {:?}",
            certificate.display()
        )));
    };
    let doing = || format!("read the private key {:?}", key.display());
    let metadata = std::fs::metadata(&key).attempt(doing)?;
    if let Some(problem) = key_problem(metadata.mode(), metadata.uid()) {
        return Err(Failure::failed(doing()).because(problem).hint(super::shell::command([
            "chmod",
            "0600",
            &key.display().to_string(),
        ])));
    }
    let key = PrivateKeyDer::from_pem_file(&key).attempt(doing)?;
    Ok(Some((chain, key)))
}

/// libpq's rule: nobody else may read it, but a group may read root's.
fn key_problem(mode: u32, owner: u32) -> Option<String> {
    let forbidden = if owner == 0 { 0o037 } else { 0o077 };
    let too_open = mode & forbidden != 0;
    too_open.then(|| format!("group or others have access (mode {:04o})", mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_key_that_others_can_read() {
        assert_eq!(key_problem(0o100_600, 1000), None);
        assert_eq!(key_problem(0o100_640, 0), None);
        assert!(key_problem(0o100_640, 1000).is_some());
        assert!(key_problem(0o100_644, 0).unwrap().contains("0644"));
    }
}
