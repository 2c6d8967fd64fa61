use serde_json::Value;

use super::{
    authenticator::{Authenticator, PRESENT, VERIFIED},
    *,
};
use crate::{
    clock::{ManualClock, SeededEntropy},
    store::memory::MemoryStore,
};

const ORIGIN: &str = "https://guests.contoso.example";

struct Bench {
    passkeys: Passkeys,
    store: Store,
    clock: ManualClock,
    tenant: TenantId,
    user: UserId,
}

fn bench_at(public_url: &str) -> Bench {
    let clock = ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let store = Store::new(Arc::new(MemoryStore::new(Arc::new(clock.clone()))));
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(1))).unwrap());
    let entropy = SeededEntropy::new(2);
    let (tenant, user) = (TenantId::random(&entropy), UserId::random(&entropy));
    let url = public_url.parse().unwrap();
    let passkeys = Passkeys::new(&url, store.clone(), ring, Arc::new(clock.clone()), Arc::new(entropy));
    Bench { passkeys, store, clock, tenant, user }
}

fn bench() -> Bench {
    bench_at(ORIGIN)
}

impl Bench {
    fn begin(&self) -> Begun {
        let owner = Owner { tenant: self.tenant, organisation: "Contoso", user: self.user, name: "sam@fabrikam.example" };
        self.passkeys.begin_creation(&owner, &[]).unwrap()
    }

    fn create(&self, authenticator: &mut Authenticator) -> Result<PasskeyRecord, Code> {
        let begun = self.begin();
        self.passkeys.finish_creation(&begun.ceremony, self.user, &authenticator.create(&begun.options))
    }

    async fn keep(&self, tenant: TenantId, record: &PasskeyRecord) {
        let batch = Batch::new(Partition::Tenant(tenant)).put(&passkey(tenant, self.user, &record.name()), record);
        self.store.commit(batch).await.unwrap();
    }

    /// With a passkey that is written already.
    async fn enrolled(&self) -> Authenticator {
        let mut authenticator = Authenticator::new(ORIGIN, b"a passkey's id..");
        let record = self.create(&mut authenticator).unwrap();
        self.keep(self.tenant, &record).await;
        authenticator
    }

    async fn sign_in(&self, authenticator: &mut Authenticator) -> Result<UserId, Code> {
        let begun = self.passkeys.begin_assertion().unwrap();
        self.passkeys.verify(self.tenant, &begun.ceremony, &authenticator.get(&begun.options)).await
    }

    async fn stored(&self) -> PasskeyRecord {
        let mut all = self.store.list(&passkeys(self.tenant, self.user)).await.unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0).value
    }
}

#[tokio::test]
async fn a_passkey_signs_its_user_in() {
    let bench = bench();
    let mut authenticator = bench.enrolled().await;
    assert_eq!(bench.stored().await.used, None);
    for counter in [1, 2, 500] {
        authenticator.counter = counter;
        assert_eq!(bench.sign_in(&mut authenticator).await, Ok(bench.user));
        let stored = bench.stored().await;
        assert_eq!((stored.counter, stored.used), (counter, Some(bench.clock.now())));
        bench.clock.advance(1);
    }
}

