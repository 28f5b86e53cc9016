//! Who may come from where, and by which method: rules in the format of PostgreSQL's `pg_hba.conf`.
//!
//! ```text
//! type     database  user     address        method         options
//! hostssl  all       +staff   10.0.0.0/8     scram-sha-256  clientcert=verify-full
//! ```
//!
//! The first rule that fits decides. A file with a line that cannot be used is refused as a whole: what
//! was in force stays.

use std::net::IpAddr;

use aegis_catalog::access::Access;

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Not at all.
    Trust,
    /// It may not.
    Reject,
    /// SCRAM-SHA-256.
    Scram,
    /// An MD5 challenge, or SCRAM-SHA-256 where the password is stored so.
    Md5,
    /// The password itself, over TLS.
    Password,
    /// A client certificate with the name of the role.
    Certificate,
}

impl Method {
    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reject => "reject",
            Self::Scram => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Password => "password",
            Self::Certificate => "cert",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Trust, Self::Reject, Self::Scram, Self::Md5, Self::Password, Self::Certificate]
            .into_iter()
            .find(|method| method.name() == name)
    }
}

/// Which connections a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Unix sockets: none come here.
    Local,
    /// All.
    Host,
    /// Those over TLS.
    Tls,
    /// Those without.
    Plain,
}

/// From where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Anywhere.
    All,
    /// This machine, by an address that both ends have.
    SameHost,
    /// A network.
    Network(IpAddr, u8),
}

/// A name in a rule: one written in quotes has no meaning of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// What is asked of a client's certificate beside the method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    /// Nothing.
    #[default]
    Ignored,
    /// That the authority signed it.
    VerifyCa,
    /// That it is the role's too.
    VerifyFull,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Where it stands in the file, from 1.
    pub(crate) line: usize,
    pub(crate) transport: Transport,
    pub(crate) databases: Vec<Word>,
    pub(crate) users: Vec<Word>,
    pub(crate) address: Address,
    pub(crate) method: Method,
    pub(crate) client_certificate: ClientCertificate,
    /// Whether the certificate's whole subject is the name, rather than its common name.
    pub(crate) by_subject: bool,
    /// `map`: which map says whose certificate may be which role.
    pub(crate) map: Option<String>,
    /// The options as written.
    pub(crate) options: Vec<String>,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// A connection that asks to come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) over_tls: bool,
}

/// What holds without a file: this machine is trusted, everybody else has a password.
pub(crate) const DEFAULT: &str = "\
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
host all all all scram-sha-256
";

/// Reads rules, line by line; those that cannot be used beside them.
pub(crate) fn parse(text: &str) -> (Vec<Rule>, Vec<BadLine>) {
    let (mut rules, mut bad) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let mut whole = first.to_owned();
        // A backslash at its end joins a line to the next.
        while whole.ends_with('\\') {
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let line = at + 1;
        match fields(&whole) {
            Ok(fields) if fields.is_empty() => {}
            Ok(fields) => match rule(line, &fields) {
                Ok(rule) => rules.push(rule),
                Err(message) => bad.push(BadLine { line, message }),
            },
            Err(message) => bad.push(BadLine { line, message }),
        }
    }
    (rules, bad)
}

/// The fields of a line, each a list of words between commas.
pub(crate) fn fields(line: &str) -> Result<Vec<Vec<Word>>, String> {
    let mut fields: Vec<Vec<Word>> = Vec::new();
    let mut rest = line.trim_start();
    let mut continues = false;
    while !rest.is_empty() && !rest.starts_with('#') {
        let (mut text, mut quoted, mut inside) = (String::new(), false, false);
        let mut end = rest.len();
        for (at, character) in rest.char_indices() {
            match character {
                '"' => {
                    inside = !inside;
                    quoted = true;
                }
                _ if inside => text.push(character),
                ',' | '#' => {
                    end = at;
                    break;
                }
                _ if character.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => text.push(character),
            }
        }
        if inside {
            return Err("unterminated quoted string".to_owned());
        }
        let word = Word { text, quoted };
        match fields.last_mut() {
            Some(field) if continues => field.push(word),
            _ => fields.push(vec![word]),
        }
        rest = rest[end..].trim_start();
        continues = rest.starts_with(',');
        if continues {
            rest = rest[1..].trim_start();
        }
    }
    Ok(fields)
}

