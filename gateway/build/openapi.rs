//! The OpenAPI document of the REST API: every operation of the descriptors, mechanical or not.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MethodDescriptor, Value};
use serde_json::{Value as Json, json};

use crate::Fallible;
use crate::descriptor::{Binding, Comments, bindings, rest};
use crate::schema::{Schemas, Way, describe};

const ROOT: &str = "/api/v2";
const JSON: &str = "application/json";

/// The document's text.
pub(crate) fn document(pool: &DescriptorPool) -> Fallible<String> {
    let comments = Comments::of(pool);
    let mut schemas = Schemas::new(&comments);
    let mut paths: BTreeMap<String, Json> = BTreeMap::new();
    let mut tags = Vec::new();
    let error = pool.get_message_by_name("orgplane.common.v1.Response").ok_or("no error message")?;
    let error = schemas.message(&error, Way::Out)?;
    for service in pool.services() {
        let tag = service.name().trim_end_matches("Service").to_owned();
        let mut any = false;
        for method in service.methods() {
            for (number, binding) in bindings(&method).iter().enumerate() {
                let operation = Operation { comments: &comments, method: &method, binding, number };
                let described = operation.describe(&tag, &mut schemas)?;
                let path = binding.path.strip_prefix(ROOT).ok_or_else(|| format!("{} is no path", binding.path))?;
                let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
                item[binding.verb.to_lowercase()] = described;
                any = true;
            }
        }
        if any {
            let mut entry = json!({"name": tag});
            describe(&mut entry, comments.get(service.full_name()));
            tags.push(entry);
        }
    }
    paths.insert("/".to_owned(), json!({"get": root(&error)}));
    paths.insert("/openapi.json".to_owned(), json!({"get": itself()}));
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Orgplane",
            "version": "2",
            "description": "The REST API of an Orgplane deployment. In bodies, null is as good as absence, and unknown \
                members are ignored. Times are RFC 3339; ids are UUIDs; where a path names an organization, user, \
                template or workspace, its name will do where the operation says so.",
        },
        "servers": [{"url": ROOT}],
        "security": [{"header": []}, {"bearer": []}, {"cookie": []}, {"query": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.into_json(),
            "responses": {"Error": {
                "description": "The operation failed: what is wrong, and which member of the request breaks which rule.",
                "content": {JSON: {"schema": error}},
            }},
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "Coder-Session-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "coder_session_token"},
                "query": {"type": "apiKey", "in": "query", "name": "coder_session_token"},
            },
        },
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// `GET /api/v2`, which is no RPC.
fn root(error: &Json) -> Json {
    json!({
        "operationId": "Hello", "summary": "Is there an API?", "security": [],
        "responses": {"200": {"description": "There is.", "content": {JSON: {"schema": error}}}},
    })
}

/// `GET /api/v2/openapi.json`, which is no RPC either.
fn itself() -> Json {
    json!({
        "operationId": "OpenApi", "summary": "This document.", "security": [],
        "responses": {"200": {"description": "The document.", "content": {JSON: {"schema": {"type": "object"}}}}},
    })
}

struct Operation<'a> {
    comments: &'a Comments,
    method: &'a MethodDescriptor,
    binding: &'a Binding,
    number: usize,
}

