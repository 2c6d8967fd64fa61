//! Over the memory store: what an apply writes, and what it refuses to write.

mod refusals;
mod repeated;
mod terms;
mod users;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::FutureExt;

use super::{ApplyError, Report, apply, spec::Desired};
use crate::{
    clock::{Clock, ManualClock, SeededEntropy},
    dns::Resolver,
    domain::{
        AppId, Domain, EmailAddress, TenantId,
        app::{App, ClientType},
        audit::{Activity, Event},
        user::User,
    },
    flows::{Foundation, documents::Documents},
    seal::KeyRing,
    store::{
        Change, Entry, Key, Page, Partition, Watch,
        memory::MemoryStore,
        records::{self, Store},
    },
};

const CONTOSO: &str = "c0c0c0c0-0000-4000-8000-000000000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A tenant with something of everything; what is added goes to its end.
pub(crate) fn contoso(more: &str) -> String {
    format!(
        r##"
        [[tenant]]
        id = "{CONTOSO}"
        display_name = "Contoso"
        domains = [{{ name = "contoso.example", verified = true }}]
        hosts = ["guests.contoso.example"]
        branding = {{ accent = "#0b5cad", logo = "logo.png" }}
        [[tenant.app]]
        display_name = "Expenses"
        client_secret = "{SECRET}"
        redirect_uris = ["https://expenses.contoso.example/callback"]
        [[tenant.app]]
        display_name = "Travel"
        [[tenant.federation]]
        display_name = "Fabrikam"
        issuer = "https://login.fabrikam.example"
        client_id = "us"
        client_secret = "theirs"
        domains = ["fabrikam.example"]
        [[tenant.agreement]]
        name = "Terms"
        [[tenant.agreement.file]]
        language = "en"
        display_name = "Terms of use"
        path = "terms.md"
        [[tenant.user]]
        display_name = "Maria Rossi"
        mail = "maria@fabrikam.example"
        apps = ["Expenses"]
        [[tenant.user]]
        user_type = "Member"
        display_name = "Adele Vance"
        mail = "adele@contoso.example"
        password = "correct horse battery staple"
        {more}
        "##
    )
}

pub(crate) struct House {
    pub(crate) foundation: Foundation,
    pub(crate) clock: ManualClock,
}

impl House {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new("2026-11-22T09:00:00Z".parse().unwrap());
        let entropy = Arc::new(SeededEntropy::new(7));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let foundation = Foundation {
            store: Store::new(Arc::new(MemoryStore::new(Arc::clone(&shared)))),
            ring: Arc::new(KeyRing::parse(&KeyRing::generate(&*entropy)).unwrap()),
            clock: shared,
            entropy,
            public_url: "https://vestibule.example".parse().unwrap(),
            lanes: Arc::default(),
            dns: Resolver::default(),
        };
        Self { foundation, clock }
    }

    pub(crate) async fn apply(&self, text: &str) -> Report {
        self.try_apply(&desired(text), false).await.unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// The problems of an apply that must be refused, having written nothing.
    async fn refused(&self, desired: &Desired) -> Vec<String> {
        let mut watch = self.foundation.store.watch();
        let problems = self.try_apply(desired, false).await.expect_err("a refusal");
        assert_eq!(commits(&mut watch), 0, "{problems:?}");
        problems
    }

    async fn try_apply(&self, desired: &Desired, dry_run: bool) -> Result<Report, Vec<String>> {
        match apply(&self.foundation, desired, dry_run).await {
            Ok(report) => Ok(report),
            Err(ApplyError::Refused(problems)) => Err(problems),
            Err(ApplyError::Store(error)) => panic!("{error}"),
        }
    }

    pub(crate) async fn get<T: serde::de::DeserializeOwned>(&self, key: &records::RecordKey<T>) -> Option<T> {
        self.foundation.store.get(key).await.unwrap().map(|stored| stored.value)
    }

    /// Its documents, of which nothing was read yet.
    fn documents(&self) -> Documents {
        Documents::new(self.foundation.store.clone())
    }

    pub(crate) async fn user(&self, mail: &str) -> User {
        let held = self.get(&records::address(tenant(), &address(mail))).await.expect("somebody has the address");
        self.get(&records::user(tenant(), held.user)).await.expect("a user")
    }

    pub(crate) async fn app(&self, name: &str) -> App {
        let apps = self.foundation.store.list(&records::apps(tenant())).await.unwrap();
        apps.into_iter().map(|app| app.value).find(|app| app.display_name == name).expect("an app")
    }

    /// All of a partition.
    async fn dump(&self, partition: Partition) -> Vec<Entry> {
        let everything = Key::from_parts(partition, bytes::Bytes::new());
        self.foundation.store.backend().scan(&everything, Page { after: None, limit: usize::MAX }).await.unwrap()
    }

    /// The audit log, which must be whole.
    pub(crate) async fn audit(&self) -> Vec<Event> {
        let events = self.foundation.store.list(&records::audit_events(tenant())).await.unwrap();
        let events: Vec<_> = events.into_iter().map(|event| event.value).collect();
        assert_eq!(Event::first_break(tenant(), &events), None);
        let head = self.get(&records::audit_head(tenant())).await.unwrap_or_default();
        let last = events.last().map(|event| (event.sequence, event.hash(tenant()))).unwrap_or((0, head.hash.clone()));
        assert_eq!((head.sequence, head.hash), last, "the head is the last entry's");
        events
    }

    async fn owner(&self, domain: &str) -> Option<TenantId> {
        let domain: Domain = domain.parse().unwrap();
        self.get(&records::domain_claim(&domain)).await.map(|claim| claim.tenant)
    }
}