fn rule(line: usize, fields: &[Vec<Word>]) -> Result<Rule, String> {
    let mut fields = fields.iter();
    let mut next = |what: &str| fields.next().ok_or_else(|| format!("end-of-line before {what}"));
    let kind = single(next("connection type")?, "connection type")?;
    let transport = match kind {
        "local" => Transport::Local,
        "host" | "hostnogssenc" => Transport::Host,
        "hostssl" => Transport::Tls,
        "hostnossl" => Transport::Plain,
        "hostgssenc" => {
            return Err("hostgssenc record cannot match because GSSAPI is not supported by this \
                        build"
                .to_owned());
        }
        other => return Err(format!("invalid connection type \"{other}\"")),
    };
    let databases = next("database specification")?.clone();
    let users = next("role specification")?.clone();
    for word in databases.iter().chain(&users) {
        if !word.quoted && word.text.starts_with('@') {
            return Err(format!("a list in another file is not supported: \"{}\"", word.text));
        }
    }
    let address = if transport == Transport::Local {
        Address::All
    } else {
        let written = single(next("IP address specification")?, "host address")?.to_owned();
        match address(&written)? {
            Ok(address) => address,
            Err(ip) => {
                let mask = single(next("netmask specification")?, "netmask")?;
                Address::Network(ip, mask_bits(ip, mask)?)
            }
        }
    };
    let name = single(next("authentication method")?, "authentication type")?;
    let method = Method::named(name).ok_or_else(|| {
        let known = ["gss", "sspi", "krb5", "ident", "peer", "pam", "bsd", "ldap", "radius"];
        if known.contains(&name) {
            format!("invalid authentication method \"{name}\": not supported by this build")
        } else {
            format!("invalid authentication method \"{name}\"")
        }
    })?;
    let mut rule = Rule {
        line,
        transport,
        databases,
        users,
        address,
        method,
        client_certificate: ClientCertificate::Ignored,
        by_subject: false,
        map: None,
        options: Vec::new(),
    };
    for option in fields {
        for word in option {
            apply_option(&mut rule, &word.text)?;
        }
    }
    if method == Method::Certificate {
        if transport != Transport::Tls {
            return Err("cert authentication is only supported on hostssl connections".to_owned());
        }
        rule.client_certificate = ClientCertificate::VerifyFull;
    }
    if method == Method::Password && transport != Transport::Tls {
        return Err("password authentication is only supported on hostssl connections".to_owned());
    }
    Ok(rule)
}

fn single<'a>(words: &'a [Word], what: &str) -> Result<&'a str, String> {
    match words {
        [word] => Ok(&word.text),
        _ => Err(format!("multiple values specified for {what}")),
    }
}

fn apply_option(rule: &mut Rule, option: &str) -> Result<(), String> {
    let (name, value) = option
        .split_once('=')
        .ok_or_else(|| format!("authentication option not in name=value format: {option}"))?;
    let only = |when: bool, what: &str| {
        if when {
            Ok(())
        } else {
            Err(format!("authentication option \"{name}\" is only valid for {what}"))
        }
    };
    match name {
        "clientcert" => {
            if rule.transport != Transport::Tls {
                return Err("clientcert can only be configured for \"hostssl\" rows".to_owned());
            }
            rule.client_certificate = match value {
                "verify-full" => ClientCertificate::VerifyFull,
                "verify-ca" if rule.method == Method::Certificate => {
                    return Err("clientcert only accepts \"verify-full\" when using \"cert\" \
                                authentication"
                        .to_owned());
                }
                "verify-ca" => ClientCertificate::VerifyCa,
                other => return Err(format!("invalid value for clientcert: \"{other}\"")),
            };
        }
        "clientname" => {
            rule.by_subject = match value {
                "CN" => false,
                "DN" => true,
                other => return Err(format!("invalid value for clientname: \"{other}\"")),
            };
        }
        "map" => {
            only(rule.method == Method::Certificate, "authentication methods cert")?;
            rule.map = Some(value.to_owned());
        }
        other => return Err(format!("unrecognized authentication option name: \"{other}\"")),
    }
    rule.options.push(option.to_owned());
    Ok(())
}

