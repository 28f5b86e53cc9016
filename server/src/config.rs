//! Configuration: flags, then the environment (`AEGIS_…`), then a TOML file, then defaults.
//!
//! Every value has one name in all three: `--max-connections`, `AEGIS_MAX_CONNECTIONS`,
//! `max_connections = 100`. Settings of sessions are SQL's (`SET`), not here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aegis_sql::settings::{self, SessionSettings};
use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::auth::AuthenticationFiles;
use crate::auto_analyze::AutoAnalyzeOptions;
use crate::statement_statistics::StatisticsOptions;
use crate::tls::TlsFiles;

/// A PostgreSQL-compatible database: rows, documents, time series, streams and key-values under one
/// transaction.
#[derive(Debug, Default, Parser)]
#[command(name = "aegis", version, about)]
pub struct Arguments {
    /// A TOML file with any of the values below, named as the flags are, with underscores
    #[arg(long, env = "AEGIS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data lie [default: aegis-data]
    #[arg(long, env = "AEGIS_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on, several by repeating or with commas [default: 127.0.0.1:5432]
    #[arg(long, env = "AEGIS_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<SocketAddr>,
    /// How many sessions there may be at a time [default: 100]
    #[arg(long, env = "AEGIS_MAX_CONNECTIONS", value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// How much memory to use, such as 512MB or 4GB [default: 1GB]
    #[arg(long, env = "AEGIS_MEMORY", value_name = "SIZE")]
    memory: Option<String>,
    /// Who may come from where, as PostgreSQL's pg_hba.conf [default: aegis_hba.conf in the data
    /// directory if it is there; else this machine is trusted and others need a password]
    #[arg(long, env = "AEGIS_HBA_FILE", value_name = "FILE")]
    hba_file: Option<PathBuf>,
    /// Whose certificate may be which role, as PostgreSQL's pg_ident.conf
    #[arg(long, env = "AEGIS_IDENT_FILE", value_name = "FILE")]
    ident_file: Option<PathBuf>,
    /// The server's certificate in PEM: turns TLS on
    #[arg(long, env = "AEGIS_SSL_CERT_FILE", value_name = "FILE")]
    ssl_cert_file: Option<PathBuf>,
    /// The private key of that in PEM
    #[arg(long, env = "AEGIS_SSL_KEY_FILE", value_name = "FILE")]
    ssl_key_file: Option<PathBuf>,
    /// The authorities that sign clients' certificates, in PEM
    #[arg(long, env = "AEGIS_SSL_CA_FILE", value_name = "FILE")]
    ssl_ca_file: Option<PathBuf>,
    /// How many seconds a client may take to be let in [default: 60]
    #[arg(long, env = "AEGIS_AUTHENTICATION_TIMEOUT", value_name = "SECONDS")]
    authentication_timeout: Option<u64>,
    /// How many statements are counted at most, of 100 and more [default: 5000]
    #[arg(long, env = "AEGIS_PG_STAT_STATEMENTS_MAX", value_name = "NUMBER")]
    pg_stat_statements_max: Option<usize>,
    /// Whether what statements cost outlives the server [default: true]
    #[arg(long, env = "AEGIS_PG_STAT_STATEMENTS_SAVE", value_name = "BOOLEAN")]
    pg_stat_statements_save: Option<bool>,
    /// Whether tables that have changed much are analyzed [default: true]
    #[arg(long, env = "AEGIS_AUTOVACUUM", value_name = "BOOLEAN")]
    autovacuum: Option<bool>,
    /// How many seconds lie between two looks at what has changed, at least [default: 60]
    #[arg(long, env = "AEGIS_AUTOVACUUM_NAPTIME", value_name = "SECONDS")]
    autovacuum_naptime: Option<u64>,
    /// How many rows of a table change before it is analyzed [default: 50]
    #[arg(long, env = "AEGIS_AUTOVACUUM_ANALYZE_THRESHOLD", value_name = "NUMBER")]
    autovacuum_analyze_threshold: Option<u32>,
    /// And which part of its rows, beyond that [default: 0.1]
    #[arg(long, env = "AEGIS_AUTOVACUUM_ANALYZE_SCALE_FACTOR", value_name = "FACTOR")]
    autovacuum_analyze_scale_factor: Option<f64>,
    /// What sessions begin with unless a database, a role or a client says otherwise: NAME=VALUE as
    /// `SET` takes it, several by repeating
    #[arg(short = 'c', long = "settings", env = "AEGIS_SETTINGS", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "AEGIS_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// What is logged: off, error, warn, info, debug, trace, or tracing directives [default: info]
    #[arg(long, env = "AEGIS_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    #[serde(default)]
    listen: Vec<SocketAddr>,
    max_connections: Option<usize>,
    memory: Option<String>,
    hba_file: Option<PathBuf>,
    ident_file: Option<PathBuf>,
    ssl_cert_file: Option<PathBuf>,
    ssl_key_file: Option<PathBuf>,
    ssl_ca_file: Option<PathBuf>,
    authentication_timeout: Option<u64>,
    pg_stat_statements_max: Option<usize>,
    pg_stat_statements_save: Option<bool>,
    autovacuum: Option<bool>,
    autovacuum_naptime: Option<u64>,
    autovacuum_analyze_threshold: Option<u32>,
    autovacuum_analyze_scale_factor: Option<f64>,
    #[serde(default)]
    settings: Vec<String>,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
}

