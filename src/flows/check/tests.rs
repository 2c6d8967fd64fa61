use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::{
    clock::{ManualClock, SeededEntropy},
    domain::{
        AppId, Domain, InvitationId, SessionId, UserId,
        audit::{Actor, Event, Head},
        invitation::Invitation,
        tenant::IdentitySource,
        terms::DocumentId,
        user::{ExternalUserState, Identity, User, UserType},
    },
    flows::{
        apply::tests::{House, contoso, tenant},
        directory::Directory,
        guests::{Administration, Invite, Message, Purpose},
    },
    live::LiveState,
    mail::{Mail, Outbox, Sender},
    oidc::{
        Scopes,
        grant::{CodeGrant, GrantId, Limits, RefreshFamily, code::SignIn},
    },
    store::{
        Batch, SharedStore, Write,
        embedded::EmbeddedStore,
        memory::MemoryStore,
        records::{self, Assignment, Barred, DocumentInfo, InvitedIndex, RecordKey, SessionFamily, Store, Unfinished, UserRef},
    },
};

const SESSION: SessionId = SessionId(Uuid::from_u128(7));
const NOBODY: UserId = UserId(Uuid::from_u128(8));

/// A tenant with a record of nearly every kind, all of them good.
struct Scene {
    house: House,
    maria: User,
    identity: Identity,
    family: GrantId,
    document: DocumentId,
    invited: User,
    deleted: User,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new();
        house.apply(&contoso("")).await;
        let foundation = &house.foundation;
        let (store, now) = (&foundation.store, foundation.now());
        let users = store.list(&records::users(tenant())).await.unwrap();
        let mut maria = users.into_iter().map(|user| user.value).find(|user| user.display_name == "Maria Rossi").unwrap();
        let identity = Identity { issuer: "https://login.fabrikam.example".into(), subject: "maria".into() };
        maria.external = Some(ExternalUserState::Accepted {
            since: now,
            identity: identity.clone(),
            source: IdentitySource::HomeOrganisation,
            permissions_accepted: now,
            mailbox: None,
        });
        let sign_in = SignIn {
            user: maria.id,
            session: SESSION,
            session_began: now,
            session_expires: now + SignedDuration::from_hours(12),
            auth_time: now,
            source: IdentitySource::HomeOrganisation,
            amr: Vec::new(),
            idp: identity.issuer.clone(),
            email: None,
            epoch: 0,
        };
        let grant = CodeGrant {
            id: GrantId::random(&*foundation.entropy),
            tenant: tenant(),
            app: AppId(Uuid::from_u128(9)),
            redirect_uri: [0; 32],
            code_challenge: None,
            nonce: None,
            scopes: Scopes::OFFLINE_ACCESS,
            sign_in,
            expires: now,
        };
        let limits = Limits::of(IdentitySource::HomeOrganisation);
        let (family, _) = RefreshFamily::begin(&grant, limits, &foundation.ring, now, &*foundation.entropy);
        let batch = Batch::new(Partition::Tenant(tenant()))
            .put(&records::user(tenant(), maria.id), &maria)
            .put(&records::identity(tenant(), &identity), &UserRef::to(&maria))
            .put(&records::acceptances(tenant(), maria.id), &Vec::new())
            .put(&records::refresh_family(tenant(), family.id), &family)
            .put(&records::session_family(tenant(), SESSION, family.id), &SessionFamily { family: family.id });
        let outbox = Outbox::new(foundation.ring.clone(), foundation.clock.clone(), foundation.entropy.clone());
        let mail = Mail {
            to: "maria@fabrikam.example".parse().unwrap(),
            from: Sender { name: None, address: "guests@contoso.example".parse().unwrap() },
            reply_to: None,
            subject: "A code".into(),
            text: "12345678".to_owned().into(),
            html: "12345678".to_owned().into(),
            language: "en".into(),
        };
        let later = now + SignedDuration::from_hours(1);
        store.commit(outbox.enqueue(batch, tenant(), &mail, later, false)).await.unwrap();
        // A guest who was invited, and one who was blocked and deleted since.
        let directory = Directory::new(foundation.clone(), Arc::new(LiveState::new(LiveState::MAX_SILENCE)));
        let view = directory.tenant(tenant()).await.unwrap().unwrap();
        let sender = Sender { name: None, address: "guests@contoso.example".parse().unwrap() };
        let operator = Administration { foundation, view: &view, actor: &Actor::Operator, sender: &sender };
        let mut guests = Vec::new();
        for mail in ["sam@fabrikam.example", "kim@fabrikam.example"] {
            guests.push(operator.invite(&invite(mail)).await.unwrap().user);
        }
        operator.assign(guests[1].id, store.list(&records::apps(tenant())).await.unwrap()[0].value.id, None).await.unwrap();
        operator.block(guests[1].id, None).await.unwrap();
        operator.delete(guests[1].id, None).await.unwrap();
        let documents = store.list(&records::agreements(tenant())).await.unwrap();
        let document = documents[0].value.files[0].versions[0].document;
        let [invited, deleted] = guests.try_into().unwrap();
        Self { house, maria, identity, family: family.id, document, invited, deleted }
    }

    fn store(&self) -> &Store {
        &self.house.foundation.store
    }

    /// The same records, in a store of its own.
    async fn another(&self, store: SharedStore) -> SharedStore {
        let original = &**self.store().backend();
        for partition in walk::partitions(original).await.unwrap() {
            let mut walk = Walk::of(original, partition);
            while let Some(Entry { key, value, expires, .. }) = walk.next().await.unwrap() {
                store.commit(Batch::new(partition).write(Write::Put { key, value, expires })).await.unwrap();
            }
        }
        store
    }

    fn memory(&self) -> SharedStore {
        Arc::new(MemoryStore::new(Arc::clone(&self.house.foundation.clock)))
    }

    async fn value<T: serde::de::DeserializeOwned>(&self, key: &RecordKey<T>) -> T {
        self.store().get(key).await.unwrap().expect("the record is there").value
    }
}

