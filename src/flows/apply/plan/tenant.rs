//! The tenant itself.

use super::Plan;
use crate::{
    domain::{
        Domain,
        tenant::{Branding, Tenant, TenantDomain, TenantPolicy},
        verification::Challenge,
    },
    flows::{
        Foundation,
        apply::{
            ToPublish,
            spec::{Desired, TenantSpec},
        },
    },
    store::{
        StoreError,
        records::{self, TenantCutoff, sessions_over},
    },
};

impl Plan {
    /// Plans the tenant, and says which policy it has then.
    pub(super) async fn tenant(
        &mut self,
        foundation: &Foundation,
        desired: &Desired,
        spec: &TenantSpec,
    ) -> Result<TenantPolicy, StoreError> {
        self.check_tenant(foundation, spec);
        let branding = spec.branding.as_ref();
        let logo = match branding.and_then(|branding| branding.logo.as_ref()).map(|path| desired.logo(path)).transpose() {
            Ok(logo) => logo,
            Err(problem) => {
                self.problem(problem);
                None
            }
        };
        let key = records::tenant(self.tenant);
        let stored = foundation.store.get(&key).await?;
        let before = stored.as_ref().map(|stored| &stored.value);
        let hosts = spec.hosts.as_ref().map(|hosts| hosts.iter().map(|host| host.as_str().to_owned()).collect());
        let declared = branding.map(|branding| Branding { accent: branding.accent, logo: logo.as_ref().map(|logo| logo.id) });
        let wanted = Tenant {
            id: self.tenant,
            display_name: spec.display_name.clone(),
            domains: spec.domains.iter().map(|spec| spec.over(before.and_then(|before| before.domain(&spec.name)))).collect(),
            hosts: hosts.or_else(|| before.map(|before| before.hosts.clone())).unwrap_or_default(),
            privacy: spec.privacy.clone().or_else(|| before.map(|before| before.privacy.clone())).unwrap_or_default(),
            branding: declared.or_else(|| before.map(|before| before.branding.clone())).unwrap_or_default(),
            policy: spec.policy.clone().or_else(|| before.map(|before| before.policy.clone())).unwrap_or_default(),
            created: before.map_or(self.now, |before| before.created),
            enabled: spec.enabled.unwrap_or(before.is_none_or(|before| before.enabled)),
        };
        self.configure(&key, stored.as_ref(), &wanted, format!("tenant {}", spec.display_name));
        if !wanted.enabled && before.is_some_and(|before| before.enabled) {
            let (cutoff, now) = (TenantCutoff { sessions_valid_from: self.now }, self.now);
            let key = records::tenant_cutoff(self.tenant);
            self.extend(|batch| batch.put_until(&key, &cutoff, Some(sessions_over(now))));
        }
        let unverified = |tenant: &Tenant, domain: &Domain| tenant.domain(domain).is_some_and(|claimed| !claimed.verified);
        for TenantDomain { name, .. } in wanted.domains.iter().filter(|domain| !domain.verified) {
            if !before.is_some_and(|before| unverified(before, name)) {
                self.outcome.to_publish.push(ToPublish {
                    tenant: self.tenant,
                    domain: name.clone(),
                    record: Challenge::of(&foundation.ring, self.tenant, name),
                });
            }
        }
        self.documents.extend(logo);
        self.before = stored.map(|stored| stored.value);
        Ok(wanted.policy)
    }

    fn check_tenant(&mut self, foundation: &Foundation, spec: &TenantSpec) {
        self.check_name("display_name", &spec.display_name);
        if spec.domains.is_empty() {
            self.problem("domains: a tenant has at least one");
        }
        let public_host = foundation.public_url.as_url().host_str();
        if spec.hosts.iter().flatten().any(|host| Some(host.as_str()) == public_host) {
            self.problem("hosts: the host of the public URL stands for no single tenant");
        }
        let Some(policy) = &spec.policy else { return };
        if let Err(problem) = policy.check_ways() {
            self.problem(format!("policy.{problem}"));
        }
        if !(1..=30).contains(&policy.passcode_minutes) {
            self.problem("policy.passcode_minutes: a code lives 1 to 30 minutes");
        }
        if !(1..=24).contains(&policy.session_hours) {
            self.problem("policy.session_hours: a session lasts 1 to 24 hours");
        }
        if let Err(problem) = policy.invitation_mail.check() {
            self.problem(format_args!("policy.invitation_mail.{problem}"));
        }
    }
}
