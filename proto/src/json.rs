//! The serde adapters that generated attributes name: how protobuf values look in the REST contract's JSON.
//! On the way in `null` is the zero value and unknown members are ignored.

use prost_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The year 1 that the contract uses for "never".
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The id that the contract uses for "none".
pub const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// A protobuf enum with its texts in JSON. The zero value is the empty text.
pub trait JsonEnum {
    /// Text and number of every value.
    const TEXTS: &'static [(&'static str, i32)];

    /// The text of a number; empty for numbers that the enum doesn't have.
    #[must_use]
    fn text_of(number: i32) -> &'static str {
        Self::TEXTS.iter().find(|(_, n)| *n == number).map_or("", |(text, _)| text)
    }

    /// The number of a text, or `None` when the enum doesn't have it.
    #[must_use]
    fn number_of(text: &str) -> Option<i32> {
        Self::TEXTS.iter().find(|(t, _)| *t == text).map(|(_, number)| *number)
    }

    /// The non-empty texts, for error messages: `a, b, c`.
    #[must_use]
    fn texts() -> String {
        Self::TEXTS.iter().map(|(t, _)| *t).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a value is its type's zero value, and so absent where the contract omits empty members.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads `null` as the zero value.
///
/// # Errors
/// When the value is of another type.
pub fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes the zero value as `null`.
///
/// # Errors
/// Those of the serializer.
pub fn null_when_empty<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Default + PartialEq + Serialize,
    S: Serializer,
{
    if is_default(value) { serializer.serialize_none() } else { value.serialize(serializer) }
}

/// Writes an empty id as the nil UUID.
///
/// # Errors
/// Those of the serializer.
pub fn nil_uuid<S: Serializer>(value: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if value.is_empty() { NIL_UUID } else { value })
}

/// Enums, which prost keeps as numbers, as texts.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub mod enumeration {
    use super::{Deserialize, Deserializer, JsonEnum, Serializer};

    fn parse<E: JsonEnum, Er: serde::de::Error>(text: &str) -> Result<i32, Er> {
        E::number_of(text).ok_or_else(|| Er::custom(format!("{text:?} is not one of: {}", E::texts())))
    }

    pub mod single {
        use super::{Deserialize, Deserializer, JsonEnum, Serializer};

        pub fn serialize<E: JsonEnum, S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(E::text_of(*value))
        }

        pub fn serialize_nullable<E: JsonEnum, S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
            if *value == 0 { serializer.serialize_none() } else { serializer.serialize_str(E::text_of(*value)) }
        }

        pub fn deserialize<'de, E: JsonEnum, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
            match Option::<String>::deserialize(deserializer)? {
                Some(text) => super::parse::<E, D::Error>(&text),
                None => Ok(0),
            }
        }
    }

    pub mod list {
        use super::{Deserialize, Deserializer, JsonEnum, Serializer};

        pub fn serialize<E: JsonEnum, S: Serializer>(values: &[i32], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(values.iter().map(|v| E::text_of(*v)))
        }

        pub fn deserialize<'de, E: JsonEnum, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i32>, D::Error> {
            let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
            texts.iter().map(|text| super::parse::<E, D::Error>(text)).collect()
        }
    }
}

/// Times as RFC 3339 in UTC; an unset one is `null` or the year 1.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub mod timestamp {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, ZERO_TIME};

    pub fn serialize<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub fn serialize_zero<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_str(ZERO_TIME),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) if text.is_empty() || text == ZERO_TIME => Ok(None),
            Some(text) => match text.parse() {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time"))),
            },
        }
    }
}

/// Texts that are JSON themselves; the empty one is `null`.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub mod embedded {
    use serde_json::Value;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        // What isn't JSON is a text.
        let value = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(text) };
        value.unwrap_or_else(|_| Value::String(text.to_owned())).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(if value.is_null() { String::new() } else { value.to_string() })
    }
}

/// Optional bytes as base64.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) => match STANDARD.decode(text) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(_) => Err(serde::de::Error::custom("not base64")),
            },
        }
    }
}
