//! Compiles `proto/` into Rust without protoc: prost messages, tonic services, and, from our own field options, the serde
//! attributes with which the same structs are the documented REST JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, Value,
};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    proto_files(Path::new("proto/orgplane"), &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;

    let descriptor = out.join("descriptor.bin");
    let bytes = compiler.encode_file_descriptor_set();
    fs::write(&descriptor, &bytes)?;
    // The gateway's build script generates its routes from the same file.
    println!("cargo::metadata=descriptor={}", descriptor.display());

    let pool = DescriptorPool::decode(bytes.as_slice())?;
    let rest = rest_messages(&pool);
    // No `connect` shorthand on clients: it would clash with the RPC of that name.
    let mut builder = tonic_prost_build::configure().build_transport(false).btree_map(".");
    for message in &rest {
        let form = if is_list(message) { "transparent" } else { "default" };
        builder = builder.message_attribute(
            message.full_name(),
            format!("#[derive(::serde::Serialize, ::serde::Deserialize)] #[serde({form})]"),
        );
        for field in message.fields() {
            let attribute = serde_attribute(&field);
            if !attribute.is_empty() {
                builder = builder.field_attribute(field.full_name(), format!("#[serde({attribute})]"));
            }
        }
    }
    let mut extra = String::new();
    for message in pool.all_messages().filter(has_secret) {
        builder = builder.skip_debug([message.full_name()]);
        redacted_debug(&message, &mut extra)?;
    }
    for r#enum in pool.all_enums().filter(|e| e.full_name().starts_with("orgplane.")) {
        json_enum(&r#enum, &mut extra)?;
        if r#enum.full_name() == "orgplane.common.v1.ErrorReason" {
            error_reason(&r#enum, &mut extra)?;
        }
    }
    methods(&pool, &mut extra)?;
    fs::write(out.join("extra.rs"), extra)?;
    builder.compile_fds(prost_types(&bytes)?)?;
    Ok(())
}

fn proto_files(folder: &Path, into: &mut Vec<PathBuf>) -> Fallible<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            proto_files(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path);
        }
    }
    Ok(())
}

fn prost_types(bytes: &[u8]) -> Fallible<tonic_prost_build::FileDescriptorSet> {
    Ok(tonic_prost_build::FileDescriptorSet::decode(bytes)?)
}

/// The messages that REST bodies and replies are made of: all that a method with an HTTP rule can reach.
fn rest_messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let mut open: Vec<MessageDescriptor> = pool
        .services()
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .filter(|m| extension(m.options(), "google.api.http").is_some())
        .flat_map(|m| [m.input(), m.output()])
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(message) = open.pop() {
        if message.is_map_entry() {
            open.extend(message.fields().filter_map(|f| f.kind().as_message().cloned()));
            continue;
        }
        if !message.full_name().starts_with("orgplane.")
            || message.oneofs().any(|o| !o.is_synthetic())
            || !seen.insert(message.full_name().to_owned())
        {
            continue;
        }
        open.extend(message.fields().filter_map(|f| f.kind().as_message().cloned()));
        found.push(message);
    }
    found
}

fn extension(options: DynamicMessage, name: &str) -> Option<Value> {
    options.extensions().find(|(e, _)| e.full_name() == name).map(|(_, v)| v.clone())
}

/// A member of one of our option messages, or its zero value.
fn option_member(options: DynamicMessage, extension_name: &str, member: &str) -> Option<Value> {
    let Some(Value::Message(message)) = extension(options, extension_name) else { return None };
    message.get_field_by_name(member).map(|v| v.into_owned())
}

fn is_list(message: &MessageDescriptor) -> bool {
    matches!(extension(message.options(), "orgplane.options.v1.list"), Some(Value::Bool(true)))
}

fn json_flag(field: &FieldDescriptor, flag: &str) -> bool {
    matches!(option_member(field.options(), "orgplane.options.v1.json", flag), Some(Value::Bool(true)))
}

