//! The tenant itself.

use super::Plan;
use crate::{
    domain::tenant::{Branding, Tenant},
    flows::{
        Foundation,
        apply::spec::{Desired, TenantSpec},
    },
    store::{StoreError, records},
};

impl Plan {
    pub(super) async fn tenant(
        &mut self,
        foundation: &Foundation,
        desired: &Desired,
        spec: &TenantSpec,
    ) -> Result<(), StoreError> {
        self.check_tenant(foundation, spec);
        let logo = match spec.branding.logo.as_ref().map(|path| desired.logo(path)).transpose() {
            Ok(logo) => logo,
            Err(problem) => {
                self.problem(problem);
                None
            }
        };
        let key = records::tenant(self.tenant);
        let stored = foundation.store.get(&key).await?;
        let wanted = Tenant {
            id: self.tenant,
            display_name: spec.display_name.clone(),
            domains: spec.domains.clone(),
            hosts: spec.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            privacy: spec.privacy.clone(),
            branding: Branding { accent: spec.branding.accent, logo: logo.as_ref().map(|logo| logo.id) },
            policy: spec.policy.clone(),
            created: stored.as_ref().map_or(self.now, |stored| stored.value.created),
        };
        self.configure(&key, stored.as_ref(), &wanted, format!("tenant {}", spec.display_name));
        self.documents.extend(logo);
        self.before = stored.map(|stored| stored.value);
        Ok(())
    }

    fn check_tenant(&mut self, foundation: &Foundation, spec: &TenantSpec) {
        self.check_name("display_name", &spec.display_name);
        if spec.domains.is_empty() {
            self.problem("domains: a tenant has at least one");
        }
        let public_host = foundation.public_url.as_url().host_str();
        if spec.hosts.iter().any(|host| Some(host.as_str()) == public_host) {
            self.problem("hosts: the host of the public URL stands for no single tenant");
        }
        if spec.policy.redemption_order.is_empty() {
            self.problem("policy.redemption_order: guests need at least one way to prove who they are");
        }
        if !(1..=30).contains(&spec.policy.passcode_minutes) {
            self.problem("policy.passcode_minutes: a code lives 1 to 30 minutes");
        }
        if !(1..=24).contains(&spec.policy.session_hours) {
            self.problem("policy.session_hours: a session lasts 1 to 24 hours");
        }
    }
}
