//! LISTEN and NOTIFY between sessions.
//!
//! ```text
//! session A: NOTIFY … ─► pending ── commit, in turn ──► hub ─┬─► mailbox of B ─► B, when idle
//! session B: LISTEN … ─► pending ── commit ───────────► hub  └─► mailbox of A ─► A, before its
//!                                                                               ReadyForQuery
//! ```
//!
//! Nothing is heard before the commit, and all hear it in the order of commits: who notifies commits
//! one after another, as in PostgreSQL. Handing over is putting a shared message into mailboxes in
//! memory; each session sends its own when it is out of a transaction. A mailbox has a bound, and
//! what does not fit into it is refused to who notifies, before the commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify, watch};

/// What a mailbox, and what a transaction's pending notifications, hold at most.
const QUEUE_BYTES_MAX: usize = 8 << 20;

/// So many wakes of a transaction have a payload of their own.
const WAKES_MAX: usize = 1_000;

/// So many channels of engines are kept for who may wait for them again.
const HEARD_MAX: usize = 1_000;

/// How many channels a session may listen to.
const CHANNELS_MAX: usize = 100_000;

/// The length of an identifier, with the byte that ends PostgreSQL's strings.
const NAME_BYTES: usize = 64;

/// PostgreSQL's `NOTIFY_PAYLOAD_MAX_LENGTH`.
const PAYLOAD_BYTES: usize = 8000;

/// What a notification takes in a queue beside its text.
const OVERHEAD_BYTES: usize = 64;

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification {
    /// The session that notified.
    pub process_id: i32,
    /// The channel.
    pub channel: Arc<str>,
    /// The payload; empty without one.
    pub payload: Arc<str>,
}

impl Notification {
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len() + OVERHEAD_BYTES
    }
}

/// What waits to be sent to one session.
#[derive(Debug, Default)]
pub struct Mailbox {
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Notification>>,
    bytes: usize,
}

impl Mailbox {
    /// Takes everything out, first to last.
    #[must_use]
    pub fn take(&self) -> VecDeque<Arc<Notification>> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        std::mem::take(&mut queue.waiting)
    }

    /// Whether there is anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.lock().waiting.is_empty()
    }

    /// Returns once something has come since this was last asked.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    fn put(&self, notification: &Arc<Notification>) {
        let mut queue = self.queue.lock();
        queue.bytes += notification.bytes();
        queue.waiting.push_back(Arc::clone(notification));
        drop(queue);
        self.ready.notify_one();
    }
}

type Listeners = BTreeMap<i32, Arc<Mailbox>>;

/// Who listens to what, in all databases.
#[derive(Debug, Default)]
pub struct NotificationHub {
    channels: Mutex<HashMap<(Oid, Arc<str>), Listeners>>,
    /// What functions that wait for others' commits look at.
    heard: Mutex<HashMap<(Oid, Arc<str>), watch::Sender<u64>>>,
    /// Held from before a notifying commit until its notifications are handed over.
    order: tokio::sync::Mutex<()>,
}

impl NotificationHub {
    /// The turn of a transaction that notifies: until it is dropped no other commits.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.order.lock().await
    }

    /// Whether all mailboxes have room for what a transaction notifies.
    ///
    /// # Errors
    /// 54000 where one has not.
    pub fn check_room(&self, database: Oid, notifications: &[Notification]) -> SqlResult<()> {
        let channels = self.channels.lock();
        let bytes: usize = notifications.iter().map(Notification::bytes).sum();
        for notification in notifications {
            let listeners = channels.get(&(database, Arc::clone(&notification.channel)));
            for mailbox in listeners.into_iter().flat_map(BTreeMap::values) {
                if mailbox.bytes().saturating_add(bytes) > QUEUE_BYTES_MAX {
                    return Err(queue_is_full());
                }
            }
        }
        Ok(())
    }

    /// Hands notifications over to all who listen.
    pub fn hand_over(&self, database: Oid, notifications: Vec<Notification>) {
        let channels = self.channels.lock();
        for notification in notifications {
            let key = (database, Arc::clone(&notification.channel));
            if let Some(listeners) = channels.get(&key) {
                let notification = Arc::new(notification);
                listeners.values().for_each(|mailbox| mailbox.put(&notification));
            }
        }
    }

    /// What changes whenever a channel is woken.
    #[must_use]
    pub fn hear(&self, database: Oid, channel: &str) -> watch::Receiver<u64> {
        let mut heard = self.heard.lock();
        // Whoever waited for these has gone.
        if heard.len() >= HEARD_MAX {
            heard.retain(|_, sender| sender.receiver_count() > 0);
        }
        heard.entry((database, channel.into())).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Wakes who listens. Unlike a notification this keeps no order among commits; a mailbox that is
    /// full has woken its session already.
    fn wake(&self, database: Oid, wakes: Vec<Notification>) {
        for wake in wakes {
            let key = (database, Arc::clone(&wake.channel));
            if let Some(sender) = self.heard.lock().get(&key) {
                sender.send_modify(|count| *count += 1);
            }
            let channels = self.channels.lock();
            let Some(listeners) = channels.get(&key) else { continue };
            let wake = Arc::new(wake);
            let with_room = listeners.values().filter(|it| it.bytes() < QUEUE_BYTES_MAX / 2);
            with_room.for_each(|mailbox| mailbox.put(&wake));
        }
    }

    /// How full the fullest mailbox is, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub fn usage(&self) -> f64 {
        let channels = self.channels.lock();
        let fullest = channels.values().flat_map(BTreeMap::values).map(|it| it.bytes()).max();
        fullest.unwrap_or(0) as f64 / QUEUE_BYTES_MAX as f64
    }

    fn listen(&self, key: (Oid, Arc<str>), process_id: i32, mailbox: &Arc<Mailbox>) {
        let mut channels = self.channels.lock();
        channels.entry(key).or_default().insert(process_id, Arc::clone(mailbox));
    }

    fn unlisten(&self, key: &(Oid, Arc<str>), process_id: i32) {
        let mut channels = self.channels.lock();
        if let Some(listeners) = channels.get_mut(key) {
            listeners.remove(&process_id);
            if listeners.is_empty() {
                channels.remove(key);
            }
        }
    }
}

