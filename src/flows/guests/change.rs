//! Changing what a user is: properties, addresses, guest or member, blocked or not, sponsors, sessions.

use super::{Act, Addresses, Administration, Changes, LIST_MAX, Moment, NAME_MAX, TEXT_MAX, check_text};
use crate::{
    domain::{
        EmailAddress, LanguageTag, UserId,
        audit::Activity,
        invitation::InvitationState,
        user::{Profile, User, UserType},
    },
    error::Code,
    store::{StoreError, Version, records::Stored},
};

/// What is to change; everything else stays. `Some(None)` takes a property away.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The name that people see.
    pub display_name: Option<String>,
    /// Guest or member. Neither the name in the directory changes with it, nor how the user signs in.
    pub user_type: Option<UserType>,
    /// False: blocked. All sessions end at once.
    pub account_enabled: Option<bool>,
    /// The invited address.
    pub mail: Option<Option<EmailAddress>>,
    /// The further addresses.
    pub other_mails: Option<Vec<EmailAddress>>,
    /// The language of mails.
    pub preferred_language: Option<Option<LanguageTag>>,
    /// Whether the user may invite guests.
    pub guest_inviter: Option<bool>,
    /// Who answers for the user.
    pub sponsors: Option<Vec<UserId>>,
    /// What else is noted about the person.
    pub profile: ProfileChange,
}

/// What is to change of a [`Profile`].
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// Given name.
    pub given_name: Option<Option<String>>,
    /// Surname.
    pub surname: Option<Option<String>>,
    /// Where they work.
    pub company_name: Option<Option<String>>,
    /// As what.
    pub job_title: Option<Option<String>>,
    /// In which department.
    pub department: Option<Option<String>>,
    /// In which office.
    pub office_location: Option<Option<String>>,
    /// Mobile phone.
    pub mobile_phone: Option<Option<String>>,
    /// Phones at work.
    pub business_phones: Option<Vec<String>>,
}

impl ProfileChange {
    fn apply(&self, profile: &mut Profile) -> Result<(), Code> {
        let texts = [
            (&self.given_name, &mut profile.given_name),
            (&self.surname, &mut profile.surname),
            (&self.company_name, &mut profile.company_name),
            (&self.job_title, &mut profile.job_title),
            (&self.department, &mut profile.department),
            (&self.office_location, &mut profile.office_location),
            (&self.mobile_phone, &mut profile.mobile_phone),
        ];
        for (wanted, property) in texts {
            let Some(wanted) = wanted else { continue };
            wanted.as_ref().map_or(Ok(()), |text| check_text(text, TEXT_MAX))?;
            property.clone_from(wanted);
        }
        if let Some(phones) = &self.business_phones {
            phones.iter().try_for_each(|phone| check_text(phone, TEXT_MAX))?;
            check_list(phones)?;
            profile.business_phones.clone_from(phones);
        }
        Ok(())
    }
}

impl Change {
    /// The user afterwards.
    fn apply(&self, mut user: User) -> Result<User, Code> {
        if let Some(name) = &self.display_name {
            check_text(name, NAME_MAX)?;
            user.display_name.clone_from(name);
        }
        if let Some(mail) = &self.mail {
            user.mail.clone_from(mail);
        }
        if let Some(others) = &self.other_mails {
            check_list(others)?;
            user.other_mails.clone_from(others);
        }
        if let Some(sponsors) = &self.sponsors {
            check_list(sponsors)?;
            user.sponsors.clone_from(sponsors);
        }
        if let Some(language) = &self.preferred_language {
            user.preferred_language.clone_from(language);
        }
        self.profile.apply(&mut user.profile)?;
        user.user_type = self.user_type.unwrap_or(user.user_type);
        user.account_enabled = self.account_enabled.unwrap_or(user.account_enabled);
        user.guest_inviter = self.guest_inviter.unwrap_or(user.guest_inviter);
        // Each once, and the invited one not among the others.
        let (mail, mut seen) = (user.mail.clone(), Vec::new());
        user.other_mails.retain(|other| {
            mail.as_ref() != Some(other) && !seen.contains(other) && {
                seen.push(other.clone());
                true
            }
        });
        Ok(user)
    }
}

fn check_list<T>(list: &[T]) -> Result<(), Code> {
    if list.len() > LIST_MAX { Err(Code::PropertyInvalid) } else { Ok(()) }
}

