//! Directories of any size: the records that inviting and redeeming leave, written straight into the store.

use std::{path::Path, time::Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;
use vestibule::{
    clock::SystemEntropy,
    config::Config,
    domain::{
        EmailAddress, TenantId, UserId,
        tenant::IdentitySource,
        user::{ExternalUserState, Identity, Profile, User, UserType},
    },
    flows::{
        Foundation,
        apply::{apply, spec::Desired},
    },
    server,
    store::{
        Batch, Partition,
        records::{self, UserRef},
    },
};

use super::{Bench, mebibytes, program::configuration, setting};

/// Guests of one commit.
const PIECE: usize = 20_000;
/// One guest in so many has not come yet.
const PENDING: usize = 1_000;
/// Given names, which filters ask for.
const NAMES: [&str; 20] = [
    "Adele", "Ben", "Chen", "Dina", "Emeka", "Fatima", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena", "Maria", "Nils", "Olga",
    "Pedro", "Quynh", "Rosa", "Sam", "Tara",
];

/// A tenant's directory, in a folder from which a server can run.
pub(crate) struct Filled {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) guests: usize,
}

/// The address of a guest of the directory.
pub(crate) fn address(number: usize) -> String {
    format!("guest{number}@fabrikam{}.example", number % 100)
}

impl Filled {
    /// A directory with so many guests, its file closed.
    pub(crate) fn new(bench: &Bench, guests: usize) -> Self {
        let folder = bench.folder();
        setting::write(folder.path(), 0, 0);
        let this = Self { folder, guests };
        let begun = Instant::now();
        let issuer = |foundation: &Foundation, tenant| foundation.issuer(tenant).as_str().to_owned();
        this.add(0..guests - setting::REGULARS, |number, foundation, tenant| {
            let mail = address(number);
            let accepted = number % PENDING != PENDING / 2;
            let identity = accepted.then(|| Identity { issuer: issuer(foundation, tenant), subject: mail.clone() });
            (mail, identity)
        });
        let file = mebibytes(&this.folder.path().join("data/vestibule.redb"));
        println!("{guests:>9} guests: filled in {:.1} s, {file:.0} MiB", begun.elapsed().as_secs_f64());
        this
    }

    /// Guests who have not come yet, whose addresses are those of the setting's first round.
    pub(crate) fn add_newcomers(&self, count: usize) {
        self.add(0..count, |number, _, _| (setting::guest(1, number), None));
    }

    fn add(&self, numbers: std::ops::Range<usize>, who: impl Fn(usize, &Foundation, TenantId) -> (String, Option<Identity>)) {
        let runtime = Runtime::new().expect("the runtime starts");
        let (foundation, tenants) = open(&runtime, self.folder.path());
        let (tenant, now) = (tenants[0], foundation.now());
        let mut left = numbers.peekable();
        while left.peek().is_some() {
            let batch = left.by_ref().take(PIECE).fold(Batch::new(Partition::Tenant(tenant)), |batch, number| {
                let (mail, identity) = who(number, &foundation, tenant);
                guest(batch, tenant, now, number, &mail.parse().expect("an address"), identity)
            });
            runtime.block_on(foundation.store.commit(batch)).expect("the records are stored");
        }
    }
}

/// A store whose tenants are those of the folder, and their ids.
pub(crate) fn open(runtime: &Runtime, folder: &Path) -> (Foundation, Vec<TenantId>) {
    runtime.block_on(async {
        let config = Config::load(&configuration(folder)).expect("a configuration");
        let foundation = server::open(&config, None).await.expect("the store opens").0;
        let desired = Desired::load(&folder.join("tenants.toml")).expect("tenants");
        apply(&foundation, &desired, false).await.expect("the tenants are made");
        let mut tenants = Vec::new();
        for tenant in 0..desired.tenants.len() {
            let claim = records::domain_claim(&setting::domain(tenant).parse().expect("a domain"));
            tenants.push(foundation.store.get(&claim).await.expect("the store").expect("a claim").value.tenant);
        }
        (foundation, tenants)
    })
}

/// Adds a guest: the user and what leads to them.
fn guest(
    batch: Batch,
    tenant: TenantId,
    now: Timestamp,
    number: usize,
    mail: &EmailAddress,
    identity: Option<Identity>,
) -> Batch {
    let id = UserId::random(&SystemEntropy);
    let initial = setting::domain(0).parse().expect("a domain");
    let external = match identity.clone() {
        None => ExternalUserState::PendingAcceptance { since: now, revoked: false },
        Some(identity) => ExternalUserState::Accepted {
            since: now,
            identity,
            source: IdentitySource::OneTimePasscode,
            permissions_accepted: now,
            mailbox: None,
        },
    };
    let user = User {
        id,
        user_type: UserType::Guest,
        display_name: format!("{} {number}", NAMES[number % NAMES.len()]),
        mail: Some(mail.clone()),
        other_mails: Vec::new(),
        preferred_language: None,
        account_enabled: true,
        external: Some(external),
        sessions_valid_from: now,
        created: now,
        principal_name: User::principal_name_of(id, UserType::Guest, Some(mail), &initial),
        profile: Profile { company_name: Some(format!("Fabrikam {}", number % 100)), ..Profile::default() },
        sponsors: Vec::new(),
        invitation: None,
        guest_inviter: false,
    };
    let leads_to = UserRef::to(&user);
    let batch = batch.put(&records::user(tenant, id), &user).put(&records::address(tenant, mail), &leads_to);
    match identity {
        Some(identity) => batch.put(&records::identity(tenant, &identity), &leads_to),
        None => batch,
    }
}