/// 54000
fn queue_is_full() -> SqlError {
    SqlError::new(SqlState::ProgramLimitExceeded, "too many notifications in the NOTIFY queue")
}

/// What a transaction will do to its session's channels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Listen(Arc<str>),
    Unlisten(Arc<str>),
    UnlistenAll,
}

/// How much of each was pending.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotifyMark {
    changes: usize,
    notifications: usize,
    wakes: usize,
}

/// What a transaction does when it commits.
#[derive(Debug, Default)]
pub struct Pending {
    changes: Vec<Change>,
    notifications: Vec<Notification>,
    known: HashSet<Notification>,
    bytes: usize,
    /// Channels of engines to be woken.
    wakes: Vec<Notification>,
}

impl Pending {
    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.notifications.is_empty() && self.wakes.is_empty()
    }

    /// What it notifies.
    #[must_use]
    pub fn notifications(&self) -> &[Notification] {
        &self.notifications
    }
}

/// The channels of one session. Dropping it stops listening.
#[derive(Debug)]
pub struct Channels {
    hub: Arc<NotificationHub>,
    database: Oid,
    process_id: i32,
    mailbox: Arc<Mailbox>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listening: BTreeSet<Arc<str>>,
    pending: Pending,
}

impl Channels {
    /// A session that listens to nothing yet.
    #[must_use]
    pub fn new(hub: Arc<NotificationHub>, database: Oid, process_id: i32) -> Self {
        Self { hub, database, process_id, mailbox: Arc::default(), state: Mutex::default() }
    }

    /// Where notifications for the session arrive.
    #[must_use]
    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// `LISTEN`
    ///
    /// # Errors
    /// 54000 for too many channels.
    pub fn listen(&self, channel: &str) -> SqlResult<()> {
        self.change(Change::Listen(channel.into()))
    }

    /// `UNLISTEN`; without a channel, to all.
    ///
    /// # Errors
    /// Likewise.
    pub fn unlisten(&self, channel: Option<&str>) -> SqlResult<()> {
        self.change(channel.map_or(Change::UnlistenAll, |name| Change::Unlisten(name.into())))
    }

    fn change(&self, change: Change) -> SqlResult<()> {
        let mut state = self.state.lock();
        // What was just said need not be said again.
        if state.pending.changes.last() == Some(&change) {
            return Ok(());
        }
        if state.listening.len() + state.pending.changes.len() >= CHANNELS_MAX {
            return Err(SqlError::new(SqlState::ProgramLimitExceeded, "too many channels"));
        }
        state.pending.changes.push(change);
        Ok(())
    }

    /// `NOTIFY`: once for equal ones of a transaction.
    ///
    /// # Errors
    /// 22023 for names and payloads that are too long, 54000 for too many.
    pub fn notify(&self, channel: &str, payload: &str) -> SqlResult<()> {
        let refused = |message| Err(SqlError::new(SqlState::InvalidParameterValue, message));
        if channel.is_empty() {
            return refused("channel name cannot be empty");
        }
        if channel.len() >= NAME_BYTES {
            return refused("channel name too long");
        }
        if payload.len() >= PAYLOAD_BYTES {
            return refused("payload string too long");
        }
        let (process_id, channel, payload) = (self.process_id, channel.into(), payload.into());
        let notification = Notification { process_id, channel, payload };
        let pending = &mut self.state.lock().pending;
        if pending.known.contains(&notification) {
            return Ok(());
        }
        pending.bytes += notification.bytes();
        if pending.bytes > QUEUE_BYTES_MAX {
            return Err(queue_is_full());
        }
        pending.known.insert(notification.clone());
        pending.notifications.push(notification);
        Ok(())
    }

