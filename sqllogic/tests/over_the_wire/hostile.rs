//! Hostile bytes: whatever some connections send, at startup or later, the others are not harmed.
//!
//! Seeded random bytes, and valid conversations with bytes changed, cut, doubled and shuffled. A
//! second session asks all the while; what it asks for takes no notice. `AEGIS_SEED` is printed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Client, Protocol};

use crate::server::{Server, setting};

const CONNECTIONS: usize = 400;

fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn startup() -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0postgres\0database\0postgres\0application_name\0hostile\0\0");
    message(None, &body)
}

/// Messages as a client sends them: a statement of every kind of conversation.
fn conversation() -> Vec<Vec<u8>> {
    let query = |sql: &str| message(Some(b'Q'), &[sql.as_bytes(), b"\0"].concat());
    vec![
        query("SELECT 1, 'a'::text, NULL; SELECT 2"),
        query("BEGIN; CREATE TEMP TABLE none (a int); ROLLBACK"),
        query("SELECT repeat('x', 10000)"),
        query("COPY victim FROM STDIN"),
        message(Some(b'd'), b"1\n2\n"),
        message(Some(b'f'), b"no\0"),
        query("COPY victim TO STDOUT"),
        message(Some(b'P'), b"s\0SELECT $1::int + $2::int\0\0\x02\0\0\0\x17\0\0\0\x17"),
        message(Some(b'B'), b"p\0s\0\0\0\0\x02\0\0\0\x011\0\0\0\x012\0\0"),
        message(
            Some(b'B'),
            b"q\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\0\x01\0\x01",
        ),
        message(Some(b'D'), b"Ps\0"),
        message(Some(b'D'), b"Pp\0"),
        message(Some(b'E'), b"p\0\0\0\0\x01"),
        message(Some(b'E'), b"p\0\0\0\0\0"),
        message(Some(b'H'), b""),
        message(Some(b'C'), b"Pp\0"),
        message(Some(b'S'), b""),
        message(Some(b'F'), b"\0\0\0\x01\0\0\0\0\0\0"),
    ]
}

/// What one connection sends.
fn attack(random: &mut Random) -> Vec<u8> {
    if random.place(4) == 0 {
        let length = random.place(600);
        return random.bytes(length);
    }
    let mut messages = conversation();
    for _ in 0..random.place(12) {
        let (from, to) = (random.place(messages.len()), random.place(messages.len()));
        match random.place(3) {
            0 => messages.swap(from, to),
            1 => messages.push(messages[from].clone()),
            _ => drop(messages.remove(from)),
        }
        if messages.is_empty() {
            break;
        }
    }
    let mut start = startup();
    if random.place(3) == 0 {
        change(&mut start, random);
    }
    for sent in &mut messages {
        if random.place(6) == 0 {
            change(sent, random);
        }
    }
    messages.insert(0, start);
    let mut bytes = messages.concat();
    if random.place(5) == 0 {
        bytes.truncate(random.place(bytes.len()));
    }
    bytes
}

/// Spoils a message somewhere: a byte, a run of bytes, or its length.
fn change(sent: &mut Vec<u8>, random: &mut Random) {
    let at = random.place(sent.len());
    match random.place(4) {
        0 => sent[at] = random.bytes(1)[0],
        1 => sent.truncate(at),
        2 => {
            let length = random.place(40);
            let noise = random.bytes(length);
            sent.splice(at..at, noise);
        }
        _ => {
            for byte in sent.iter_mut().skip(1).take(4) {
                *byte = [0, 1, 0x7f, 0x80, 0xff][random.place(5)];
            }
        }
    }
}

fn send(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // A server that has heard enough closes: neither an error of ours nor of its.
    let _closed = stream.write_all(bytes);
    let _closed = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let reset = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(reset, "after {bytes:?} the server neither answers nor closes: {error}");
    }
}

#[test]
fn other_sessions_are_not_harmed() {
    let seed = setting("AEGIS_SEED", 1);
    println!("AEGIS_SEED={seed}");
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut setup = server.connect();
    setup.run("CREATE TABLE victim (a int)").unwrap();
    setup.run("CREATE TABLE kept (a int PRIMARY KEY)").unwrap();
    let address = server.address.as_str();
    std::thread::scope(|scope| {
        let attacks: Vec<_> = (0..2_u64)
            .map(|half| {
                scope.spawn(move || {
                    let mut random = Random::new(seed.wrapping_mul(2) + half);
                    for _ in 0..CONNECTIONS / 2 {
                        send(address, &attack(&mut random));
                    }
                })
            })
            .collect();
        let mut client =
            Client::connect(address, "postgres", "postgres", Protocol::Extended).unwrap();
        client.run("BEGIN").unwrap();
        let mut asked = 0;
        while attacks.iter().any(|attack| !attack.is_finished()) {
            asked += 1;
            client.run(&format!("INSERT INTO kept VALUES ({asked})")).unwrap();
            let answer = client.run("SELECT count(*) FROM kept").unwrap();
            assert_eq!(answer.rows, [[Some(asked.to_string())]]);
        }
        client.run("COMMIT").unwrap();
        for attack in attacks {
            attack.join().unwrap();
        }
    });
    assert!(setup.run("SELECT count(*) FROM kept").is_ok(), "an idle session is there as well");
    // None of them is left behind. One that has just closed may still be counted: ask again.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres'";
    let alone = [[Some("1".to_owned())]];
    let left = (0..2000).all(|_| setup.run(sessions).unwrap().rows != alone);
    assert!(!left, "{:?}", setup.run("SELECT * FROM pg_stat_activity").unwrap().rows);
}
