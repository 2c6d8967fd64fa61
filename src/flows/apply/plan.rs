//! What an apply changes in one tenant: the difference between what is declared and what is stored, as one batch.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    ApplyError, NewSecret,
    spec::{AgreementFileSpec, AgreementSpec, AppSpec, Desired, FederationSpec, TenantSpec, UserSpec},
};
use crate::{
    domain::{
        AgreementId, AppId, FederationId, TenantId, UserId,
        app::{App, ClientType},
        audit::{Activity, Actor, Head},
        federation::Federation,
        tenant::{Branding, Tenant},
        terms::{Agreement, AgreementFile, AppScope, DocumentId, FileVersion, Scope},
        user::{ExternalUserState, User, UserType},
    },
    flows::{Foundation, audited, keys, passwords},
    secret::{Secret, SecretHash},
    store::{
        Batch, Partition,
        records::{self, Assignment, RecordKey, Stored, TermsEpoch, UserCutoff, UserRef},
    },
};

/// The shortest client secret that may be declared: 32 characters of base64 are 192 bits.
const SECRET_MIN: usize = 32;

/// The difference, as it grows.
pub(super) struct TenantPlan {
    tenant: TenantId,
    name: String,
    now: Timestamp,
    batch: Batch,
    head: Option<Stored<Head>>,
    changes: Vec<String>,
    activities: Vec<Activity>,
    secrets: Vec<NewSecret>,
    before: Option<Tenant>,
    problems: Vec<String>,
}

/// What came of a plan, besides its batch.
pub(super) struct Lines {
    pub(super) changes: Vec<String>,
    pub(super) secrets: Vec<NewSecret>,
    pub(super) before: Option<Tenant>,
}

impl TenantPlan {
    pub(super) async fn make(
        foundation: &Foundation,
        tenant: TenantId,
        desired: &Desired,
        spec: &TenantSpec,
    ) -> Result<Self, ApplyError> {
        let mut plan = Self {
            tenant,
            name: spec.display_name.clone(),
            now: foundation.now(),
            batch: Batch::new(Partition::Tenant(tenant)),
            head: foundation.audit_head(tenant).await?,
            changes: Vec::new(),
            activities: Vec::new(),
            secrets: Vec::new(),
            before: None,
            problems: Vec::new(),
        };
        plan.tenant(foundation, desired, spec).await?;
        plan.signing_keys(foundation).await?;
        let apps = plan.apps(foundation, &spec.apps).await?;
        plan.federations(foundation, &spec.federations).await?;
        plan.agreements(foundation, desired, &spec.agreements, &apps).await?;
        for user in &spec.users {
            plan.user(foundation, user, &apps).await?;
        }
        if plan.problems.is_empty() {
            Ok(plan)
        } else {
            let place = format!("tenant {}", spec.display_name);
            Err(ApplyError::Refused(plan.problems.into_iter().map(|problem| format!("{place}: {problem}")).collect()))
        }
    }

    /// The batch with its audit entries, and what it does in words.
    pub(super) fn finish(self) -> (Batch, Lines) {
        let batch = if self.activities.is_empty() {
            self.batch
        } else {
            audited(self.batch, self.tenant, self.head.as_ref(), self.now, &Actor::Operator, self.activities)
        };
        (batch, Lines { changes: self.changes, secrets: self.secrets, before: self.before })
    }

    /// Writes a record if it differs from the stored one, and says how.
    fn put<T: Serialize>(&mut self, key: &RecordKey<T>, stored: Option<&Stored<T>>, wanted: &T, what: &str) -> bool {
        let after = serde_json::to_value(wanted).unwrap_or_default();
        let before = stored.map(|stored| serde_json::to_value(&stored.value).unwrap_or_default());
        if before.as_ref() == Some(&after) {
            return false;
        }
        let line = match &before {
            None => format!("+ {what}"),
            Some(before) => format!("~ {what}: {}", differing_fields(before, &after).join(", ")),
        };
        let batch = std::mem::replace(&mut self.batch, Batch::new(Partition::Tenant(self.tenant)));
        self.batch = batch.unchanged(key, stored).put(key, wanted);
        self.changes.push(format!("{line} ({})", self.name));
        true
    }