/// What the server goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the data lie.
    pub data_dir: PathBuf,
    /// Where clients are awaited: at least one address.
    pub listen: Vec<SocketAddr>,
    /// How many sessions there may be: at least 1.
    pub connections_max: usize,
    /// How much memory to use.
    pub memory_bytes: u64,
    /// What decides who is let in.
    pub authentication: AuthenticationFiles,
    /// How much is kept of what statements cost.
    pub statistics: StatisticsOptions,
    /// How tables are analyzed without being asked for.
    pub auto_analyze: AutoAnalyzeOptions,
    /// What sessions begin with: names and values.
    pub settings: Vec<(String, String)>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, in directives of `tracing`.
    pub log_level: String,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// The file is not what it should be.
    Malformed(PathBuf, Box<toml::de::Error>),
    /// A value makes no sense.
    Invalid {
        /// Which.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read configuration file {}: {error}", path.display())
            }
            Self::Malformed(path, error) => {
                write!(f, "configuration file {}: {error}", path.display())
            }
            Self::Invalid { name, value, expected } => {
                write!(f, "invalid value for {name}: \"{value}\"; expected {expected}")
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::Malformed(_, error) => Some(error),
            Self::Invalid { .. } => None,
        }
    }
}

impl Config {
    /// Puts the configuration together.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn load(arguments: Arguments) -> Result<Self, ConfigError> {
        let file = arguments.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        Self::merge(arguments, file)
    }

    fn merge(arguments: Arguments, file: File) -> Result<Self, ConfigError> {
        let listen =
            [arguments.listen, file.listen, vec![SocketAddr::from(([127, 0, 0, 1], 5432))]]
                .into_iter()
                .find(|addresses| !addresses.is_empty())
                .unwrap_or_default();
        let connections_max = arguments.max_connections.or(file.max_connections).unwrap_or(100);
        if connections_max == 0 {
            return Err(ConfigError::Invalid {
                name: "max_connections",
                value: connections_max.to_string(),
                expected: "at least 1",
            });
        }
        let seconds = arguments.authentication_timeout.or(file.authentication_timeout);
        if let Some(seconds) = seconds.filter(|seconds| !(1..=600).contains(seconds)) {
            return Err(ConfigError::Invalid {
                name: "authentication_timeout",
                value: seconds.to_string(),
                expected: "1 to 600 seconds",
            });
        }
        let authentication = AuthenticationFiles {
            rules: arguments.hba_file.or(file.hba_file),
            maps: arguments.ident_file.or(file.ident_file),
            tls: TlsFiles {
                certificate: arguments.ssl_cert_file.or(file.ssl_cert_file),
                key: arguments.ssl_key_file.or(file.ssl_key_file),
                authority: arguments.ssl_ca_file.or(file.ssl_ca_file),
            },
            timeout: seconds.map(Duration::from_secs),
        };
        let statistics = StatisticsOptions::default();
        let statements_max = arguments
            .pg_stat_statements_max
            .or(file.pg_stat_statements_max)
            .unwrap_or(statistics.statements_max);
        if !(100..=1_073_741_823).contains(&statements_max) {
            return Err(ConfigError::Invalid {
                name: "pg_stat_statements_max",
                value: statements_max.to_string(),
                expected: "100 to 1073741823",
            });
        }
        let save = arguments
            .pg_stat_statements_save
            .or(file.pg_stat_statements_save)
            .unwrap_or(statistics.save);
        let usual = AutoAnalyzeOptions::default();
        let naptime = arguments.autovacuum_naptime.or(file.autovacuum_naptime);
        let naptime = naptime.unwrap_or(usual.naptime.as_secs());
        if !(1..=2_147_483).contains(&naptime) {
            return Err(ConfigError::Invalid {
                name: "autovacuum_naptime",
                value: naptime.to_string(),
                expected: "1 to 2147483 seconds",
            });
        }
        let scale_factor =
            arguments.autovacuum_analyze_scale_factor.or(file.autovacuum_analyze_scale_factor);
        let scale_factor = scale_factor.unwrap_or(usual.scale_factor);
        if !(0.0..=100.0).contains(&scale_factor) {
            return Err(ConfigError::Invalid {
                name: "autovacuum_analyze_scale_factor",
                value: scale_factor.to_string(),
                expected: "0 to 100",
            });
        }
        let auto_analyze = AutoAnalyzeOptions {
            enabled: arguments.autovacuum.or(file.autovacuum).unwrap_or(usual.enabled),
            naptime: Duration::from_secs(naptime),
            threshold: arguments
                .autovacuum_analyze_threshold
                .or(file.autovacuum_analyze_threshold)
                .unwrap_or(usual.threshold),
            scale_factor,
        };
        let memory = arguments.memory.or(file.memory).unwrap_or_else(|| "1GB".to_owned());
        Ok(Self {
            data_dir: arguments.data_dir.or(file.data_dir).unwrap_or_else(|| "aegis-data".into()),
            listen,
            connections_max,
            memory_bytes: parse_size(&memory).ok_or(ConfigError::Invalid {
                name: "memory",
                value: memory,
                expected: "at least 64MB, in B, kB, MB, GB or TB",
            })?,
            authentication,
            statistics: StatisticsOptions { statements_max, save },
            auto_analyze,
            settings: file
                .settings
                .into_iter()
                .chain(arguments.settings)
                .map(read_setting)
                .collect::<Result<_, _>>()?,
            log_format: arguments.log_format.or(file.log_format).unwrap_or_default(),
            log_level: arguments
                .log_level
                .or(file.log_level)
                .unwrap_or_else(|| "info,openraft=warn".to_owned()),
        })
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed(path.to_owned(), Box::new(error)))
}

