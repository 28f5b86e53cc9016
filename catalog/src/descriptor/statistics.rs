//! What ANALYZE has found in a column, as it is kept: a row of `pg_statistic`.
//!
//! Values are kept in the form that says itself what they are, so that whoever reads the catalog has
//! them as datums without asking for a type.

use std::sync::Arc;

use aegis_types::self_describing::{read_any, write_any};
use aegis_types::{Datum, Oid, TypeRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `pg_statistic`: one column of a table, or one expression of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// `starelid`: the table, or the index.
    pub relation: Oid,
    /// `staattnum`
    pub column: i16,
    /// The type of the values.
    pub ty: TypeRef,
    /// `stanullfrac`: which part is NULL.
    pub null_fraction: f32,
    /// `stawidth`: bytes of a value that is not NULL, on average.
    pub width: i32,
    /// `stadistinct`: how many values there are; negative for a part of the rows, 0 for unknown.
    pub distinct: f32,
    /// The values found most often, the most frequent first.
    #[serde(default)]
    pub common: Option<CommonValues>,
    /// Values that cut the others, in their order, into parts of about as many rows.
    #[serde(default)]
    pub histogram: Option<Values>,
    /// How far the order of the values is that of the rows, from -1 to 1.
    #[serde(default)]
    pub correlation: Option<f32>,
}

/// The values that a column has most often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommonValues {
    /// The values.
    pub values: Values,
    /// For each of them, which part of all rows has it.
    pub frequencies: Vec<f32>,
}

/// Values of one type.
#[derive(Clone, Debug)]
pub struct Values(pub Arc<[Datum]>);

impl Values {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.iter().for_each(|value| write_any(value, &mut bytes));
        bytes
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::new();
        for byte in self.encode() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let damaged = || de::Error::custom("values of a column that are none");
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or_else(damaged)?;
        let mut rest = bytes.as_slice();
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(read_any(&mut rest).ok_or_else(damaged)?);
        }
        Ok(Self(values.into()))
    }
}

#[cfg(test)]
mod tests {
    use aegis_types::type_oid;

    use super::*;

    #[test]
    fn statistics_come_back_from_their_stored_form() {
        let stored = Statistics {
            relation: Oid(16_400),
            column: 2,
            ty: TypeRef::plain(type_oid::TEXT),
            null_fraction: 0.1,
            width: 5,
            distinct: -0.25,
            common: Some(CommonValues {
                values: Values([Datum::text("ä \"b\""), Datum::text("")].into()),
                frequencies: vec![0.3, 0.2],
            }),
            histogram: Some(Values([Datum::text("a"), Datum::text("z")].into())),
            correlation: Some(-0.5),
        };
        let bytes = serde_json::to_vec(&stored).unwrap();
        assert_eq!(serde_json::from_slice::<Statistics>(&bytes).unwrap(), stored);
        for damaged in [r#""0""#, r#""zz""#, r#""08ffffffff""#] {
            assert!(serde_json::from_str::<Values>(damaged).is_err(), "{damaged}");
        }
    }
}
