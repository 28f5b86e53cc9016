//! Who is let in. Until passwords and TLS exist: everybody from this machine, nobody from elsewhere.

use std::net::SocketAddr;

use aegis_types::{SqlError, SqlResult, SqlState};

/// `trust` for loopback peers.
///
/// # Errors
/// FATAL `28000` for any other peer, as a `pg_hba.conf` without a matching line gives.
pub(crate) fn authenticate(peer: SocketAddr, user: &str, database: &str) -> SqlResult<()> {
    let address = peer.ip().to_canonical();
    if address.is_loopback() {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::InvalidAuthorizationSpecification,
        format!(
            "no pg_hba.conf entry for host \"{address}\", user \"{user}\", database \"{database}\", no encryption"
        ),
    )
    .fatal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_trusted() {
        let judge = |peer: &str| authenticate(peer.parse().expect("an address"), "u", "d");
        assert!(judge("127.0.0.1:1").is_ok());
        assert!(judge("[::1]:1").is_ok());
        assert!(judge("[::ffff:127.0.0.1]:1").is_ok());
        let error = judge("192.0.2.7:1").expect_err("this peer is elsewhere");
        assert_eq!(
            error.fields().message,
            "no pg_hba.conf entry for host \"192.0.2.7\", user \"u\", database \"d\", no encryption"
        );
    }
}
