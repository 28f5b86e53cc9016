//! TLS: certificates and keys read, connections upgraded, and what is known of each.
//!
//! ```text
//! SSLRequest ──► 'S' ──► handshake ──► startup packet        as every client of PostgreSQL does
//! handshake with ALPN "postgresql" ──► startup packet        without asking first
//! ```
//!
//! The versions and ciphers are those that rustls holds safe: TLS 1.2 and 1.3.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

mod certificate;

use certificate::Certificate;

/// The name by which a client says in its handshake that it speaks this protocol.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Which files TLS is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, with those between it and its authority behind it, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM; nobody else may read it.
    pub key: Option<PathBuf>,
    /// The authorities that sign clients' certificates.
    pub authority: Option<PathBuf>,
}

/// A server's side of TLS.
pub(crate) struct TlsServer {
    acceptor: TlsAcceptor,
    certificate_hash: Option<Vec<u8>>,
}

/// What is known of one encrypted connection.
#[derive(Clone, Debug)]
pub struct TlsSession {
    /// The version, such as `TLSv1.3`.
    pub version: String,
    /// The cipher, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// How many bits its key has.
    pub bits: i32,
    /// The hash of the server's certificate that `tls-server-end-point` binds to.
    pub(crate) certificate_hash: Option<Vec<u8>>,
    /// Whose certificate the client showed.
    pub client: Option<ClientCertificate>,
    /// Whether the client named the protocol in its handshake.
    pub(crate) named_protocol: bool,
}

/// A client's certificate, verified.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The last common name of the subject.
    pub common_name: String,
    /// The whole subject, most specific part first (RFC 2253).
    pub distinguished_name: String,
    /// The whole subject as `pg_stat_ssl` shows it.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The serial number, in decimal.
    pub serial: String,
}

/// Reads the files; `None` without a certificate.
///
/// # Errors
/// Whatever cannot be read or used, in words.
pub(crate) fn load(files: &TlsFiles) -> Result<Option<TlsServer>, String> {
    let (certificate, key) = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        _ => return Err("ssl_cert_file and ssl_key_file go together".to_owned()),
    };
    check_private(key)?;
    let chain = certificates(certificate)?;
    let first =
        chain.first().ok_or_else(|| format!("{} holds no certificate", certificate.display()))?;
    let certificate_hash = end_point_hash(first);
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        format!("could not load private key file \"{}\": {error}", key.display())
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS version to speak: {error}"))?;
    let builder = match &files.authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| {
                    format!("could not load root certificate file \"{}\": {error}", path.display())
                })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| format!("no clients can be verified: {error}"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not go together: {error}"))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Some(TlsServer { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_hash }))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |error| format!("could not load certificate file \"{}\": {error}", path.display());
    CertificateDer::pem_file_iter(path)
        .map_err(told)?
        .map(|certificate| certificate.map_err(told))
        .collect()
}

/// A key that others can read is no secret.
fn check_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).map_err(|error| {
        format!("could not access private key file \"{}\": {error}", path.display())
    })?;
    let forbidden = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(format!(
            "private key file \"{}\" has group or world access: it must be u=rw (0600) or less",
            path.display()
        ));
    }
    Ok(())
}

/// Writes a file that its owner alone reads.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The hash of a certificate as RFC 5929 has it: by the algorithm of its signature, SHA-256 instead
/// of older ones. None for signatures without a hash of their own.
fn end_point_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    // RSA is 1.2.840.113549.1.1.n, ECDSA 1.2.840.10045.4.3.n.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let read = Certificate::read(certificate)?;
    let (last, family) = read.signature_algorithm.split_last()?;
    Some(match (family, last) {
        (RSA, 4 | 5 | 11) | (ECDSA, 2) => Sha256::digest(certificate).to_vec(),
        (RSA, 12) | (ECDSA, 3) => Sha384::digest(certificate).to_vec(),
        (RSA, 13) | (ECDSA, 4) => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

impl TlsServer {
    /// Makes an encrypted transport of a plain one.
    ///
    /// # Errors
    /// Whatever the handshake ends with.
    pub(crate) async fn accept<T>(
        &self,
        transport: T,
    ) -> std::io::Result<(tokio_rustls::server::TlsStream<T>, TlsSession)>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.acceptor.accept(transport).await?;
        let connection = stream.get_ref().1;
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = suite.and_then(|suite| suite.as_str()).unwrap_or_default();
        let session = TlsSession {
            version: version.to_owned(),
            cipher: cipher.replace("TLS13_", "TLS_"),
            bits: if cipher.contains("AES_128") { 128 } else { 256 },
            certificate_hash: self.certificate_hash.clone(),
            client: connection
                .peer_certificates()
                .and_then(|chain| chain.first())
                .and_then(|certificate| ClientCertificate::read(certificate)),
            named_protocol: connection.alpn_protocol() == Some(ALPN),
        };
        Ok((stream, session))
    }
}

impl ClientCertificate {
    fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let read = Certificate::read(der)?;
        let name = read.subject.iter().rev().find(|part| part.kind == "CN");
        Some(Self {
            common_name: name.map_or_else(String::new, |part| part.value.clone()),
            distinguished_name: certificate::rfc2253(&read.subject),
            subject: certificate::with_slashes(&read.subject),
            issuer: certificate::with_slashes(&read.issuer),
            serial: read.serial,
        })
    }
}

/// A transport of which the first bytes have been read already.
pub(crate) struct Prefixed<T> {
    pub(crate) first: BytesMut,
    pub(crate) rest: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Prefixed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.rest).poll_read(context, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..length]);
        self.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Prefixed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(context)
    }
}