pub(crate) fn tenant() -> TenantId {
    CONTOSO.parse().unwrap()
}

pub(crate) fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

/// The file with the documents that it names.
fn desired(text: &str) -> Desired {
    with_terms(text, "# Terms\n\nBe kind.\n")
}

fn with_terms(text: &str, terms: &str) -> Desired {
    let mut desired: Desired = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    put(&mut desired, "terms.md", terms.as_bytes());
    put(&mut desired, "logo.png", b"\x89PNG\r\n\x1a\nand so on");
    desired
}

fn put(desired: &mut Desired, name: &str, bytes: &[u8]) {
    desired.files.insert(name.into(), BASE64_STANDARD.encode(bytes));
}

/// How many commits were made since the watch was taken, or asked last.
fn commits(watch: &mut Watch) -> usize {
    std::iter::from_fn(|| watch.next().now_or_never().flatten())
        .inspect(|change| assert_ne!(*change, Change::Lost))
        .filter(|change| matches!(change, Change::Keys(_)))
        .count()
}

#[tokio::test]
async fn everything_that_is_declared_is_made() {
    let house = House::new();
    let report = house.apply(&contoso("")).await;
    let expected = [
        "+ tenant Contoso",
        "+ signing keys",
        "+ app Expenses",
        "+ app Travel",
        "+ home organisation Fabrikam",
        "+ agreement Terms",
        "+ guest Maria Rossi",
        "+ Maria Rossi may open Expenses",
        "+ member Adele Vance",
        "~ password of Adele Vance",
    ];
    assert_eq!(report.changes, expected.map(|line| format!("{line} (Contoso)")));

    let stored = house.get(&records::tenant(tenant())).await.expect("the tenant");
    assert_eq!((stored.display_name.as_str(), stored.hosts.as_slice()), ("Contoso", &["guests.contoso.example".to_owned()][..]));
    assert_eq!(house.owner("contoso.example").await, Some(tenant()));
    assert_eq!(house.get(&records::host_claim("guests.contoso.example")).await.map(|claim| claim.tenant), Some(tenant()));
    assert!(house.get(&records::tenant_listed(tenant())).await.is_some());
    assert_eq!(house.foundation.store.list(&records::signing_keys(tenant())).await.unwrap().len(), 2);

    let ClientType::Confidential { secrets } = house.app("Expenses").await.client else { panic!("a confidential client") };
    assert!(secrets.len() == 1 && secrets[0].matches(SECRET));
    let agreements = house.foundation.store.list(&records::agreements(tenant())).await.unwrap();
    let document = agreements[0].value.files[0].versions[0].document;
    let text = house.documents().text(tenant(), &document).await.unwrap();
    assert_eq!(text, "# Terms\n\nBe kind.\n");
    let logo = stored.branding.logo.expect("a logo");
    assert!(house.documents().bytes(tenant(), &logo).await.unwrap().starts_with(b"\x89PNG"));

    let maria = house.user("maria@fabrikam.example").await;
    assert!(maria.is_pending() && maria.account_enabled);
    let app: AppId = house.app("Expenses").await.id;
    assert!(house.get(&records::assignment(tenant(), maria.id, app)).await.is_some());
    let told = house.audit().await;
    assert!(told.iter().any(|event| event.activity == Activity::UserAdded { user: maria.id }), "{told:?}");
}

