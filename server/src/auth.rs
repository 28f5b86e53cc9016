//! Who is let in.
//!
//! ```text
//! startup packet ─► the first rule that fits ─► its method ─► AuthenticationOk, or a word why not
//!                   auth/rules                  auth/scram
//! ```
//!
//! Nobody can tell from outside whether a role is there, has a password, or has let it expire: all of
//! them fail like a wrong password, as late and with the same words.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::system::HbaRow;
use aegis_catalog::{CatalogSnapshot, Role};
use aegis_sql::password::{Verifier, is_md5_hash, is_password, same_bytes};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::tls::{self, TlsFiles, TlsServer};
use crate::wire::{Failure, Socket};

mod rules;
mod scram;

use rules::{ClientCertificate, Method, Request, Rule, Transport};
use scram::{Binding, Exchange};

/// How long a failed login is kept waiting, so that passwords cannot be tried quickly.
const FAILURE_DELAY: Duration = Duration::from_millis(250);

/// The longest answer of a client that is not let in yet, as in PostgreSQL.
const ANSWER_BYTES_MAX: usize = 65_535;

/// The file of rules in the data directory that is read if no other is named.
const RULES_FILE: &str = "aegis_hba.conf";
/// The file with the secret that made-up salts come from.
const SECRET_FILE: &str = "authentication_secret";

/// What decides who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationFiles {
    /// The rules; without, `aegis_hba.conf` in the data directory if it is there.
    pub rules: Option<PathBuf>,
    /// The maps of certificates' names to roles, in the format of `pg_ident.conf`.
    pub maps: Option<PathBuf>,
    /// Certificates and keys.
    pub tls: TlsFiles,
    /// How long a client may take from connecting to being let in; `None` for 60 s.
    pub timeout: Option<Duration>,
}

/// Rules, certificates and secrets, to be read again while the server runs.
pub struct Authentication {
    files: Mutex<AuthenticationFiles>,
    data_dir: Mutex<Option<PathBuf>>,
    state: Mutex<Arc<State>>,
    secret: Mutex<[u8; 32]>,
}

struct State {
    rules: Vec<Rule>,
    maps: Vec<MapLine>,
    tls: Option<Arc<TlsServer>>,
}

/// A line of a map: whose certificate's name is which role's.
struct MapLine {
    map: String,
    system_name: String,
    role: String,
}

/// A client that asks to come in.
pub(crate) struct Client<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
}

impl Default for Authentication {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without random numbers no exchange can begin anyway.
        let _filled = getrandom::fill(&mut secret);
        Self {
            files: Mutex::default(),
            data_dir: Mutex::default(),
            state: Mutex::new(Arc::new(State {
                rules: rules::parse(rules::DEFAULT).0,
                maps: Vec::new(),
                tls: None,
            })),
            secret: Mutex::new(secret),
        }
    }
}

impl Authentication {
    /// Reads what decides, for a server over this data directory.
    ///
    /// # Errors
    /// Whatever cannot be read or used, in words.
    pub fn configure(&self, data_dir: &Path, files: AuthenticationFiles) -> Result<(), String> {
        *self.secret.lock() = read_secret(data_dir)?;
        *self.data_dir.lock() = Some(data_dir.to_owned());
        *self.files.lock() = files;
        self.load()
    }

    /// Reads rules and certificates again; what cannot be used changes nothing and is logged.
    /// Whether they were taken.
    pub fn reload(&self) -> bool {
        match self.load() {
            Ok(()) => {
                info!("read rules and certificates again");
                true
            }
            Err(error) => {
                warn!(error, "the rules and certificates in force stay");
                false
            }
        }
    }

    fn load(&self) -> Result<(), String> {
        let files = self.files.lock().clone();
        let (path, text) = self.read_rules()?;
        let (rules, bad) = rules::parse(&text);
        if let Some(first) = bad.first() {
            return Err(format!("{}, line {}: {}", path.display(), first.line, first.message));
        }
        let maps = match &files.maps {
            Some(path) => read_maps(path)?,
            None => Vec::new(),
        };
        let tls = tls::load(&files.tls)?.map(Arc::new);
        if tls.is_none()
            && let Some(rule) = rules.iter().find(|rule| rule.transport == Transport::Tls)
        {
            warn!(line = rule.line, "a hostssl rule cannot match because TLS is off");
        }
        *self.state.lock() = Arc::new(State { rules, maps, tls });
        Ok(())
    }

