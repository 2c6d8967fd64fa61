use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    config::Config,
    flows::{
        apply::tests::{House, contoso, tenant},
        guests::Administration,
    },
    server,
    store::{Change, records::UserRef},
};

const CONFIG: &str = "public_url = \"https://vestibule.example\"\ndata = \".\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
    [mail]\nfrom_name = \"x\"\nfrom = \"x@contoso.example\"\nfolder = \"mail\"\n";
const FIRST: &str = "seven bicycles in the rain";
const SECOND: &str = "an orchard full of clocks";

/// Contoso, whose guests prove who they are in this way, or by a mailed code.
fn ordered(first: &str) -> String {
    let policy = format!("policy = {{ redemption_order = [\"{first}\", \"one_time_passcode\"] }}");
    contoso("").replacen("branding =", &format!("{policy}\nbranding ="), 1)
}

/// A server with a guest, Maria, who signs in with an account that lives here.
struct Bench {
    house: House,
    vestibule: Arc<Vestibule>,
    view: Arc<TenantView>,
    maria: UserId,
}

impl Bench {
    async fn new() -> Self {
        let house = House::new();
        house.apply(&ordered("local_account")).await;
        let vestibule = server::build(&Config::parse(CONFIG, Path::new("/nowhere")).unwrap(), house.foundation.clone()).unwrap();
        let view = vestibule.directory.tenant(tenant()).await.unwrap().unwrap();
        let address = records::address(tenant(), &"maria@fabrikam.example".parse().unwrap());
        let held: UserRef = house.foundation.store.get(&address).await.unwrap().unwrap().value;
        let bench = Self { house, vestibule, view, maria: held.user };
        bench.change(|bench, user| user.external = Some(bench.accepted(IdentitySource::LocalAccount))).await;
        bench
    }

    fn accepted(&self, source: IdentitySource) -> ExternalUserState {
        let now = self.house.foundation.now();
        ExternalUserState::Accepted {
            since: now,
            identity: identity(&self.view, self.maria),
            source,
            permissions_accepted: now,
            mailbox: None,
        }
    }

    async fn change(&self, change: impl Fn(&Self, &mut User)) {
        let mut user = self.user().await;
        change(self, &mut user);
        self.commit(|batch| batch.put(&records::user(tenant(), self.maria), &user)).await;
    }

    async fn user(&self) -> User {
        self.house.foundation.store.get(&records::user(tenant(), self.maria)).await.unwrap().unwrap().value
    }

    async fn commit(&self, add: impl FnOnce(Batch) -> Batch) {
        self.house.foundation.store.commit(add(Batch::new(Partition::Tenant(tenant())))).await.unwrap();
    }

    /// The tenant no longer lets guests have accounts.
    async fn no_more(&mut self) {
        self.house.apply(&ordered("home_organisation")).await;
        self.vestibule.directory.forget(&Change::Lost);
        self.view = self.vestibule.directory.tenant(tenant()).await.unwrap().unwrap();
    }

    async fn credentials(&self) -> Credentials {
        Credentials::read(&self.house.foundation, tenant(), self.maria).await.unwrap()
    }

    async fn password(&self, text: &str) -> Result<Credential, Code> {
        new_password(&self.vestibule, &self.view, &self.user().await, &Secret::new(text)).await
    }

    /// Maria's account is opened by a password.
    async fn with_password(self) -> Self {
        let (before, first) = (self.credentials().await, self.password(FIRST).await.unwrap());
        self.commit(|batch| before.replace(batch, &first)).await;
        self
    }

    async fn opens(&self, password: &str) -> bool {
        let address = "maria@fabrikam.example".parse().unwrap();
        self.vestibule.accounts.verify(tenant(), &address, Some(self.maria), &Secret::new(password)).await.is_ok()
    }

    async fn audited(&self) -> Vec<Activity> {
        let events = self.house.foundation.store.list(&records::audit_events(tenant())).await.unwrap();
        events.into_iter().map(|event| event.value.activity).collect()
    }
}