fn serde_attribute(field: &FieldDescriptor) -> String {
    if json_flag(field, "skip") {
        return "skip".to_owned();
    }
    let mut parts = Vec::new();
    if let Some(Value::String(name)) = option_member(field.options(), "orgplane.options.v1.json", "name")
        && !name.is_empty()
    {
        parts.push(format!("rename = {name:?}"));
    }
    if json_flag(field, "omit_empty") {
        parts.push("skip_serializing_if = \"crate::json::is_default\"".to_owned());
    }
    let nullable = json_flag(field, "null_when_empty");
    let list = field.is_list();
    let optional = field.supports_presence() && field.cardinality() != Cardinality::Repeated;
    match field.kind() {
        Kind::Enum(e) => {
            let path = rust_path(e.full_name());
            let shape = if list { "list" } else { "single" };
            let ser = if nullable { "serialize_nullable" } else { "serialize" };
            parts.push(format!("serialize_with = \"crate::json::enumeration::{shape}::{ser}::<{path}, _>\""));
            parts.push(format!("deserialize_with = \"crate::json::enumeration::{shape}::deserialize::<{path}, _>\""));
        }
        Kind::Message(m) if m.full_name() == "google.protobuf.Timestamp" => {
            let ser = if json_flag(field, "zero_time") { "serialize_zero" } else { "serialize" };
            parts.push(format!("serialize_with = \"crate::json::timestamp::{ser}\""));
            parts.push("deserialize_with = \"crate::json::timestamp::deserialize\"".to_owned());
        }
        Kind::Bytes if optional => parts.push("with = \"crate::json::bytes\"".to_owned()),
        _ if optional => {}
        _ => {
            if json_flag(field, "embedded") {
                parts.push("with = \"crate::json::embedded\"".to_owned());
                return parts.join(", ");
            }
            if json_flag(field, "nil_uuid") {
                parts.push("serialize_with = \"crate::json::nil_uuid\"".to_owned());
            } else if nullable {
                parts.push("serialize_with = \"crate::json::null_when_empty\"".to_owned());
            }
            parts.push("deserialize_with = \"crate::json::null_is_default\"".to_owned());
        }
    }
    parts.join(", ")
}

/// `orgplane.provisioner.v1.JobStatus` -> `crate::provisioner::v1::JobStatus`.
fn rust_path(full_name: &str) -> String {
    full_name.replacen("orgplane.", "crate.", 1).replace('.', "::")
}

fn has_secret(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("orgplane.") && message.fields().any(|f| is_secret(&f))
}

fn is_secret(field: &FieldDescriptor) -> bool {
    matches!(extension(field.options(), "orgplane.options.v1.secret"), Some(Value::Bool(true)))
}

/// `Debug` of a message that has a secret, and of its oneofs: prost leaves out theirs with its own.
fn redacted_debug(message: &MessageDescriptor, out: &mut String) -> Fallible<()> {
    let path = rust_path(message.full_name());
    let shown = |field: &FieldDescriptor, value: &str| {
        if is_secret(field) { "&\"[redacted]\"".to_owned() } else { value.to_owned() }
    };
    begin_debug(&path, out)?;
    writeln!(out, "        f.debug_struct({:?})", message.name())?;
    let oneofs: Vec<_> = message.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
    for field in message.fields().filter(|field| oneofs.iter().all(|oneof| oneof.fields().all(|f| f != *field))) {
        let name = field.name();
        let member = if name == "type" { "r#type" } else { name };
        writeln!(out, "            .field({name:?}, {})", shown(&field, &format!("&self.{member}")))?;
    }
    for name in oneofs.iter().map(|oneof| oneof.name()) {
        writeln!(out, "            .field({name:?}, &self.{name})")?;
    }
    writeln!(out, "            .finish()\n    }}\n}}")?;
    for oneof in oneofs {
        let (module, name) = path.rsplit_once("::").ok_or("a message without a package")?;
        begin_debug(&format!("{module}::{}::{}", snake_case(name), camel_case(oneof.name())), out)?;
        writeln!(out, "        match self {{")?;
        for field in oneof.fields() {
            let variant = camel_case(field.name());
            let value = if is_secret(&field) { "_" } else { "value" };
            let shown = shown(&field, "value");
            writeln!(
                out,
                "            Self::{variant}({value}) => f.debug_tuple({variant:?}).field({shown}).finish(),"
            )?;
        }
        writeln!(out, "        }}\n    }}\n}}")?;
    }
    Ok(())
}