#[test]
fn what_is_asked_for_is_a_discoverable_credential_of_a_verified_user() {
    let bench = bench();
    let options: Value = serde_json::from_str(&bench.begin().options).unwrap();
    let asked = &options["publicKey"];
    assert_eq!((&asked["rp"]["id"], &asked["rp"]["name"]), (&"guests.contoso.example".into(), &"Contoso".into()));
    let selection = &asked["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(selection["requireResidentKey"], true);
    assert_eq!(selection["userVerification"], "required");
    assert_eq!(asked["attestation"], "none");
    let algorithms: Vec<_> = asked["pubKeyCredParams"].as_array().unwrap().iter().map(|known| known["alg"].clone()).collect();
    assert_eq!(algorithms, [-7, -257]);
    let options: Value = serde_json::from_str(&bench.passkeys.begin_assertion().unwrap().options).unwrap();
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert!(options.get("mediation").is_none(), "{options}");
}

/// T-10: what is asked of a browser at sign-in is the same whoever is there, and a handle tells nothing.
#[tokio::test]
async fn t_10_nothing_is_told_of_who_has_a_passkey() {
    let bench = bench();
    let before: Value = serde_json::from_str(&bench.passkeys.begin_assertion().unwrap().options).unwrap();
    let authenticator = bench.enrolled().await;
    let after: Value = serde_json::from_str(&bench.passkeys.begin_assertion().unwrap().options).unwrap();
    let without_challenge = |mut options: Value| {
        options["publicKey"]["challenge"].take();
        options
    };
    assert_eq!(without_challenge(before), without_challenge(after.clone()));
    assert_eq!(after["publicKey"]["allowCredentials"], serde_json::json!([]));
    assert_eq!(authenticator.handle.len(), 16);
    assert_ne!(authenticator.handle, bench.user.as_bytes());
    assert_eq!(bench.passkeys.user_of(bench.tenant, &authenticator.handle), Some(bench.user));
    let elsewhere = TenantId::random(&SeededEntropy::new(9));
    assert_ne!(bench.passkeys.user_of(elsewhere, &authenticator.handle), Some(bench.user));
}

/// A browser that is asked for a new passkey is told which the user has, so that none is made twice.
#[tokio::test]
async fn known_passkeys_are_excluded() {
    let bench = bench();
    bench.enrolled().await;
    let existing = bench.store.list(&passkeys(bench.tenant, bench.user)).await.unwrap();
    let owner = Owner { tenant: bench.tenant, organisation: "Contoso", user: bench.user, name: "sam" };
    let options = bench.passkeys.begin_creation(&owner, &existing).unwrap().options;
    assert!(options.contains(r#""excludeCredentials":[{"type":"public-key","id":"YSBwYXNza2V5J3MgaWQuLg"}]"#), "{options}");
}

#[tokio::test]
async fn an_answer_for_another_place_is_refused() {
    let bench = bench();
    type Change = fn(&mut Authenticator);
    let elsewhere: [(&str, Change); 6] = [
        ("origin", |a| a.origin = "https://guests.contoso.example.evil.example".into()),
        ("scheme", |a| a.origin = "http://guests.contoso.example".into()),
        ("port", |a| a.origin = "https://guests.contoso.example:8443".into()),
        ("sub-domain", |a| a.origin = "https://app.guests.contoso.example".into()),
        ("relying party", |a| a.host = "contoso.example".into()),
        ("nobody there", |a| a.flags = VERIFIED),
    ];
    for (what, change) in elsewhere {
        let mut authenticator = Authenticator::new(ORIGIN, b"another id......");
        change(&mut authenticator);
        assert_eq!(bench.create(&mut authenticator), Err(Code::PasskeyRefused), "{what}: a new one");
    }
    for (what, change) in elsewhere {
        let mut authenticator = bench.enrolled().await;
        change(&mut authenticator);
        assert_eq!(bench.sign_in(&mut authenticator).await, Err(Code::PasskeyRefused), "{what}: a signature");
    }
}

#[tokio::test]
async fn who_was_not_verified_is_refused() {
    let bench = bench();
    let mut authenticator = Authenticator::new(ORIGIN, b"an id");
    authenticator.flags = PRESENT;
    assert_eq!(bench.create(&mut authenticator), Err(Code::PasskeyRefused));
    let mut authenticator = bench.enrolled().await;
    authenticator.flags = PRESENT;
    assert_eq!(bench.sign_in(&mut authenticator).await, Err(Code::PasskeyRefused));
}

#[test]
fn keys_and_ids_of_other_kinds_are_refused() {
    let bench = bench();
    let mut other = Authenticator::new(ORIGIN, b"an id");
    // COSE's -8, EdDSA
    other.algorithm = 0x27;
    assert_eq!(bench.create(&mut other), Err(Code::PasskeyRefused));
    for (length, taken) in [(0, false), (1, true), (MAX_ID, true), (MAX_ID + 1, false)] {
        let mut authenticator = Authenticator::new(ORIGIN, &vec![7; length]);
        assert_eq!(bench.create(&mut authenticator).is_ok(), taken, "{length}");
    }
}

#[tokio::test]
async fn garbage_is_refused() {
    let bench = bench();
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(MAX_ANSWER));
    for garbage in ["", "{}", "[]", "null", "\u{0}", &long] {
        let created = bench.passkeys.finish_creation(&bench.begin().ceremony, bench.user, garbage);
        assert_eq!(created, Err(Code::PasskeyRefused));
        let begun = bench.passkeys.begin_assertion().unwrap();
        assert_eq!(bench.passkeys.verify(bench.tenant, &begun.ceremony, garbage).await, Err(Code::PasskeyRefused));
    }
}

/// O-06: an answer belongs to one ceremony: its challenge, its act, its user, its tenant.
#[tokio::test]
async fn o_06_an_answer_belongs_to_one_ceremony() {
    let bench = bench();
    let mut authenticator = Authenticator::new(ORIGIN, b"an id");
    let (one, other) = (bench.begin(), bench.begin());
    assert_ne!(one.ceremony.challenge, other.ceremony.challenge);
    let answer = authenticator.create(&one.options);
    let refused = Err(Code::PasskeyRefused);
    assert_eq!(bench.passkeys.finish_creation(&other.ceremony, bench.user, &answer), refused, "of another challenge");
    let somebody = UserId::random(&SeededEntropy::new(8));
    assert_eq!(bench.passkeys.finish_creation(&one.ceremony, somebody, &answer), refused, "of another user");
    let get = bench.passkeys.begin_assertion().unwrap();
    assert_eq!(bench.passkeys.finish_creation(&get.ceremony, bench.user, &answer), refused, "of a signature");
    assert!(bench.passkeys.finish_creation(&one.ceremony, bench.user, &answer).is_ok());

    let mut authenticator = bench.enrolled().await;
    let other = bench.passkeys.begin_assertion().unwrap();
    let answer = authenticator.get(&get.options);
    assert_eq!(bench.passkeys.verify(bench.tenant, &other.ceremony, &answer).await, Err(Code::PasskeyRefused));
    assert_eq!(bench.passkeys.verify(bench.tenant, &bench.begin().ceremony, &answer).await, Err(Code::PasskeyRefused));
    let elsewhere = TenantId::random(&SeededEntropy::new(9));
    bench.keep(elsewhere, &bench.stored().await).await;
    assert_eq!(bench.passkeys.verify(elsewhere, &get.ceremony, &answer).await, Err(Code::PasskeyRefused), "another tenant");
    assert_eq!(bench.passkeys.verify(bench.tenant, &get.ceremony, &answer).await, Ok(bench.user));
}

/// O-09: the right answer works once, also when two arrive together and the authenticator counts nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn o_09_a_challenge_is_answered_once() {
    let bench = bench();
    let mut authenticator = bench.enrolled().await;
    let begun = bench.passkeys.begin_assertion().unwrap();
    let answer = authenticator.get(&begun.options);
    let all = (0..20).map(|_| bench.passkeys.verify(bench.tenant, &begun.ceremony, &answer));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 1, "{all:?}");
    assert!(all.iter().all(|answer| answer.is_ok() || *answer == Err(Code::PasskeyRefused)), "{all:?}");
    assert_eq!(bench.sign_in(&mut authenticator).await, Ok(bench.user), "another challenge");
}

