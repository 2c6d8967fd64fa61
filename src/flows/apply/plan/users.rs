//! Guests and members: who they are, which addresses they hold, what they may open.

use std::collections::BTreeSet;

use super::Plan;
use crate::{
    domain::{
        EmailAddress, UserId,
        audit::Activity,
        tenant::DomainRule,
        user::{ExternalUserState, User, UserType},
    },
    flows::{
        Foundation,
        apply::spec::UserSpec,
        cut_off,
        guests::{Addresses, told},
        passwords,
    },
    store::{
        StoreError,
        records::{self, Assignment},
    },
};

impl Plan {
    pub(super) async fn users(
        &mut self,
        foundation: &Foundation,
        specs: &[UserSpec],
        guest_domains: &DomainRule,
    ) -> Result<(), StoreError> {
        let mut addresses = Addresses::of(self.tenant);
        let mut planned = BTreeSet::new();
        for spec in specs {
            let holder = match &spec.mail {
                Some(mail) => addresses.holder(&foundation.store, mail).await?,
                None => None,
            };
            let found = spec.id.or(holder);
            let Some(id) = found.or_else(|| spec.mail.as_ref().map(|_| UserId::random(&*foundation.entropy))) else {
                self.problem(format_args!("user {}: somebody without an address needs an id", spec.display_name));
                continue;
            };
            if planned.insert(id) {
                self.user(foundation, &mut addresses, spec, id, holder, guest_domains).await?;
            } else {
                self.problem(format_args!(
                    "user {}: the file names this object twice; another one with the same address needs an id",
                    spec.display_name
                ));
            }
        }
        Ok(())
    }

    async fn user(
        &mut self,
        foundation: &Foundation,
        addresses: &mut Addresses,
        spec: &UserSpec,
        id: UserId,
        holder: Option<UserId>,
        guest_domains: &DomainRule,
    ) -> Result<(), StoreError> {
        let key = records::user(self.tenant, id);
        let stored = foundation.store.get(&key).await?;
        let before = stored.as_ref().map(|stored| &stored.value);
        let (what, kind) = (format!("user {}", spec.display_name), kind(spec.user_type));
        self.check_name(&what, &spec.display_name);
        if spec.id.is_none() && before.is_some_and(|before| before.user_type != spec.user_type) {
            self.problem(format_args!("{what}: the address is not a {kind}'s; a {kind} with the same address needs an id"));
        }
        if before.is_none()
            && spec.user_type == UserType::Guest
            && spec.mail.as_ref().is_some_and(|mail| !guest_domains.permits(&mail.domain()))
        {
            self.problem(format_args!("{what}: policy.guest_domains does not let guests of this domain in"));
        }
        let wanted = self.wanted_user(spec, id, holder, before);
        if self.put(&key, stored.as_ref(), &wanted, &format!("{kind} {}", spec.display_name)) {
            match before {
                None => self.activities.push(Activity::UserAdded { user: id }.to(&wanted)),
                Some(before) => self.activities.extend(told(before, &wanted).into_iter().map(|told| told.to(before))),
            }
            let (reindexed, tenant) = (addresses.reindex(&foundation.store, before, Some(&wanted)).await?, self.tenant);
            self.extend(|batch| reindexed.write(batch, tenant));
            if before.is_some_and(|before| before.account_enabled != wanted.account_enabled) {
                let now = self.now;
                self.extend(|batch| cut_off(batch, tenant, &wanted, !wanted.account_enabled, now));
            }
        }
        self.password(foundation, spec, id).await?;
        self.assign(foundation, spec, id).await
    }

