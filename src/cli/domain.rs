//! `domain`: how the domains of a tenant stand, and their verification by DNS.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{
    Target,
    operation::{Failure, Operation, tenant},
    say,
};
use crate::{
    domain::{self, audit::Actor},
    flows::{
        Foundation,
        domains::{self, Standing, VerifiedBy, VerifyError},
    },
};

const EXIT_STATUS: &str =
    "Exit status: 0 when it is so, 1 when it is not or could not be found out, 2 when the command line is wrong.";

#[derive(Debug, Subcommand)]
pub(super) enum Domain {
    /// Lists the domains of a tenant and how each stands. Nothing is asked of DNS.
    List(Tenant),
    /// Shows how a domain stands, and the DNS record that verifies it. Nothing is asked of DNS.
    Show(OneDomain),
    /// Looks for the DNS record of a domain and verifies the domain when it is there.
    ///
    /// The tenant claims the domain first, with `verified = false` in the file for `vestibule apply`. From then on the
    /// server looks at the record about once a day. When it has been missing for 72 hours, the domain is no longer verified
    /// and links by it are refused.
    #[command(after_help = EXIT_STATUS)]
    Verify(OneDomain),
}

#[derive(Debug, Args)]
pub(super) struct Tenant {
    /// The tenant: its id or one of its verified domains.
    tenant: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct OneDomain {
    /// The tenant: its id or one of its verified domains.
    tenant: String,
    /// One of its domains.
    domain: domain::Domain,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Domain {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(Tenant { tenant, json, target }) => {
                let standings = target.perform(ListDomains { tenant }).await?;
                if json {
                    say(&serde_json::to_string(&standings)?);
                    return Ok(());
                }
                say(&format!("{:40} {:12} {:20} missing since", "domain", "verified by", "record seen"));
                for standing in &standings {
                    say(row(standing).trim_end());
                }
            }
            Self::Show(OneDomain { tenant, domain, json, target }) => {
                let standings = target.perform(ListDomains { tenant }).await?;
                match standings.into_iter().find(|standing| standing.name == domain) {
                    Some(standing) => show(&standing, json)?,
                    None => bail!("{}", VerifyError::NotClaimed(domain)),
                }
            }
            Self::Verify(OneDomain { tenant, domain, json, target }) => {
                show(&target.perform(VerifyDomain { tenant, domain }).await?, json)?;
            }
        }
        Ok(())
    }
}

/// What verifies a domain, in a word.
fn by(standing: &Standing) -> &'static str {
    match standing.by {
        Some(VerifiedBy::Operator) => "operator",
        Some(VerifiedBy::Dns) => "DNS",
        None => "no",
    }
}

fn row(standing: &Standing) -> String {
    let time = |time: Option<jiff::Timestamp>| time.map(|time| format!("{time:.0}")).unwrap_or_default();
    let Standing { name, last_seen, missing_since, .. } = standing;
    format!("{:40} {:12} {:20} {}", name.as_str(), by(standing), time(*last_seen), time(*missing_since))
}

fn show(standing: &Standing, json: bool) -> anyhow::Result<()> {
    if json {
        say(&serde_json::to_string(standing)?);
        return Ok(());
    }
    let lines = [
        ("domain", Some(standing.name.to_string())),
        ("verified by", Some(by(standing).to_owned())),
        ("record seen", standing.last_seen.map(|time| format!("{time:.0}"))),
        ("missing since", standing.missing_since.map(|time| format!("{time:.0}"))),
        ("verified until", standing.verified_until.map(|time| format!("{time:.0}, unless the record comes back"))),
        ("record", Some(format!("{}. TXT \"{}\"", standing.record.name, standing.record.value))),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            say(&format!("{name:16} {value}"));
        }
    }
    Ok(())
}

/// How the domains of a tenant stand.
#[derive(Serialize, Deserialize)]
pub(super) struct ListDomains {
    tenant: String,
}

impl Operation for ListDomains {
    const PATH: &'static str = "/domains";
    const ALONE: bool = false;
    type Answer = Vec<Standing>;

    async fn perform(&self, foundation: &Foundation) -> Result<Vec<Standing>, Failure> {
        let tenant = tenant(foundation, &self.tenant).await?;
        Ok(domains::standings(foundation, tenant).await?)
    }
}

/// Looks for the record of a domain.
#[derive(Serialize, Deserialize)]
pub(super) struct VerifyDomain {
    tenant: String,
    domain: domain::Domain,
}

impl Operation for VerifyDomain {
    const PATH: &'static str = "/domains/verify";
    // Name servers may take their time, and others need not wait for them.
    const ALONE: bool = false;
    type Answer = Standing;

    async fn perform(&self, foundation: &Foundation) -> Result<Standing, Failure> {
        let tenant = tenant(foundation, &self.tenant).await?;
        domains::verify(foundation, tenant, &self.domain, &Actor::Operator).await.map_err(|error| match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Unanswered(..) => Failure { problems: vec![error.to_string()], temporary: true },
            VerifyError::NotClaimed(_) | VerifyError::Absent(_) => Failure::refused(error),
        })
    }
}