/// An address; the bare one where a mask must follow.
fn address(text: &str) -> Result<Result<Address, IpAddr>, String> {
    match text {
        "all" => return Ok(Ok(Address::All)),
        "samehost" | "samenet" => return Ok(Ok(Address::SameHost)),
        _ => {}
    }
    let invalid = || format!("invalid IP address \"{text}\": host names are not supported");
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().map_err(|_| invalid())?;
    let Some(bits) = bits else { return Ok(Err(ip)) };
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match bits.parse::<u8>() {
        Ok(bits) if bits <= most => Ok(Ok(Address::Network(ip, bits))),
        _ => Err(format!("invalid CIDR mask in address \"{text}\"")),
    }
}

fn mask_bits(ip: IpAddr, mask: &str) -> Result<u8, String> {
    let invalid = || format!("invalid IP mask \"{mask}\"");
    let bits = match (ip, mask.parse().map_err(|_| invalid())?) {
        (IpAddr::V4(_), IpAddr::V4(mask)) => {
            let mask = u32::from(mask);
            (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0)
                .then_some(mask.leading_ones())
        }
        (IpAddr::V6(_), IpAddr::V6(mask)) => {
            let mask = u128::from(mask);
            (mask.leading_ones() + mask.trailing_zeros() == 128 || mask == 0)
                .then_some(mask.leading_ones())
        }
        _ => return Err("IP address and mask do not match".to_owned()),
    };
    bits.and_then(|bits| u8::try_from(bits).ok()).ok_or_else(invalid)
}

impl Rule {
    /// Whether the rule is about a connection.
    pub(crate) fn fits(&self, request: &Request<'_>, access: &Access<'_>) -> bool {
        let transport = match self.transport {
            Transport::Local => false,
            Transport::Host => true,
            Transport::Tls => request.over_tls,
            Transport::Plain => !request.over_tls,
        };
        transport
            && self.address.holds(request.address)
            && self.databases.iter().any(|word| is_database(word, request, access))
            && self.users.iter().any(|word| is_user(word, request, access))
    }
}

impl Address {
    fn holds(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
            Self::All => true,
            Self::SameHost => peer.is_loopback(),
            Self::Network(network, bits) => match (network, peer) {
                (IpAddr::V4(network), IpAddr::V4(peer)) => {
                    let shift = 32 - u32::from(*bits);
                    let of = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
                    of(u32::from(*network)) == of(u32::from(peer))
                }
                (IpAddr::V6(network), IpAddr::V6(peer)) => {
                    let shift = 128 - u32::from(*bits);
                    let of = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
                    of(u128::from(*network)) == of(u128::from(peer))
                }
                _ => false,
            },
        }
    }

    /// As `pg_hba_file_rules` shows it: address and mask.
    pub(crate) fn shown(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::All => (Some("all".to_owned()), None),
            Self::SameHost => (Some("samehost".to_owned()), None),
            Self::Network(ip @ IpAddr::V4(_), bits) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                let mask = std::net::Ipv4Addr::from(mask);
                (Some(ip.to_string()), Some(mask.to_string()))
            }
            Self::Network(ip @ IpAddr::V6(_), bits) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                let mask = std::net::Ipv6Addr::from(mask);
                (Some(ip.to_string()), Some(mask.to_string()))
            }
        }
    }
}

