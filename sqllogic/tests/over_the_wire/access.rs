//! Who is let in: passwords, rules, certificates, and what happens to those who only stand in the way.
//!
//! Every test has a server of its own, with rules and certificates in the test's directory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aegis_sqllogic::runner::{Target, run_all};
use aegis_sqllogic::wire::Protocol;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::server::Server;

#[path = "access/tls_client.rs"]
mod tls_client;

use tls_client::{Authority, TlsClient};

/// A server with these rules; the directory lives as long as the test.
fn server(folder: &Path, rules: &str, flags: &[&str]) -> Server {
    let file = folder.join("rules");
    std::fs::write(&file, rules).unwrap();
    let mut all = vec!["--hba-file", file.to_str().unwrap()];
    all.extend_from_slice(flags);
    Server::start_with(&folder.join("data"), &all)
}

fn config(server: &Server, user: &str, password: Option<&str>) -> Config {
    let (host, port) = server.address.rsplit_once(':').unwrap();
    let mut config = Config::new();
    config.host(host).port(port.parse().unwrap()).user(user).dbname("postgres");
    if let Some(password) = password {
        config.password(password);
    }
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connects without TLS, and asks who it is.
async fn login(config: &Config) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let (user, _ended) = futures::future::join(who(client), connection).await;
    user
}

async fn who(client: Client) -> Result<String, tokio_postgres::Error> {
    let row = client.query_one("SELECT current_user::text", &[]).await?;
    Ok(row.get(0))
}

/// The SQLSTATE and the message of a refusal.
fn refusal(result: Result<String, tokio_postgres::Error>) -> (String, String) {
    let error = result.expect_err("it is refused");
    match error.as_db_error() {
        Some(error) => (error.code().code().to_owned(), error.message().to_owned()),
        None => panic!("no answer of the server: {error:?}"),
    }
}

fn pair(code: &str, message: &str) -> (String, String) {
    (code.to_owned(), message.to_owned())
}

/// What the pages of docs show in blocks of `slt` runs as it stands.
#[test]
fn the_examples_of_the_docs_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for name in ["ACCESS", "FUNCTIONS", "KEY_VALUE", "STREAMS"] {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/{name}.md"));
        let text = std::fs::read_to_string(page).unwrap();
        let blocks: Vec<&str> =
            text.split("```slt\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() > 2, "the page has examples");
        let file = folder.path().join(format!("{name}.slt"));
        std::fs::write(&file, blocks.join("\n")).unwrap();
        files.push(file);
    }
    let server = Server::start(&folder.path().join("data"));
    let target =
        Target { address: server.address.clone(), user: "postgres".to_owned(), settings: vec![] };
    for report in run_all(&target, &files, &[Protocol::Simple, Protocol::Extended], 1) {
        let failures: Vec<String> = report.failures.into_iter().map(|it| it.text).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// `postgres` comes in by trust and makes roles; the others need what the rules say.
const RULES: &str = "host all postgres all trust\n\
    host all refused all reject\n\
    host all old all md5\n\
    host all all all scram-sha-256\n";

fn make_roles(server: &Server, sql: &str) {
    let mut admin = server.connect();
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        admin.run(statement).unwrap();
    }
}

#[test]
fn passwords_decide() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), RULES, &[]);
    make_roles(
        &server,
        "CREATE ROLE alice LOGIN PASSWORD 'p\u{e4}ss'; CREATE ROLE nobody LOGIN;
         CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01';
         CREATE ROLE kept PASSWORD 'x'; CREATE ROLE one LOGIN PASSWORD 'x' CONNECTION LIMIT 0;
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'x';
         ALTER ROLE alice SET work_mem = '9MB'; CREATE DATABASE closed;
         REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
    );
    runtime().block_on(async {
        let try_as = |user: &'static str, password: Option<&'static str>| {
            let config = config(&server, user, password);
            async move { login(&config).await }
        };
        assert_eq!(try_as("alice", Some("p\u{e4}ss")).await.unwrap(), "alice");
        assert_eq!(try_as("postgres", None).await.unwrap(), "postgres");
        assert_eq!(try_as("old", Some("x")).await.unwrap(), "old");
        for (user, password) in
            [("alice", "pass"), ("absent", "x"), ("nobody", "x"), ("late", "x"), ("old", "y")]
        {
            let refused = refusal(try_as(user, Some(password)).await);
            let message = format!("password authentication failed for user \"{user}\"");
            assert_eq!(refused, pair("28P01", &message));
        }
        assert_eq!(
            refusal(try_as("kept", Some("x")).await),
            pair("28000", "role \"kept\" is not permitted to log in")
        );
        assert_eq!(
            refusal(try_as("one", Some("x")).await),
            pair("53300", "too many connections for role \"one\"")
        );
        assert_eq!(
            refusal(try_as("refused", Some("x")).await),
            pair(
                "28000",
                "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"refused\", \
                 database \"postgres\", no encryption"
            )
        );
        let mut closed = config(&server, "alice", Some("p\u{e4}ss"));
        closed.dbname("closed");
        assert_eq!(
            refusal(login(&closed).await),
            pair("42501", "permission denied for database \"closed\"")
        );
        let (client, connection) =
            config(&server, "alice", Some("p\u{e4}ss")).connect(NoTls).await.unwrap();
        let asked = async move {
            let row = client.query_one("SHOW work_mem", &[]).await.unwrap();
            row.get::<_, String>(0)
        };
        let (work_mem, _ended) = futures::future::join(asked, connection).await;
        assert_eq!(work_mem, "9MB");
    });
}

