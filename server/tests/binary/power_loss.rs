//! The ledger under power losses: every acknowledged transaction is there afterwards, and none half.
//!
//! ```text
//! sessions (SQL, no sockets) ─► catalog, sql, planner ─► storage ─┬─ log segments ─┐
//!                                                                 ├─ redb ─────────┼─ one FaultDisk
//!                                                                 └─ run files ────┘
//! power off at the n-th operation of the disk ─► crash ─► open again ─► check ─► the next round
//! ```
//!
//! The disk keeps what was synced and, of the rest, what the seed lets survive; a write is kept,
//! lost or torn at a sector. Three sessions move money between accounts: both balances, both legs of
//! the journal, sometimes a table of their own or hundreds of rows, in one transaction. What was
//! answered must be there, what failed or was rolled back must not, and what was under way may, but
//! whole. `AEGIS_POWER_LOSS_SEEDS=from..to` runs other seeds than CI's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aegis_raft::RaftLogOptions;
use aegis_server::cancel::StopHandle;
use aegis_server::instance::{Instance, StartError};
use aegis_server::session::{Outcome, Place, Session, Startup};
use aegis_server::task::spawn;
use aegis_storage::{Fault, FaultDisk, StoreOptions};
use aegis_types::{Datum, SqlResult, SqlState};
use parking_lot::Mutex;
use tokio::sync::Notify;

const ACCOUNTS: u64 = 8;
const START_BALANCE: i64 = 1000;
const SESSIONS: u64 = 3;
const ROUNDS: u64 = 4;
/// Far beyond what any of it takes: whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

type Fates = Mutex<BTreeMap<u64, Fate>>;

/// What became of a transaction, as its client knows it: failed until its COMMIT is sent, unknown
/// until that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Unknown,
    Failed,
}

/// The instance, with limits so low that a small ledger meets all of them.
async fn open(
    disk: &FaultDisk,
    random: &mut Random,
    fatal: Arc<Notify>,
) -> Result<Arc<Instance>, StartError> {
    let ticks = AtomicU64::new(0);
    let clock: aegis_storage::Clock =
        Arc::new(move || i64::try_from(ticks.fetch_add(1, Ordering::Relaxed)).unwrap());
    let mut store = StoreOptions::new("store", 64 << 20, clock);
    store.freeze_bytes = [20_000, 200_000][random.below(2) as usize];
    store.flush_batch_rows = 10 + random.below(200) as usize;
    store.flush_pause = Duration::ZERO;
    store.spill_bytes = [16_000, 1 << 20][random.below(2) as usize];
    let log = RaftLogOptions {
        segment_bytes: [16 << 10, 128 << 10][random.below(2) as usize],
        tail_bytes_max: 64 << 10,
        in_place: [|| false, || true][random.below(2) as usize],
        ..RaftLogOptions::default()
    };
    Instance::open_on(
        Arc::new(disk.for_one_life()),
        store,
        log,
        &std::env::temp_dir(),
        Arc::new(move |_| fatal.notify_one()),
    )
    .await
}

async fn session(instance: &Arc<Instance>, process_id: i32) -> SqlResult<Session> {
    let startup = Startup {
        user: "postgres".to_owned(),
        database: Some("postgres".to_owned()),
        parameters: Vec::new(),
        process_id,
        client_address: None,
        tls: None,
        stop_handle: StopHandle::unconnected(),
    };
    Session::open(Arc::clone(instance), startup).await
}

/// Runs a query string as the simple protocol does; gives the rows of its last statement.
async fn run(session: &mut Session, sql: &str) -> SqlResult<Vec<Vec<Datum>>> {
    let result = run_statements(session, sql).await;
    if result.is_err() {
        session.fail().await;
    }
    result
}

async fn run_statements(session: &mut Session, sql: &str) -> SqlResult<Vec<Vec<Datum>>> {
    let mut answer = Vec::new();
    for raw in session.parse(sql)? {
        session.arm_cancel();
        let prepared = session
            .prepare(Some(Arc::new(raw.statement)), sql.into(), None, Place::default())
            .await?;
        answer = match session.execute(&prepared, Vec::new()).await? {
            Outcome::Rows { mut rows, .. } | Outcome::Returned { mut rows, .. } => {
                let mut all = Vec::new();
                while let Some(batch) = rows.next().await? {
                    all.extend((0..batch.len()).map(|at| batch.row(at)));
                }
                all
            }
            _ => Vec::new(),
        };
        session.end_statement().await?;
    }
    session.finish().await?;
    Ok(answer)
}

