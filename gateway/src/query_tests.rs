use orgplane_proto::provisioner::v1::JobStatus;

use super::*;

fn read<T: Default>(raw: &str, read: impl FnOnce(&mut Reader<'_>, &mut T)) -> Result<T, String> {
    let query = Query::parse(Some(raw));
    let (mut reader, mut value) = (query.reader(), T::default());
    read(&mut reader, &mut value);
    reader.finish().map(|()| value).map_err(|error| error.body().validations[0].field.clone())
}

#[test]
fn flags() {
    let cases = [
        ("", Ok(false)),
        ("f", Ok(true)),
        ("f=", Ok(false)),
        ("f=true", Ok(true)),
        ("f=T", Ok(true)),
        ("f=1", Ok(true)),
        ("f=0", Ok(false)),
        ("f=FALSE", Ok(false)),
        ("f=false&f=true", Ok(false)),
        ("f&f=x", Ok(true)),
        ("f=yes", Err("f".to_owned())),
        ("f=tRUE", Err("f".to_owned())),
        ("f=%00", Err("f".to_owned())),
    ];
    for (raw, wanted) in cases {
        assert_eq!(read(raw, |r, v| r.flag("f", v)), wanted, "{raw}");
    }
}

#[test]
fn numbers() {
    let cases = [
        ("", Ok(0)),
        ("n", Ok(0)),
        ("n=", Ok(0)),
        ("n=7", Ok(7)),
        ("n=7&n=x", Ok(7)),
        ("n=2147483647", Ok(i32::MAX)),
        ("n=2147483648", Err("n".to_owned())),
        ("n=-1", Err("n".to_owned())),
        ("n=ten", Err("n".to_owned())),
        ("n=1.5", Err("n".to_owned())),
        ("n=+1", Err("n".to_owned())),
        ("n=%ff", Err("n".to_owned())),
    ];
    for (raw, wanted) in cases {
        assert_eq!(read::<i32>(raw, |r, v| r.count("n", v)), wanted, "{raw}");
    }
    assert_eq!(read::<i64>("n=-1", |r, v| r.integer("n", v)), Ok(-1));
    assert_eq!(read::<i64>("n=9223372036854775808", |r, v| r.integer("n", v)), Err("n".to_owned()));
}

#[test]
fn texts_and_lists() {
    let text = |raw| read::<String>(raw, |r, v| r.text("q", v)).unwrap();
    assert_eq!(text("q=a+b%20c%26"), "a b c&");
    assert_eq!(text("%71=a&q=b"), "a");
    assert_eq!(text("q=a=b"), "a=b");

    let list = |raw| read::<Vec<String>>(raw, |r, v| r.texts("ids", v)).unwrap();
    assert_eq!(list("ids=a,b&ids=c"), ["a", "b", "c"]);
    assert_eq!(list("ids=,a,,&ids=&ids"), ["a"]);

    let choices = |raw| read::<Vec<i32>>(raw, |r, v| r.choices::<JobStatus>("status", v));
    let (pending, failed) = (JobStatus::Pending as i32, JobStatus::Failed as i32);
    assert_eq!(choices("status=pending,failed"), Ok(vec![pending, failed]));
    assert_eq!(choices("status=pending&status=failed"), Ok(vec![pending, failed]));
    assert_eq!(choices("status="), Ok(vec![]));
    assert_eq!(choices("status=Pending"), Err("status".to_owned()));
}

#[test]
fn maps_and_times() {
    let map = |raw| read::<BTreeMap<String, String>>(raw, |r, v| r.map("tags", v));
    let wanted = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    assert_eq!(map("tags=%7B%22a%22%3A%22b%22%7D"), Ok(wanted));
    assert_eq!(map("tags="), Ok(BTreeMap::new()));
    assert_eq!(map("tags={}"), Ok(BTreeMap::new()));
    for bad in ["tags=x", "tags=[]", "tags=%7B%22a%22:1%7D", "tags=null", "tags=%7B%22a%22:%22\\u0000%22%7D"] {
        assert_eq!(map(bad), Err("tags".to_owned()), "{bad}");
    }

    let time = |raw| read::<Option<Timestamp>>(raw, |r, v| r.time("since", v));
    let wanted = Timestamp { seconds: 1_735_689_600, nanos: 0 };
    assert_eq!(time("since=2025-01-01T00:00:00Z"), Ok(Some(wanted)));
    assert_eq!(time("since=2025-01-01T02:00:00%2B02:00"), Ok(Some(wanted)));
    assert_eq!(time("since=0001-01-01T00:00:00Z"), Ok(None));
    assert_eq!(time("since="), Ok(None));
    assert_eq!(time("since=yesterday"), Err("since".to_owned()));
}

#[test]
fn all_faults_at_once_and_unknown_parameters() {
    let query = Query::parse(Some("limit=-1&offset=x&other=1&other=2&access_token=t&coder_session_token=t"));
    let (mut limit, mut offset) = (0_i32, 0_i32);
    let mut reader = query.reader();
    reader.count("limit", &mut limit);
    reader.count("offset", &mut offset);
    let error = reader.finish_strict().unwrap_err();
    let fields: Vec<&str> = error.body().validations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["limit", "offset", "other"]);
    assert_eq!(error.status(), http::StatusCode::BAD_REQUEST);
    assert!(Query::parse(Some("other=1")).reader().finish().is_ok());
}