#[test]
fn rules_are_shown_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), RULES, &[]);
    let mut admin = server.connect();
    let shown = "SELECT line_number, type, user_name, address, auth_method, error \
                 FROM pg_hba_file_rules ORDER BY 1";
    let rows = admin.run(shown).unwrap().rows;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1][4].as_deref(), Some("reject"));
    std::fs::write(folder.path().join("rules"), "host all all all trust\nhost all all all x\n")
        .unwrap();
    let rows = admin.run(shown).unwrap().rows;
    assert_eq!(rows[1][5].as_deref(), Some("invalid authentication method \"x\""));
    let reload = |admin: &mut aegis_sqllogic::wire::Client| {
        admin.run("SELECT pg_reload_conf()").unwrap().rows[0][0].clone()
    };
    assert_eq!(reload(&mut admin).as_deref(), Some("f"));
    std::fs::write(folder.path().join("rules"), "host all postgres all trust\n").unwrap();
    assert_eq!(reload(&mut admin).as_deref(), Some("t"));
    admin.run("CREATE ROLE alice LOGIN").unwrap();
    let (code, message) = refusal(runtime().block_on(login(&config(&server, "alice", Some("x")))));
    assert_eq!(code, "28000");
    assert!(message.starts_with("no pg_hba.conf entry for host"), "{message}");
}

#[test]
fn stalled_startups_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--max-connections", "20", "--authentication-timeout", "600"];
    let server = server(folder.path(), "host all all all trust\n", &flags);
    let stalled: Vec<TcpStream> = (0_u8..=255)
        .cycle()
        .take(1000)
        .filter_map(|at| {
            let mut stream = TcpStream::connect(&server.address).ok()?;
            // Some say nothing, some the beginning of a packet: written or not, they stay silent.
            let _written = stream.write_all(&[0, 0, 0, 50][..usize::from(at % 5)]);
            Some(stream)
        })
        .collect();
    let mut client = server.connect();
    assert_eq!(client.run("SELECT 1").unwrap().rows.len(), 1);
    drop(stalled);
}

#[test]
fn a_stalled_startup_is_closed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--authentication-timeout", "1"];
    let server = server(folder.path(), "host all all all trust\n", &flags);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

/// A server with a certificate, and an authority for clients'.
struct WithTls {
    server: Server,
    authority: Authority,
    folder: tempfile::TempDir,
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

fn with_tls(rules: &str) -> WithTls {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write_server_files(folder.path());
    let map = path(folder.path(), "map");
    std::fs::write(&map, "staff robert bob\n").unwrap();
    let named = |name: &str| path(folder.path(), name).to_str().unwrap().to_owned();
    let files = [named("server.crt"), named("server.key"), named("ca.crt"), named("map")];
    let flags = [
        "--ssl-cert-file",
        &files[0],
        "--ssl-key-file",
        &files[1],
        "--ssl-ca-file",
        &files[2],
        "--ident-file",
        &files[3],
    ];
    let server = server(folder.path(), rules, &flags);
    WithTls { server, authority, folder }
}

async fn login_tls(config: &Config, tls: TlsClient) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(tls).await?;
    drop(tokio::task::spawn_local(connection));
    Ok(client)
}

