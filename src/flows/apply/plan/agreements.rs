//! Terms of use: agreements, their files and versions, and the count that makes doors look again.

use std::collections::BTreeSet;

use super::Plan;
use crate::{
    domain::{
        AgreementId,
        terms::{Agreement, AgreementFile, AppScope, FileVersion, Scope},
    },
    flows::{
        Foundation,
        apply::spec::{AgreementFileSpec, AgreementSpec, Desired},
    },
    store::{
        StoreError,
        records::{self, TermsEpoch},
    },
};

impl Plan {
    pub(super) async fn agreements(
        &mut self,
        foundation: &Foundation,
        desired: &Desired,
        specs: &[AgreementSpec],
    ) -> Result<(), StoreError> {
        let stored = foundation.store.list(&records::agreements(self.tenant)).await?;
        let mut concerned = Vec::new();
        let mut planned = BTreeSet::new();
        for spec in specs {
            let what = format!("agreement {}", spec.name);
            self.check_name(&what, &spec.name);
            let known = stored.iter().find(|agreement| match spec.id {
                Some(id) => agreement.value.id == id,
                None => agreement.value.name == spec.name,
            });
            let id = spec.id.or(known.map(|known| known.value.id));
            let id = id.unwrap_or_else(|| AgreementId::random(&*foundation.entropy));
            let name_taken = stored.iter().any(|other| other.value.name == spec.name && other.value.id != id);
            if name_taken || !planned.insert(id) || specs.iter().filter(|other| other.name == spec.name).count() > 1 {
                self.problem(format_args!("{what}: there are two agreements with this name"));
            }
            let Some(scope) = self.scope(&what, spec) else { continue };
            let wanted = Agreement {
                id,
                name: spec.name.clone(),
                order: spec.order,
                must_open: spec.must_open,
                scope,
                files: self.files(desired, &what, known.map(|known| known.value.files.as_slice()), &spec.files),
                published: spec.published,
            };
            if self.configure(&records::agreement(self.tenant, id), known, &wanted, what) {
                concerned.push(wanted.scope);
                concerned.extend(known.map(|known| known.value.scope.clone()));
            }
        }
        if concerned.is_empty() { Ok(()) } else { self.raise_epoch(foundation, &concerned).await }
    }

    /// Sessions that may now owe something are checked again: those of the apps concerned, or all.
    async fn raise_epoch(&mut self, foundation: &Foundation, scopes: &[Scope]) -> Result<(), StoreError> {
        let key = records::terms_epoch(self.tenant);
        let stored = foundation.store.get(&key).await?;
        let mut epoch = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
        epoch.raise(scopes.iter().map(|scope| &scope.apps));
        self.extend(|batch| batch.unchanged(&key, stored.as_ref()).put(&key, &epoch));
        Ok(())
    }

    fn scope(&mut self, what: &str, spec: &AgreementSpec) -> Option<Scope> {
        let mut ids = Vec::with_capacity(spec.apps.len());
        for name in &spec.apps {
            match self.apps.get(name) {
                Some(id) => ids.push(*id),
                None => self.problem(format_args!("{what}: there is no app {name}")),
            }
        }
        let apps = if spec.apps.is_empty() { AppScope::Everywhere } else { AppScope::Apps(ids) };
        let complete = match &apps {
            AppScope::Everywhere => true,
            AppScope::Apps(ids) => ids.len() == spec.apps.len(),
        };
        complete.then_some(Scope { apps, users: spec.users })
    }

    /// The files with what is declared added: languages that are not declared stay, and all versions do.
    fn files(
        &mut self,
        desired: &Desired,
        what: &str,
        known: Option<&[AgreementFile]>,
        specs: &[AgreementFileSpec],
    ) -> Vec<AgreementFile> {
        let mut files = known.map(<[_]>::to_vec).unwrap_or_default();
        let mut languages = BTreeSet::new();
        for spec in specs {
            if !languages.insert(&spec.language) {
                self.problem(format_args!("{what}: {} is declared twice", spec.language));
            }
            self.check_name(what, &spec.display_name);
            match desired.document(&spec.path) {
                Ok(document) => {
                    add_version(&mut files, spec, |version| FileVersion {
                        version,
                        document: document.id,
                        media: document.media,
                        major: spec.major,
                        published: self.now,
                    });
                    self.documents.push(document);
                }
                Err(problem) => self.problem(format_args!("{what}: {problem}")),
            }
        }
        if files.is_empty() && specs.is_empty() {
            self.problem(format_args!("{what}: an agreement has at least one file"));
        }
        files
    }
}

/// Adds a version, unless the current one is the same document.
fn add_version(files: &mut Vec<AgreementFile>, spec: &AgreementFileSpec, version: impl Fn(u32) -> FileVersion) {
    let Some(file) = files.iter_mut().find(|file| file.language == spec.language) else {
        let (language, display_name) = (spec.language.clone(), spec.display_name.clone());
        files.push(AgreementFile { language, display_name, versions: vec![version(1)] });
        return;
    };
    file.display_name.clone_from(&spec.display_name);
    let next = version(file.versions.last().map_or(1, |current| current.version + 1));
    if file.versions.last().is_none_or(|current| current.document != next.document) {
        file.versions.push(next);
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