    /// Wakes who listens to a channel of an engine when the transaction commits, whoever has begun to
    /// listen by then: once for equal wakes in a row, and beyond some in one transaction once a channel,
    /// without a payload.
    ///
    /// # Errors
    /// 22023 for names that are too long.
    pub fn wake(&self, channel: &str, payload: &str) -> SqlResult<()> {
        let channel: Arc<str> = channel.into();
        let pending = &mut self.state.lock().pending;
        let mut payload: Arc<str> = payload.into();
        if pending.wakes.len() >= WAKES_MAX || payload.len() >= PAYLOAD_BYTES {
            payload = Arc::from("");
        }
        let process_id = self.process_id;
        let wake = Notification { process_id, channel, payload };
        let is_known = match pending.wakes.get(WAKES_MAX..) {
            // One a channel.
            Some(beyond) => beyond.contains(&wake),
            None => pending.wakes.last() == Some(&wake),
        };
        if !is_known {
            pending.wakes.push(wake);
        }
        Ok(())
    }

    /// The channels that the session listens to.
    #[must_use]
    pub fn listening(&self) -> Vec<Arc<str>> {
        self.state.lock().listening.iter().cloned().collect()
    }

    /// What is pending up to now.
    #[must_use]
    pub fn mark(&self) -> NotifyMark {
        let pending = &self.state.lock().pending;
        NotifyMark {
            changes: pending.changes.len(),
            notifications: pending.notifications.len(),
            wakes: pending.wakes.len(),
        }
    }

    /// Forgets what has become pending since.
    pub fn roll_back_to(&self, mark: NotifyMark) {
        let pending = &mut self.state.lock().pending;
        pending.changes.truncate(mark.changes);
        pending.wakes.truncate(mark.wakes);
        while pending.notifications.len() > mark.notifications {
            if let Some(forgotten) = pending.notifications.pop() {
                pending.bytes -= forgotten.bytes();
                pending.known.remove(&forgotten);
            }
        }
    }

    /// Takes what the transaction that ends has to do.
    #[must_use]
    pub fn take_pending(&self) -> Pending {
        std::mem::take(&mut self.state.lock().pending)
    }

    /// The transaction has committed: listens and stops listening, then notifies.
    pub fn committed(&self, pending: Pending) {
        let mut state = self.state.lock();
        for change in pending.changes {
            match change {
                Change::Listen(channel) => {
                    let key = (self.database, Arc::clone(&channel));
                    self.hub.listen(key, self.process_id, &self.mailbox);
                    state.listening.insert(channel);
                }
                Change::Unlisten(channel) => {
                    state.listening.remove(&channel);
                    self.hub.unlisten(&(self.database, channel), self.process_id);
                }
                Change::UnlistenAll => self.stop(&mut state),
            }
        }
        drop(state);
        self.hub.hand_over(self.database, pending.notifications);
        self.hub.wake(self.database, pending.wakes);
    }

    /// Stops listening, whatever the transaction does.
    pub fn stop_listening(&self) {
        self.stop(&mut self.state.lock());
    }

    fn stop(&self, state: &mut State) {
        for channel in std::mem::take(&mut state.listening) {
            self.hub.unlisten(&(self.database, channel), self.process_id);
        }
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: Oid = Oid(5);

    fn commit(channels: &Channels) {
        channels.committed(channels.take_pending());
    }

    #[test]
    fn equal_notifications_of_a_transaction_are_heard_once_and_in_order() {
        let hub = Arc::<NotificationHub>::default();
        let listener = Channels::new(Arc::clone(&hub), DATABASE, 1);
        let other = Channels::new(Arc::clone(&hub), Oid(6), 2);
        listener.listen("a").unwrap();
        other.listen("a").unwrap();
        commit(&listener);
        commit(&other);
        let notifier = Channels::new(Arc::clone(&hub), DATABASE, 3);
        for payload in ["x", "y", "x"] {
            notifier.notify("a", payload).unwrap();
        }
        let mark = notifier.mark();
        notifier.notify("a", "z").unwrap();
        notifier.roll_back_to(mark);
        assert!(listener.mailbox().is_empty(), "nothing is heard before the commit");
        commit(&notifier);
        let heard: Vec<_> =
            listener.mailbox().take().iter().map(|it| it.payload.to_string()).collect();
        assert_eq!(heard, ["x", "y"]);
        assert!(other.mailbox().is_empty(), "another database hears nothing");
        drop((listener, other));
        assert!(hub.channels.lock().is_empty());
    }

    #[test]
    fn a_full_mailbox_refuses_the_notifier() {
        let hub = Arc::<NotificationHub>::default();
        let listener = Channels::new(Arc::clone(&hub), DATABASE, 1);
        listener.listen("a").unwrap();
        commit(&listener);
        let notifier = Channels::new(Arc::clone(&hub), DATABASE, 2);
        let payload = "x".repeat(PAYLOAD_BYTES - 1);
        let error = notifier.notify("a", &"x".repeat(PAYLOAD_BYTES)).unwrap_err();
        assert_eq!(error.fields().message, "payload string too long");
        let refused = (0..2000).find_map(|_| {
            notifier.notify("a", &payload).unwrap();
            let refused = hub.check_room(DATABASE, notifier.state.lock().pending.notifications());
            commit(&notifier);
            refused.err()
        });
        assert_eq!(refused.expect("it is bounded").code(), SqlState::ProgramLimitExceeded);
        assert!(hub.usage() > 0.9);
    }
}
