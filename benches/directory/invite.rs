//! Inviting without HTTP: invitations a second, beside commits of as many records of the same size to the bare store.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{runtime::Runtime, task::JoinSet};
use uuid::Uuid;
use vestibule::{
    clock::{SystemEntropy, random_uuid},
    config::Config,
    domain::{TenantId, audit::Actor, user::UserType},
    flows::{
        Vestibule,
        directory::TenantView,
        guests::{Administration, Invite, Message, Outcome, Purpose},
    },
    server,
    store::{Backend, Batch, Check, Entry, Key, Page, Partition, SharedStore, StoreError, Watch, Write, records::Store},
};

use super::{Bench, Figures, ROUNDS, fill, program::configuration, setting};

/// Tenants, and invitations under way at once in all of them.
const SHAPES: [(usize, usize); 4] = [(1, 1), (1, 8), (1, 64), (8, 64)];
/// How long each is measured in a round.
const SPELL: Duration = Duration::from_millis(1_000);

/// A store that keeps the last batch that was committed.
struct Noted {
    inner: SharedStore,
    last: Mutex<Option<Batch>>,
}

#[async_trait]
impl Backend for Noted {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.inner.get(keys).await
    }

    async fn scan(&self, prefix: &Key, page: Page) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(prefix, page).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(batch.clone());
        self.inner.commit(batch).await
    }

    fn watch(&self) -> Watch {
        self.inner.watch()
    }
}

/// What the tasks of a spell share.
struct Scene {
    vestibule: Arc<Vestibule>,
    views: Vec<Arc<TenantView>>,
    store: SharedStore,
    next: AtomicUsize,
}

/// Whom the nth invitation is for.
fn invite(number: usize, mail: bool) -> Invite {
    Invite {
        address: Some(format!("invited{number}@fabrikam.example").parse().expect("an address")),
        user: None,
        expected: None,
        purpose: Purpose::Invite,
        display_name: Some(format!("Guest {number}")),
        user_type: UserType::Guest,
        language: None,
        redirect: Some("https://app.example/".parse().expect("a URL")),
        send: mail.then(Message::default),
        sponsors: Vec::new(),
    }
}

impl Scene {
    fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn invite(&self, tenant: usize, mail: bool) {
        let Vestibule { foundation, sender, .. } = &*self.vestibule;
        let administration = Administration { foundation, sender, view: &self.views[tenant], actor: &Actor::Operator };
        let invited = administration.invite(&invite(self.next(), mail)).await.expect("they can be invited");
        assert!(matches!(invited.outcome, Outcome::Open { .. }), "somebody new");
    }
}

/// Another batch of as many checks and writes of the same size, on keys that nobody has.
fn like(batch: &Batch) -> Batch {
    let tenant = Partition::Tenant(TenantId(Uuid::from_u128(1)));
    let fresh = |key: &Key| {
        let spread = random_uuid(&SystemEntropy);
        let rest = key.bytes().len().saturating_sub(3 + 16 + 2);
        Key::new(tenant, key.kind(), &[spread.as_bytes(), &vec![0; rest]])
    };
    let batch_of_checks = batch.checks().iter().fold(Batch::new(tenant), |copy, check| {
        let (Check::Is(key, _) | Check::Absent(key)) = check;
        copy.check(Check::Absent(fresh(key)))
    });
    batch.writes().iter().fold(batch_of_checks, |copy, write| match write {
        Write::Put { key, value, expires } => copy.write(Write::Put { key: fresh(key), value: value.clone(), expires: *expires }),
        Write::Delete(key) => copy.write(Write::Delete(fresh(key))),
    })
}

/// How many a second, by so many at once.
fn spell<F: Future<Output = ()> + Send>(
    runtime: &Runtime,
    workers: usize,
    one: impl Fn(usize) -> F + Clone + Send + 'static,
) -> f64 {
    let begun = Instant::now();
    let done = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            let one = one.clone();
            tasks.spawn(async move {
                let mut done = 0;
                while begun.elapsed() < SPELL {
                    one(worker).await;
                    done += 1;
                }
                done
            });
        }
        tasks.join_all().await.into_iter().sum::<usize>()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Invitations a second, in every shape, without and with mail, in turns with the bare store.
pub(crate) fn one_by_one(bench: &Bench) {
    let runtime = Runtime::new().expect("the runtime starts");
    let folder = bench.folder();
    setting::write(folder.path(), 8, 0);
    let (mut foundation, tenants) = fill::open(&runtime, folder.path());
    let store = Arc::clone(foundation.store.backend());
    let noted = Arc::new(Noted { inner: Arc::clone(&store), last: Mutex::default() });
    foundation.store = Store::new(Arc::clone(&noted) as SharedStore);
    let config = Config::load(&configuration(folder.path())).expect("a configuration");
    let vestibule = runtime.block_on(async { server::build(&config, foundation) }).expect("a server");
    let views = tenants.iter().map(|id| runtime.block_on(vestibule.directory.tenant(*id)).expect("the store").expect("a tenant"));
    let views = views.collect();
    let scene = Arc::new(Scene { vestibule, views, store, next: AtomicUsize::new(0) });
    println!("{:<44} {:>30} {:>30} {:>9}", "invitations a second", "invitations", "bare commits", "ratio");
    for mail in [false, true] {
        runtime.block_on(scene.invite(0, mail));
        let batch = noted.last.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("a batch");
        let bytes: usize =
            batch.writes().iter().map(|write| if let Write::Put { value, .. } = write { value.len() } else { 0 }).sum();
        let (checks, writes) = (batch.checks().len(), batch.writes().len());
        println!("mail: {mail}; a commit has {checks} checks and {writes} writes, {bytes} bytes");
        let mut rows = vec![(Figures::default(), Figures::default()); SHAPES.len()];
        for _ in 0..ROUNDS {
            for ((tenants, workers), (invited, bare)) in SHAPES.into_iter().zip(&mut rows) {
                let shared = Arc::clone(&scene);
                invited.add(spell(&runtime, workers, move |worker| {
                    let scene = Arc::clone(&shared);
                    async move { scene.invite(worker % tenants, mail).await }
                }));
                let (shared, batch) = (Arc::clone(&scene), batch.clone());
                bare.add(spell(&runtime, workers, move |_| {
                    let (store, batch) = (Arc::clone(&shared.store), like(&batch));
                    async move { store.commit(batch).await.expect("the batch is stored") }
                }));
            }
        }
        for ((tenants, workers), (invited, bare)) in SHAPES.into_iter().zip(&rows) {
            let name = format!("{workers} at once, {tenants} tenants, mail: {mail}");
            println!("{name:<44} {invited:>30} {bare:>30} {:>9.2}", invited.median() / bare.median());
        }
    }
}