impl Operation<'_> {
    fn describe(&self, tag: &str, schemas: &mut Schemas<'_>) -> Fallible<Json> {
        let variables = self.binding.variables();
        let id = self.method.name().to_owned();
        // A method with several paths tells them apart by their last variable.
        let id = if self.number == 0 { id } else { format!("{id}By{}", pascal(variables.last().unwrap_or(&""))) };
        let mut operation = json!({"operationId": id, "tags": [tag]});
        let comment = self.comments.get(self.method.full_name());
        let (summary, more) = comment.split_once(". ").unwrap_or((comment, ""));
        let plain = words(self.method.name());
        operation["summary"] = json!(if summary.is_empty() { &plain } else { summary.trim_end_matches('.') });
        describe(&mut operation, more);
        let parameters = self.parameters(&variables, schemas)?;
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        let consumes = texts(self.method, "consumes");
        if !consumes.is_empty() {
            operation["requestBody"] = json!({"required": true, "content": binary(&consumes)});
        } else if !self.binding.body.is_empty() {
            let schema = schemas.body(&self.method.input(), &variables)?;
            operation["requestBody"] = json!({"content": {JSON: {"schema": schema}}});
        }
        operation["responses"] = self.responses(schemas)?;
        if rest(self.method, "public") == Some(Value::Bool(true)) {
            operation["security"] = json!([]);
        }
        Ok(operation)
    }

    fn parameters(&self, variables: &[&str], schemas: &mut Schemas<'_>) -> Fallible<Vec<Json>> {
        let mut parameters = Vec::new();
        let input = self.method.input();
        for variable in variables {
            let field = input.get_field_by_name(variable).ok_or_else(|| format!("{{{variable}}} is no field"))?;
            let schema = schemas.value(&field.kind(), Way::In, &field)?;
            let mut parameter = json!({"name": variable, "in": "path", "required": true, "schema": schema});
            describe(&mut parameter, self.comments.get(field.full_name()));
            parameters.push(parameter);
        }
        if self.binding.body.is_empty() && !self.method.is_client_streaming() {
            // The variables of the method's other paths aren't parameters of this one.
            let all = bindings(self.method);
            let elsewhere: Vec<&str> = all.iter().flat_map(Binding::variables).collect();
            for field in input.fields().filter(|f| !elsewhere.contains(&f.name())) {
                parameters.push(self.query_parameter(&field, schemas)?);
            }
        }
        let own = rest(self.method, "parameters");
        for own in own.as_ref().and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_message) {
            let text = |member| own.get_field_by_name(member).and_then(|v| v.as_str().map(str::to_owned));
            let values = own.get_field_by_name("values").map(|v| v.into_owned());
            let values: Vec<&str> =
                values.as_ref().and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).collect();
            let schema = if values.is_empty() { json!({"type": "boolean"}) } else { json!({"enum": values}) };
            let mut parameter = json!({"name": text("name"), "in": "query", "schema": schema});
            describe(&mut parameter, &text("description").unwrap_or_default());
            parameters.push(parameter);
        }
        Ok(parameters)
    }

    fn query_parameter(&self, field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Fallible<Json> {
        let name = field.name();
        let mut parameter = json!({"name": name, "in": "query"});
        if field.is_map() {
            // A JSON object in a parameter.
            let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
            parameter["content"] = json!({JSON: {"schema": schema}});
        } else {
            let single = schemas.value(&field.kind(), Way::In, field)?;
            parameter["schema"] = if field.is_list() { json!({"type": "array", "items": single}) } else { single };
            if field.is_list() {
                // Comma lists; repeated parameters are taken as well.
                parameter["style"] = json!("form");
                parameter["explode"] = json!(false);
            }
            if let (Kind::Int32, "limit", Some(Value::I32(limit @ 1..))) =
                (field.kind(), name, rest(self.method, "default_limit"))
            {
                parameter["schema"]["default"] = json!(limit);
            }
        }
        describe(&mut parameter, self.comments.get(field.full_name()));
        Ok(parameter)
    }

    fn responses(&self, schemas: &mut Schemas<'_>) -> Fallible<Json> {
        let status = match rest(self.method, "success_status") {
            Some(Value::U32(status @ 1..)) => status,
            _ => 200,
        };
        let mut success = json!({"description": "Done."});
        if status != 204 {
            let mut content = json!({});
            let produces = texts(self.method, "produces");
            let output = self.method.output();
            for kind in if produces.is_empty() { vec![JSON.to_owned()] } else { produces } {
                content[&kind] = match (kind.as_str(), self.binding.response_body.as_str()) {
                    (JSON, "") => json!({"schema": schemas.message(&output, Way::Out)?}),
                    (JSON, member) => {
                        let field = output.get_field_by_name(member).ok_or_else(|| format!("no field {member}"))?;
                        json!({"schema": schemas.member(&field, Way::Out)?})
                    }
                    (text, _) if text.starts_with("text/") => json!({"schema": {"type": "string"}}),
                    _ => json!({}),
                };
            }
            success["content"] = content;
        }
        let mut responses = json!({});
        let created = rest(self.method, "created_field").and_then(|v| v.as_str().map(str::to_owned));
        if created.is_some_and(|field| !field.is_empty()) {
            let mut again = success.clone();
            again["description"] = json!("It was there already.");
            responses["200"] = again;
            responses["201"] = success;
        } else {
            responses[status.to_string()] = success;
        }
        responses["default"] = json!({"$ref": "#/components/responses/Error"});
        Ok(responses)
    }
}

/// Bodies that aren't JSON.
fn binary(kinds: &[String]) -> Json {
    Json::Object(kinds.iter().map(|kind| (kind.clone(), json!({}))).collect())
}

fn texts(method: &MethodDescriptor, member: &str) -> Vec<String> {
    let value = rest(method, member);
    let list = value.as_ref().and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// `workspace_build` -> `WorkspaceBuild`.
fn pascal(name: &str) -> String {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    name.split('_').filter(|part| !part.is_empty()).map(capital).collect()
}

/// `ListUserOrganizations` -> `List user organizations`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push(' ');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}