    /// Goes on building the batch.
    fn extend(&mut self, build: impl FnOnce(Batch) -> Batch) {
        let batch = std::mem::replace(&mut self.batch, Batch::new(Partition::Tenant(self.tenant)));
        self.batch = build(batch);
    }

    fn configured(&mut self, what: String) {
        self.activities.push(Activity::Configured { what });
    }

    async fn tenant(&mut self, foundation: &Foundation, desired: &Desired, spec: &TenantSpec) -> Result<(), ApplyError> {
        let key = records::tenant(self.tenant);
        let stored = foundation.store.get(&key).await?;
        let logo = match &spec.branding.logo {
            Some(path) => Some(DocumentId::of(&desired.logo(path)?)),
            None => None,
        };
        if !(1..=30).contains(&spec.policy.passcode_minutes) {
            self.problems.push("policy.passcode_minutes: a code lives 1 to 30 minutes".into());
        }
        if !(1..=24).contains(&spec.policy.session_hours) {
            self.problems.push("policy.session_hours: a session lasts 1 to 24 hours".into());
        }
        if spec.display_name.is_empty() || spec.display_name.chars().count() > 256 {
            self.problems.push("display_name: a name has 1 to 256 characters".into());
        }
        let wanted = Tenant {
            id: self.tenant,
            display_name: spec.display_name.clone(),
            domains: spec.domains.clone(),
            hosts: spec.hosts.clone(),
            privacy: spec.privacy.clone(),
            branding: Branding { accent: spec.branding.accent, logo },
            policy: spec.policy.clone(),
            created: stored.as_ref().map_or(self.now, |stored| stored.value.created),
        };
        if self.put(&key, stored.as_ref(), &wanted, &format!("tenant {}", spec.display_name)) {
            self.configured(format!("tenant {}", spec.display_name));
        }
        self.before = stored.map(|stored| stored.value);
        Ok(())
    }

    /// A new tenant gets its signing keys in the same commit.
    async fn signing_keys(&mut self, foundation: &Foundation) -> Result<(), ApplyError> {
        if !foundation.store.list(&records::signing_keys(self.tenant)).await?.is_empty() {
            return Ok(());
        }
        for key in keys::first_keys(foundation, self.tenant, self.now).await? {
            let record = records::signing_key(self.tenant, key.kid());
            self.extend(|batch| batch.absent(&record).put(&record, &key));
        }
        self.changes.push(format!("+ signing keys ({})", self.name));
        Ok(())
    }

    async fn apps(&mut self, foundation: &Foundation, specs: &[AppSpec]) -> Result<BTreeMap<String, AppId>, ApplyError> {
        let stored = foundation.store.list(&records::apps(self.tenant)).await?;
        let mut names: BTreeMap<_, _> = stored.iter().map(|app| (app.value.display_name.clone(), app.value.id)).collect();
        for spec in specs {
            let known = stored.iter().find(|app| match spec.id {
                Some(id) => app.value.id == id,
                None => app.value.display_name == spec.display_name,
            });
            let id = spec.id.or(known.map(|app| app.value.id)).unwrap_or_else(|| AppId::random(&*foundation.entropy));
            let client = self.client(foundation, spec, id, known.map(|app| &app.value.client));
            let wanted = App {
                id,
                display_name: spec.display_name.clone(),
                description: spec.description.clone(),
                homepage: spec.homepage.clone(),
                redirect_uris: spec.redirect_uris.clone(),
                post_logout_redirect_uris: spec.post_logout_redirect_uris.clone(),
                client,
                pkce: spec.pkce,
                visible: spec.visible,
                assignment_required: spec.assignment_required,
                enabled: spec.enabled,
                permissions: spec.permissions.clone(),
                id_token_alg: spec.id_token_alg,
                access_token_alg: spec.access_token_alg,
            };
            if self.put(&records::app(self.tenant, id), known, &wanted, &format!("app {}", spec.display_name)) {
                self.configured(format!("app {}", spec.display_name));
            }
            names.insert(spec.display_name.clone(), id);
        }
        Ok(names)
    }

