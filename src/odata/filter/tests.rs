use proptest::prelude::*;

use super::*;
use crate::odata::schema::{Ops, Property, Shape, Type};

mod random;

const TEXT: Ops = Ops::EQUALITY.and(Ops::STARTS_WITH).and(Ops::ENDS_WITH);
const ORDERED: Ops = Ops::EQUALITY.and(Ops::ORDER);
const IDENTITY: &[Property] = &[
    Property::new("issuer", Shape::Single(Type::String, Ops::EQUALITY)),
    Property::new("issuerAssignedId", Shape::Single(Type::String, Ops::EQUALITY)),
    Property::new("tags", Shape::Many(Type::String, Ops::EQUALITY)),
];
const MANAGER: &[Property] = &[
    Property::new("id", Shape::Single(Type::Guid, Ops::EQUALITY)),
    Property::new("address", Shape::Object(&[Property::new("city", Shape::Single(Type::String, TEXT))])),
];
const USERS: Schema = Schema {
    entity: "user",
    properties: &[
        Property::new("id", Shape::Single(Type::Guid, Ops::EQUALITY)),
        Property::new("userType", Shape::Single(Type::String, Ops::EQUALITY)),
        Property::new("externalUserState", Shape::Single(Type::String, Ops::EQUALITY)),
        Property::new("displayName", Shape::Single(Type::String, TEXT.and(Ops::ORDER).and(Ops::CONTAINS))),
        Property::new("mail", Shape::Single(Type::String, TEXT)),
        Property::new("accountEnabled", Shape::Single(Type::Boolean, Ops::EQ.and(Ops::NE))),
        Property::new("signIns", Shape::Single(Type::Integer, ORDERED)),
        Property::new("createdDateTime", Shape::Single(Type::DateTime, ORDERED)),
        Property::new("otherMails", Shape::Many(Type::String, TEXT.and(Ops::CONTAINS))),
        Property::new("identities", Shape::Objects(IDENTITY)),
        Property::new("manager", Shape::Object(MANAGER)),
        Property::new("photo", Shape::Opaque),
    ],
    default_top: 100,
};

fn parse(text: &str) -> Result<Filter, Error> {
    Filter::parse(text, &USERS)
}

#[test]
fn d_04_the_corpus_is_read_or_refused_as_it_says() {
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in include_str!("../../../fixtures/odata-filters.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut parts = line.splitn(3, " |").map(|part| part.strip_prefix(' ').unwrap_or(part));
        let (Some(status), Some(words), Some(text)) = (parts.next(), parts.next(), parts.next()) else { panic!("{line}") };
        let (as_said, found) = match parse(text) {
            Ok(filter) => {
                let one_spelling = filter.to_string();
                let same = one_spelling == if words.is_empty() { text } else { words } && parse(&one_spelling) == Ok(filter);
                (status == "200" && same, one_spelling)
            }
            Err(error) => (error.status().as_str() == status && error.message().contains(words), error.to_string()),
        };
        if !as_said {
            wrong.push(format!("{line}\n  {found}"));
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 120, "{cases}");
}

#[test]
fn d_04_a_filter_is_bounded() {
    let nested = |depth: usize| format!("{}mail eq 'a'{}", "(".repeat(depth), ")".repeat(depth));
    let conjuncts = |count: usize| vec!["mail eq 'a'"; count].join(" and ");
    let list = |count: usize| format!("mail in ({})", vec!["'a'"; count].join(","));
    let long = |length: usize| format!("mail eq '{}'", "a".repeat(length - 10));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&format!("{}(mail eq 'a')", "not ".repeat(MAX_DEPTH - 1))).is_ok());
    assert!(parse(&conjuncts(MAX_NODES - 1)).is_ok());
    assert!(parse(&list(MAX_LIST)).is_ok());
    assert!(parse(&long(MAX_BYTES)).is_ok());
    for (bad, words) in [
        (nested(MAX_DEPTH + 1), "deep"),
        (nested(900), "deep"),
        (nested(100_000), "bytes"),
        ("(".repeat(2_000), "deep"),
        ("not ".repeat(500), "deep"),
        (format!("{}(mail eq 'a')", "not ".repeat(MAX_DEPTH)), "deep"),
        (format!("otherMails/any(x:{})", nested(MAX_DEPTH).replace("mail", "x")), "deep"),
        (conjuncts(MAX_NODES), "conditions"),
        (list(MAX_LIST + 1), "64 values"),
        (long(MAX_BYTES + 1), "bytes"),
        // In its one spelling it has a blank more for each parenthesis.
        (format!("{} and mail eq '{}'", vec!["mail in('a')"; 40].join(" and "), "a".repeat(MAX_BYTES - 40 * 17 - 10)), "bytes"),
    ] {
        let error = parse(&bad).expect_err(words);
        assert_eq!(error.status().as_u16(), 400);
        assert!(error.message().contains(words), "{error}");
    }
}

