//! Over the memory store: what each act writes, what it refuses, and what happens when two come at once.

mod changes;
mod doors;
mod guarded;
mod inviting;
mod lifecycle;
mod races;

use std::sync::Arc;

use super::*;
use crate::{
    domain::{
        audit::{Activity, Called, Event},
        invitation::InvitationState,
        tenant::IdentitySource,
        user::{ExternalUserState, Identity, UserType},
    },
    flows::{
        apply::tests::{House, address, contoso, tenant},
        check::check,
        directory::Directory,
    },
    live::LiveState,
    mail::Sender,
    secret::Secret,
    store::records::{Store, UserRef},
};

const EXPENSES: &str = "https://expenses.contoso.example/welcome";

impl Administration<'_> {
    /// Blocks a user.
    pub(crate) async fn block(&self, id: UserId, expected: Option<Version>) -> Result<User, Code> {
        self.change(id, expected, &Change { account_enabled: Some(false), ..Change::default() }).await
    }

    /// Lets a blocked user in again.
    pub(crate) async fn unblock(&self, id: UserId, expected: Option<Version>) -> Result<User, Code> {
        self.change(id, expected, &Change { account_enabled: Some(true), ..Change::default() }).await
    }
}

/// Contoso, and somebody at work there.
struct Scene {
    house: House,
    view: Arc<TenantView>,
    sender: Sender,
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With a policy, as the file declares it.
    async fn with(policy: &str) -> Self {
        let house = House::new();
        house.apply(&contoso("").replacen("branding =", &format!("{policy}\nbranding ="), 1)).await;
        let view = view(&house.foundation).await;
        Self { house, view, sender: Sender { name: None, address: address("guests@vestibule.example") } }
    }

    fn store(&self) -> &Store {
        &self.house.foundation.store
    }

    fn by<'a>(&'a self, actor: &'a Actor) -> Administration<'a> {
        Administration { foundation: &self.house.foundation, view: &self.view, actor, sender: &self.sender }
    }

    fn operator(&self) -> Administration<'_> {
        self.by(&Actor::Operator)
    }

    /// Invites and gives the user and the link.
    async fn invited(&self, mail: &str) -> (User, Secret) {
        open(self.operator().invite(&invite(mail)).await.unwrap())
    }

    async fn user(&self, id: UserId) -> User {
        self.house.get(&records::user(tenant(), id)).await.expect("a user")
    }

    async fn holder(&self, mail: &str) -> Option<UserId> {
        self.house.get(&records::address(tenant(), &address(mail))).await.map(|index: UserRef| index.user)
    }

    /// Lets a guest redeem: as the commit of a journey leaves it.
    async fn redeemed(&self, id: UserId, subject: &str) -> Identity {
        let now = self.house.foundation.now();
        let identity = Identity { issuer: "https://login.fabrikam.example".into(), subject: subject.into() };
        let stored = self.store().get(&records::user(tenant(), id)).await.unwrap().unwrap();
        let mut user = stored.value.clone();
        user.external = Some(ExternalUserState::Accepted {
            since: now,
            identity: identity.clone(),
            source: IdentitySource::HomeOrganisation,
            permissions_accepted: now,
            mailbox: None,
        });
        let mut changes = Changes::of(tenant());
        changes.put_user(tenant(), Some(&stored), &user);
        let index = records::identity(tenant(), &identity);
        changes.write(|batch| batch.absent(&index).put(&index, &UserRef::to(&user)));
        if let Some(latest) = self.operator().latest(&user).await.unwrap() {
            let state = InvitationState::Redeemed { at: now, identity: identity.clone() };
            self.operator().keep(&mut changes, &latest, state, None);
        }
        self.store().commit(changes.batch).await.unwrap();
        identity
    }

    /// What happened since the audit log had so many entries; it is whole, and so is the store.
    async fn since(&self, entries: usize) -> Vec<Activity> {
        let audit = self.house.audit().await;
        let report = check(&**self.store().backend(), Some(&self.house.foundation.ring), true).await.unwrap();
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
        audit.into_iter().skip(entries).map(|Event { activity, .. }| activity).collect()
    }

    async fn entries(&self) -> usize {
        self.house.audit().await.len()
    }
}

async fn view(foundation: &Foundation) -> Arc<TenantView> {
    let directory = Directory::new(foundation.clone(), Arc::new(LiveState::new(LiveState::MAX_SILENCE)));
    directory.tenant(tenant()).await.unwrap().unwrap()
}

fn invite(mail: &str) -> Invite {
    Invite {
        address: Some(address(mail)),
        user: None,
        expected: None,
        purpose: Purpose::Invite,
        display_name: None,
        user_type: UserType::Guest,
        language: None,
        redirect: Some(EXPENSES.parse().unwrap()),
        send: None,
        sponsors: Vec::new(),
    }
}

fn open(invited: Invited) -> (User, Secret) {
    match invited.outcome {
        Outcome::Open { link, .. } => (invited.user, link),
        Outcome::Completed => panic!("completed"),
    }
}