#[test]
fn connections_are_encrypted() {
    let made = with_tls(
        "host all postgres 127.0.0.1/32 trust\n\
         hostssl all alice all scram-sha-256\n\
         hostssl all plain all password\n\
         hostssl all carol all cert\n\
         hostssl all bob all cert map=staff\n\
         hostssl all dave all scram-sha-256 clientcert=verify-full\n",
    );
    make_roles(
        &made.server,
        "CREATE ROLE alice LOGIN PASSWORD 'x'; CREATE ROLE plain LOGIN PASSWORD 'x';
         CREATE ROLE carol LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE dave LOGIN PASSWORD 'x'",
    );
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime(), async {
        let config = |user: &str, password: Option<&str>| {
            let mut config = config(&made.server, user, password);
            config.ssl_mode(SslMode::Require);
            config
        };
        let anonymous = || made.authority.client(None);
        let mut bound = config("alice", Some("x"));
        bound.channel_binding(tokio_postgres::config::ChannelBinding::Require);
        let client = login_tls(&bound, anonymous()).await.unwrap();
        let row = client
            .query_one(
                "SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        assert!(row.get::<_, bool>(0));
        assert_eq!(row.get::<_, String>(1), "TLSv1.3");
        assert_eq!(row.get::<_, Option<String>>(2), None);
        login_tls(&config("plain", Some("x")), anonymous()).await.unwrap();
        let wrong =
            login_tls(&config("plain", Some("y")), anonymous()).await.map(|_| String::new());
        assert_eq!(
            refusal(wrong),
            pair("28P01", "password authentication failed for user \"plain\"")
        );
        let none = login_tls(&config("carol", None), anonymous()).await.map(|_| String::new());
        assert_eq!(refusal(none), pair("28000", "connection requires a valid client certificate"));
        let carol = made.authority.client(Some("carol"));
        let client = login_tls(&config("carol", None), carol).await.unwrap();
        let row = client
            .query_one("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "/CN=carol");
        let other = made.authority.client(Some("carol"));
        let refused = login_tls(&config("bob", None), other).await.map(|_| String::new());
        assert_eq!(
            refusal(refused),
            pair("28000", "certificate authentication failed for user \"bob\"")
        );
        let mapped = made.authority.client(Some("robert"));
        login_tls(&config("bob", None), mapped).await.unwrap();
        let both = made.authority.client(Some("dave"));
        login_tls(&config("dave", Some("x")), both).await.unwrap();
        let stranger = Authority::new().client_trusting(&made.authority, "carol");
        assert!(login_tls(&config("carol", None), stranger).await.is_err());
        let (code, message) = refusal(
            login(&{
                let mut plain = config("alice", Some("x"));
                plain.ssl_mode(SslMode::Disable);
                plain
            })
            .await,
        );
        assert_eq!(code, "28000");
        assert!(message.ends_with("no encryption"), "{message}");
    });
    // A new certificate is taken without a restart.
    let renewed = Authority::new();
    renewed.write_server_files(made.folder.path());
    let mut admin = made.server.connect();
    assert_eq!(admin.run("SELECT pg_reload_conf()").unwrap().rows[0][0].as_deref(), Some("t"));
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime(), async {
        let mut config = config(&made.server, "alice", Some("x"));
        config.ssl_mode(SslMode::Require);
        assert!(login_tls(&config, made.authority.client(None)).await.is_err());
        login_tls(&config, renewed.client(None)).await.unwrap();
    });
}

#[test]
fn a_client_may_begin_with_the_handshake() {
    let made = with_tls("host all all all trust\n");
    runtime().block_on(async {
        let startup = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
        let first = made.authority.direct(&made.server.address, Some(b"postgresql"), startup).await;
        assert_eq!(first.unwrap().first(), Some(&b'R'));
        let unnamed = made.authority.direct(&made.server.address, None, startup).await;
        let told = String::from_utf8_lossy(&unnamed.unwrap()).into_owned();
        assert!(told.contains("without ALPN"), "{told}");
    });
}

#[test]
fn nothing_is_carried_over_the_upgrade() {
    let made = with_tls("host all all all trust\n");
    let mut stream = TcpStream::connect(&made.server.address).unwrap();
    let mut bytes = vec![0, 0, 0, 8, 4, 210, 22, 47];
    bytes.extend_from_slice(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0");
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("08P01"), "{text}");
    assert!(text.contains("received unencrypted data after SSL request"), "{text}");
}