/// One user, without anything that is not said.
#[derive(Default)]
struct User {
    mail: Option<&'static str>,
    created: Option<i64>,
    others: Option<Vec<Option<&'static str>>>,
    identities: Vec<Identity>,
    manager: Option<Manager>,
}

struct Identity(&'static str, Option<&'static str>);

struct Manager(Uuid);

impl Entity for User {
    fn property(&self, name: &str) -> Value<'_> {
        match name {
            "mail" => self.mail.into(),
            "createdDateTime" => self.created.and_then(|at| Timestamp::from_second(at).ok()).into(),
            "otherMails" => self.others.as_ref().map_or(Value::Null, |mails| mails.iter().copied().collect()),
            "identities" => Value::Many(self.identities.iter().map(|one| Value::Object(one)).collect()),
            "manager" => self.manager.as_ref().map_or(Value::Null, |manager| Value::Object(manager)),
            _ => Value::Null,
        }
    }
}

impl Entity for Identity {
    fn property(&self, name: &str) -> Value<'_> {
        match name {
            "issuer" => self.0.into(),
            "issuerAssignedId" => self.1.into(),
            _ => Value::Null,
        }
    }
}

impl Entity for Manager {
    fn property(&self, name: &str) -> Value<'_> {
        if name == "id" { self.0.into() } else { Value::Null }
    }
}

fn holds(text: &str, user: &User) -> bool {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(user)
}

#[test]
fn null_is_equal_to_null_and_unknown_to_functions() {
    let nobody = User::default();
    for (text, expected) in [
        ("mail eq null", true),
        ("mail ne null", false),
        ("mail eq 'a'", false),
        ("mail ne 'a'", true),
        ("mail in ('a')", false),
        ("mail in ('a',null)", true),
        ("not (mail in ('a'))", true),
        ("createdDateTime gt 2026-01-01T00:00:00Z", false),
        ("not (createdDateTime gt 2026-01-01T00:00:00Z)", true),
        ("createdDateTime gt null", false),
        ("createdDateTime lt null", false),
        ("createdDateTime ge null", true),
        ("createdDateTime le null", true),
        ("createdDateTime le 2026-01-01T00:00:00Z", false),
        ("startswith(mail,'')", false),
        ("not startswith(mail,'a')", false),
        ("startswith(mail,'a') or mail eq null", true),
        ("startswith(mail,'a') and mail ne null", false),
        ("not (startswith(mail,'a') and mail ne null)", true),
        ("not (startswith(mail,'a') or mail ne null)", false),
        ("otherMails/any(x:x eq null)", false),
        ("otherMails/any()", false),
        ("not otherMails/any()", true),
        ("otherMails/all(x:x eq 'a')", true),
        ("not otherMails/any(x:startswith(x,'a'))", true),
        ("manager/id eq null", true),
        ("manager/id eq 00000000-0000-0000-0000-000000000001", false),
        ("manager/address/city eq null", true),
    ] {
        assert_eq!(holds(text, &nobody), expected, "{text}");
    }
    let with_null = User { others: Some(vec![None, Some("a@b.example")]), ..User::default() };
    assert!(holds("otherMails/any(x:x eq null) and otherMails/any(x:startswith(x,'A@')) and otherMails/any()", &with_null));
    assert!(
        !holds("otherMails/all(x:startswith(x,'a'))", &with_null) && holds("not otherMails/all(x:startswith(x,'a'))", &with_null)
    );
}

#[test]
fn l_10_strings_ignore_the_case_of_ascii_letters_and_of_no_others() {
    let mail = |mail| User { mail: Some(mail), ..User::default() };
    assert!(holds("mail eq 'MIKE@Contoso.example' and mail in ('x','mike@CONTOSO.example')", &mail("Mike@contoso.example")));
    assert!(holds("startswith(mail,'mIKE') and endswith(mail,'.EXAMPLE')", &mail("Mike@contoso.example")));
    for (theirs, other) in
        [("Ärger", "ärger"), ("mıke", "mike"), ("\u{212a}ate", "kate"), ("straße", "STRASSE"), ("e\u{301}", "é")]
    {
        assert!(!holds(&format!("mail eq '{other}'"), &mail(theirs)), "{theirs} {other}");
        assert!(!holds(&format!("startswith(mail,'{other}')"), &mail(theirs)), "{theirs} {other}");
    }
    // A part of a character is no part of a text.
    assert!(!holds("endswith(mail,'\u{a9}')", &mail("é")) && holds("endswith(mail,'é')", &mail("Né")));
}