impl Administration<'_> {
    /// Changes properties of a user. Blocking ends all sessions at once. Who has accepted stays bound to their identity,
    /// whatever becomes of the addresses; of somebody who has not come yet, an open invitation to an address that is taken
    /// from them ends (checklist L-14). A change that changes nothing is none.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`], [`Code::VersionOutdated`], [`Code::PropertyInvalid`], [`Code::AddressTaken`] for a `mail` that
    /// another object has, [`Code::SponsorUnknown`]; or the store's failure. Then nothing has changed.
    pub async fn change(&self, id: UserId, expected: Option<Version>, change: &Change) -> Result<User, Code> {
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.user(id, expected).await?;
            let mut wanted = change.apply(stored.value.clone())?;
            if stored.value.account_enabled && !wanted.account_enabled {
                wanted.sessions_valid_from = moment.now;
            }
            let changes = self.changed(&stored, &wanted, &moment).await?;
            if act.commit(&moment, changes).await? {
                return Ok(wanted);
            }
        }
    }

    async fn changed(&self, stored: &Stored<User>, wanted: &User, moment: &Moment) -> Result<Changes, Code> {
        let (store, tenant, before) = (&self.foundation.store, self.tenant(), &stored.value);
        let mut changes = Changes::of(tenant);
        if wanted == before {
            return Ok(changes);
        }
        if wanted.sponsors != before.sponsors {
            self.check_sponsors(&wanted.sponsors).await?;
        }
        let mut addresses = Addresses::of(tenant);
        if let Some(mail) = wanted.mail.as_ref().filter(|mail| before.mail.as_ref() != Some(*mail)) {
            let holder = addresses.holder(store, mail).await.map_err(StoreError::refusal)?;
            if holder.is_some_and(|holder| holder != wanted.id) {
                return Err(Code::AddressTaken);
            }
        }
        let reindexed = addresses.reindex(store, Some(before), Some(wanted)).await.map_err(StoreError::refusal)?;
        changes.put_user(tenant, Some(stored), wanted);
        changes.write(|batch| reindexed.write(batch, tenant));
        told(before, wanted).into_iter().for_each(|activity| changes.tell(activity.to(before)));
        if before.account_enabled != wanted.account_enabled {
            changes.cut_off(tenant, wanted, !wanted.account_enabled, moment.now);
        }
        if before.addresses().any(|address| !wanted.holds(address))
            && let Some(latest) = self.latest(before).await?
            && latest.invitation.value.state == InvitationState::Open
            && latest.invitation.value.address.as_ref().is_some_and(|address| !wanted.holds(address))
        {
            let ended = self.take_back(&mut changes, latest, moment);
            changes.tell(Activity::InvitationRevoked { user: ended.user, invitation: ended.id }.to(before));
        }
        Ok(changes)
    }

    /// Says who answers for a user.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn set_sponsors(&self, id: UserId, expected: Option<Version>, sponsors: Vec<UserId>) -> Result<User, Code> {
        self.change(id, expected, &Change { sponsors: Some(sponsors), ..Change::default() }).await
    }

    /// Ends all sessions of a user that began before now, with the refresh tokens that they gave.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`], [`Code::VersionOutdated`], or the store's failure: then no session has ended.
    pub async fn revoke_sessions(&self, id: UserId, expected: Option<Version>) -> Result<User, Code> {
        let tenant = self.tenant();
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.user(id, expected).await?;
            let user = User { sessions_valid_from: moment.now, ..stored.value.clone() };
            let mut changes = Changes::of(tenant);
            changes.put_user(tenant, Some(&stored), &user);
            changes.cut_off(tenant, &user, !user.account_enabled, moment.now);
            changes.tell(Activity::SessionsRevoked { user: id }.to(&user));
            if act.commit(&moment, changes).await? {
                return Ok(user);
            }
        }
    }
}

/// What a change is in the audit log: that somebody was blocked or unblocked, and which properties changed.
pub(in crate::flows) fn told(before: &User, after: &User) -> Vec<Activity> {
    let (user, what) = (after.id, in_words(before, after));
    let changed = (!what.is_empty()).then_some(Activity::UserChanged { user, what });
    let blocked = match (before.account_enabled, after.account_enabled) {
        (true, false) => Some(Activity::UserBlocked { user }),
        (false, true) => Some(Activity::UserUnblocked { user }),
        _ => None,
    };
    changed.into_iter().chain(blocked).collect()
}

/// Which properties changed: names, no values.
fn in_words(before: &User, after: &User) -> String {
    let properties = [
        ("display name", before.display_name != after.display_name),
        ("guest to member", (before.user_type, after.user_type) == (UserType::Guest, UserType::Member)),
        ("member to guest", (before.user_type, after.user_type) == (UserType::Member, UserType::Guest)),
        ("mail", before.mail != after.mail),
        ("other addresses", before.other_mails != after.other_mails),
        ("language", before.preferred_language != after.preferred_language),
        ("guest inviter", before.guest_inviter != after.guest_inviter),
        ("sponsors", before.sponsors != after.sponsors),
        ("profile", before.profile != after.profile),
    ];
    let changed: Vec<_> = properties.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect();
    changed.join(", ")
}