    /// The client type: declared secrets are kept as hashes, a missing one is made once.
    fn client(&mut self, foundation: &Foundation, spec: &AppSpec, id: AppId, known: Option<&ClientType>) -> ClientType {
        if spec.public {
            return ClientType::Public;
        }
        match (&spec.client_secret, known) {
            (Some(secret), _) if secret.len() < SECRET_MIN => {
                self.problems.push(format!("app {}: client_secret has at least {SECRET_MIN} characters", spec.display_name));
                ClientType::Confidential { secrets: Vec::new() }
            }
            (Some(secret), Some(ClientType::Confidential { secrets })) if secrets.iter().any(|hash| hash.matches(secret)) => {
                ClientType::Confidential { secrets: secrets.clone() }
            }
            (Some(secret), _) => ClientType::Confidential { secrets: vec![SecretHash::of(secret.as_bytes())] },
            (None, Some(ClientType::Confidential { secrets })) => ClientType::Confidential { secrets: secrets.clone() },
            (None, _) => {
                let secret = Secret::random(&*foundation.entropy);
                self.secrets.push(NewSecret {
                    tenant: self.name.clone(),
                    app: spec.display_name.clone(),
                    client_id: id.to_string(),
                    client_secret: secret.expose().to_owned(),
                });
                ClientType::Confidential { secrets: vec![secret.hash()] }
            }
        }
    }

    async fn federations(&mut self, foundation: &Foundation, specs: &[FederationSpec]) -> Result<(), ApplyError> {
        let stored = foundation.store.list(&records::federations(self.tenant)).await?;
        for spec in specs {
            let known = stored.iter().find(|federation| match spec.id {
                Some(id) => federation.value.id == id,
                None => federation.value.issuer == spec.issuer,
            });
            let id = spec.id.or(known.map(|federation| federation.value.id));
            let id = id.unwrap_or_else(|| FederationId::random(&*foundation.entropy));
            let same_secret = known.filter(|known| {
                let secret = known.value.open_secret(self.tenant, &foundation.ring);
                secret.is_some_and(|secret| secret.expose() == spec.client_secret)
            });
            let client_secret = same_secret.map(|known| known.value.client_secret.clone()).unwrap_or_else(|| {
                Federation::seal_secret(id, self.tenant, &spec.client_secret, &foundation.ring, &*foundation.entropy)
            });
            let wanted = Federation {
                id,
                display_name: spec.display_name.clone(),
                issuer: spec.issuer.clone(),
                client_id: spec.client_id.clone(),
                client_secret,
                domains: spec.domains.clone(),
                enabled: spec.enabled,
            };
            let what = format!("home organisation {}", spec.display_name);
            if self.put(&records::federation(self.tenant, id), known, &wanted, &what) {
                self.configured(what);
            }
        }
        Ok(())
    }

    async fn agreements(
        &mut self,
        foundation: &Foundation,
        desired: &Desired,
        specs: &[AgreementSpec],
        apps: &BTreeMap<String, AppId>,
    ) -> Result<(), ApplyError> {
        let stored = foundation.store.list(&records::agreements(self.tenant)).await?;
        let mut touched = Vec::new();
        for spec in specs {
            let known = stored.iter().find(|agreement| agreement.value.name == spec.name);
            let id = known.map(|known| known.value.id).or(spec.id).unwrap_or_else(|| AgreementId::random(&*foundation.entropy));
            let Some(scope) = self.scope(spec, apps) else { continue };
            let mut files = known.map(|known| known.value.files.clone()).unwrap_or_default();
            for file in &spec.files {
                self.file(desired, &mut files, file)?;
            }
            if files.is_empty() {
                self.problems.push(format!("agreement {}: an agreement has at least one file", spec.name));
            }
            let wanted = Agreement {
                id,
                name: spec.name.clone(),
                order: spec.order,
                must_open: spec.must_open,
                scope: scope.clone(),
                files,
                published: spec.published,
            };
            let what = format!("agreement {}", spec.name);
            if self.put(&records::agreement(self.tenant, id), known, &wanted, &what) {
                self.configured(what);
                touched.push(scope);
                touched.extend(known.map(|known| known.value.scope.clone()));
            }
        }
        if touched.is_empty() { Ok(()) } else { self.raise_epoch(foundation, &touched).await }
    }

    /// Sessions that may now owe something are checked again: those of the apps concerned, or all.
    async fn raise_epoch(&mut self, foundation: &Foundation, scopes: &[Scope]) -> Result<(), ApplyError> {
        let key = records::terms_epoch(self.tenant);
        let stored = foundation.store.get(&key).await?;
        let mut epoch = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
        epoch.raise(scopes.iter().map(|scope| &scope.apps));
        self.extend(|batch| batch.unchanged(&key, stored.as_ref()).put(&key, &epoch));
        Ok(())
    }

