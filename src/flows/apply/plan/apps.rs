//! Apps and their secrets.

use std::collections::BTreeSet;

use super::Plan;
use crate::{
    domain::{
        AppId,
        app::{App, ClientType, PkcePolicy},
        permission::Permission,
    },
    flows::{
        Foundation,
        apply::{NewSecret, spec::AppSpec},
    },
    secret::Secret,
    store::{StoreError, records},
};

/// The shortest client secret that may be declared: 32 characters of base64 are 192 bits.
const SECRET_MIN: usize = 32;
/// The longest line on the panel, in characters.
const DESCRIPTION_MAX: usize = 1024;

impl Plan {
    pub(super) async fn apps(&mut self, foundation: &Foundation, specs: &[AppSpec]) -> Result<(), StoreError> {
        let stored = foundation.store.list(&records::apps(self.tenant)).await?;
        let mut ids = BTreeSet::new();
        for spec in specs {
            let known = stored.iter().find(|app| match spec.id {
                Some(id) => app.value.id == id,
                None => app.value.display_name == spec.display_name,
            });
            let id = spec.id.or(known.map(|app| app.value.id)).unwrap_or_else(|| AppId::random(&*foundation.entropy));
            ids.insert(id);
            self.check_app(spec);
            if self.apps.insert(spec.display_name.clone(), id).is_some() {
                self.problem(format_args!("app {}: there are two apps with this name", spec.display_name));
            }
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
                delegated_permissions: spec.delegated_permissions.clone(),
                id_token_alg: spec.id_token_alg,
                access_token_alg: spec.access_token_alg,
            };
            self.configure(&records::app(self.tenant, id), known, &wanted, format!("app {}", spec.display_name));
        }
        // The file may go on naming apps that it does not declare. Names are how it does that, so they are unique.
        for app in stored.into_iter().map(|app| app.value).filter(|app| !ids.contains(&app.id)) {
            if let Some(other) = self.apps.insert(app.display_name.clone(), app.id) {
                self.problem(format_args!("app {}: {other} and {} would have the same name", app.display_name, app.id));
            }
        }
        Ok(())
    }

    fn check_app(&mut self, spec: &AppSpec) {
        let what = format!("app {}", spec.display_name);
        self.check_name(&what, &spec.display_name);
        if spec.description.as_ref().is_some_and(|description| description.chars().count() > DESCRIPTION_MAX) {
            self.problem(format_args!("{what}: a description has at most {DESCRIPTION_MAX} characters"));
        }
        if let Some(secret) = &spec.client_secret {
            self.check_secret(&what, secret.expose(), SECRET_MIN);
        }
        for name in spec.permissions.iter().chain(&spec.delegated_permissions) {
            if name.parse::<Permission>().is_err() {
                self.problem(format_args!("{what}: there is no permission {name}"));
            }
        }
        for (declared, name) in [
            (spec.client_secret.is_some(), "client_secret"),
            (spec.pkce == PkcePolicy::Exempt, "pkce = \"exempt\""),
            (!spec.permissions.is_empty(), "permissions"),
        ] {
            if spec.public && declared {
                self.problem(format_args!("{what}: {name} is not for a public client"));
            }
        }
    }

    /// The client type: declared secrets are kept as hashes, a missing one is made once.
    fn client(&mut self, foundation: &Foundation, spec: &AppSpec, id: AppId, known: Option<&ClientType>) -> ClientType {
        if spec.public {
            return ClientType::Public;
        }
        match (&spec.client_secret, known) {
            (Some(secret), Some(known @ ClientType::Confidential { secrets }))
                if secrets.iter().any(|hash| hash.matches(secret.expose())) =>
            {
                known.clone()
            }
            (Some(secret), _) => ClientType::Confidential { secrets: vec![secret.hash()] },
            (None, Some(known @ ClientType::Confidential { .. })) => known.clone(),
            (None, _) => {
                let secret = Secret::random(&*foundation.entropy);
                self.outcome.secrets.push(NewSecret {
                    tenant: self.name.clone(),
                    app: spec.display_name.clone(),
                    client_id: id.to_string(),
                    client_secret: secret.expose().to_owned(),
                });
                ClientType::Confidential { secrets: vec![secret.hash()] }
            }
        }
    }
}
