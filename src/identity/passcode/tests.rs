use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    clock::{ManualClock, SeededEntropy},
    store::{Backend, Entry, Key, Page, Watch, memory::MemoryStore},
};

mod in_all;

/// A server's passcodes over a store in memory, and what was queued as mail.
struct Bench {
    passcodes: Passcodes,
    store: Store,
    clock: ManualClock,
    tenant: Tenant,
    clients: AtomicUsize,
}

/// A store in which everybody reads before anybody writes: each read lets all others go first.
struct Crowded(MemoryStore);

#[async_trait::async_trait]
impl Backend for Crowded {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let found = self.0.get(keys).await;
        tokio::task::yield_now().await;
        found
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(prefix, page).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.0.commit(batch).await
    }

    fn watch(&self) -> Watch {
        self.0.watch()
    }
}

/// What the tests queue instead of mail: the digits, where a real outbox has them sealed.
#[derive(Serialize, Deserialize)]
struct Mailed {
    digits: String,
    decoy: bool,
}

const JOURNEY: [u8; 16] = [7; 16];

fn bench() -> Bench {
    let clock = ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let store = Store::new(Arc::new(Crowded(MemoryStore::new(Arc::new(clock.clone())))));
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(1))).unwrap());
    let entropy = Arc::new(SeededEntropy::new(2));
    let passcodes = Passcodes::new(store.clone(), ring, Arc::new(clock.clone()), entropy);
    Bench { passcodes, store, clock, tenant: tenant(3), clients: AtomicUsize::new(1) }
}

fn tenant(seed: u64) -> Tenant {
    Tenant {
        id: TenantId::random(&SeededEntropy::new(seed)),
        display_name: "Contoso".into(),
        domains: Vec::new(),
        hosts: Vec::new(),
        privacy: Default::default(),
        branding: Default::default(),
        policy: Default::default(),
        created: Timestamp::UNIX_EPOCH,
        enabled: true,
    }
}

fn sam() -> EmailAddress {
    "sam@fabrikam.example".parse().unwrap()
}

impl Bench {
    /// Asks for a code, each time from another network; the digits, if there was a mail.
    async fn ask(&self, tenant: &Tenant, journey: [u8; 16], address: &EmailAddress, known: bool) -> Option<Mailed> {
        let client = IpAddr::V4((u32::try_from(self.clients.fetch_add(1, Ordering::Relaxed)).unwrap() << 8).into());
        let outbox = RecordKey::<Mailed>::in_tenant(tenant.id, kind::OUTBOX, &[b"test"]);
        let (asked, _) = self.passcodes.ask(tenant, &journey, address, (client, None), &[]).await.unwrap();
        let sent = self.passcodes.send(asked, known, |batch, code| {
            let mail = Mailed { digits: code.digits.expose().to_owned(), decoy: code.decoy };
            Ok(batch.put(&outbox, &mail))
        });
        sent.await.unwrap();
        let mail = self.store.get(&outbox).await.unwrap()?;
        self.store.commit(Batch::new(Partition::Tenant(tenant.id)).delete(&outbox)).await.unwrap();
        Some(mail.value)
    }

    async fn code(&self) -> String {
        self.ask(&self.tenant, JOURNEY, &sam(), true).await.expect("a mail").digits
    }

    async fn guess(&self, typed: &str) -> Result<VerifiedEmail, Code> {
        self.passcodes.verify(self.tenant.id, &JOURNEY, &sam(), typed, None, &[]).await.map(|(email, _)| email)
    }

    /// All records of a kind.
    async fn records(&self, kind: u8) -> Vec<String> {
        let prefix = RecordKey::<serde_json::Value>::in_tenant(self.tenant.id, kind, &[]);
        self.store.list(&prefix).await.unwrap().into_iter().map(|found| format!("{:?} {}", found.key, found.value)).collect()
    }
}

/// A code that is not `code`.
fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect()
}

#[tokio::test]
async fn a_code_that_comes_back_proves_the_mailbox_once() {
    let bench = bench();
    let code = bench.code().await;
    assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(bench.guess(&wrong(&code)).await, Err(Code::CodeWrong));
    let typed = format!(" {}-{}\u{a0}", &code[..4], &code[4..]);
    assert_eq!(bench.guess(&typed).await.map(|email| email.address().clone()), Ok(sam()));
    assert_eq!(bench.guess(&code).await, Err(Code::CodeExpired), "it works once");
    assert!(bench.records(kind::PASSCODE).await.is_empty());
}