#[tokio::test]
async fn a_secret_that_was_made_is_shown_once_and_a_declared_one_never() {
    let house = House::new();
    let report = house.apply(&contoso("")).await;
    let [made] = &report.secrets[..] else { panic!("{:?}", report.secrets) };
    let travel = house.app("Travel").await;
    let ClientType::Confidential { secrets } = &travel.client else { panic!("a confidential client") };
    assert_eq!((made.app.as_str(), made.client_id.as_str()), ("Travel", travel.id.to_string().as_str()));
    assert!(secrets[0].matches(&made.client_secret));
    assert!(!format!("{report:?}").contains(&made.client_secret));
    assert!(house.apply(&contoso("")).await.secrets.is_empty());
    let replaced = contoso("").replace("\"Travel\"", &format!("\"Travel\"\nclient_secret = \"{SECRET}\""));
    assert_eq!(house.apply(&replaced).await.changes, ["~ app Travel: client.secrets (Contoso)"]);
    let ClientType::Confidential { secrets } = house.app("Travel").await.client else { panic!("a confidential client") };
    assert!(secrets.len() == 1 && secrets[0].matches(SECRET), "the lost one is void");
}

#[test]
fn declared_secrets_do_not_show_in_debug_and_survive_the_way_to_the_server() {
    let declared = desired(&contoso(""));
    let shown = format!("{declared:?}");
    for secret in [SECRET, "theirs", "correct horse battery staple"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let arrived: Desired = serde_json::from_slice(&serde_json::to_vec(&declared).unwrap()).unwrap();
    let tenant = &arrived.tenants[0];
    assert_eq!(tenant.apps[0].client_secret.as_ref().map(crate::secret::Secret::expose), Some(SECRET));
    assert_eq!(tenant.federations[0].client_secret.expose(), "theirs");
    assert_eq!(arrived.files.len(), 2);
}

/// The sample is complete and can be applied once its secret has been replaced (A-10: not before).
#[tokio::test]
async fn a_10_the_sample_of_an_apply_file_is_good_but_for_its_secret() {
    let sample = include_str!("../../../tenants.example.toml");
    let house = House::new();
    let problems = house.refused(&with_terms(sample, "# Terms\n")).await;
    assert!(problems.len() == 1 && problems[0].contains("sample"), "{problems:?}");
    house.apply(&sample.replace("replace-me", SECRET)).await;
    let names = "id display_name domains hosts privacy statement_url contact_email branding accent logo policy \
        redemption_order upstream_only guest_domains passcode_minutes session_hours language contact permissions_reviewed_since \
        description homepage redirect_uris post_logout_redirect_uris public client_secret pkce visible \
        assignment_required enabled permissions delegated_permissions id_token_alg access_token_alg issuer client_id name order must_open apps users \
        published path major user_type mail other_mails preferred_language account_enabled password";
    for name in names.split_whitespace() {
        let mentioned = sample.contains(&format!("{name} = ")) || sample.contains(&format!(".{name}]"));
        assert!(mentioned, "{name} is not in the sample");
    }
}