#[tokio::test]
async fn an_account_set_up_anew_ends_what_was_before() {
    let bench = Bench::new().await.with_password().await;
    assert!(bench.opens(FIRST).await);
    bench.house.clock.advance(60);
    let second = bench.password(SECOND).await.unwrap();
    recover(&bench.vestibule, &bench.view, bench.maria, Some(bench.house.foundation.now()), &second).await.unwrap();
    assert!(bench.opens(SECOND).await && !bench.opens(FIRST).await);
    let now = bench.house.foundation.now();
    assert_eq!(bench.user().await.sessions_valid_from, now);
    let cutoff = bench.house.foundation.store.get(&records::user_cutoff(tenant(), bench.maria)).await.unwrap();
    assert_eq!(cutoff.expect("doors are told").value.sessions_valid_from, now);
    let told = Activity::AccountSetUp { user: bench.maria, with: "password".into(), recovered: true };
    assert_eq!(bench.audited().await.last(), Some(&told));
}

/// O-06, O-09: a mailbox that was proven before the account was set up, or its sessions were ended, opens nothing any more.
#[tokio::test]
async fn o_06_o_09_one_proof_of_the_mailbox_sets_one_account_up_once() {
    let bench = Bench::new().await.with_password().await;
    bench.house.clock.advance(60);
    let proven = Some(bench.house.foundation.now());
    let (second, third) = (bench.password(SECOND).await.unwrap(), bench.password("lantern orchard gravel tide").await.unwrap());
    bench.house.clock.advance(60);
    recover(&bench.vestibule, &bench.view, bench.maria, proven, &second).await.unwrap();
    bench.house.clock.advance(60);
    for stale in [proven, None] {
        assert_eq!(recover(&bench.vestibule, &bench.view, bench.maria, stale, &third).await, Err(Code::CodeExpired));
    }
    assert!(bench.opens(SECOND).await);
}

#[tokio::test]
async fn an_account_is_set_up_anew_only_for_who_signs_in_with_one() {
    let bench = Bench::new().await.with_password().await;
    let second = bench.password(SECOND).await.unwrap();
    let try_it = async || recover(&bench.vestibule, &bench.view, bench.maria, Some(bench.house.foundation.now()), &second).await;
    bench.change(|_, user| user.account_enabled = false).await;
    assert_eq!(try_it().await, Err(Code::AccountBlocked));
    bench.change(|_, user| user.account_enabled = true).await;
    for source in [IdentitySource::OneTimePasscode, IdentitySource::HomeOrganisation] {
        bench.change(|bench, user| user.external = Some(bench.accepted(source))).await;
        assert_eq!(try_it().await, Err(Code::BoundToAnotherIdentity), "{source:?}");
    }
    bench
        .change(|_, user| {
            user.external = Some(ExternalUserState::PendingAcceptance { since: Timestamp::UNIX_EPOCH, revoked: false })
        })
        .await;
    assert_eq!(try_it().await, Err(Code::BoundToAnotherIdentity), "that is for redemption to do");
    let nobody =
        recover(&bench.vestibule, &bench.view, UserId(uuid::Uuid::nil()), Some(bench.house.foundation.now()), &second).await;
    assert_eq!(nobody, Err(Code::NotInvited));
    assert!(bench.opens(FIRST).await && !bench.opens(SECOND).await);
    assert!(!bench.audited().await.iter().any(|activity| matches!(activity, Activity::AccountSetUp { .. })));
}

/// A form can be posted that no page has shown.
#[tokio::test]
async fn where_guests_have_no_accounts_none_is_set_up_anew() {
    let mut bench = Bench::new().await.with_password().await;
    let second = bench.password(SECOND).await.unwrap();
    bench.no_more().await;
    let refused = recover(&bench.vestibule, &bench.view, bench.maria, Some(bench.house.foundation.now()), &second).await;
    assert_eq!(refused, Err(Code::NoIdentitySource));
    assert!(bench.opens(FIRST).await && !bench.opens(SECOND).await);
}

