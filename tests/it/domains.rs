//! Domains that are verified by DNS records: what the answers of a name server on loopback come to, and what the timer does
//! as days pass.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vestibule::{
    clock::{Clock, ManualClock, SeededEntropy},
    dns::{LookupError, Resolver, WITHIN},
    domain::{
        Domain, TenantId,
        audit::{Activity, Actor, Event},
        verification::Challenge,
    },
    flows::{
        Foundation,
        apply::{ApplyError, apply, spec::Desired},
        domains::{Standing, VerifiedBy, VerifyError, look_again, standings, verify},
    },
    seal::KeyRing,
    store::{
        memory::MemoryStore,
        records::{self, Store},
    },
};

use crate::support::{
    dns::{Answer, NameServer},
    process::spare_address,
};

const NAME: &str = "_vestibule-challenge.contoso.example";
const HOUR: i64 = 3600;

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn owned(strings: &[&[&str]]) -> Answer {
    Answer::Txt(strings.iter().map(|record| record.iter().map(|text| (*text).to_owned()).collect()).collect())
}

#[tokio::test]
async fn what_a_name_server_answers_is_told_apart() {
    let server = NameServer::start().await;
    let resolver = Resolver::new(vec![server.address]);
    let shows = async |answer: Answer| {
        server.answer(NAME, answer);
        resolver.txt(NAME).await
    };
    assert_eq!(resolver.txt(NAME).await, Ok(Vec::new()), "no such name");
    assert_eq!(shows(Answer::Nothing).await, Ok(Vec::new()), "no such record");
    assert_eq!(shows(Answer::text("here")).await, Ok(texts(&["here"])));
    assert_eq!(shows(owned(&[&["v=spf1"], &["here"], &[""]])).await, Ok(texts(&["v=spf1", "here", ""])));
    assert_eq!(shows(owned(&[&["he", "re"], &["there"]])).await, Ok(texts(&["there"])), "of several strings");
    assert_eq!(shows(Answer::Alias("dns.provider.example", "here".into())).await, Ok(texts(&["here"])));
    assert_eq!(shows(Answer::TxtOf("evil.example", "here".into())).await.unwrap_or_default(), texts(&[]), "of another name");
    assert_eq!(shows(Answer::ByTcp("here".into(), 0)).await, Ok(texts(&["here"])));
    let long = shows(Answer::ByTcp("here".into(), 240)).await.expect("an answer of nearly 64 KiB");
    assert_eq!((long.len(), long.last()), (241, texts(&["here"]).last()));
    for (fault, said) in [(Answer::Code(2), "Server Failure"), (Answer::Code(5), "Refused"), (Answer::Referral, "refers")] {
        match shows(fault).await {
            Err(LookupError::Failed(told)) => assert!(told.contains(said), "{told}"),
            other => panic!("{said}: {other:?}"),
        }
    }
    assert_eq!(resolver.txt(&format!("_x.{}", "a.".repeat(130))).await, Err(LookupError::Name));
}

#[tokio::test]
async fn a_name_server_that_says_nothing_is_waited_for_a_few_seconds() {
    let server = NameServer::start().await;
    server.answer(NAME, Answer::Silence);
    let begun = Instant::now();
    assert_eq!(Resolver::new(vec![server.address]).txt(NAME).await, Err(LookupError::Timeout));
    assert!(begun.elapsed() < WITHIN + Duration::from_secs(2), "{:?}", begun.elapsed());
    let nobody = Resolver::new(vec![spare_address()]).txt(NAME).await;
    assert!(matches!(nobody, Err(LookupError::Timeout | LookupError::Failed(_))), "{nobody:?}");
    // One of several that is away is in nobody's way.
    let speaks = NameServer::start().await;
    speaks.answer(NAME, Answer::text("here"));
    assert_eq!(Resolver::new(vec![spare_address(), speaks.address]).txt(NAME).await, Ok(texts(&["here"])));
}

/// Two nodes on one store, and a clock that a test moves.
struct Nodes {
    one: Foundation,
    two: Foundation,
    clock: ManualClock,
    server: NameServer,
}

fn tenant() -> TenantId {
    "c0c0c0c0-0000-4000-8000-000000000001".parse().expect("an id")
}

fn contoso() -> Domain {
    "contoso.example".parse().expect("a domain")
}