/// What a query of integers gives.
async fn integers(session: &mut Session, sql: &str) -> SqlResult<Vec<Vec<i64>>> {
    let integer = |datum: &Datum| match datum {
        Datum::Int4(value) => i64::from(*value),
        Datum::Int8(value) => *value,
        other => panic!("{sql} gave {other:?}"),
    };
    let rows = run(session, sql).await?;
    Ok(rows.iter().map(|row| row.iter().map(integer).collect()).collect())
}

/// The tables, where there are none.
async fn set_up(session: &mut Session) -> SqlResult<()> {
    let found = "SELECT count(*) FROM pg_class WHERE relname = 'account'";
    if integers(session, found).await? == [[1]] {
        return Ok(());
    }
    let accounts: Vec<String> =
        (0..ACCOUNTS).map(|id| format!("({id}, {START_BALANCE})")).collect();
    let script = format!(
        "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
         CREATE TABLE leg (number bigint, side int, account int NOT NULL, amount bigint NOT NULL,
             PRIMARY KEY (number, side));
         CREATE INDEX leg_account ON leg (account);
         CREATE TABLE filler (number bigint, line int, text text);
         INSERT INTO account VALUES {}",
        accounts.join(", ")
    );
    run(session, &script).await.map(drop)
}

/// What a transaction does besides moving money.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// Makes a table of its own.
    Table,
    /// Writes so many rows that the write set may spill into a run file.
    Rows,
}

impl Extra {
    fn of(number: u64) -> Self {
        match Random(number).below(12) {
            0 => Self::Table,
            1 => Self::Rows,
            _ => Self::Nothing,
        }
    }
}

const FILLER_LINES: i64 = 300;

/// One transaction. Some end by ROLLBACK: they count as failed.
async fn transfer(
    session: &mut Session,
    number: u64,
    random: &mut Random,
    fates: &Fates,
) -> SqlResult<()> {
    fates.lock().insert(number, Fate::Failed);
    let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
    let amount = 1 + random.below(50);
    run(session, "BEGIN").await?;
    // In the order of the accounts, so that nobody waits in a circle.
    let mut moves = [(from, -(amount as i64)), (to, amount as i64)];
    moves.sort_unstable();
    for (account, amount) in moves {
        let change =
            format!("UPDATE account SET balance = balance + {amount} WHERE id = {account}");
        run(session, &change).await?;
    }
    let legs = format!(
        "INSERT INTO leg VALUES ({number}, 0, {from}, -{amount}), ({number}, 1, {to}, {amount})"
    );
    run(session, &legs).await?;
    if random.below(6) == 0 {
        let undone = format!(
            "SAVEPOINT s; DELETE FROM leg WHERE account = {from};
             UPDATE account SET balance = 0 WHERE id = {from}; ROLLBACK TO s"
        );
        run(session, &undone).await?;
    }
    match Extra::of(number) {
        Extra::Nothing => {}
        Extra::Table => {
            let table =
                format!("CREATE TABLE own_{number} (a int); INSERT INTO own_{number} VALUES (1)");
            run(session, &table).await?;
        }
        Extra::Rows => {
            let rows = format!(
                "INSERT INTO filler SELECT {number}, g, repeat('x', 100)
                 FROM generate_series(1, {FILLER_LINES}) AS g"
            );
            run(session, &rows).await?;
        }
    }
    if random.below(10) == 0 {
        return run(session, "ROLLBACK").await.map(drop);
    }
    fates.lock().insert(number, Fate::Unknown);
    let fate = match run(session, "COMMIT").await {
        Ok(_) => Fate::Committed,
        Err(error) if error.code() == SqlState::TransactionResolutionUnknown => return Err(error),
        Err(error) => {
            fates.lock().insert(number, Fate::Failed);
            return Err(error);
        }
    };
    fates.lock().insert(number, fate);
    Ok(())
}