    /// The file of rules and what it says.
    fn read_rules(&self) -> Result<(PathBuf, String), String> {
        let own = self.data_dir.lock().as_ref().map(|folder| folder.join(RULES_FILE));
        let named = self.files.lock().rules.clone();
        let Some(path) = named.or_else(|| own.filter(|path| path.exists())) else {
            return Ok((PathBuf::from("(default rules)"), rules::DEFAULT.to_owned()));
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok((path, text))
    }

    /// The rows of `pg_hba_file_rules`: the file as it is now, bad lines included.
    pub(crate) fn rule_rows(&self) -> Vec<HbaRow> {
        let Ok((_, text)) = self.read_rules() else { return Vec::new() };
        let (rules, bad) = rules::parse(&text);
        let texts = |words: &[rules::Word]| words.iter().map(|word| word.text.clone()).collect();
        let mut rows: Vec<HbaRow> = rules
            .iter()
            .map(|rule| {
                let (address, netmask) = match rule.transport {
                    Transport::Local => (None, None),
                    _ => rule.address.shown(),
                };
                HbaRow {
                    line: rule.line,
                    kind: Some(match rule.transport {
                        Transport::Local => "local",
                        Transport::Host => "host",
                        Transport::Tls => "hostssl",
                        Transport::Plain => "hostnossl",
                    }),
                    databases: texts(&rule.databases),
                    users: texts(&rule.users),
                    address,
                    netmask,
                    method: Some(rule.method.name()),
                    options: rule.options.clone(),
                    error: None,
                }
            })
            .collect();
        rows.extend(bad.into_iter().map(|bad| HbaRow {
            line: bad.line,
            error: Some(bad.message),
            ..HbaRow::default()
        }));
        rows.sort_by_key(|row| row.line);
        rows
    }

    /// TLS, if there is a certificate.
    pub(crate) fn tls(&self) -> Option<Arc<TlsServer>> {
        self.state.lock().tls.clone()
    }

    /// How long a client may take to be let in.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.files.lock().timeout.unwrap_or(Duration::from_secs(60))
    }