#[test]
fn lambdas_speak_of_one_element_at_a_time() {
    let user = User {
        identities: vec![Identity("contoso.example", Some("1")), Identity("fabrikam.example", Some("2")), Identity("x", None)],
        manager: Some(Manager(Uuid::from_u128(10))),
        ..User::default()
    };
    assert!(holds("identities/any(i:i/issuer eq 'contoso.example' and i/issuerAssignedId eq '1')", &user));
    assert!(!holds("identities/any(i:i/issuer eq 'contoso.example' and i/issuerAssignedId eq '2')", &user));
    assert!(holds("identities/all(i:i/issuer ne null) and identities/any(i:i/issuerAssignedId eq null)", &user));
    assert!(!holds("identities/all(i:i/issuerAssignedId ne null)", &user));
    assert!(holds("manager/id eq '00000000-0000-0000-0000-00000000000A'", &user));
}

#[test]
fn what_is_demanded_can_be_looked_up() {
    let demands = |text: &str| {
        let filter = parse(text).unwrap();
        let one = |demand: &Demand<'_>| {
            let values: Vec<_> = demand.one_of.iter().map(ToString::to_string).collect();
            format!("{}={}", demand.names.join("/"), values.join("|"))
        };
        filter.demands().iter().map(one).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        demands("userType eq 'Guest' and (mail eq 'a' and id in ('00000000-0000-0000-0000-000000000001'))"),
        "userType='Guest' mail='a' id=00000000-0000-0000-0000-000000000001"
    );
    assert_eq!(
        demands("otherMails/any(x:x in ('a','b')) and manager/address/city eq 'Ulm'"),
        "otherMails='a'|'b' manager/address/city='Ulm'"
    );
    assert_eq!(
        demands("identities/any(x:x/issuer eq 'a' and x/issuerAssignedId eq 'b')"),
        "identities/issuer='a' identities/issuerAssignedId='b'"
    );
    for none in [
        "mail eq 'a' or userType eq 'b'",
        "not (mail eq 'a')",
        "mail ne 'a'",
        "otherMails/all(x:x eq 'a')",
        "otherMails/any(x:x eq 'a' or x eq 'b')",
        "otherMails/any()",
        "startswith(mail,'a')",
        "signIns ge 5",
    ] {
        assert_eq!(demands(none), "", "{none}");
    }
}

/// Pieces that filters are made of, and some that they are not.
const PIECES: &[&str] = &[
    "mail",
    "userType",
    "otherMails",
    "identities",
    "manager",
    "/",
    "/any(",
    "/all(",
    "x:",
    "x",
    "x/issuer",
    " eq ",
    " ne ",
    " gt ",
    " in ",
    "(",
    ")",
    ",",
    "'a'",
    "'",
    "null",
    "true",
    " and ",
    " or ",
    "not ",
    "startswith(",
    "contains(",
    "5",
    "-",
    "2026-01-01T00:00:00Z",
    "00000000-0000-0000-0000-000000000001",
    " ",
    "é",
    "\0",
    "$it",
    "@",
    ".",
    ":",
    "signIns",
    "createdDateTime",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4 * ProptestConfig::default().cases))]

    #[test]
    fn d_04_anything_is_read_or_refused_within_the_limits(
        text in prop_oneof![
            prop::collection::vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat()),
            prop::collection::vec(any::<u8>(), 0..120).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "\\PC{0,200}",
        ],
    ) {
        match parse(&text) {
            Ok(filter) => {
                let one_spelling = filter.to_string();
                prop_assert!(one_spelling.len() <= MAX_BYTES);
                prop_assert!(random::nodes(filter.expr()) <= MAX_NODES);
                let _ = filter.matches(&User::default());
                prop_assert_eq!(parse(&one_spelling), Ok(filter));
            }
            Err(error) => {
                prop_assert!([400, 501].contains(&error.status().as_u16()));
                prop_assert!(error.message().len() < 700, "{}", error);
            }
        }
    }
}
