//! Which apps a user may open, and as what.

use super::{Act, Administration, Changes, check_role};
use crate::{
    domain::{AppId, UserId, audit::Activity},
    error::Code,
    store::{
        StoreError,
        records::{self, Assignment, Stored},
    },
};

impl Administration<'_> {
    /// Assigns a user to an app, with a role or without. Doing it twice is the same; another role takes the place of the one
    /// before.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`] when there is no such user or app, [`Code::PropertyInvalid`], or the store's failure: then
    /// nothing has changed.
    pub async fn assign(&self, user: UserId, app: AppId, role: Option<String>) -> Result<Assignment, Code> {
        if let Some(role) = &role {
            check_role(role)?;
        }
        if !self.view.apps.contains_key(&app) {
            return Err(Code::ObjectUnknown);
        }
        let (tenant, key) = (self.tenant(), records::assignment(self.tenant(), user, app));
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.user(user, None).await?;
            let known = self.foundation.store.get(&key).await.map_err(StoreError::refusal)?;
            if let Some(known) = known.as_ref().filter(|known| known.value.role == role) {
                return Ok(known.value.clone());
            }
            let assignment = Assignment { app, role: role.clone(), since: moment.now };
            let mut changes = Changes::of(tenant);
            changes.write(|batch| {
                let batch = batch.unchanged(&records::user(tenant, user), Some(&stored));
                batch.unchanged(&key, known.as_ref()).put(&key, &assignment)
            });
            changes.tell(Activity::AppAssigned { user, app }.to(&stored.value));
            if act.commit(&moment, changes).await? {
                return Ok(assignment);
            }
        }
    }

    /// Takes an assignment back.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`] when there is none, or the store's failure: then nothing has changed.
    pub async fn unassign(&self, user: UserId, app: AppId) -> Result<(), Code> {
        let (tenant, key) = (self.tenant(), records::assignment(self.tenant(), user, app));
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.user(user, None).await?;
            let known = self.foundation.store.get(&key).await.map_err(StoreError::refusal)?;
            let known: Stored<Assignment> = known.ok_or(Code::ObjectUnknown)?;
            let mut changes = Changes::of(tenant);
            changes.write(|batch| batch.unchanged(&key, Some(&known)).delete(&key));
            changes.tell(Activity::AppUnassigned { user, app }.to(&stored.value));
            if act.commit(&moment, changes).await? {
                return Ok(());
            }
        }
    }
}