    /// What settings show of it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let files = self.files.lock();
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map_or_else(String::new, |path| path.display().to_string())
        };
        let on = if self.state.lock().tls.is_some() { "on" } else { "off" };
        vec![
            ("ssl", on.to_owned()),
            ("ssl_cert_file", path(&files.tls.certificate)),
            ("ssl_key_file", path(&files.tls.key)),
            ("ssl_ca_file", path(&files.tls.authority)),
            ("hba_file", path(&files.rules)),
            ("ident_file", path(&files.maps)),
            ("authentication_timeout", files.timeout.map_or(60, |it| it.as_secs()).to_string()),
        ]
    }

    /// Leads a client through what the first rule that fits asks for.
    ///
    /// # Errors
    /// FATAL 28000 without a rule or a certificate, 28P01 for a wrong password, 08P01 for messages
    /// that make no sense.
    pub(crate) async fn authenticate(
        &self,
        socket: &mut Socket,
        catalog: &CatalogSnapshot,
        client: &Client<'_>,
    ) -> Result<(), Failure> {
        let state = self.state.lock().clone();
        let result = self.judge(&state, socket, catalog, client).await;
        if let Err(Failure::Sql(error)) = &result {
            let (user, database) = (client.user, client.database);
            info!(user, database, reason = error.fields().message, "a login failed");
            tokio::time::sleep(FAILURE_DELAY).await;
        }
        result
    }

    async fn judge(
        &self,
        state: &State,
        socket: &mut Socket,
        catalog: &CatalogSnapshot,
        client: &Client<'_>,
    ) -> Result<(), Failure> {
        let rule = rule_for(state, socket, catalog, client)?;
        let certificate_name = match rule.client_certificate {
            ClientCertificate::Ignored => None,
            _ => Some(client_certificate(socket, rule)?),
        };
        if rule.client_certificate == ClientCertificate::VerifyFull {
            let name = certificate_name.as_deref().unwrap_or_default();
            if !state.is_mapped(rule, name, client.user) {
                return Err(wrong(Method::Certificate, client.user).into());
            }
        }
        match rule.method {
            Method::Trust | Method::Certificate => Ok(()),
            Method::Reject => Err(no_entry(client, socket, true).into()),
            Method::Scram => self.scram(socket, catalog, client).await,
            Method::Md5 => {
                let stored = password_of(catalog, client.user);
                match stored.filter(|stored| is_md5_hash(stored)) {
                    Some(hash) => md5(socket, &hash, client.user).await,
                    None => self.scram(socket, catalog, client).await,
                }
            }
            Method::Password => {
                socket.output.authentication(3, &[]);
                let body = answer(socket).await?;
                let password =
                    body.strip_suffix(&[0]).and_then(|text| std::str::from_utf8(text).ok());
                let password = password.filter(|password| !password.is_empty());
                let stored = password_of(catalog, client.user);
                // Hashing takes its time whether there is something to compare with or not.
                let against = stored.clone().unwrap_or_else(|| {
                    scram::mock_verifier(client.user, &*self.secret.lock()).text()
                });
                let matches =
                    password.is_some_and(|given| is_password(&against, client.user, given));
                if matches && stored.is_some() {
                    return Ok(());
                }
                Err(wrong(Method::Password, client.user).into())
            }
        }
    }

    async fn scram(
        &self,
        socket: &mut Socket,
        catalog: &CatalogSnapshot,
        client: &Client<'_>,
    ) -> Result<(), Failure> {
        let stored = password_of(catalog, client.user);
        let real = stored.as_deref().and_then(Verifier::parse);
        let is_real = real.is_some();
        let verifier =
            real.unwrap_or_else(|| scram::mock_verifier(client.user, &*self.secret.lock()));
        let hash = socket.tls.as_ref().and_then(|tls| tls.certificate_hash.clone());
        let mut mechanisms = Vec::new();
        for name in [hash.as_ref().map(|_| scram::PLUS), Some(scram::PLAIN)].into_iter().flatten() {
            mechanisms.extend_from_slice(name.as_bytes());
            mechanisms.push(0);
        }
        mechanisms.push(0);
        socket.output.authentication(10, &mechanisms);
        let body = answer(socket).await?;
        let (mechanism, first) = initial_response(&body)?;
        let chosen = match mechanism {
            scram::PLUS if hash.is_some() => true,
            scram::PLAIN => false,
            _ => {
                let message = "client selected an invalid SASL authentication mechanism";
                return Err(violation(message).into());
            }
        };
        let binding = Binding { chosen, certificate_hash: hash.as_deref() };
        let exchange =
            Exchange::begin(first, binding, verifier, is_real).map_err(SqlError::fatal)?;
        socket.output.authentication(11, exchange.server_first().as_bytes());
        let body = answer(socket).await?;
        let last = std::str::from_utf8(&body).map_err(|_| violation("malformed SCRAM message"))?;
        match exchange.finish(last).map_err(SqlError::fatal)? {
            Some(signature) => {
                socket.output.authentication(12, signature.as_bytes());
                Ok(())
            }
            None => Err(wrong(Method::Scram, client.user).into()),
        }
    }
}

impl State {
    /// Whether a certificate's name may be a role: the same name, unless a map says otherwise.
    fn is_mapped(&self, rule: &Rule, name: &str, user: &str) -> bool {
        let Some(map) = &rule.map else { return name == user };
        self.maps
            .iter()
            .any(|line| line.map == *map && line.system_name == name && line.role == user)
    }
}

fn rule_for<'s>(
    state: &'s State,
    socket: &Socket,
    catalog: &CatalogSnapshot,
    client: &Client<'_>,
) -> SqlResult<&'s Rule> {
    let database = catalog.database_named(client.database).map_or(Oid::NONE, |it| it.oid);
    let access = catalog.access(database);
    let request = Request {
        user: client.user,
        database: client.database,
        address: client.peer.ip(),
        over_tls: socket.tls.is_some(),
    };
    let rule = state.rules.iter().find(|rule| rule.fits(&request, &access));
    rule.ok_or_else(|| no_entry(client, socket, false))
}

/// The name in the client's certificate.
fn client_certificate(socket: &Socket, rule: &Rule) -> SqlResult<String> {
    let certificate = socket.tls.as_ref().and_then(|tls| tls.client.as_ref());
    let certificate = certificate.ok_or_else(|| {
        SqlError::new(
            SqlState::InvalidAuthorizationSpecification,
            "connection requires a valid client certificate",
        )
        .fatal()
    })?;
    Ok(if rule.by_subject { &certificate.distinguished_name } else { &certificate.common_name }
        .clone())
}