#[tokio::test]
async fn a_challenge_lives_five_minutes() {
    let bench = bench();
    let mut authenticator = bench.enrolled().await;
    for (seconds, opens) in [(299, true), (300, false)] {
        let begun = bench.passkeys.begin_assertion().unwrap();
        let creation = bench.begin();
        bench.clock.advance(seconds);
        let answer = bench.passkeys.verify(bench.tenant, &begun.ceremony, &authenticator.get(&begun.options)).await;
        assert_eq!(answer.is_ok(), opens, "{seconds}");
        let mut fresh = Authenticator::new(ORIGIN, b"a fresh id");
        let created = bench.passkeys.finish_creation(&creation.ceremony, bench.user, &fresh.create(&creation.options));
        assert_eq!(created.is_ok(), opens, "{seconds}");
    }
}

#[tokio::test]
async fn a_counter_that_does_not_go_up_gives_a_copy_away() {
    let bench = bench();
    let mut authenticator = bench.enrolled().await;
    authenticator.counter = 7;
    assert_eq!(bench.sign_in(&mut authenticator).await, Ok(bench.user));
    for copied in [7, 6, 0] {
        authenticator.counter = copied;
        assert_eq!(bench.sign_in(&mut authenticator).await, Err(Code::PasskeyCopied), "{copied}");
        assert_eq!(bench.stored().await.counter, 7, "nothing was written");
    }
    authenticator.counter = 8;
    assert_eq!(bench.sign_in(&mut authenticator).await, Ok(bench.user));
}

#[tokio::test]
async fn another_key_with_the_same_id_opens_nothing() {
    let bench = bench();
    let real = bench.enrolled().await;
    let mut forged = Authenticator::new(ORIGIN, &real.id);
    forged.handle.clone_from(&real.handle);
    assert_eq!(bench.sign_in(&mut forged).await, Err(Code::PasskeyRefused));
    let mut stranger = bench.enrolled().await;
    stranger.handle = bench.passkeys.handle(bench.tenant, UserId::random(&SeededEntropy::new(5))).unwrap().to_vec();
    assert_eq!(bench.sign_in(&mut stranger).await, Err(Code::PasskeyRefused), "with somebody else's handle");
    stranger.handle.clear();
    assert_eq!(bench.sign_in(&mut stranger).await, Err(Code::PasskeyRefused), "without a handle");
}

#[test]
fn a_server_without_a_host_name_offers_no_passkeys() {
    for (url, offered) in [("http://127.0.0.1:8080", false), ("http://[::1]:8080", false), ("http://localhost:8080", true)] {
        let passkeys = bench_at(url).passkeys;
        assert_eq!((passkeys.offered(), passkeys.begin_assertion().is_some()), (offered, offered), "{url}");
    }
}

/// A journey has room for both.
#[test]
fn a_ceremony_and_a_new_passkey_are_small_when_sealed() {
    let bench = bench();
    let begun = bench.begin();
    let record = bench.create(&mut Authenticator::new(ORIGIN, &[9; 32])).unwrap();
    let (ceremony, passkey) = (postcard::to_stdvec(&begun.ceremony).unwrap(), postcard::to_stdvec(&record).unwrap());
    assert!(ceremony.len() <= 100 && passkey.len() <= 160, "{} and {}", ceremony.len(), passkey.len());
    assert_eq!(postcard::from_bytes::<Ceremony>(&ceremony).unwrap(), begun.ceremony);
    assert_eq!(postcard::from_bytes::<PasskeyRecord>(&passkey).unwrap(), record);
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<PasskeyRecord>(&json).unwrap(), record);
    assert!(!format!("{record:?} {:?}", begun.ceremony).contains("CQkJ"));
}