/// One session works until the power is gone. Its transactions have the numbers `first`, `first +
/// SESSIONS`, and so on.
async fn work(instance: &Arc<Instance>, disk: &FaultDisk, fates: &Fates, first: u64, seed: u64) {
    let mut random = Random(seed ^ first);
    let Ok(mut session) = session(instance, i32::try_from(first).unwrap()).await else {
        return;
    };
    for nth in 0..25 {
        let number = first + nth * SESSIONS;
        if let Err(error) = transfer(&mut session, number, &mut random, fates).await {
            assert!(disk.is_off(), "transaction {number}: {error:?}");
        }
        if disk.is_off() {
            break;
        }
        if random.below(12) == 0 && instance.store.flush_now().await.is_err() {
            break;
        }
    }
    session.close().await;
}

/// Compares what is there with what the clients know; what was unknown is known from here on.
async fn check(session: &mut Session, fates: &Fates) -> SqlResult<()> {
    let legs = integers(session, "SELECT number, side, account, amount FROM leg").await?;
    let mut balances = vec![START_BALANCE; ACCOUNTS as usize];
    let mut sides: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for leg in &legs {
        sides.entry(leg[0] as u64).or_default().push(leg[1]);
        balances[leg[2] as usize] += leg[3];
    }
    let tables =
        run(session, "SELECT relname::text FROM pg_class WHERE relname LIKE 'own%'").await?;
    let tables: BTreeSet<String> = tables.iter().map(|row| text(&row[0])).collect();
    let filler = "SELECT number, count(*) FROM filler GROUP BY number";
    let filler: BTreeMap<u64, i64> =
        integers(session, filler).await?.into_iter().map(|row| (row[0] as u64, row[1])).collect();
    let mut known = fates.lock().clone();
    for (number, fate) in &mut known {
        let is_there = sides.contains_key(number);
        match fate {
            Fate::Committed => {
                assert!(is_there, "transaction {number} was acknowledged and is lost")
            }
            Fate::Failed => assert!(!is_there, "transaction {number} failed and is there"),
            Fate::Unknown if is_there => *fate = Fate::Committed,
            Fate::Unknown => *fate = Fate::Failed,
        }
        let extra = Extra::of(*number);
        let half = format!("transaction {number} is half there");
        if is_there {
            let mut found = sides[number].clone();
            found.sort_unstable();
            assert_eq!(found, [0, 1], "{half}: its legs");
        }
        let has_table = tables.contains(&format!("own_{number}"));
        assert_eq!(has_table, is_there && extra == Extra::Table, "{half}: its table");
        let lines = filler.get(number).copied().unwrap_or(0);
        let expected = if is_there && extra == Extra::Rows { FILLER_LINES } else { 0 };
        assert_eq!(lines, expected, "{half}: its rows");
    }
    assert!(sides.keys().all(|number| known.contains_key(number)), "somebody else was here");
    *fates.lock() = known;
    for table in &tables {
        let rows = integers(session, &format!("SELECT count(*) FROM {table}")).await?;
        assert_eq!(rows, [[1]], "{table} and its row are one transaction");
    }
    for (account, balance) in balances.iter().enumerate() {
        let stored = format!("SELECT balance FROM account WHERE id = {account}");
        assert_eq!(integers(session, &stored).await?, [[*balance]], "account {account}");
        // Through the index, which is a tree of its own.
        let indexed = format!("SELECT count(*) FROM leg WHERE account = {account}");
        let expected = legs.iter().filter(|leg| leg[2] == account as i64).count() as i64;
        assert_eq!(integers(session, &indexed).await?, [[expected]], "the index, {account}");
    }
    Ok(())
}

