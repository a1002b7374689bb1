//! The mechanical REST routes: for every RPC with `google.api.http` whose translation needs no code of its own, a handler
//! that fills the request from path, query and body, makes one unary call and writes the reply as JSON.

use std::fmt::Write as _;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MethodDescriptor, Value};

use crate::Fallible;
use crate::descriptor::{Binding, bindings, rest};
use crate::schema::{Way, nullable};

/// The source of the handlers and of the table of them.
pub(crate) fn source(pool: &DescriptorPool) -> Fallible<String> {
    let mut handlers = String::new();
    let mut routes = String::new();
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        if rest(&method, "manual") == Some(Value::Bool(true)) {
            continue;
        }
        for (number, binding) in bindings(&method).iter().enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("_{number}") };
            let name = format!("{}_{}{suffix}", snake(method.parent_service().name()), snake(method.name()));
            handler(&name, &method, binding, &mut handlers)
                .map_err(|e| format!("{} {}: {e}", binding.verb, binding.path))?;
            let verb = binding.verb;
            let path = &binding.path;
            writeln!(routes, "        Route::new(http::Method::{verb}, {path:?}, {name}),")?;
        }
    }
    Ok(format!(
        "/// The mechanical routes.\npub(crate) fn mechanical() -> Vec<Route> {{\n    vec![\n{routes}    ]\n}}\n{handlers}"
    ))
}

fn handler(name: &str, method: &MethodDescriptor, binding: &Binding, out: &mut String) -> Fallible<()> {
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err("a streaming method is never mechanical: mark it as manual".into());
    }
    if !matches!(binding.body.as_str(), "" | "*") {
        return Err("only body: \"*\" is supported".into());
    }
    let variables = binding.variables();
    let service = method.parent_service();
    let package = rust_path(service.package_name());
    let (service_name, rpc) = (service.name(), snake(method.name()));
    let client = format!("{package}::{}_client::{service_name}Client", snake(service_name));
    let request = rust_path(method.input().full_name());

    writeln!(out, "/// `{} {}`", binding.verb, binding.path)?;
    writeln!(
        out,
        "#[allow(unused_mut)]\nasync fn {name}(State(gateway): State<Gateway>, call: Call, body: Body) -> Answer {{"
    )?;
    if binding.body == "*" {
        writeln!(out, "    let mut message: {request} = crate::body::read(body, &gateway).await?;")?;
    } else {
        writeln!(out, "    drop(body);\n    let mut message = {request}::default();")?;
    }
    for variable in &variables {
        if method.input().get_field_by_name(variable).is_none() {
            return Err(format!("{{{variable}}} is no field of the request").into());
        }
        writeln!(out, "    call.path({variable:?}, &mut message.{variable})?;")?;
    }
    if binding.body.is_empty() {
        query(method, &variables, out)?;
    }
    writeln!(out, "    let mut client = {client}::new(gateway.upstream)")?;
    writeln!(out, "        .max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);")?;
    writeln!(out, "    let reply = call.unary(client.{rpc}(call.request(message))).await?;")?;
    reply(method, binding, out)?;
    writeln!(out, "}}\n")?;
    Ok(())
}

/// Reads the fields that the path doesn't carry from query parameters.
fn query(method: &MethodDescriptor, variables: &[&str], out: &mut String) -> Fallible<()> {
    let strict = rest(method, "strict_query") == Some(Value::Bool(true));
    let fields: Vec<FieldDescriptor> = method.input().fields().filter(|f| !variables.contains(&f.name())).collect();
    if fields.is_empty() && !strict {
        return Ok(());
    }
    writeln!(out, "    let mut query = call.query.reader();")?;
    for field in fields {
        let (read, name) = (reader(&field)?, field.name());
        writeln!(out, "    query.{read}({name:?}, &mut message.{name});")?;
    }
    writeln!(out, "    query.{}()?;", if strict { "finish_strict" } else { "finish" })?;
    if let Some(Value::I32(limit @ 1..)) = rest(method, "default_limit") {
        writeln!(out, "    if message.limit == 0 {{\n        message.limit = {limit};\n    }}")?;
    }
    Ok(())
}

/// The method of `query::Reader` for a field's type.
fn reader(field: &FieldDescriptor) -> Fallible<String> {
    let (kind, name) = (field.kind(), field.name());
    Ok(match kind {
        Kind::Message(m) if field.is_map() && has_text_entries(&m) => "map".to_owned(),
        Kind::Message(m) if m.full_name() == "google.protobuf.Timestamp" && !field.is_list() => "time".to_owned(),
        Kind::String if field.is_list() => "texts".to_owned(),
        Kind::Enum(e) if field.is_list() => format!("choices::<{}>", rust_path(e.full_name())),
        _ if field.is_list() || field.supports_presence() => return Err(format!("{name}: no query form").into()),
        Kind::String => "text".to_owned(),
        Kind::Int32 | Kind::Int64 if matches!(name, "limit" | "offset") => "count".to_owned(),
        Kind::Int32 | Kind::Int64 => "integer".to_owned(),
        Kind::Bool => "flag".to_owned(),
        _ => return Err(format!("{name}: no query form").into()),
    })
}

fn has_text_entries(entry: &prost_reflect::MessageDescriptor) -> bool {
    entry.fields().all(|f| f.kind() == Kind::String)
}

fn reply(method: &MethodDescriptor, binding: &Binding, out: &mut String) -> Fallible<()> {
    let status = match rest(method, "success_status") {
        Some(Value::U32(status @ 1..)) => status,
        _ => 200,
    };
    let (member, writer) = match binding.response_body.as_str() {
        "" => (String::new(), "json"),
        name => {
            let field = method.output().get_field_by_name(name).ok_or_else(|| format!("no field {name}"))?;
            (format!(".{name}"), if nullable(&field, Way::Out) { "json_or_null" } else { "json" })
        }
    };
    let created = rest(method, "created_field");
    let created = created.as_ref().and_then(Value::as_str).unwrap_or_default();
    if status == 204 {
        writeln!(out, "    let _: ::orgplane_proto::common::v1::Empty = reply;\n    Ok(crate::reply::no_content())")?;
    } else if created.is_empty() {
        writeln!(out, "    crate::reply::{writer}({status}, &reply{member})")?;
    } else {
        writeln!(out, "    crate::reply::json(if reply.{created} {{ 201 }} else {{ 200 }}, &reply{member})")?;
    }
    Ok(())
}

/// `orgplane.identity.v1.User` -> `::orgplane_proto::identity::v1::User`.
fn rust_path(full_name: &str) -> String {
    full_name.replacen("orgplane.", "::orgplane_proto.", 1).replace('.', "::")
}

/// `GetUser` -> `get_user`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