#[tokio::test]
async fn a_code_lives_as_long_as_the_tenant_says() {
    for (minutes, lives) in [(10, 600), (1, 60), (30, 1800), (0, 60), (255, 1800)] {
        let mut bench = bench();
        bench.tenant.policy.passcode_minutes = minutes;
        let code = bench.code().await;
        bench.clock.advance(lives - 1);
        assert_eq!(bench.guess(&wrong(&code)).await, Err(Code::CodeWrong));
        bench.clock.advance(1);
        assert_eq!(bench.guess(&code).await, Err(Code::CodeExpired), "{minutes}");
    }
}

/// O-01: the sixth guess is refused even if it is right.
#[tokio::test]
async fn o_01_five_wrong_guesses_kill_a_code() {
    let bench = bench();
    let code = bench.code().await;
    for malformed in ["", "1234567", "123456789", "1234567x", "１２３４５６７８", &"1".repeat(100)] {
        assert_eq!(bench.guess(malformed).await, Err(Code::CodeWrong), "{malformed}: not even a guess");
    }
    for _ in 0..5 {
        assert_eq!(bench.guess(&wrong(&code)).await, Err(Code::CodeWrong));
    }
    assert_eq!(bench.guess(&code).await, Err(Code::CodeExpired));
}

/// O-02: neither a new journey nor a new code resets what is counted against an address.
#[tokio::test]
async fn o_02_failures_are_kept_across_codes_and_journeys() {
    let bench = bench();
    let mut compared = 0;
    // Three days of an attacker who never stops, with a new journey for each code.
    for minute in 0..3 * 24 * 60_u32 {
        let journey = u128::from(minute).to_be_bytes();
        if bench.ask(&bench.tenant, journey, &sam(), true).await.is_some() {
            loop {
                match bench.passcodes.verify(bench.tenant.id, &journey, &sam(), "00000000", None, &[]).await {
                    Err(Code::CodeWrong) => compared += 1,
                    Err(Code::CodeExpired | Code::TooManyCodes) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
        bench.clock.advance(60);
    }
    assert!((15..=3 * 50).contains(&compared), "{compared}");
    // The victim is let in again: after a wait, at worst when the day's codes are given back.
    bench.clock.advance(24 * 3600);
    let code = bench.code().await;
    assert!(bench.guess(&code).await.is_ok());
    assert!(!bench.records(kind::COUNTER).await[0].contains("\"failures\":1"), "a right guess forgives");
}

/// O-05: after 15 failures in a row the address waits 15 minutes, even for the right code.
#[tokio::test]
async fn o_05_the_wait_after_many_failures_ends() {
    let bench = bench();
    let mut code = String::new();
    for _ in 0..3 {
        code = bench.code().await;
        for _ in 0..5 {
            assert_eq!(bench.guess(&wrong(&code)).await, Err(Code::CodeWrong));
        }
        bench.clock.advance(30);
    }
    assert_eq!(bench.guess(&code).await, Err(Code::TooManyCodes));
    assert!(bench.ask(&bench.tenant, JOURNEY, &sam(), true).await.is_none(), "no code that could not be used");
    bench.clock.advance(15 * 60);
    let code = bench.code().await;
    assert!(bench.guess(&code).await.is_ok());
}

/// O-05: strangers use up an address's codes and have it wait; who has the link of an invitation to it comes in all the same.
#[tokio::test]
async fn o_05_strangers_do_not_keep_out_who_has_the_link() {
    let bench = bench();
    let (sam, client, invited) = (sam(), IpAddr::from([192, 0, 2, 1]), Some(UserId(uuid::Uuid::from_u128(5))));
    for _ in 0..3 {
        let code = bench.code().await;
        for _ in 0..5 {
            assert_eq!(bench.guess(&wrong(&code)).await, Err(Code::CodeWrong));
        }
        bench.clock.advance(30);
    }
    assert!(bench.ask(&bench.tenant, JOURNEY, &sam, true).await.is_none(), "the address waits");
    let send = async || {
        let (asked, _) = bench.passcodes.ask(&bench.tenant, &JOURNEY, &sam, (client, invited), &[]).await.unwrap();
        let digits = Mutex::new(None);
        let note = |batch, code: &NewCode| {
            *digits.lock().unwrap() = Some(code.digits.expose().to_owned());
            Ok(batch)
        };
        bench.passcodes.send(asked, true, note).await.unwrap();
        digits.into_inner().unwrap()
    };
    let code = send().await.expect("a code at once");
    assert!(bench.passcodes.verify(bench.tenant.id, &JOURNEY, &sam, &code, invited, &[]).await.is_ok());
    let mut sent = 0;
    for _ in 0..24 * 120 {
        sent += usize::from(send().await.is_some());
        bench.clock.advance(30);
    }
    assert_eq!(sent, 10, "not without end");
}

/// O-03: of 1,000 guesses at once, exactly 5 are compared; O-09: of many right ones, exactly one succeeds.
#[tokio::test]
async fn o_03_o_09_guesses_that_race_are_counted_first_and_win_once() {
    for right in [false, true] {
        let bench = bench();
        let code = bench.code().await;
        let typed = if right { code } else { wrong(&code) };
        let guesses = futures_util::future::join_all((0..1000).map(|_| bench.guess(&typed))).await;
        let mut answers = BTreeMap::new();
        for guess in guesses {
            *answers.entry(guess.err().map(Code::number)).or_insert(0) += 1;
        }
        let (won, wrong) = (answers.get(&None), answers.get(&Some(Code::CodeWrong.number())));
        let expected = if right { (Some(&1), None) } else { (None, Some(&5)) };
        assert_eq!((won, wrong), expected, "{answers:?}");
    }
}

/// O-04: the eleventh code of a day is not sent, and the answer is the same. Sends that race are counted, too.
#[tokio::test]
async fn o_04_too_many_codes_are_not_sent_and_not_admitted() {
    let bench = bench();
    let mut mails = 0;
    for _ in 0..24 * 4 {
        mails += usize::from(bench.ask(&bench.tenant, JOURNEY, &sam(), true).await.is_some());
        bench.clock.advance(15 * 60 - 1);
    }
    assert_eq!(mails, 10);
    bench.clock.advance(24 * 3600);
    let sam = sam();
    let sends = (0..20).map(|number: u8| {
        let client = IpAddr::from([10, 0, number, 1]);
        let outbox = RecordKey::in_tenant(bench.tenant.id, kind::OUTBOX, &[&[number]]);
        let (bench, sam) = (&bench, &sam);
        async move {
            let (asked, _) = bench.passcodes.ask(&bench.tenant, &JOURNEY, sam, (client, None), &[]).await?;
            bench.passcodes.send(asked, true, move |batch, _| Ok(batch.put(&outbox, &number))).await
        }
    });
    let answers = futures_util::future::join_all(sends).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(bench.records(kind::OUTBOX).await.len(), 1);
    // From one network, somebody who asks for many addresses is told at some point.
    let client = IpAddr::from([192, 0, 2, 1]);
    let mut refused = 0;
    for number in 0..31 {
        let address = format!("guest{number}@fabrikam.example").parse().unwrap();
        match bench.passcodes.ask(&bench.tenant, &JOURNEY, &address, (client, None), &[]).await {
            Ok((asked, _)) => drop(bench.passcodes.send(asked, number % 2 == 0, |batch, _| Ok(batch)).await.unwrap()),
            Err(code) => refused += u32::from(code == Code::TooManyCodes),
        }
    }
    assert_eq!(refused, 1);
}

/// O-06: a code works for its tenant, its journey and its address, and for no other.
#[tokio::test]
async fn o_06_a_code_is_bound_to_tenant_journey_and_address() {
    let bench = bench();
    let code = bench.code().await;
    let other_address: EmailAddress = "ann@fabrikam.example".parse().unwrap();
    let verify = async |tenant: TenantId, journey: [u8; 16], address: &EmailAddress| {
        bench.passcodes.verify(tenant, &journey, address, &code, None, &[]).await
    };
    let (own, other) = (bench.tenant.id, tenant(9).id);
    for (tenant, journey, address) in
        [(other, JOURNEY, &sam()), (own, [8; 16], &sam()), (own, JOURNEY, &other_address), (other, [8; 16], &other_address)]
    {
        assert_eq!(verify(tenant, journey, address).await, Err(Code::CodeExpired));
    }
    // Where the other has a code of its own, this one is a wrong guess.
    for (target, journey, address) in [(tenant(9), JOURNEY, sam()), (tenant(3), [8; 16], other_address)] {
        bench.ask(&target, journey, &address, true).await.unwrap();
        assert_eq!(verify(target.id, journey, &address).await, Err(Code::CodeWrong));
    }
    assert!(verify(own, JOURNEY, &sam()).await.is_ok());
    // Nor would a record help that was moved to another place: all of it is in the hash, too.
    let mac = |tenant, journey, address| bench.passcodes.mac(tenant, journey, address, &code);
    let hashes = [
        mac(own, &JOURNEY, &sam()),
        mac(other, &JOURNEY, &sam()),
        mac(own, &[8; 16], &sam()),
        mac(own, &JOURNEY, &"ann@fabrikam.example".parse().unwrap()),
    ];
    assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), hashes.len());
}

/// O-07: the store holds nothing that a code could be found from without the key ring.
#[tokio::test]
async fn o_07_the_store_holds_a_keyed_hash() {
    let bench = bench();
    let code = bench.code().await;
    let dump = [bench.records(kind::PASSCODE).await, bench.records(kind::COUNTER).await].concat().join("\n");
    assert!(!dump.contains(&code) && !dump.contains("sam@"), "{dump}");
    // Whoever knows the construction, but not the key, finds nothing by trying: the right code is not recognised either.
    let found: Vec<Stored<Challenge>> =
        bench.store.list(&RecordKey::in_tenant(bench.tenant.id, kind::PASSCODE, &[])).await.unwrap();
    for other in [KeyRing::derived(b"", "passcode"), KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(5))).unwrap()] {
        let thief =
            Passcodes::new(bench.store.clone(), Arc::new(other), Arc::new(bench.clock.clone()), Arc::new(SeededEntropy::new(0)));
        assert_ne!(thief.mac(bench.tenant.id, &JOURNEY, &sam(), &code), found[0].value.mac);
    }
    assert_eq!(bench.passcodes.mac(bench.tenant.id, &JOURNEY, &sam(), &code), found[0].value.mac);
}

