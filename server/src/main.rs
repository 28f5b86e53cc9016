//! The binary `aegis`: reads the configuration, opens the instance, listens, and stops in order.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

use aegis_server::cancel::CancelRegistry;
use aegis_server::config::{Arguments, Config, LogFormat};
use aegis_server::engines;
use aegis_server::instance::Instance;
use aegis_server::listener::Server;
use aegis_server::shutdown::{self, Shutdown};
use aegis_server::task;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// Why the server could not start, or had to stop.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(arguments) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    if let Err(error) = start_log(&config) {
        return refuse(&*error);
    }
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "aegis ends");
            ExitCode::FAILURE
        }
    }
}

/// Before there is a log, standard error has to do.
fn refuse(error: &dyn std::error::Error) -> ExitCode {
    // Where not even that can be written to, the exit code says it.
    let _written = writeln!(std::io::stderr(), "aegis: {error}");
    ExitCode::from(2)
}

fn start_log(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log_level)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
}

fn run(config: &Config) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let runtimes = (0..cores).map(|_| session_runtime()).collect::<std::io::Result<Vec<_>>>()?;
    let handles = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
    let served = runtimes[0].block_on(serve(config, handles));
    for runtime in runtimes {
        runtime.shutdown_background();
    }
    served
}

/// One thread that serves sessions, with more at hand for what takes long.
fn session_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("aegis-connections")
        .max_blocking_threads(aegis_server::task::WAITING_THREADS_MAX)
        .enable_all()
        .build()
}

async fn serve(config: &Config, runtimes: Vec<Handle>) -> Result<(), Failure> {
    let shutdown = Shutdown::default();
    let (report_fatal, mut fatal) = tokio::sync::mpsc::unbounded_channel();
    let on_fatal = Arc::new(move |reason: String| {
        // Nobody listens once the process is ending anyway.
        let _sent = report_fatal.send(reason);
    });
    let instance = tokio::select! {
        opened = Instance::open(&config.data_dir, config.memory_bytes, on_fatal) => opened?,
        // A disk that fails while the log is replayed: nobody else would say so.
        Some(reason) = fatal.recv() => return Err(reason.into()),
    };
    instance.authentication.configure(&config.data_dir, config.authentication.clone())?;
    instance.configure_settings(config.settings.clone());
    instance.configure_statistics(config.statistics);
    instance.configure_auto_analyze(config.auto_analyze);
    drop(task::spawn("reload", reload_on_signal(Arc::clone(&instance))));
    drop(task::spawn("chores", engines::do_chores(Arc::clone(&instance), shutdown.clone())));
    let server = Server::new(
        Arc::clone(&instance),
        runtimes,
        CancelRegistry::default(),
        shutdown.clone(),
        config.connections_max,
    );
    let mut addresses = Vec::new();
    for address in &config.listen {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        let address = listener.local_addr()?;
        addresses.push(address);
        drop(task::spawn("listener", Arc::clone(&server).listen(listener)));
    }
    let analyzing = aegis_server::auto_analyze::run(
        Arc::clone(&instance),
        shutdown.clone(),
        config.auto_analyze,
    );
    drop(task::spawn("auto_analyze", shutdown.tracked(analyzing)));
    info!(data_dir = %config.data_dir.display(), ?addresses, "ready for connections");
    greet(addresses[0]);

    let failure = tokio::select! {
        signal = shutdown::signalled() => {
            info!(signal = signal?, "stopping");
            None
        }
        // An instance that lets go of its callback will not fail: the signal is waited for alone.
        Some(reason) = fatal.recv() => Some(reason),
    };
    shutdown.begin();
    let drained = server.drain().await;
    if !drained {
        warn!("some sessions did not end in time");
    }
    match failure {
        // What is on disk is what recovery will find: nothing more is written.
        Some(reason) => Err(reason.into()),
        None => {
            instance.shutdown(drained).await;
            info!("stopped");
            Ok(())
        }
    }
}

/// Reads rules and certificates again whenever SIGHUP comes.
async fn reload_on_signal(instance: Arc<Instance>) {
    let mut hangups = match shutdown::hangups() {
        Ok(hangups) => hangups,
        Err(error) => {
            warn!(%error, "SIGHUP will not be heard");
            return;
        }
    };
    while hangups.recv().await.is_some() {
        instance.authentication.reload();
    }
}

/// Tells whoever started the server how to reach it.
fn greet(address: SocketAddr) {
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let port = address.port();
    // The one line on standard output; a closed one does not matter.
    let _written = writeln!(
        std::io::stdout(),
        "aegis is ready: psql -h {host} -p {port} -U postgres -d postgres"
    );
}