/// A name and a value that sessions may set.
fn read_setting(text: String) -> Result<(String, String), ConfigError> {
    let mut tried = SessionSettings::default();
    tried.is_superuser = true;
    if let Some((name, value)) = text.split_once('=')
        && tried.set(name.trim(), Some(value.trim()), false).is_ok()
    {
        let name = settings::find(name.trim()).map_or(name.trim(), |setting| setting.name);
        return Ok((name.to_owned(), value.trim().to_owned()));
    }
    let expected = "NAME=VALUE of a setting that sessions may set";
    Err(ConfigError::Invalid { name: "settings", value: text, expected })
}

/// A size in PostgreSQL's units, powers of 1,024; `None` below 64 MB.
fn parse_size(text: &str) -> Option<u64> {
    let digits_end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    (bytes >= 64 << 20).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_no_session_may_set_are_refused() {
        let of = |text: &str| {
            let arguments = Arguments::parse_from(["aegis", "-c", text]);
            Config::load(arguments).map(|config| config.settings)
        };
        let set = of("aegis.direct_path = off").expect("any session may set it");
        assert_eq!(set, [("aegis.direct_path".to_owned(), "off".to_owned())]);
        for text in ["aegis.direct_path", "work_mem=x", "block_size=8192", "absent=1"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = toml::from_str("max_connections = 7\nmemory = \"2GB\"\nlog_format = \"json\"")
            .expect("it is well formed");
        let arguments = Arguments::parse_from([
            "aegis",
            "--memory",
            "512MB",
            "--listen",
            "127.0.0.1:1,[::1]:2",
        ]);
        let config = Config::merge(arguments, file).expect("it is valid");
        assert_eq!(config.connections_max, 7);
        assert_eq!(config.memory_bytes, 512 << 20);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.data_dir, Path::new("aegis-data"));
    }

    #[test]
    fn a_misspelt_value_is_refused() {
        assert!(toml::from_str::<File>("max_conections = 7").is_err());
        assert_eq!(parse_size("64MB"), Some(64 << 20));
        assert_eq!(parse_size("1 GB"), Some(1 << 30));
        assert_eq!(parse_size("1gb"), None);
        assert_eq!(parse_size("1kB"), None);
        assert_eq!(parse_size("99999999TB"), None);
    }
}
