//! Reading the options of methods and the comments of the `.proto` files.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

/// One way to call a method over HTTP.
pub(crate) struct Binding {
    pub(crate) verb: &'static str,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) response_body: String,
}

impl Binding {
    /// The names of the variables in its path, in order.
    pub(crate) fn variables(&self) -> Vec<&str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }
}

fn extension(method: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let options = method.options();
    let found = options.extensions().find(|(e, _)| e.full_name() == name)?;
    found.1.as_message().cloned()
}

/// A member of our option of a method, `None` without the option.
pub(crate) fn rest(method: &MethodDescriptor, member: &str) -> Option<Value> {
    extension(method, "orgplane.options.v1.rest")?.get_field_by_name(member).map(|v| v.into_owned())
}

fn text(message: &DynamicMessage, member: &str) -> String {
    message.get_field_by_name(member).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The method's HTTP rule and its additional ones; none for methods of gRPC only.
pub(crate) fn bindings(method: &MethodDescriptor) -> Vec<Binding> {
    let Some(rule) = extension(method, "google.api.http") else { return Vec::new() };
    let more = rule.get_field_by_name("additional_bindings").map(|v| v.into_owned());
    let more = more.as_ref().and_then(Value::as_list).unwrap_or_default();
    let rules = std::iter::once(&rule).chain(more.iter().filter_map(Value::as_message));
    rules.filter_map(binding).collect()
}

fn binding(rule: &DynamicMessage) -> Option<Binding> {
    debug_assert_eq!(rule.descriptor().full_name(), "google.api.HttpRule");
    let verbs = [("get", "GET"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE"), ("patch", "PATCH")];
    let (member, verb) = verbs.into_iter().find(|(member, _)| rule.has_field_by_name(member))?;
    let (body, response_body) = (text(rule, "body"), text(rule, "response_body"));
    Some(Binding { verb, path: text(rule, member), body, response_body })
}

/// What the `.proto` files say about their elements, by full name.
pub(crate) struct Comments(HashMap<String, String>);

impl Comments {
    pub(crate) fn of(pool: &DescriptorPool) -> Self {
        let mut found = HashMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.clone().unwrap_or_default();
            let texts: HashMap<&[i32], &str> = info
                .location
                .iter()
                .map(|l| (l.path.as_slice(), l.leading_comments.as_deref().unwrap_or("")))
                .collect();
            let mut keep = |name: &str, path: &[i32]| {
                let text = texts.get(path).copied().unwrap_or_default();
                let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned();
                if !text.is_empty() {
                    found.insert(name.to_owned(), text);
                }
            };
            for service in file.services() {
                keep(service.full_name(), service.path());
                service.methods().for_each(|method| keep(method.full_name(), method.path()));
            }
            for message in file.messages() {
                keep(message.full_name(), message.path());
                message.fields().for_each(|field| keep(field.full_name(), field.path()));
            }
            file.enums().for_each(|e| keep(e.full_name(), e.path()));
        }
        Self(found)
    }

    /// The comment of an element in one line; empty when it has none.
    pub(crate) fn get(&self, full_name: &str) -> &str {
        self.0.get(full_name).map_or("", String::as_str)
    }
}
