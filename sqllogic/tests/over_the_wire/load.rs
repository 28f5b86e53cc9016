//! Many sessions at once over what they share: whoever waits must leave its thread to those that it
//! waits for.

use std::thread;

use crate::server::Server;

const SESSIONS: usize = 24;
const ROWS: usize = 40;

/// Whoever grabs values of a sequence commits them, and all the others wait for that commit.
#[test]
fn a_sequence_is_shared_by_all_who_insert() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut client = server.connect();
    client.run("CREATE TABLE counted (id bigserial PRIMARY KEY, session int, note text)").unwrap();
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for row in 0..ROWS {
                    let values = format!("VALUES ({session}, 'row {row}')");
                    client.run(&format!("INSERT INTO counted (session, note) {values}")).unwrap();
                }
            });
        }
    });
    let rows = client.run("SELECT count(*), count(DISTINCT session) FROM counted").unwrap().rows;
    assert_eq!(rows, [[Some((SESSIONS * ROWS).to_string()), Some(SESSIONS.to_string())]]);
}
