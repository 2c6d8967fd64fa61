use super::*;
use crate::{
    clock::{ManualClock, SeededEntropy},
    store::memory::MemoryStore,
};

const RIGHT: &str = "correct horse battery";

struct Bench {
    accounts: Accounts,
    store: Store,
    clock: ManualClock,
    tenant: TenantId,
    user: UserId,
    address: EmailAddress,
}

async fn bench() -> Bench {
    let clock = ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let store = Store::new(Arc::new(MemoryStore::new(Arc::new(clock.clone()))));
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(1))).unwrap());
    let entropy = SeededEntropy::new(2);
    let (tenant, user) = (TenantId::random(&entropy), UserId::random(&entropy));
    let accounts = Accounts::new(store.clone(), ring, Arc::new(clock.clone()), Arc::new(entropy));
    accounts.set_password(tenant, user, &Secret::new(RIGHT)).await.unwrap();
    Bench { accounts, store, clock, tenant, user, address: "sam@contoso.example".parse().unwrap() }
}

impl Bench {
    async fn verify(&self, user: Option<UserId>, given: &str) -> Result<UserId, Code> {
        self.accounts.verify(self.tenant, &self.address, user, &Secret::new(given)).await
    }
}

#[tokio::test]
async fn the_right_password_opens_and_no_other() {
    let bench = bench().await;
    let user = Some(bench.user);
    assert_eq!(bench.verify(user, RIGHT).await, Ok(bench.user));
    for wrong in ["", "correct horse batter", "correct horse battery ", "Correct horse battery", &"x".repeat(MAX_BYTES + 1)] {
        assert_eq!(bench.verify(user, wrong).await, Err(Code::PasswordWrong), "{wrong}");
    }
    bench.accounts.set_password(bench.tenant, bench.user, &Secret::new("another long password")).await.unwrap();
    assert_eq!(bench.verify(user, RIGHT).await, Err(Code::PasswordWrong), "the old one is gone");
    assert_eq!(bench.verify(user, "another long password").await, Ok(bench.user));
    let elsewhere = TenantId::random(&SeededEntropy::new(9));
    let given = Secret::new("another long password");
    let answer = bench.accounts.verify(elsewhere, &bench.address, user, &given).await;
    assert_eq!(answer, Err(Code::PasswordWrong), "in another tenant it is nobody's");
}

#[tokio::test]
async fn what_is_stored_is_argon2id_with_owasps_parameters_and_a_salt_of_its_own() {
    let bench = bench().await;
    let stored = bench.store.get(&password(bench.tenant, bench.user)).await.unwrap().unwrap().value;
    assert!(stored.hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.hash);
    let again = bench.accounts.hash(&Secret::new(RIGHT), &[]).await.unwrap();
    assert_ne!(stored.hash, again.hash);
    assert!(bench.accounts.matches(&again, &Secret::new(RIGHT)).await.unwrap());
    assert!(!bench.accounts.matches(&again, &Secret::new("wrong")).await.unwrap());
    assert!(!format!("{stored:?}").contains("argon2"), "{stored:?}");
}

/// T-10: an unknown address, or one without a password, is answered like a wrong password, after the same work.
#[tokio::test]
async fn t_10_unknown_addresses_are_answered_alike() {
    let bench = bench().await;
    let nobody = UserId::random(&SeededEntropy::new(8));
    for user in [None, Some(nobody), Some(UserId(uuid::Uuid::nil()))] {
        for given in [RIGHT, "decoy", ""] {
            assert_eq!(bench.verify(user, given).await, Err(Code::PasswordWrong));
        }
    }
    let stored = bench.store.get(&password(bench.tenant, bench.user)).await.unwrap().unwrap().value;
    // Name, version, parameters and lengths: all that the time depends on.
    let cost = |hash: &str| {
        hash.split('$')
            .enumerate()
            .map(|(at, part)| if at < 4 { part.to_owned() } else { part.len().to_string() })
            .collect::<Vec<_>>()
    };
    assert_eq!(cost(DECOY), cost(&stored.hash));
    assert!(PasswordHash::new(DECOY).is_ok(), "a hash that cannot be read would cost nothing");
}

/// O-05: after 15 failures the address waits; the wait ends; the right password forgives.
#[tokio::test]
async fn o_05_failures_lead_to_a_wait_that_ends() {
    let bench = bench().await;
    let user = Some(bench.user);
    for _ in 0..14 {
        assert_eq!(bench.verify(user, "wrong").await, Err(Code::PasswordWrong));
    }
    assert!(bench.verify(user, RIGHT).await.is_ok());
    for _ in 0..15 {
        assert_eq!(bench.verify(user, "wrong").await, Err(Code::PasswordWrong));
    }
    assert_eq!(bench.verify(user, RIGHT).await, Err(Code::TooManyCodes));
    assert_eq!(bench.verify(None, RIGHT).await, Err(Code::TooManyCodes), "whoever it is");
    bench.clock.advance(15 * 60);
    assert!(bench.verify(user, RIGHT).await.is_ok());
}

/// O-03: guesses that race are counted before they are looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn o_03_racing_guesses_are_bounded() {
    let bench = bench().await;
    let guesses = futures_util::future::join_all((0..100).map(|_| bench.verify(Some(bench.user), "wrong"))).await;
    let compared = guesses.iter().filter(|answer| **answer == Err(Code::PasswordWrong)).count();
    assert!((1..=15).contains(&compared), "{compared}");
}