    fn scope(&mut self, spec: &AgreementSpec, apps: &BTreeMap<String, AppId>) -> Option<Scope> {
        let unknown: Vec<_> = spec.apps.iter().filter(|name| !apps.contains_key(*name)).collect();
        if !unknown.is_empty() {
            self.problems.push(format!("agreement {}: there is no app {unknown:?}", spec.name));
            return None;
        }
        let ids: Vec<_> = spec.apps.iter().filter_map(|name| apps.get(name).copied()).collect();
        let apps = if ids.is_empty() { AppScope::Everywhere } else { AppScope::Apps(ids) };
        Some(Scope { apps, users: spec.users })
    }

    /// Adds the file as a new version, unless its current version has the same bytes.
    fn file(&mut self, desired: &Desired, files: &mut Vec<AgreementFile>, spec: &AgreementFileSpec) -> Result<(), ApplyError> {
        let document = desired.document(Path::new(&spec.path))?;
        let version = |version| FileVersion {
            version,
            document: document.id,
            media: document.media,
            major: spec.major,
            published: self.now,
        };
        match files.iter_mut().find(|file| file.language == spec.language) {
            None => files.push(AgreementFile {
                language: spec.language.clone(),
                display_name: spec.display_name.clone(),
                versions: vec![version(1)],
            }),
            Some(file) => {
                file.display_name.clone_from(&spec.display_name);
                let current = file.versions.last().map(|current| (current.version, current.document));
                if current.is_none_or(|(_, known)| known != document.id) {
                    file.versions.push(version(current.map_or(1, |(number, _)| number + 1)));
                }
            }
        }
        Ok(())
    }

    async fn user(&mut self, foundation: &Foundation, spec: &UserSpec, apps: &BTreeMap<String, AppId>) -> Result<(), ApplyError> {
        let holder = match &spec.mail {
            Some(mail) => foundation.store.get(&records::address(self.tenant, mail)).await?.map(|found| found.value.user),
            None => None,
        };
        let Some(id) = spec.id.or(holder).or_else(|| spec.mail.as_ref().map(|_| UserId::random(&*foundation.entropy))) else {
            self.problems.push(format!("user {}: somebody without an address needs an id", spec.display_name));
            return Ok(());
        };
        let key = records::user(self.tenant, id);
        let stored = foundation.store.get(&key).await?;
        let wanted = self.wanted_user(spec, id, holder, stored.as_ref().map(|stored| &stored.value));
        let what = format!("{} {}", if spec.user_type == UserType::Guest { "guest" } else { "member" }, spec.display_name);
        if self.put(&key, stored.as_ref(), &wanted, &what) {
            let (before, user) = (stored.as_ref().map(|stored| &stored.value), wanted.id);
            self.activities.push(match before {
                None => Activity::UserAdded { user },
                Some(before) => Activity::UserChanged { user, what: change_in_words(before, &wanted) },
            });
            self.reindex(before, &wanted, foundation).await?;
            if before.is_some_and(|before| before.account_enabled != wanted.account_enabled) {
                self.cut_off(&wanted);
            }
        }
        self.password(foundation, spec, id).await?;
        self.assign(foundation, spec, id, apps).await
    }

    /// An address that another object holds goes to the other addresses: such a guest needs the link in the mail.
    fn wanted_user(&self, spec: &UserSpec, id: UserId, holder: Option<UserId>, before: Option<&User>) -> User {
        let (mail, mut other_mails) = match (&spec.mail, holder) {
            (Some(mail), Some(holder)) if holder != id => (None, vec![mail.clone()]),
            (mail, _) => (mail.clone(), Vec::new()),
        };
        other_mails.extend(spec.other_mails.iter().cloned());
        let blocked_now = before.is_some_and(|before| before.account_enabled) && !spec.account_enabled;
        let sessions_valid_from = before.map_or(self.now, |before| before.sessions_valid_from);
        let pending = || ExternalUserState::PendingAcceptance { since: self.now };
        User {
            id,
            user_type: spec.user_type,
            display_name: spec.display_name.clone(),
            mail,
            other_mails,
            preferred_language: spec.preferred_language.clone(),
            account_enabled: spec.account_enabled,
            external: match before {
                Some(before) => before.external.clone(),
                None => (spec.user_type == UserType::Guest).then(pending),
            },
            sessions_valid_from: if blocked_now { self.now } else { sessions_valid_from },
            created: before.map_or(self.now, |before| before.created),
        }
    }

