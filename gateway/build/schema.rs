//! JSON schemas of messages, as `proto/build.rs` makes serde write them.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Value as Json, json};

use crate::Fallible;
use crate::descriptor::Comments;

/// The named schemas that a document refers to, collected while it is made.
pub(crate) struct Schemas<'a> {
    comments: &'a Comments,
    /// By name: the schema and the full name of what it is of.
    named: BTreeMap<String, (Json, String)>,
}

/// Which way a message goes: answers have all their members, requests need none unless a rule of the server says so.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    In,
    Out,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(comments: &'a Comments) -> Self {
        Self { comments, named: BTreeMap::new() }
    }

    /// What goes under `components.schemas`.
    pub(crate) fn into_json(self) -> Json {
        Json::Object(self.named.into_iter().map(|(name, (schema, _))| (name, schema)).collect())
    }

    /// A reference to a message's schema.
    pub(crate) fn message(&mut self, message: &MessageDescriptor, way: Way) -> Fallible<Json> {
        let of = message.full_name().to_owned() + if way == Way::In { " in" } else { "" };
        // A message that goes both ways has a schema for each: only answers are complete.
        let plain = message.name();
        let name = if way == Way::In && !plain.ends_with("Input") { format!("{plain}Input") } else { plain.to_owned() };
        let known = self.named.get(&name).map(|(_, of)| of.clone());
        match known {
            Some(known) if known == of => {}
            Some(known) => return Err(format!("{known} and {of} would share the schema {name}").into()),
            None => {
                self.named.insert(name.clone(), (Json::Null, of.clone()));
                let schema = self.object(message, way, &BTreeSet::new())?;
                self.named.insert(name.clone(), (schema, of));
            }
        }
        Ok(json!({"$ref": format!("#/components/schemas/{name}")}))
    }

    /// A request's body: the message without the members that the path carries.
    pub(crate) fn body(&mut self, message: &MessageDescriptor, in_path: &[&str]) -> Fallible<Json> {
        let mut schema = self.object(message, Way::In, &in_path.iter().map(|s| (*s).to_owned()).collect())?;
        if schema["properties"].as_object().is_some_and(serde_json::Map::is_empty) {
            schema = json!({"type": "object"});
        }
        Ok(schema)
    }

    fn object(&mut self, message: &MessageDescriptor, way: Way, without: &BTreeSet<String>) -> Fallible<Json> {
        let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
        for field in message.fields().filter(|f| !without.contains(f.name()) && !flag(f, "skip")) {
            let name = member_name(&field);
            properties.insert(name.clone(), self.member(&field, way)?);
            if way == Way::Out && !flag(&field, "omit_empty") {
                required.push(name);
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        describe(&mut schema, self.comments.get(message.full_name()));
        Ok(schema)
    }

    /// The schema of a member, or of a reply that is nothing but it.
    pub(crate) fn member(&mut self, field: &FieldDescriptor, way: Way) -> Fallible<Json> {
        let single = self.value(&field.kind(), way, field)?;
        let mut schema = if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return Err("a map without entries".into()) };
            let value = entry.map_entry_value_field();
            json!({"type": "object", "additionalProperties": self.value(&value.kind(), way, &value)?})
        } else if field.is_list() {
            json!({"type": "array", "items": single})
        } else {
            single
        };
        if nullable(field, way) {
            schema = or_null(schema);
        }
        describe(&mut schema, self.comments.get(field.full_name()));
        Ok(schema)
    }

    /// The schema of one value of a field or query parameter.
    pub(crate) fn value(&mut self, kind: &Kind, way: Way, field: &FieldDescriptor) -> Fallible<Json> {
        Ok(match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "integer", "format": "int64"}),
            Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 => json!({"type": "integer", "minimum": 0}),
            Kind::Float | Kind::Double => json!({"type": "number"}),
            Kind::String if flag(field, "embedded") => json!({}),
            Kind::String if flag(field, "nil_uuid") => json!({"type": "string", "format": "uuid"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Enum(e) => json!({"type": "string", "enum": texts(e)}),
            Kind::Message(m) if m.full_name() == "google.protobuf.Timestamp" => {
                json!({"type": "string", "format": "date-time"})
            }
            Kind::Message(m) if m.is_map_entry() => Json::Null,
            Kind::Message(m) if is_list(m) => {
                let only = m.fields().next().ok_or("a list without a field")?;
                self.member(&only, way)?
            }
            Kind::Message(m) => self.message(m, way)?,
        })
    }
}

/// Adds a description; beside a reference it needs no wrapping in OpenAPI 3.1.
pub(crate) fn describe(schema: &mut Json, text: &str) {
    if !text.is_empty() {
        schema["description"] = json!(text);
    }
}

/// Whether an answer may say null. A request may anywhere: that is no news of a member.
pub(crate) fn nullable(field: &FieldDescriptor, way: Way) -> bool {
    if way == Way::In || flag(field, "omit_empty") {
        return false;
    }
    let optional = field.supports_presence() && field.cardinality() != Cardinality::Repeated;
    flag(field, "null_when_empty") || (optional && !flag(field, "zero_time"))
}

fn or_null(mut schema: Json) -> Json {
    if let Some(texts) = schema.get_mut("enum").and_then(Json::as_array_mut) {
        texts.push(Json::Null);
    }
    match schema.get("type") {
        Some(Json::String(name)) => {
            schema["type"] = json!([name, "null"]);
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn texts(r#enum: &EnumDescriptor) -> Vec<String> {
    let first = r#enum.get_value(0).map(|v| v.name().to_owned()).unwrap_or_default();
    let prefix = first.strip_suffix("UNSPECIFIED").unwrap_or_default();
    r#enum
        .values()
        .map(|value| {
            let options = value.options();
            let option = options.extensions().find(|(e, _)| e.full_name() == "orgplane.options.v1.text");
            match option {
                Some((_, Value::String(text))) => text.clone(),
                _ if value.number() == 0 => String::new(),
                _ => value.name().strip_prefix(prefix).unwrap_or(value.name()).to_lowercase(),
            }
        })
        .collect()
}

/// A field's name in JSON.
pub(crate) fn member_name(field: &FieldDescriptor) -> String {
    match json_option(field, "name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        _ => field.name().to_owned(),
    }
}

/// Whether a message is nothing but its only field.
fn is_list(message: &MessageDescriptor) -> bool {
    let options = message.options();
    options.extensions().any(|(e, value)| e.full_name() == "orgplane.options.v1.list" && *value == Value::Bool(true))
}

fn flag(field: &FieldDescriptor, name: &str) -> bool {
    json_option(field, name) == Some(Value::Bool(true))
}

fn json_option(field: &FieldDescriptor, member: &str) -> Option<Value> {
    let options = field.options();
    let (_, value) = options.extensions().find(|(e, _)| e.full_name() == "orgplane.options.v1.json")?;
    value.as_message()?.get_field_by_name(member).map(|v| v.into_owned())
}