#[tokio::test]
async fn a_password_has_nothing_of_its_owner_or_the_organisation_in_it() {
    let bench = Bench::new().await;
    for personal in ["maria in the rain with bicycles", "fabrikam in the rain", "Rossi and an orchard", "contoso full of clocks"]
    {
        assert_eq!(bench.password(personal).await, Err(Code::PasswordPersonal), "{personal}");
    }
    assert_eq!(bench.password("password1234").await, Err(Code::PasswordGuessable));
    assert_eq!(bench.password("too short").await, Err(Code::PasswordLength));
}

#[tokio::test]
async fn what_opens_an_account_ends_with_its_user_and_comes_back_with_them() {
    let bench = Bench::new().await.with_password().await;
    let (sender, actor) = (bench.vestibule.sender.clone(), Actor::Operator);
    let operator = Administration { foundation: &bench.house.foundation, view: &bench.view, actor: &actor, sender: &sender };
    operator.delete(bench.maria, None).await.unwrap();
    operator.restore(bench.maria, None).await.unwrap();
    bench.house.clock.advance(31 * 86_400);
    assert!(bench.opens(FIRST).await, "restored in time");
    operator.delete(bench.maria, None).await.unwrap();
    bench.house.clock.advance(31 * 86_400);
    assert!(bench.credentials().await.is_empty());
}

#[tokio::test]
async fn who_reset_it_last_is_not_undone_by_who_read_before() {
    let bench = Bench::new().await.with_password().await;
    let (stale, second) = (bench.credentials().await, bench.password(SECOND).await.unwrap());
    let first = bench.password(FIRST).await.unwrap();
    bench.commit(|batch| stale.replace(batch, &first)).await;
    let late = stale.replace(Batch::new(Partition::Tenant(tenant())), &second);
    assert!(matches!(bench.house.foundation.store.commit(late).await, Err(StoreError::Conflict)));
}

/// O-15: what a passkey does not show is not said of it.
#[cfg(feature = "passkeys")]
#[tokio::test]
async fn o_15_a_passkey_signs_in_honestly() {
    use crate::identity::passkey::authenticator::Authenticator;

    let mut bench = Bench::new().await.with_password().await;
    let begun = begin_passkey(&bench.vestibule, &bench.view, &bench.user().await, &bench.credentials().await).unwrap();
    assert!(begun.options.contains("maria@fabrikam.example") && begun.options.contains("Contoso"), "{}", begun.options);
    let mut authenticator = Authenticator::new("https://vestibule.example", b"a passkey's id..");
    let passkey = finish_passkey(&bench.vestibule, &begun.ceremony, bench.maria, &authenticator.create(&begun.options)).unwrap();
    bench.house.clock.advance(1);
    recover(&bench.vestibule, &bench.view, bench.maria, Some(bench.house.foundation.now()), &passkey).await.unwrap();
    assert!(!bench.opens(FIRST).await, "the password is gone");
    let begun = bench.vestibule.passkeys.begin_assertion().unwrap();
    let answer = authenticator.get(&begun.options);
    let proven = sign_in_with_passkey(&bench.vestibule, &bench.view, &begun.ceremony, &answer).await.unwrap();
    assert_eq!(proven.identity, identity(&bench.view, bench.maria));
    assert_eq!((proven.source, proven.email), (IdentitySource::LocalAccount, None));
    // RFC 8176: never `mfa`, `hwk` or `swk`, which nobody has attested.
    assert_eq!(proven.amr, ["pop", "user"]);
    bench.no_more().await;
    let begun = bench.vestibule.passkeys.begin_assertion().unwrap();
    let answer = authenticator.get(&begun.options);
    let refused = sign_in_with_passkey(&bench.vestibule, &bench.view, &begun.ceremony, &answer).await;
    assert_eq!(refused.err(), Some(Code::NoIdentitySource), "where guests have no accounts, none opens");
}
