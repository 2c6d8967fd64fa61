//! The home organisations that a tenant trusts.

use std::collections::BTreeMap;

use super::Plan;
use crate::{
    domain::{Domain, FederationId, federation::Federation},
    flows::{Foundation, apply::spec::FederationSpec},
    store::{
        StoreError,
        records::{self, Stored},
    },
};

impl Plan {
    pub(super) async fn federations(&mut self, foundation: &Foundation, specs: &[FederationSpec]) -> Result<(), StoreError> {
        let stored = foundation.store.list(&records::federations(self.tenant)).await?;
        let mut planned = BTreeMap::new();
        for spec in specs {
            let what = format!("home organisation {}", spec.display_name);
            self.check_federation(&what, spec);
            let known = stored.iter().find(|federation| match spec.id {
                Some(id) => federation.value.id == id,
                None => federation.value.issuer == spec.issuer,
            });
            let id = spec.id.or(known.map(|federation| federation.value.id));
            let id = id.unwrap_or_else(|| FederationId::random(&*foundation.entropy));
            let wanted = Federation {
                id,
                display_name: spec.display_name.clone(),
                issuer: spec.issuer.clone(),
                client_id: spec.client_id.clone(),
                client_secret: self.sealed(foundation, spec, id, known),
                domains: spec.domains.clone(),
                enabled: spec.enabled,
            };
            self.configure(&records::federation(self.tenant, id), known, &wanted, what);
            let issuer_again = planned.values().any(|other: &Federation| other.issuer == wanted.issuer);
            if issuer_again || planned.insert(id, wanted).is_some() {
                self.problem(format_args!("home organisation {}: the file names it twice", spec.display_name));
            }
        }
        for known in stored.into_iter().map(|known| known.value) {
            planned.entry(known.id).or_insert(known);
        }
        self.check_domains(planned.values());
        Ok(())
    }

    fn check_federation(&mut self, what: &str, spec: &FederationSpec) {
        self.check_name(what, &spec.display_name);
        self.check_secret(what, spec.client_secret.expose(), 1);
        let issuer = spec.issuer.as_url();
        if issuer.query().is_some() || issuer.fragment().is_some() {
            // OpenID Connect Discovery 1.0, section 3.
            self.problem(format_args!("{what}: an issuer has no query and no fragment"));
        }
    }

    /// The secret as it is stored: as before when it is the same, since sealing never gives the same text twice.
    fn sealed(
        &self,
        foundation: &Foundation,
        spec: &FederationSpec,
        id: FederationId,
        known: Option<&Stored<Federation>>,
    ) -> String {
        let same = known.map(|known| &known.value).filter(|known| {
            let secret = known.open_secret(self.tenant, &foundation.ring);
            secret.is_some_and(|secret| secret.expose() == spec.client_secret.expose())
        });
        let seal = || {
            let secret = spec.client_secret.expose();
            Federation::seal_secret(id, self.tenant, secret, &foundation.ring, &*foundation.entropy)
        };
        same.map_or_else(seal, |known| known.client_secret.clone())
    }

    /// The domain of an address decides where its holder is sent, so one home organisation has it.
    fn check_domains<'a>(&mut self, federations: impl Iterator<Item = &'a Federation>) {
        let mut trusted = BTreeMap::<&Domain, &str>::new();
        for federation in federations.filter(|federation| federation.enabled) {
            for domain in &federation.domains {
                if let Some(other) = trusted.insert(domain, &federation.display_name) {
                    let name = &federation.display_name;
                    self.problem(format_args!("{domain}: both {other} and {name} would be trusted for it"));
                }
            }
        }
    }
}
