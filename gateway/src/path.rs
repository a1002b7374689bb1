//! Paths before routing: `//api///v2/users/` is `/api/v2/users`.

use http::uri::{PathAndQuery, Uri};

/// Collapses runs of slashes and drops a trailing one.
pub(crate) fn normalize<B>(mut request: http::Request<B>) -> http::Request<B> {
    if let Some(uri) = normalized(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn normalized(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() < 2 || !path.ends_with('/')) {
        return None;
    }
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/').filter(|s| !s.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(clean).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes() {
        let cases = [
            ("/api/v2/users", "/api/v2/users"),
            ("/api/v2/users/", "/api/v2/users"),
            ("//api///v2//users//", "/api/v2/users"),
            ("/api/v2/?a=//b/", "/api/v2?a=//b/"),
            ("/", "/"),
            ("///", "/"),
            ("/a%2F%2Fb/", "/a%2F%2Fb"),
            ("http://host:1/a//b/?x", "http://host:1/a/b?x"),
        ];
        for (given, wanted) in cases {
            let request = http::Request::builder().uri(given).body(()).unwrap();
            assert_eq!(normalize(request).uri().to_string(), wanted, "{given}");
        }
    }
}