/// T-10: for an unknown address everything is the same but the mail, which is a decoy, and no code fits.
#[tokio::test]
async fn t_10_unknown_addresses_are_treated_alike() {
    let bench = bench();
    let stranger: EmailAddress = "eve@fabrikam.example".parse().unwrap();
    let mail = bench.ask(&bench.tenant, JOURNEY, &stranger, false).await.expect("a decoy");
    assert!(mail.decoy && mail.digits.len() == 8);
    assert_eq!((bench.records(kind::PASSCODE).await.len(), bench.records(kind::COUNTER).await.len()), (1, 2));
    let guess = async |typed: &str| bench.passcodes.verify(bench.tenant.id, &JOURNEY, &stranger, typed, None, &[]).await;
    for _ in 0..5 {
        assert_eq!(guess(&mail.digits).await, Err(Code::CodeWrong), "not even the code of the decoy");
    }
    assert_eq!(guess(&mail.digits).await, Err(Code::CodeExpired));
    assert!(bench.ask(&bench.tenant, JOURNEY, &stranger, false).await.is_some(), "replaced alike");
    assert!(bench.ask(&bench.tenant, JOURNEY, &stranger, false).await.is_none(), "limited alike");
}

#[tokio::test]
async fn a_mail_that_cannot_be_made_leaves_nothing_behind() {
    let bench = bench();
    let client = IpAddr::from([192, 0, 2, 1]);
    let sam = sam();
    let (asked, _) = bench.passcodes.ask(&bench.tenant, &JOURNEY, &sam, (client, None), &[]).await.unwrap();
    let sent = bench.passcodes.send(asked, true, |_, _| Err(Code::Internal)).await;
    assert_eq!(sent, Err(Code::Internal));
    assert!(bench.records(kind::PASSCODE).await.is_empty() && bench.records(kind::COUNTER).await.is_empty());
}

/// Every number from 0 to 99,999,999 is as likely as any other: draws above the greatest multiple are thrown away.
#[test]
fn digits_are_drawn_without_bias() {
    struct Script(Mutex<Vec<u32>>);
    impl Entropy for Script {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&self.0.lock().unwrap().remove(0).to_le_bytes());
        }
    }
    for (draws, expected) in [
        (vec![0], "00000000"),
        (vec![99_999_999], "99999999"),
        (vec![100_000_000], "00000000"),
        (vec![4_199_999_999], "99999999"),
        (vec![4_200_000_000, u32::MAX, 42], "00000042"),
    ] {
        assert_eq!(random_digits(&Script(Mutex::new(draws))).expose(), expected);
    }
}