fn text(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => text.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

/// What the sessions do, and which locks they hold and wait for.
fn doings(instance: &Instance) -> Vec<String> {
    let sessions = instance.sessions().into_iter();
    let sessions = sessions.map(|(id, session)| format!("{id}: {:?}", session.activity));
    sessions.chain(instance.store.locks().iter().map(|lock| format!("{lock:?}"))).collect()
}

/// The last lines of the log, for when a life hangs.
#[derive(Clone, Default)]
struct LastLines(Arc<Mutex<VecDeque<String>>>);

const LINES_MAX: usize = 400;

impl Write for LastLines {
    /// A line a call, as the subscriber writes them.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.0.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(line).trim_end().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps the last lines of what this process logs.
fn keep_last_lines() -> LastLines {
    let lines = LastLines::default();
    let made = lines.clone();
    let filter = "debug,openraft=info,tokio_postgres=warn";
    // Another test of this process may have set one up: then that has the lines.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(move || made.clone())
        .try_init();
    lines
}

/// One life of the server: open, check, work until the power goes. Gives whether it got as far as
/// working.
async fn live(disk: &FaultDisk, random: &mut Random, fates: &Fates, seed: u64, round: u64) -> bool {
    let fatal = Arc::new(Notify::new());
    let works = AtomicBool::new(false);
    // Where a life that hangs does so.
    let phase = Mutex::new("opening");
    let running = Mutex::new(None);
    let life = async {
        let instance = match open(disk, random, fatal.clone()).await {
            Ok(instance) => instance,
            Err(error) => {
                assert!(disk.is_off(), "{error}");
                return;
            }
        };
        *running.lock() = Some(Arc::clone(&instance));
        *phase.lock() = "checking";
        let began: SqlResult<()> = async {
            let mut session = session(&instance, 1).await?;
            set_up(&mut session).await?;
            check(&mut session, fates).await?;
            session.close().await;
            Ok(())
        }
        .await;
        if let Err(error) = &began {
            assert!(disk.is_off(), "{error:?}");
            return;
        }
        works.store(true, Ordering::Relaxed);
        *phase.lock() = "working";
        let first = 1 + round * 1000;
        let seed = seed.wrapping_mul(1_000_003) ^ round;
        tokio::join!(
            work(&instance, disk, fates, first, seed),
            work(&instance, disk, fates, first + 1, seed),
            work(&instance, disk, fates, first + 2, seed),
        );
        *phase.lock() = "shutting down";
        instance.shutdown(true).await;
    };
    let life = tokio::time::timeout(PATIENCE, life);
    tokio::select! {
        ended = life => {
            let said = running.lock().as_deref().map(doings);
            assert!(
                ended.is_ok(),
                "round {round}, power off: {}, it hangs {}: {said:#?}",
                disk.is_off(),
                phase.lock()
            );
        }
        // The process would end here: whoever waits for a lock of a commit of unknown outcome
        // would wait for ever.
        () = fatal.notified() => assert!(disk.is_off(), "it stops though nothing failed"),
    }
    // Store and log hold each other until one is told to let go, as an exit of the process would.
    if let Some(instance) = running.lock().take() {
        drop(spawn("end", async move { instance.shutdown(false).await }));
    }
    works.into_inner()
}

/// Gives how many times the power went while the ledger was at work.
async fn run_seed(seed: u64) -> u64 {
    let mut random = Random(seed);
    let disk = FaultDisk::new(seed);
    let fates = Fates::default();
    let mut losses = 0;
    for round in 0..ROUNDS {
        disk.inject(Fault::PowerLossAfter(match random.below(4) {
            0 => 1 + random.below(80),
            _ => 40 + random.below(700),
        }));
        let worked = live(&disk, &mut random, &fates, seed, round).await;
        losses += u64::from(worked && disk.is_off());
        disk.crash();
    }
    assert!(live(&disk, &mut random, &fates, seed, ROUNDS).await, "it does not start");
    losses
}

#[expect(clippy::disallowed_methods, reason = "a soak is longer than CI's run of the same test")]
fn seeds() -> Range<u64> {
    let given = std::env::var("AEGIS_POWER_LOSS_SEEDS").ok();
    let range = given.as_deref().and_then(|text| text.split_once(".."));
    range.map_or(0..20, |(from, to)| from.parse().unwrap()..to.parse().unwrap())
}

#[test]
fn acknowledged_transactions_survive_power_losses_whole() {
    let seeds = seeds();
    println!("AEGIS_POWER_LOSS_SEEDS={}..{}", seeds.start, seeds.end);
    let lines = keep_last_lines();
    let mut losses = 0;
    for seed in seeds.clone() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // In a task, as connections are: a statement that needs new numbers blocks its thread for
        // them, and on the thread of `block_on` that would eat the wakeups of everything else there.
        let outcome = runtime.block_on(async { spawn("seed", run_seed(seed)).await });
        runtime.shutdown_background();
        match outcome {
            Ok(lost) => losses += lost,
            Err(_) => {
                for line in lines.0.lock().iter() {
                    println!("{line}");
                }
                panic!("AEGIS_POWER_LOSS_SEEDS={seed}..{} fails", seed + 1)
            }
        }
    }
    println!("{losses} power losses under load");
    let count = seeds.end - seeds.start;
    assert!(losses >= count, "only {losses} losses under load in {count} seeds: nothing is tested");
}
