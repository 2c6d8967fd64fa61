use proptest::prelude::*;

use super::*;
use crate::odata::{
    filter::Value,
    schema::{Ops, Property, Type},
};

const USERS: Schema = Schema {
    entity: "user",
    properties: &[
        Property::new("id", Shape::Single(Type::Guid, Ops::EQUALITY)),
        Property::new("mail", Shape::Single(Type::String, Ops::EQUALITY)).sortable(),
        Property::new("manager", Shape::Opaque).sortable(),
    ],
    default_top: 100,
};

fn refusal(raw: &str) -> (u16, String) {
    let error = Query::parse(raw, &USERS).map(|query| query.canonical()).expect_err(raw);
    (error.status().as_u16(), error.message().to_owned())
}

#[test]
fn options_are_read_as_the_sdks_send_them() {
    let query = Query::parse("", &USERS).unwrap();
    assert_eq!((query.top, query.count, query.is_first_page(), query.canonical().as_str()), (100, false, true, "$top=100"));
    let raw = "%24filter=mail+eq+'a%2Bb'&%24Select=id,MAIL&$top=999&%24count=true&$orderBy=mail%20desc&api-version=1&x=%zz&$skiptoken=abc";
    let query = Query::parse(raw, &USERS).unwrap();
    assert_eq!(query.filter.as_ref().map(ToString::to_string).as_deref(), Some("mail eq 'a+b'"));
    assert_eq!(query.select.names(), Some(&["id", "mail"][..]));
    assert_eq!((query.top, query.count, query.order_by), (999, true, Some(OrderBy { property: "mail", descending: true })));
    assert_eq!(query.skip_token.as_deref(), Some("abc"));
    assert_eq!(query.canonical(), "$filter=mail%20eq%20%27a%2Bb%27&$select=id%2Cmail&$orderby=mail%20desc&$count=true&$top=999");
    assert_eq!(
        Query::parse("$filter=mail eq '%2527'", &USERS).unwrap().filter.unwrap().to_string(),
        "mail eq '%27'",
        "decoded once"
    );
}

#[test]
fn what_is_not_offered_is_refused_with_words() {
    for (raw, status, word) in [
        ("$expand=manager", 501, "$expand"),
        ("$search=\"displayName:x\"", 501, "$search"),
        ("$skip=5", 400, "nextLink"),
        ("$apply=x", 501, "$apply"),
        ("$foo=x", 400, "$foo"),
        ("$=x", 400, "not known"),
        ("%24%24top=1", 400, "not known"),
        ("$top=0", 400, "between 1 and 999"),
        ("$top=1000", 400, "between 1 and 999"),
        ("$top=-1", 400, "between"),
        ("$top=%2B5", 400, "between"),
        ("$top=99999999999999999999", 400, "between"),
        ("$top=", 400, "no value"),
        ("$top", 400, "no value"),
        ("$top=1&$top=1", 400, "twice"),
        ("$top=1&%24TOP=2", 400, "twice"),
        ("$count=1", 400, "neither"),
        ("$filter=", 400, "no value"),
        ("$filter=mail eq 'a'&$filter=mail eq 'b'", 400, "twice"),
        ("filter=mail eq 'a'", 400, "'$filter'"),
        ("top=1", 400, "'$top'"),
        ("$filter=%zz", 400, "well-formed"),
        ("$filter=%ff", 400, "well-formed"),
        ("%zz=1", 400, "well-formed"),
        ("$orderby=mail,id", 501, "more than one"),
        ("$orderby=mail down", 400, "asc"),
        ("$orderby=mail desc desc", 400, "asc"),
        ("$orderby=%20", 400, "asc"),
        ("$orderby=nothing", 400, "nothing"),
        ("$orderby=id", 400, "sorted"),
        ("$orderby=manager", 400, "sorted"),
        ("$select=nothing", 501, "nothing"),
        ("$filter=nothing eq 'a'", 400, "nothing"),
    ] {
        let (found, message) = refusal(raw);
        assert_eq!(found, status, "{raw}: {message}");
        assert!(message.contains(word), "{raw}: {message}");
    }
    assert_eq!(refusal(&format!("x={}", "a".repeat(MAX_BYTES))).0, 400);
}

#[test]
fn requests_for_one_entity_or_a_change_have_fewer_options() {
    assert_eq!(Select::of_one("$select=id&x=1", &USERS).unwrap().names(), Some(&["id"][..]));
    for raw in ["$top=1", "$filter=mail eq 'a'", "$count=true", "$skiptoken=x", "$expand=manager", "$select=id&$select=id"] {
        assert!(Select::of_one(raw, &USERS).is_err(), "{raw}");
    }
    assert_eq!(refuse_options("api-version=1&x"), Ok(()));
    assert!(refuse_options("$select=id").is_err() && refuse_options("$x=1").is_err());
}

struct User(Option<&'static str>);

impl Entity for User {
    fn property(&self, name: &str) -> Value<'_> {
        if name == "mail" { self.0.into() } else { Value::Null }
    }
}

#[test]
fn order_puts_null_first_and_ignores_ascii_case() {
    let sorted = |raw: &str| {
        let order = Query::parse(raw, &USERS).unwrap().order_by.unwrap();
        let mut users = [User(Some("b")), User(None), User(Some("A")), User(Some("c"))];
        users.sort_by(|a, b| order.compare(a, b));
        users.map(|user| user.0.unwrap_or("-")).concat()
    };
    assert_eq!(sorted("$orderby=mail"), "-Abc");
    assert_eq!(sorted("$orderby=MAIL%20Desc"), "cbA-");
}

proptest! {
    #[test]
    fn any_query_is_read_without_panic_and_its_one_spelling_is_a_fixed_point(
        pieces in prop::collection::vec(prop::sample::select(&[
            "$filter=", "$select=", "$top=", "$count=true", "$orderby=", "&", "&", "mail", "id", " desc", "+eq+", "'a'", "5", "%24", "%", "=", ",", "é",
        ][..]), 0..12),
    ) {
        let raw = pieces.concat();
        if let Ok(query) = Query::parse(&raw, &USERS) {
            let canonical = query.canonical();
            prop_assert_eq!(Query::parse(&canonical, &USERS).map(|again| again.canonical()), Ok(canonical));
        }
    }
}
