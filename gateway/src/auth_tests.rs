use super::*;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn parts(method: &str, uri: &str, headers: Headers<'_>) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn found(uri: &str, headers: Headers<'_>) -> Result<Option<String>, Error> {
    let parts = parts("GET", uri, headers);
    let value = authorization(&parts, &Query::parse(parts.uri.query()), false)?;
    Ok(value.map(|v| v.to_str().unwrap().to_owned()))
}

#[test]
fn lookup_order() {
    let all = [
        ("cookie", "other=x; coder_session_token=cookie"),
        ("coder-session-token", "header"),
        ("authorization", "Bearer bearer"),
    ];
    let cases: &[(&str, Headers<'_>, Option<&str>)] = &[
        ("/?coder_session_token=query&access_token=access", &all, Some("cookie")),
        ("/?coder_session_token=query&access_token=access", &all[1..], Some("query")),
        ("/?access_token=access", &all[1..], Some("header")),
        ("/?access_token=access", &all[2..], Some("bearer")),
        ("/?access_token=access", &[], Some("access")),
        ("/", &[], None),
        // Empty ones don't count.
        ("/?coder_session_token=", &[("cookie", "coder_session_token="), ("coder-session-token", "h")], Some("h")),
        ("/?access_token=access", &[("authorization", "Bearer ")], Some("access")),
        ("/?access_token=access", &[("authorization", "Basic dTpw")], Some("access")),
        ("/", &[("authorization", "bearer  lower")], Some("lower")),
        ("/", &[("cookie", "coder_session_token=\"quoted\"")], Some("quoted")),
        ("/", &[("cookie", "a=b"), ("cookie", "coder_session_token=second-line")], Some("second-line")),
        ("/", &[("cookie", "xcoder_session_token=no")], None),
        ("/", &[("authorization", "Bearer a"), ("authorization", "Bearer a")], Some("malformed")),
        ("/", &[("coder-session-token", "a"), ("coder-session-token", "b")], Some("malformed")),
        // What can't be metadata is passed on as something that is never valid.
        ("/?access_token=a%0Ab", &[], Some("malformed")),
        ("/?access_token=%C3%A4", &[], Some("malformed")),
    ];
    for (uri, headers, wanted) in cases {
        let wanted = wanted.map(|token| format!("Bearer {token}"));
        assert_eq!(found(uri, headers).unwrap(), wanted, "{uri} {headers:?}");
    }
    let long = format!("/?access_token={}", "a".repeat(300));
    assert_eq!(found(&long, &[]).unwrap().as_deref(), Some("Bearer malformed"));
}

#[test]
fn cookies_need_the_same_origin() {
    const OK: bool = true;
    const REFUSED: bool = false;
    let cases: &[(&str, bool, Headers<'_>, bool)] = &[
        ("POST", false, &[], REFUSED),
        ("POST", false, &[("x-csrf-token", "1")], OK),
        ("POST", false, &[("origin", "http://gate.test")], OK),
        ("POST", false, &[("origin", "HTTP://Gate.Test")], OK),
        ("POST", false, &[("origin", "http://gate.test:80")], OK),
        ("POST", false, &[("origin", "https://gate.test")], REFUSED),
        ("POST", true, &[("origin", "https://gate.test")], OK),
        ("POST", true, &[("origin", "https://gate.test:443")], OK),
        ("POST", true, &[("origin", "http://gate.test")], REFUSED),
        ("POST", false, &[("origin", "http://gate.test:81")], REFUSED),
        ("POST", false, &[("origin", "http://gate.test.evil.test")], REFUSED),
        ("POST", false, &[("origin", "null")], REFUSED),
        ("POST", false, &[("origin", "http://evil.test"), ("x-csrf-token", "1")], REFUSED),
        ("POST", false, &[("sec-fetch-site", "same-origin")], OK),
        ("POST", false, &[("sec-fetch-site", "none")], OK),
        ("POST", false, &[("sec-fetch-site", "same-site"), ("x-csrf-token", "1")], REFUSED),
        ("POST", false, &[("sec-fetch-site", "cross-site"), ("origin", "http://evil.test")], REFUSED),
        ("PUT", false, &[], REFUSED),
        ("PATCH", false, &[], REFUSED),
        ("DELETE", false, &[], REFUSED),
        ("GET", false, &[], OK),
        ("GET", false, &[("origin", "http://evil.test")], OK),
        ("HEAD", false, &[], OK),
        ("OPTIONS", false, &[], OK),
        ("GET", false, &[("upgrade", "websocket")], REFUSED),
        ("GET", false, &[("upgrade", "WebSocket"), ("origin", "http://evil.test")], REFUSED),
        ("GET", false, &[("upgrade", "WebSocket"), ("origin", "http://gate.test")], OK),
    ];
    for (method, https, headers, wanted) in cases {
        let mut given = vec![("host", "gate.test"), ("cookie", "coder_session_token=t")];
        given.extend_from_slice(headers);
        let parts = parts(method, "/api/v2/users", &given);
        let answer = authorization(&parts, &Query::default(), *https);
        assert_eq!(answer.is_ok(), *wanted, "{method} {headers:?} https: {https}");
        if let Err(error) = answer {
            assert_eq!(error.status(), StatusCode::FORBIDDEN);
        }
    }
}

#[test]
fn tokens_that_browsers_dont_send_by_themselves_need_no_origin() {
    const COOKIE: (&str, &str) = ("cookie", "coder_session_token=t");
    let cases: &[(&str, &str, Headers<'_>, bool)] = &[
        ("POST", "/", &[("coder-session-token", "t")], true),
        ("POST", "/", &[("authorization", "Bearer t")], true),
        ("POST", "/", &[COOKIE, ("coder-session-token", "t")], true),
        ("POST", "/", &[COOKIE, ("authorization", "Bearer t")], true),
        ("GET", "/", &[COOKIE, ("coder-session-token", "t"), ("upgrade", "websocket")], true),
        // Browsers do send these by themselves.
        ("POST", "/", &[COOKIE, ("authorization", "Basic dTpw")], false),
        ("POST", "/", &[COOKIE, ("coder-session-token", "")], false),
        // Any site can write a query, but not the cookie's token into it.
        ("POST", "/?coder_session_token=t", &[COOKIE], true),
        ("POST", "/?access_token=t", &[COOKIE], true),
        ("POST", "/?coder_session_token=x", &[COOKIE], false),
        ("POST", "/?access_token=x", &[COOKIE], false),
        ("POST", "/?access_token=x", &[], false),
        ("GET", "/?access_token=x", &[], true),
        ("GET", "/?coder_session_token=x", &[("upgrade", "websocket")], true),
    ];
    for (method, uri, headers, wanted) in cases {
        let mut given = vec![("host", "gate.test"), ("origin", "http://evil.test")];
        given.extend_from_slice(headers);
        let parts = parts(method, uri, &given);
        let answer = authorization(&parts, &Query::parse(parts.uri.query()), false);
        assert_eq!(answer.is_ok(), *wanted, "{method} {uri} {headers:?}");
    }
}

#[test]
fn other_sites_can_sign_nobody_in() {
    let cases: &[(&str, Headers<'_>, bool)] = &[
        ("POST", &[], true),
        ("POST", &[("origin", "http://gate.test")], true),
        ("POST", &[("sec-fetch-site", "same-origin")], true),
        ("POST", &[("sec-fetch-site", "none")], true),
        ("POST", &[("origin", "http://evil.test")], false),
        ("POST", &[("origin", "null")], false),
        ("POST", &[("sec-fetch-site", "cross-site")], false),
        ("POST", &[("sec-fetch-site", "same-site")], false),
        ("POST", &[("sec-fetch-site", "same-site"), ("origin", "http://gate.test")], false),
        ("GET", &[("origin", "http://evil.test")], true),
    ];
    for (method, headers, wanted) in cases {
        let mut given = vec![("host", "gate.test")];
        given.extend_from_slice(headers);
        let parts = parts(method, "/api/v2/users/login", &given);
        let answer = authorization(&parts, &Query::default(), false);
        assert_eq!(answer.is_ok(), *wanted, "{method} {headers:?}");
        if let Err(error) = answer {
            assert_eq!(error.status(), StatusCode::FORBIDDEN);
        }
    }
}

#[test]
fn http2_requests_name_their_host_in_the_uri() {
    let headers = [("cookie", "coder_session_token=t"), ("origin", "https://gate.test")];
    let parts = parts("POST", "https://gate.test/api/v2/users", &headers);
    assert!(authorization(&parts, &Query::default(), true).is_ok());
}