impl Nodes {
    /// With a tenant that has claimed `contoso.example`.
    async fn new() -> Self {
        let (server, clock) = (NameServer::start().await, ManualClock::new("2026-11-22T09:00:00Z".parse().expect("a time")));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let one = Foundation {
            store: Store::new(Arc::new(MemoryStore::new(Arc::clone(&shared)))),
            ring: Arc::new(KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(7))).expect("a ring")),
            clock: shared,
            entropy: Arc::new(SeededEntropy::new(8)),
            public_url: "https://vestibule.example".parse().expect("a URL"),
            lanes: Arc::default(),
            dns: Resolver::new(vec![server.address]),
        };
        let nodes = Self { two: one.clone(), one, clock, server };
        nodes.apply("verified = false").await.expect("applied");
        nodes
    }

    async fn apply(&self, verified: &str) -> Result<Vec<String>, ApplyError> {
        self.apply_tenant(&format!("id = \"{}\"", tenant()), "Contoso", &format!("name = \"contoso.example\", {verified}")).await
    }

    async fn apply_tenant(&self, id: &str, name: &str, domain: &str) -> Result<Vec<String>, ApplyError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tenants.toml");
        std::fs::write(&file, format!("[[tenant]]\n{id}\ndisplay_name = \"{name}\"\ndomains = [{{ {domain} }}]\n"))
            .expect("a file");
        let desired = Desired::load(&file).expect("a good file");
        Ok(apply(&self.one, &desired, false).await?.changes)
    }

    /// Publishes the record that the tenant has to publish.
    fn publish(&self) {
        let record = Challenge::of(&self.one.ring, tenant(), &contoso());
        self.server.answer(&record.name, Answer::text(&record.value));
    }

    fn withdraw(&self) {
        self.server.answer(NAME, Answer::Code(3));
    }

    async fn verify(&self) -> Result<Standing, VerifyError> {
        verify(&self.one, tenant(), &contoso(), &Actor::Operator).await
    }

    async fn standing(&self) -> Standing {
        standings(&self.two, tenant()).await.expect("read").remove(0)
    }

    /// The timers of both nodes go off at the same moment, once an hour.
    async fn pass(&self, hours: i64) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            let (one, two) = tokio::join!(look_again(&self.one), look_again(&self.two));
            one.and(two).expect("a round");
        }
    }

    /// Who verified the domain or found it lost, from a log that must be whole.
    async fn told(&self) -> Vec<(Actor, bool)> {
        let events = self.one.store.list(&records::audit_events(tenant())).await.expect("read");
        let events: Vec<_> = events.into_iter().map(|event| event.value).collect();
        assert_eq!(Event::first_break(tenant(), &events), None);
        let turns = events.into_iter().filter_map(|event| match event.activity {
            Activity::DomainVerified { domain } if domain == contoso() => Some((event.actor, true)),
            Activity::DomainUnverified { domain } if domain == contoso() => Some((event.actor, false)),
            _ => None,
        });
        turns.collect()
    }
}

#[tokio::test]
async fn a_record_that_is_not_exactly_the_one_verifies_nothing() {
    let nodes = Nodes::new().await;
    let Challenge { name, value } = Challenge::of(&nodes.one.ring, tenant(), &contoso());
    let others = Challenge::of(&nodes.one.ring, TenantId(uuid::Uuid::from_u128(9)), &contoso()).value;
    let halves = value.split_at(40);
    let wrong = [
        owned(&[&[&value.to_ascii_uppercase()]]),
        owned(&[&[&format!("{value} ")]]),
        owned(&[&[&value[..value.len() - 1]]]),
        owned(&[&[halves.0, halves.1]]),
        owned(&[&[&value, ""]]),
        owned(&[&[&others], &["v=spf1 -all"]]),
        Answer::TxtOf("evil.example", value.clone()),
        Answer::Nothing,
        Answer::Code(2),
        Answer::Code(3),
    ];
    for answer in wrong {
        let said = format!("{answer:?}");
        nodes.server.answer(&name, answer);
        let refused = nodes.verify().await;
        assert!(matches!(refused, Err(VerifyError::Absent(_) | VerifyError::Unanswered(..))), "{said}: {refused:?}");
        assert!(!nodes.standing().await.verified, "{said}");
    }
    assert!(nodes.told().await.is_empty());
    nodes.server.answer(&name, owned(&[&["v=spf1 -all"], &[&others], &[&value]]));
    assert!(nodes.verify().await.expect("one of several records").verified);
    assert_eq!(nodes.told().await, [(Actor::Operator, true)]);
    let foreign = verify(&nodes.one, tenant(), &"fabrikam.example".parse().expect("a domain"), &Actor::Operator).await;
    assert!(matches!(foreign, Err(VerifyError::NotClaimed(_))), "{foreign:?}");
}