    /// The object as declared; what the file leaves out stays as it is. An address that another object holds goes to the
    /// other addresses: such a guest needs the link in the mail.
    fn wanted_user(&self, spec: &UserSpec, id: UserId, holder: Option<UserId>, before: Option<&User>) -> User {
        let held_elsewhere = holder.is_some_and(|holder| holder != id);
        let mail = match &spec.mail {
            Some(_) if held_elsewhere => None,
            Some(mail) => Some(mail.clone()),
            None => before.and_then(|before| before.mail.clone()),
        };
        let mut other_mails = Vec::new();
        let declared = spec.other_mails.as_ref().or(before.map(|before| &before.other_mails));
        for other in spec.mail.iter().filter(|_| held_elsewhere).chain(declared.into_iter().flatten()) {
            if mail.as_ref() != Some(other) && !other_mails.contains(other) {
                other_mails.push(other.clone());
            }
        }
        let enabled = spec.account_enabled.unwrap_or(before.is_none_or(|before| before.account_enabled));
        let blocked_now = !enabled && before.is_some_and(|before| before.account_enabled);
        let sessions_valid_from = before.map(|before| before.sessions_valid_from).filter(|_| !blocked_now);
        let pending = ExternalUserState::PendingAcceptance { since: self.now, revoked: false };
        let pending = (spec.user_type == UserType::Guest).then_some(pending);
        User {
            id,
            user_type: spec.user_type,
            display_name: spec.display_name.clone(),
            other_mails,
            preferred_language: spec.preferred_language.clone().or(before.and_then(|before| before.preferred_language.clone())),
            account_enabled: enabled,
            // A member was never invited.
            external: pending.map(|pending| before.and_then(|before| before.external.clone()).unwrap_or(pending)),
            sessions_valid_from: sessions_valid_from.unwrap_or(self.now),
            created: before.map_or(self.now, |before| before.created),
            principal_name: self.principal_name(id, spec.user_type, mail.as_ref(), before),
            profile: before.map(|before| before.profile.clone()).unwrap_or_default(),
            sponsors: before.map(|before| before.sponsors.clone()).unwrap_or_default(),
            invitation: before.and_then(|before| before.invitation),
            guest_inviter: spec.guest_inviter.unwrap_or(before.is_some_and(|before| before.guest_inviter)),
            mail,
        }
    }

    /// The name that a new object gets, and an old one keeps.
    fn principal_name(&self, id: UserId, user_type: UserType, mail: Option<&EmailAddress>, before: Option<&User>) -> String {
        let kept = before.map(|before| before.principal_name.clone()).filter(|name| !name.is_empty());
        let made = || self.initial_domain.as_ref().map(|domain| User::principal_name_of(id, user_type, mail, domain));
        kept.or_else(made).unwrap_or_default()
    }

    async fn password(&mut self, foundation: &Foundation, spec: &UserSpec, user: UserId) -> Result<(), StoreError> {
        let Some(password) = &spec.password else { return Ok(()) };
        if spec.user_type == UserType::Guest {
            self.problem(format_args!("user {}: only members have passwords here; guests prove who they are", spec.display_name));
            return Ok(());
        }
        match passwords::declared(foundation, self.tenant, user, password).await {
            Ok(None) => {}
            Ok(Some(change)) => {
                self.extend(|batch| change.write(batch));
                self.change(&format!("~ password of {}", spec.display_name));
                self.activities.push(Activity::UserChanged { user, what: "password".into() }.into());
            }
            Err(passwords::DeclareError::Refused(reason)) => self.problem(format_args!("user {}: {reason}", spec.display_name)),
            Err(passwords::DeclareError::Store(error)) => return Err(error),
        }
        Ok(())
    }

    async fn assign(&mut self, foundation: &Foundation, spec: &UserSpec, user: UserId) -> Result<(), StoreError> {
        for name in spec.apps.iter().collect::<BTreeSet<_>>() {
            let Some(&app) = self.apps.get(name) else {
                self.problem(format_args!("user {}: there is no app {name}", spec.display_name));
                continue;
            };
            let key = records::assignment(self.tenant, user, app);
            if foundation.store.get(&key).await?.is_none() {
                let since = self.now;
                self.extend(|batch| batch.absent(&key).put(&key, &Assignment { app, role: None, since }));
                self.change(&format!("+ {} may open {name}", spec.display_name));
                self.activities.push(Activity::AppAssigned { user, app }.into());
            }
        }
        Ok(())
    }
}

fn kind(user_type: UserType) -> &'static str {
    match user_type {
        UserType::Guest => "guest",
        UserType::Member => "member",
    }
}