/// FATAL 28000
fn no_entry(client: &Client<'_>, socket: &Socket, rejected: bool) -> SqlError {
    let address: IpAddr = client.peer.ip().to_canonical();
    let Client { user, database, .. } = client;
    let encryption = if socket.tls.is_some() { "SSL encryption" } else { "no encryption" };
    let told =
        format!("host \"{address}\", user \"{user}\", database \"{database}\", {encryption}");
    let message = if rejected {
        format!("pg_hba.conf rejects connection for {told}")
    } else {
        format!("no pg_hba.conf entry for {told}")
    };
    SqlError::new(SqlState::InvalidAuthorizationSpecification, message).fatal()
}

/// The one answer to everything that is wrong about a password.
fn wrong(method: Method, user: &str) -> SqlError {
    let (code, what) = match method {
        Method::Certificate => (SqlState::InvalidAuthorizationSpecification, "certificate"),
        _ => (SqlState::InvalidPassword, "password"),
    };
    SqlError::new(code, format!("{what} authentication failed for user \"{user}\"")).fatal()
}

fn violation(message: &str) -> SqlError {
    SqlError::new(SqlState::ProtocolViolation, message).fatal()
}

/// What a role's password is checked against, if it has one that still holds.
fn password_of(catalog: &CatalogSnapshot, user: &str) -> Option<String> {
    let role: &Role = catalog.role_named(user)?;
    let holds = role.valid_until.is_none_or(|until| aegis_types::clock::now() < until);
    role.password.clone().filter(|_| holds)
}

/// Sends what has been asked, and waits for the client's answer.
async fn answer(socket: &mut Socket) -> Result<bytes::Bytes, Failure> {
    socket.flush().await?;
    loop {
        if let Some(body) = socket.buffered_answer(ANSWER_BYTES_MAX)? {
            return Ok(body);
        }
        if !socket.read().await {
            return Err(Failure::Gone);
        }
    }
}

/// SASLInitialResponse: the mechanism, and the client's first message.
fn initial_response(body: &[u8]) -> SqlResult<(&str, &str)> {
    let invalid = || violation("invalid SASL message");
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(invalid)?;
    let (length, message) = body[end + 1..].split_first_chunk::<4>().ok_or_else(invalid)?;
    let announced = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| invalid())?;
    if announced != message.len() {
        return Err(invalid());
    }
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| invalid());
    Ok((text(&body[..end])?, text(message)?))
}

/// The MD5 challenge, for roles whose password is stored so.
async fn md5(socket: &mut Socket, hash: &str, user: &str) -> Result<(), Failure> {
    let mut salt = [0; 4];
    getrandom::fill(&mut salt)
        .map_err(|_| SqlError::internal("could not generate random MD5 salt").fatal())?;
    socket.output.authentication(5, &salt);
    let body = answer(socket).await?;
    let expected = aegis_sql::password::md5_answer(hash, salt);
    let given = body.strip_suffix(&[0]).unwrap_or_default();
    if same_bytes(given, expected.as_bytes()) {
        return Ok(());
    }
    Err(wrong(Method::Md5, user).into())
}

/// The secret that made-up salts come from; made the first time.
fn read_secret(data_dir: &Path) -> Result<[u8; 32], String> {
    let path = data_dir.join(SECRET_FILE);
    let told = |error: std::io::Error| format!("cannot keep {}: {error}", path.display());
    match std::fs::read(&path) {
        Ok(bytes) if bytes.len() == 32 => {
            let mut secret = [0; 32];
            secret.copy_from_slice(&bytes);
            Ok(secret)
        }
        Ok(_) => Err(format!("{} is damaged: 32 bytes are expected", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| format!("no random numbers: {error}"))?;
            let written = path.with_extension("new");
            tls::write_private(&written, &secret).map_err(told)?;
            std::fs::rename(&written, &path).map_err(told)?;
            Ok(secret)
        }
        Err(error) => Err(told(error)),
    }
}

/// Reads maps: `map  system-name  role`, a line each.
fn read_maps(path: &Path) -> Result<Vec<MapLine>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut maps = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let told = |message: &str| format!("{}, line {}: {message}", path.display(), at + 1);
        let fields = rules::fields(line).map_err(|message| told(&message))?;
        match fields.as_slice() {
            [] => {}
            [map, system, role] if [map, system, role].iter().all(|field| field.len() == 1) => {
                if system[0].text.starts_with('/') && !system[0].quoted {
                    return Err(told("a regular expression is not supported"));
                }
                maps.push(MapLine {
                    map: map[0].text.clone(),
                    system_name: system[0].text.clone(),
                    role: role[0].text.clone(),
                });
            }
            _ => return Err(told("a map, a system user name and a role are expected")),
        }
    }
    Ok(maps)
}