#[tokio::test]
async fn t_11_a_domain_whose_record_is_gone_is_unverified_after_the_grace_and_told_once() {
    let nodes = Nodes::new().await;
    nodes.publish();
    nodes.verify().await.expect("verified");
    let asked = nodes.server.asked();
    nodes.pass(22).await;
    assert_eq!(nodes.server.asked(), asked, "not before a day is nearly over");
    nodes.pass(24 * 3).await;
    assert!((3..=10).contains(&(nodes.server.asked() - asked)), "once a day, by each of two nodes at most");
    assert_eq!(nodes.standing().await.missing_since, None);

    nodes.withdraw();
    nodes.pass(24).await;
    let missing = nodes.standing().await;
    let until = missing.verified_until.expect("found missing");
    assert!(missing.verified && nodes.told().await.len() == 1);
    while nodes.clock.now() < until - jiff::SignedDuration::from_hours(1) {
        nodes.pass(1).await;
        assert!(nodes.standing().await.verified, "at {}", nodes.clock.now());
    }
    nodes.pass(1).await;
    let lost = nodes.standing().await;
    assert_eq!((lost.verified, lost.by, lost.last_seen), (false, None, None));
    nodes.pass(48).await;
    assert_eq!(nodes.told().await, [(Actor::Operator, true), (Actor::Server, false)], "by one of the two nodes, once");
    nodes.publish();
    nodes.pass(48).await;
    assert!(!nodes.standing().await.verified, "what is lost comes back when somebody asks for it");
    assert!(nodes.verify().await.expect("it is there again").verified);
}

#[tokio::test]
async fn t_11_name_servers_that_are_away_unverify_nothing() {
    let nodes = Nodes::new().await;
    nodes.publish();
    nodes.verify().await.expect("verified");
    for fault in [Answer::Code(2), Answer::Code(5), Answer::Referral] {
        nodes.server.answer(NAME, fault);
        nodes.pass(24 * 6).await;
        let standing = nodes.standing().await;
        assert_eq!((standing.verified, standing.missing_since), (true, None));
    }
    // Missing for a day, then away, then back: it begins anew.
    nodes.withdraw();
    nodes.pass(24).await;
    assert!(nodes.standing().await.missing_since.is_some());
    nodes.server.answer(NAME, Answer::Code(2));
    nodes.pass(96).await;
    assert!(nodes.standing().await.verified, "nobody said that it is missing still");
    nodes.publish();
    nodes.pass(1).await;
    assert_eq!(nodes.standing().await.missing_since, None);
}

#[tokio::test]
async fn what_a_file_says_of_a_domain_that_dns_has_verified() {
    let nodes = Nodes::new().await;
    nodes.publish();
    nodes.verify().await.expect("verified");
    let before = nodes.standing().await;
    assert!(nodes.apply("verified = false").await.expect("applied").is_empty(), "nothing new is said");
    assert_eq!(format!("{:?}", nodes.standing().await), format!("{before:?}"));
    assert_eq!(nodes.apply("verified = true").await.expect("applied"), ["~ tenant Contoso: domains (Contoso)"]);
    assert_eq!(nodes.standing().await.by, Some(VerifiedBy::Operator));
    nodes.withdraw();
    let asked = nodes.server.asked();
    nodes.pass(24 * 5).await;
    assert!(nodes.verify().await.expect("declared").verified && nodes.server.asked() == asked, "nobody asks for its record");
    nodes.apply("verified = false").await.expect("applied");
    assert!(!nodes.standing().await.verified, "no longer declared, and never shown");
}

#[tokio::test]
async fn t_11_two_tenants_cannot_have_one_domain_however_it_is_spelt() {
    let nodes = Nodes::new().await;
    for spelling in ["contoso.example", "Contoso.Example", "contoso.example.", "CONTOSO.EXAMPLE."] {
        let id = "id = \"c0c0c0c0-0000-4000-8000-000000000002\"";
        let refused = nodes.apply_tenant(id, "Others", &format!("name = \"{spelling}\", verified = false")).await;
        assert!(matches!(&refused, Err(ApplyError::Refused(why)) if why[0].contains("another tenant")), "{refused:?}");
    }
    assert_eq!(nodes.one.store.list(&records::tenants_listed()).await.expect("read").len(), 1);
}