fn invite(mail: &str) -> Invite {
    Invite {
        address: mail.parse().ok(),
        user: None,
        expected: None,
        purpose: Purpose::Invite,
        display_name: None,
        user_type: UserType::Guest,
        language: None,
        redirect: None,
        send: Some(Message::default()),
        sponsors: Vec::new(),
    }
}

fn put(key: &Key, value: impl Into<Bytes>) -> Write {
    Write::Put { key: key.clone(), value: value.into(), expires: None }
}

fn record<T: serde::Serialize>(key: &RecordKey<T>, value: &T) -> Write {
    put(key.key(), serde_json::to_vec(value).unwrap())
}

fn in_tenant(kind: u8, segments: &[&[u8]]) -> Key {
    Key::new(Partition::Tenant(tenant()), kind, segments)
}

/// What is planted, and what has to be said about it.
async fn faults(scene: &Scene) -> Vec<(Write, &'static str)> {
    let (maria, ring) = (&scene.maria, &scene.house.foundation.ring);
    let user = records::user(tenant(), maria.id);
    let nobody = UserRef { user: NOBODY, ..UserRef::to(maria) };
    let member = UserRef { guest: false, ..UserRef::to(maria) };
    let claim = |tenant| Claim { tenant };
    let domain = |name: &str| records::domain_claim(&name.parse::<Domain>().unwrap());
    let mail = maria.mail.as_ref().unwrap();
    let info = scene.value(&records::document(tenant(), &scene.document)).await;
    let first = scene.value(&records::audit_event(tenant(), 1)).await;
    let head = scene.value(&records::audit_head(tenant())).await;
    let key = scene.store().list(&records::signing_keys(tenant())).await.unwrap().remove(0);
    let federation = scene.store().list(&records::federations(tenant())).await.unwrap().remove(0).value;
    let other_ring = KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(99))).unwrap();
    let mut foreign_key = key.value.clone();
    foreign_key.sealed = foreign_key.sealed.chars().rev().collect();
    let mut resealed = federation.clone();
    resealed.client_secret = ring.seal(b"elsewhere", &"theirs", &SeededEntropy::new(3));
    let mail_item = scene.store().list(&crate::mail::outbox_items(tenant())).await.unwrap().remove(0);
    let mut foreign_mail = mail_item.value.clone();
    foreign_mail.state = crate::mail::OutboxState::Queued { sealed: other_ring.seal(b"x", &1, &SeededEntropy::new(4)) };
    let another_user = User { id: NOBODY, ..maria.clone() };
    let (invited, deleted) = (&scene.invited, &scene.deleted);
    let invitation_key = records::invitation(tenant(), invited.invitation.unwrap());
    let under = records::invited(tenant(), invited.mail.as_ref().unwrap(), invited.id);
    let invitation = scene.value(&invitation_key).await;
    let restorable = scene.value(&records::deleted_user(tenant(), deleted.id)).await;
    let assignment = Assignment { app: AppId(Uuid::nil()), role: None, since: maria.created };
    vec![
        (put(user.key(), "{"), "user {maria}: it is damaged: reading stopped at line 1"),
        (put(user.key(), r#"{"mail":"secret"}"#), "user {maria}: it is not what it should be: reading stopped"),
        (put(user.key(), serde_json::to_vec(&another_user).unwrap()), "user {maria}: it is stored under another's key"),
        (put(&in_tenant(kind::USER, &[b"short"]), "{}"), "user short: its key is not built like one of this kind"),
        (put(&in_tenant(kind::APP, &[&[0; 16], b"x"]), "{}"), "its key is not built like one of this kind"),
        (put(&in_tenant(99, &[b"x"]), "{}"), "kind 99 x: this version does not know records of this kind"),
        (put(&in_tenant(kind::HOST_CLAIM, &[b"x"]), "{}"), "such records do not belong into this partition"),
        (
            Write::Delete(user.key().clone()),
            "answers to agreements {maria}: its user is not there|assignment {maria}|address m***@fabrikam.example: leads to user {maria}, who does not have it",
        ),
        (Write::Delete(records::address(tenant(), mail).key().clone()), "user {maria}: one of its addresses does not lead to it"),
        (record(&records::address(tenant(), mail), &nobody), "address m***@fabrikam.example: leads to user"),
        (record(&records::address(tenant(), mail), &member), "address m***@fabrikam.example: says of user"),
        (record(&records::address(tenant(), &"x@x.example".parse().unwrap()), &UserRef::to(maria)), "who does not have it"),
        (
            Write::Delete(records::identity(tenant(), &scene.identity).key().clone()),
            "the identity that it is bound to does not lead to it",
        ),
        (record(&records::identity(tenant(), &scene.identity), &nobody), "who is not bound to it"),
        (
            record(&records::acceptances(tenant(), NOBODY), &Vec::new()),
            "answers to agreements 00000000-0000-0000-0000-000000000008: its user is not there",
        ),
        (
            record(&records::assignment(tenant(), NOBODY, assignment.app), &assignment),
            "assignment 00000000-0000-0000-0000-000000000008",
        ),
        (Write::Delete(records::refresh_family(tenant(), scene.family).key().clone()), "the session has no such refresh family"),
        (Write::Delete(records::session_family(tenant(), SESSION, scene.family).key().clone()), "its session does not know it"),
        (
            Write::Delete(invitation_key.key().clone()),
            "it is the latest of user {invited}, and is not there|invited address s***@fabrikam.example {invited}: its user was not \
             invited under it|its invitation is not there",
        ),
        (
            record(&invitation_key, &Invitation { user: maria.id, ..invitation.clone() }),
            "it is the latest of user {invited}, and another's",
        ),
        (
            record(
                &records::invitation(tenant(), InvitationId(Uuid::nil())),
                &Invitation { id: InvitationId(Uuid::nil()), ..invitation },
            ),
            "invitation 00000000-0000-0000-0000-000000000000: it is open, and is no user's latest",
        ),
        (Write::Delete(under.key().clone()), "user {invited}: the address that it was invited under does not lead to it"),
        (
            record(&records::invited(tenant(), mail, maria.id), &InvitedIndex { user: maria.id }),
            "its user was not invited under it",
        ),
        (Write::Delete(records::tombstone(tenant(), deleted.id).key().clone()), "there is no mark that it was deleted"),
        (record(&records::user(tenant(), deleted.id), &restorable.user), "it is there, and is marked as deleted"),
        (
            Write::Delete(records::deleted_user(tenant(), deleted.id).key().clone()),
            "assignment {deleted}|its user is not among those who were blocked and deleted and can be restored",
        ),
        (
            Write::Delete(records::barred_address(tenant(), deleted.mail.as_ref().unwrap(), deleted.id).key().clone()),
            "deleted user {deleted}: it was blocked, and a mark that keeps it out is missing",
        ),
        (
            record(&records::barred_address(tenant(), mail, deleted.id), &Barred { user: deleted.id }),
            "its user is not among those who were blocked and deleted and can be restored",
        ),
        (
            record(&records::barred_address(tenant(), mail, NOBODY), &Barred { user: maria.id }),
            "it is stored under another's key",
        ),
        (
            Write::Delete(domain("contoso.example").key().clone()),
            "claim on a domain contoso.example: tenant {tenant} has it and has not claimed it",
        ),
        (record(&domain("contoso.example"), &claim(TenantId(Uuid::nil()))), "which is not in the list of tenants"),
        (record(&domain("fabrikam.example"), &claim(tenant())), "claimed by tenant {tenant}, which does not have it"),
        (Write::Delete(records::host_claim("guests.contoso.example").key().clone()), "claim on a host guests.contoso.example"),
        (Write::Delete(records::document(tenant(), &scene.document).key().clone()), "it is shown to people, and is not there"),
        (Write::Delete(records::document_chunk(tenant(), &scene.document, 0)), "its content is missing"),
        (put(&records::document_chunk(tenant(), &scene.document, 1), "more"), "it is not whole: 2 of 1 chunks"),
        (
            put(&records::document_chunk(tenant(), &scene.document, 0), vec![b'x'; usize::try_from(info.size).unwrap()]),
            "its content is not what its name",
        ),
        (
            record(&records::document(tenant(), &scene.document), &DocumentInfo { chunks: 2, ..info }),
            "it is not whole: 1 of 2 chunks",
        ),
        (
            record(&records::audit_event(tenant(), 1), &Event { at: first.at + SignedDuration::from_secs(1), ..first }),
            "audit entry 0000000000000002: the audit log was changed",
        ),
        (Write::Delete(records::audit_event(tenant(), 1).key().clone()), "the audit log was changed"),
        (
            Write::Delete(records::audit_event(tenant(), head.sequence).key().clone()),
            "it does not end with the entry that was written last",
        ),
        (Write::Delete(records::audit_head(tenant()).key().clone()), "end of the audit log: it is missing"),
        (record(&records::audit_head(tenant()), &Head { hash: "0".repeat(64), ..head }), "it does not end with the entry"),
        (put(&key.key, serde_json::to_vec(&foreign_key).unwrap()), "signing key"),
        (
            record(&records::federation(tenant(), federation.id), &resealed),
            "what is sealed in it does not open with this key ring",
        ),
        (
            put(&mail_item.key, serde_json::to_vec(&foreign_mail).unwrap()),
            "what is sealed in it does not open with this key ring",
        ),
        (record(&records::key_ring(), &other_ring.fingerprint()), "the key ring here is not the one that seals this store"),
        (record(&records::unfinished(), &Unfinished { since: maria.created }), "the store is not whole; copy again"),
    ]
}

#[tokio::test]
async fn f_19_every_class_of_fault_is_found_and_named() {
    let scene = Scene::new().await;
    let ring = &scene.house.foundation.ring;
    // As `server::open` leaves it.
    let sealed_by = record(&records::key_ring(), &ring.fingerprint());
    scene.store().commit(Batch::new(Partition::Global).write(sealed_by)).await.unwrap();
    let good = check(&**scene.store().backend(), Some(ring), true).await.unwrap();
    assert!(good.problems.is_empty(), "{:#?}", good.problems);
    assert!(good.kinds.len() > 20, "{:?}", good.kinds);
    for (write, said) in faults(&scene).await {
        let store = scene.another(scene.memory()).await;
        store.commit(Batch::new(write.key().partition()).write(write)).await.unwrap();
        let report = check(&*store, Some(ring), true).await.unwrap();
        let maria = scene.maria.id.to_string();
        let (invited, deleted) = (scene.invited.id.to_string(), scene.deleted.id.to_string());
        let said = said.replace("{invited}", &invited).replace("{deleted}", &deleted);
        for said in said.replace("{maria}", &maria).replace("{tenant}", &tenant().to_string()).split('|') {
            let found = report.problems.iter().any(|problem| problem.contains(said));
            assert!(found, "{said} is not among {:#?}", report.problems);
        }
        assert!(!report.problems.iter().any(|problem| problem.contains("secret\"") || problem.contains("maria@")));
        assert!(report.problems.len() <= 8, "one fault is not a hundred: {:#?}", report.problems);
    }
}

#[tokio::test]
async fn without_a_ring_what_is_sealed_is_left_alone() {
    let scene = Scene::new().await;
    let other_ring = KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(99))).unwrap();
    let store = &**scene.store().backend();
    let report = check(store, None, false).await.unwrap();
    assert_eq!((report.problems.len(), report.opened_sealed, report.one_moment), (0, false, false));
    // Without a fingerprint in the store: two keys, a federation, a family, two mails.
    assert_eq!(check(store, Some(&other_ring), false).await.unwrap().problems.len(), 6);
}

#[tokio::test]
async fn a_snapshot_is_one_moment_of_a_file() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(scene.house.foundation.now());
    let file = Arc::new(EmbeddedStore::open(&folder.path().join("store"), Arc::new(clock.clone())).unwrap());
    let shared: SharedStore = file.clone();
    scene.another(shared).await;
    let snapshot = file.snapshot().unwrap();
    let before = check(&*snapshot, None, true).await.unwrap();
    for (write, _) in faults(&scene).await {
        file.commit(Batch::new(write.key().partition()).write(write)).await.unwrap();
    }
    clock.advance(10_000_000);
    assert_eq!(format!("{:?}", check(&*snapshot, None, true).await.unwrap()), format!("{before:?}"));
    assert!(!check(&*file, None, true).await.unwrap().problems.is_empty());
    assert!(matches!(snapshot.commit(Batch::new(Partition::Global)).await, Err(StoreError::Unavailable(_))));
}