    /// Keeps the index of addresses in step. An address that somebody else holds stays theirs.
    async fn reindex(&mut self, before: Option<&User>, after: &User, foundation: &Foundation) -> Result<(), ApplyError> {
        let addresses = |user: &User| user.mail.iter().chain(&user.other_mails).cloned().collect::<Vec<_>>();
        let gone = before.map(addresses).unwrap_or_default();
        for address in gone.iter().filter(|address| !after.holds(address)) {
            let key = records::address(self.tenant, address);
            let stored = foundation.store.get(&key).await?;
            if stored.as_ref().is_some_and(|stored| stored.value.user == after.id) {
                self.extend(|batch| batch.unchanged(&key, stored.as_ref()).delete(&key));
            }
        }
        for address in addresses(after) {
            let key = records::address(self.tenant, &address);
            if foundation.store.get(&key).await?.is_none() {
                self.extend(|batch| batch.absent(&key).put(&key, &UserRef { user: after.id }));
            }
        }
        Ok(())
    }

    /// Tells every door that the user was blocked or let in again.
    fn cut_off(&mut self, user: &User) {
        let cutoff = UserCutoff { user: user.id, sessions_valid_from: user.sessions_valid_from, blocked: !user.account_enabled };
        let (key, until) = (records::user_cutoff(self.tenant, user.id), cutoff.forget_at(self.now));
        self.extend(|batch| batch.put_until(&key, &cutoff, Some(until)));
    }

    async fn password(&mut self, foundation: &Foundation, spec: &UserSpec, user: UserId) -> Result<(), ApplyError> {
        let Some(password) = spec.password.as_deref().map(Secret::new) else { return Ok(()) };
        match passwords::declared(foundation, self.tenant, user, &password).await {
            Ok(None) => {}
            Ok(Some(change)) => {
                self.extend(|batch| change.write(batch));
                self.changes.push(format!("~ password of {} ({})", spec.display_name, self.name));
                self.activities.push(Activity::UserChanged { user, what: "password".into() });
            }
            Err(passwords::DeclareError::Refused(reason)) => self.problems.push(format!("user {}: {reason}", spec.display_name)),
            Err(passwords::DeclareError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    async fn assign(
        &mut self,
        foundation: &Foundation,
        spec: &UserSpec,
        user: UserId,
        apps: &BTreeMap<String, AppId>,
    ) -> Result<(), ApplyError> {
        for name in &spec.apps {
            let Some(&app) = apps.get(name) else {
                self.problems.push(format!("user {}: there is no app {name}", spec.display_name));
                continue;
            };
            let key = records::assignment(self.tenant, user, app);
            if foundation.store.get(&key).await?.is_none() {
                let since = self.now;
                self.extend(|batch| batch.absent(&key).put(&key, &Assignment { app, role: None, since }));
                self.changes.push(format!("+ {} may open {name} ({})", spec.display_name, self.name));
                self.activities.push(Activity::UserChanged { user, what: format!("assigned to {name}") });
            }
        }
        Ok(())
    }
}

impl TermsEpoch {
    /// Counts a change of terms that concern `scopes`.
    fn raise<'a>(&mut self, scopes: impl Iterator<Item = &'a AppScope>) {
        let next = self.apps.values().copied().chain([self.everywhere]).max().unwrap_or_default() + 1;
        for scope in scopes {
            match scope {
                AppScope::Everywhere => self.everywhere = next,
                AppScope::Apps(apps) => self.apps.extend(apps.iter().map(|app| (*app, next))),
            }
        }
    }
}

fn change_in_words(before: &User, after: &User) -> String {
    match (before.account_enabled, after.account_enabled) {
        (true, false) => "blocked".into(),
        (false, true) => "unblocked".into(),
        _ => "properties".into(),
    }
}

fn differing_fields(before: &Value, after: &Value) -> Vec<String> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return vec!["changed".into()] };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