fn begin_debug(path: &str, out: &mut String) -> Fallible<()> {
    writeln!(out, "impl ::core::fmt::Debug for {path} {{")?;
    writeln!(out, "    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{")?;
    Ok(())
}

/// `UploadRequest` -> `upload_request`.
fn snake_case(name: &str) -> String {
    let word = |(at, c): (usize, char)| {
        let start = (at > 0 && c.is_ascii_uppercase()).then_some('_');
        start.into_iter().chain([c.to_ascii_lowercase()])
    };
    name.char_indices().flat_map(word).collect()
}

/// `upload_header` -> `UploadHeader`.
fn camel_case(name: &str) -> String {
    let word = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// The JSON text of an enum's value: the option's, else the name in lower case without the enum's prefix.
fn enum_text(r#enum: &EnumDescriptor, value: &EnumValueDescriptor) -> String {
    if let Some(Value::String(text)) = extension(value.options(), "orgplane.options.v1.text") {
        return text;
    }
    let first = r#enum.get_value(0).map(|v| v.name().to_owned()).unwrap_or_default();
    let prefix = first.strip_suffix("UNSPECIFIED").unwrap_or_default();
    if value.number() == 0 {
        return String::new();
    }
    value.name().strip_prefix(prefix).unwrap_or(value.name()).to_lowercase()
}

fn json_enum(r#enum: &EnumDescriptor, out: &mut String) -> Fallible<()> {
    let path = rust_path(r#enum.full_name());
    writeln!(out, "impl crate::json::JsonEnum for {path} {{")?;
    writeln!(out, "    const TEXTS: &'static [(&'static str, i32)] = &[")?;
    for value in r#enum.values() {
        writeln!(out, "        ({:?}, {}),", enum_text(r#enum, &value), value.number())?;
    }
    writeln!(out, "    ];\n}}")?;
    Ok(())
}

fn error_reason(r#enum: &EnumDescriptor, out: &mut String) -> Fallible<()> {
    let mut column = |method: &str, doc: &str, member: &str| -> Fallible<()> {
        writeln!(out, "impl crate::common::v1::ErrorReason {{")?;
        writeln!(
            out,
            "    #[doc = {doc:?}]\n    #[must_use]\n    pub const fn {method}(self) -> u32 {{\n        match self as i32 {{"
        )?;
        for value in r#enum.values() {
            let Some(Value::U32(number)) = option_member(value.options(), "orgplane.options.v1.error", member) else {
                return Err(format!("{} has no error mapping", value.full_name()).into());
            };
            writeln!(out, "            {} => {number},", value.number())?;
        }
        writeln!(out, "            _ => 0,\n        }}\n    }}\n}}")?;
        Ok(())
    };
    column("grpc_code", "The `google.rpc.Code` that a call fails with for this reason.", "grpc_code")?;
    column("http_status", "The HTTP status that a REST call fails with for this reason.", "http_status")
}

fn methods(pool: &DescriptorPool, out: &mut String) -> Fallible<()> {
    let is_public = |m: &MethodDescriptor| {
        matches!(option_member(m.options(), "orgplane.options.v1.rest", "public"), Some(Value::Bool(true)))
    };
    writeln!(out, "/// gRPC paths of the methods that need no credentials.")?;
    writeln!(out, "pub const PUBLIC_METHODS: &[&str] = &[")?;
    for service in pool.services() {
        for method in service.methods().filter(|m| is_public(m)) {
            writeln!(out, "    \"/{}/{}\",", service.full_name(), method.name())?;
        }
    }
    writeln!(out, "];")?;
    writeln!(out, "/// gRPC paths of all methods.")?;
    writeln!(out, "pub const METHODS: &[&str] = &[")?;
    for service in pool.services() {
        for method in service.methods() {
            writeln!(out, "    \"/{}/{}\",", service.full_name(), method.name())?;
        }
    }
    writeln!(out, "];")?;
    Ok(())
}
