//! The values of parameters that calls may leave out (`pg_proc.proargdefaults`), which the table of
//! functions only counts.

use aegis_types::Oid;

/// For each function with defaults, the text forms of the values of its last parameters.
const DEFAULTS: &[(u32, &[&str])] = &[
    (1177, &["{}", "false"]),
    (1179, &["{}", "false"]),
    (1180, &["{}", "false"]),
    (1268, &["true"]),
    (2023, &["{}", "false"]),
    (2030, &["{}", "false"]),
    (2096, &["0"]),
    (2172, &["false"]),
    (2739, &["true"]),
    (3305, &["true"]),
    (3436, &["true", "60"]),
    (3464, &["0", "0", "0", "0", "0", "0", "0.0"]),
    (3579, &["false"]),
    (3779, &["false", "false"]),
    (3782, &["{}"]),
    (3783, &["{}"]),
    (3784, &["{}"]),
    (3785, &["{}"]),
    (3786, &["false", "false"]),
    (3960, &["false"]),
    (3961, &["false"]),
    (4005, &["{}", "false"]),
    (4006, &["{}", "false"]),
    (4007, &["{}", "false"]),
    (4008, &["{}", "false"]),
    (4009, &["{}", "false"]),
    (4350, &["NFC"]),
    (4351, &["NFC"]),
    (5054, &["true", "use_json_null"]),
];

/// The text forms of the defaults of a function's last parameters.
pub(super) fn defaults(function: Oid) -> &'static [&'static str] {
    DEFAULTS.binary_search_by_key(&function.0, |(oid, _)| *oid).map_or(&[], |at| DEFAULTS[at].1)
}