fn is_database(word: &Word, request: &Request<'_>, access: &Access<'_>) -> bool {
    if word.is("all") {
        return true;
    }
    if word.is("sameuser") {
        return request.user == request.database;
    }
    if word.is("samegroup") || word.is("samerole") {
        return is_member(request.user, request.database, access);
    }
    // There are no replication connections.
    !word.is("replication") && word.text == request.database
}

fn is_user(word: &Word, request: &Request<'_>, access: &Access<'_>) -> bool {
    if word.is("all") {
        return true;
    }
    match word.text.strip_prefix('+') {
        Some(role) if !word.quoted => is_member(request.user, role, access),
        _ => word.text == request.user,
    }
}

/// Superusers are members of what they are granted alone: a rule for a group is not for them.
fn is_member(user: &str, role: &str, access: &Access<'_>) -> bool {
    match (access.catalog.role_named(user), access.catalog.role_named(role)) {
        (Some(user), Some(role)) => access.is_member_by_grant(user.oid, role.oid),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aegis_catalog::CatalogSnapshot;

    use super::*;

    fn decided(
        text: &str,
        user: &str,
        database: &str,
        peer: &str,
        over_tls: bool,
    ) -> Option<usize> {
        let (rules, bad) = parse(text);
        assert_eq!(bad, []);
        let catalog = CatalogSnapshot::default();
        let address = peer.parse().unwrap();
        let request = Request { user, database, address, over_tls };
        let access = catalog.access(aegis_types::Oid(5));
        rules.iter().find(|rule| rule.fits(&request, &access)).map(|rule| rule.line)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = "# comment\n\
            host all all 127.0.0.1/32 trust\n\
            hostssl sales,\"all\" \"al ice\", bob 10.0.0.0 255.0.0.0 scram-sha-256 # more\n\
            hostnossl all all 10.0.0.0/8 reject\n\
            host sameuser all ::/0 md5\n";
        assert_eq!(decided(rules, "u", "d", "127.0.0.1", false), Some(2));
        assert_eq!(decided(rules, "u", "d", "::ffff:127.0.0.1", false), Some(2));
        assert_eq!(decided(rules, "bob", "sales", "10.200.0.1", true), Some(3));
        assert_eq!(decided(rules, "al ice", "all", "10.200.0.1", true), Some(3));
        assert_eq!(decided(rules, "bob", "other", "10.200.0.1", true), None);
        assert_eq!(decided(rules, "bob", "sales", "10.200.0.1", false), Some(4));
        assert_eq!(decided(rules, "bob", "bob", "2001:db8::1", false), Some(5));
        assert_eq!(decided(rules, "bob", "sales", "2001:db8::1", false), None);
        assert_eq!(decided(DEFAULT, "u", "d", "::1", false), Some(2));
        assert_eq!(decided(DEFAULT, "u", "d", "192.0.2.7", false), Some(3));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let told = |line: &str| {
            let (rules, bad) = parse(line);
            assert_eq!(rules, []);
            bad[0].message.clone()
        };
        assert_eq!(told("tcp all all all trust"), "invalid connection type \"tcp\"");
        assert_eq!(told("host all"), "end-of-line before role specification");
        assert_eq!(
            told("host all all 10.0.0.0/33 trust"),
            "invalid CIDR mask in address \"10.0.0.0/33\""
        );
        assert_eq!(
            told("host all all 10.0.0.0 255.0.255.0 trust"),
            "invalid IP mask \"255.0.255.0\""
        );
        assert_eq!(told("host all all all magic"), "invalid authentication method \"magic\"");
        assert_eq!(
            told("host all all all cert"),
            "cert authentication is only supported on hostssl connections"
        );
        assert_eq!(told("host \"all all all trust"), "unterminated quoted string");
        assert!(told("host all all all ldap").ends_with("not supported by this build"));
    }
}
